// SPDX-License-Identifier: Apache-2.0
#include "client/agents/memcached.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace nom::agents {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kAnswerBytesMax = 1 << 20;
constexpr int kAnswerSeconds = 2;
constexpr absl::Duration kBusyNap = absl::Milliseconds(5);  // While it still moves the last page.

class SocketLine final : public MemcachedLine {
 public:
  explicit SocketLine(std::string address) : address_(std::move(address)) {}
  ~SocketLine() override { Close(); }

  absl::StatusOr<std::vector<std::string>> Ask(
      const std::string& command, const std::function<bool(absl::string_view)>& is_last) override {
    if (absl::Status status = Connect(); !status.ok()) return status;
    const std::string text = absl::StrCat(command, "\r\n");
    if (send(fd_, text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) {
      return Lost(std::strerror(errno));
    }
    std::vector<std::string> lines;
    std::string rest;
    for (size_t bytes = 0; bytes < kAnswerBytesMax;) {
      char buffer[4096];
      const ssize_t got = recv(fd_, buffer, sizeof(buffer), 0);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return Lost(got == 0 ? "closed" : std::strerror(errno));
      bytes += static_cast<size_t>(got);
      rest.append(buffer, static_cast<size_t>(got));
      for (size_t end = 0; (end = rest.find("\r\n")) != std::string::npos;) {
        lines.push_back(rest.substr(0, end));
        rest.erase(0, end + 2);
        if (is_last(lines.back())) return lines;
      }
    }
    return Lost("answers without end");
  }

 private:
  absl::Status Lost(absl::string_view why) {
    Close();
    return absl::UnavailableError(absl::StrCat("memcached ", address_, ": ", why));
  }

  absl::Status Connect() {
    if (fd_ >= 0) return absl::OkStatus();
    sockaddr_storage to{};
    socklen_t size = 0;
    if (absl::StartsWith(address_, "/")) {
      auto* const unix_address = reinterpret_cast<sockaddr_un*>(&to);
      if (address_.size() >= sizeof(unix_address->sun_path)) return Lost("path too long");
      unix_address->sun_family = AF_UNIX;
      std::memcpy(unix_address->sun_path, address_.data(), address_.size());
      size = sizeof(sockaddr_un);
    } else {
      const std::pair<std::string, std::string> halves = absl::StrSplit(address_, ':');
      auto* const ip = reinterpret_cast<sockaddr_in*>(&to);
      ip->sin_family = AF_INET;
      uint32_t port = 0;
      if (!absl::SimpleAtoi(halves.second, &port) || port == 0 || port > 65'535 ||
          inet_pton(AF_INET, halves.first.c_str(), &ip->sin_addr) != 1) {
        return Lost("must be an address and a port, such as 127.0.0.1:11211, or a path");
      }
      ip->sin_port = htons(static_cast<uint16_t>(port));
      size = sizeof(sockaddr_in);
    }
    fd_ = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval patience{.tv_sec = kAnswerSeconds, .tv_usec = 0};
    if (fd_ < 0 || setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0 ||
        setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0 ||
        connect(fd_, reinterpret_cast<const sockaddr*>(&to), size) != 0) {
      return Lost(std::strerror(errno));
    }
    return absl::OkStatus();
  }

  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

  const std::string address_;
  int fd_ = -1;
};

uint64_t NumberOf(const std::map<std::string, std::string>& stats, const std::string& key) {
  uint64_t value = 0;
  const auto it = stats.find(key);
  return it != stats.end() && absl::SimpleAtoi(it->second, &value) ? value : 0;
}

bool OneLine(absl::string_view) { return true; }

}  // namespace

std::unique_ptr<MemcachedLine> ConnectMemcached(std::string address) {
  return std::make_unique<SocketLine>(std::move(address));
}

Memcached::Memcached(std::unique_ptr<MemcachedLine> line, MemcachedOptions options)
    : line_(std::move(line)), options_([&options] {
        if (!options.nap) {
          options.nap = [](absl::Duration d) {
            std::this_thread::sleep_for(absl::ToChronoNanoseconds(d));
          };
        }
        return options;
      }()) {}

absl::StatusOr<Memcached::Stats> Memcached::ReadStats(const std::string& command) {
  const auto lines = line_->Ask(command, [](absl::string_view line) {
    return line == "END" || absl::StartsWith(line, "ERROR") ||
           absl::StartsWith(line, "CLIENT_ERROR") || absl::StartsWith(line, "SERVER_ERROR");
  });
  if (!lines.ok()) return lines.status();
  if (lines->back() != "END") {
    return absl::UnavailableError(absl::StrCat("memcached: ", command, ": ", lines->back()));
  }
  Stats stats;
  for (const std::string& line : *lines) {
    const std::vector<std::string> words = absl::StrSplit(line, absl::MaxSplits(' ', 2));
    if (words.size() == 3 && words[0] == "STAT") stats[words[1]] = words[2];
  }
  return stats;
}

absl::StatusOr<Work> Memcached::ReadWork() {
  const absl::StatusOr<Stats> stats = ReadStats("stats");
  if (!stats.ok()) return stats.status();
  const uint64_t hits = NumberOf(*stats, "get_hits");
  return Work{.done = hits, .offered = hits + NumberOf(*stats, "get_misses")};
}

// From the class that has the most pages. The last page of a class stays with it.
absl::Status Memcached::TakePage(const Stats& slabs) {
  std::string largest;
  uint64_t most = 1;
  for (const auto& [key, value] : slabs) {
    const std::pair<std::string, std::string> halves = absl::StrSplit(key, ':');
    if (halves.second != "total_pages" || halves.first == "0") continue;
    if (const uint64_t pages = NumberOf(slabs, key); pages > most) {
      most = pages;
      largest = halves.first;
    }
  }
  if (largest.empty()) {
    return absl::ResourceExhaustedError("memcached: no class has a page more that could be taken");
  }
  const auto answer = line_->Ask(absl::StrCat("slabs reassign ", largest, " 0"), OneLine);
  if (!answer.ok()) return answer.status();
  const std::string& word = answer->back();
  // BUSY: the page before is still being moved. NOSPARE: it has just lost one otherwise.
  if (absl::StartsWith(word, "BUSY") || absl::StartsWith(word, "NOSPARE")) {
    options_.nap(kBusyNap);
    return absl::OkStatus();
  }
  if (absl::StartsWith(word, "OK")) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "memcached: slabs reassign ", largest, " 0: ", word, "; it must run with slab_reassign"));
}

absl::Status Memcached::Resize(int64_t bytes, absl::Duration timeout) {
  const Clock::time_point deadline = Clock::now() + absl::ToChronoNanoseconds(timeout);
  const int64_t limit = std::max(kLimitMiBMin, (bytes - options_.overhead_bytes) >> 20);
  const auto set = line_->Ask(absl::StrCat("cache_memlimit ", limit), OneLine);
  if (!set.ok()) return set.status();
  if (!absl::StartsWith(set->back(), "OK")) {
    return absl::FailedPreconditionError(
        absl::StrCat("memcached: cache_memlimit ", limit, ": ", set->back()));
  }
  for (;;) {
    const absl::StatusOr<Stats> slabs = ReadStats("stats slabs");
    if (!slabs.ok()) return slabs.status();
    const uint64_t has = NumberOf(*slabs, "total_malloced");
    if (has <= static_cast<uint64_t>(limit) << 20) return absl::OkStatus();
    if (Clock::now() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat("memcached: still has ", has >> 20, " of ",
                                                      limit, " MiB when its time was over"));
    }
    if (absl::Status status = TakePage(*slabs); !status.ok()) return status;
  }
}

}  // namespace nom::agents
