// SPDX-License-Identifier: Apache-2.0
// What ./nom up --linux lets compete, and those who use it: one static program, its first word says
// what. No library of ours.
//
//   load web PORT WORK_MS
//     a web server whose every page takes so much of a processor
//   load visits PORT RATE DEADLINE_MS FILE
//     its visitors; FILE: how many pages came in time, of all
//   load lookups PORT RATE KEYS FILE [VALUE_BYTES]
//     users of memcached, some keys more often than others; what is not there is put there; FILE:
//     hits, of all
// FILE is replaced each quarter of a second: two counts that rise.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

constexpr int64_t kValueBytes = 40'000;  // If nothing else is said.
constexpr int64_t kReportNs = 250'000'000;

int64_t Nanoseconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

sockaddr_in Local(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int Connect(int port) {
  const sockaddr_in address = Local(port);
  for (;;) {
    const int peer = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(peer, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
      return peer;
    }
    close(peer);
    usleep(100'000);
  }
}

// Waits so that calls are `rate` a second, but does not make up for lost time.
class Pace {
 public:
  explicit Pace(int64_t rate) : step_ns_(1'000'000'000 / rate) {}
  void Wait() {
    const int64_t now_ns = Nanoseconds(CLOCK_MONOTONIC);
    next_ns_ = next_ns_ + step_ns_ < now_ns ? now_ns : next_ns_ + step_ns_;
    if (next_ns_ > now_ns) usleep(static_cast<useconds_t>((next_ns_ - now_ns) / 1000));
  }

 private:
  const int64_t step_ns_;
  int64_t next_ns_ = 0;
};

class Report {
 public:
  explicit Report(const char* file) : file_(file) {}
  void Count(bool good) {
    good_ += good;
    ++all_;
    const int64_t now_ns = Nanoseconds(CLOCK_MONOTONIC);
    if (now_ns - written_ns_ < kReportNs) return;
    written_ns_ = now_ns;
    const std::string temporary = file_ + ".new";
    if (FILE* out = std::fopen(temporary.c_str(), "w")) {
      std::fprintf(out, "%lld %lld\n", good_, all_);
      std::fclose(out);
      std::rename(temporary.c_str(), file_.c_str());
    }
  }

 private:
  const std::string file_;
  long long good_ = 0;
  long long all_ = 0;
  int64_t written_ns_ = 0;
};

[[noreturn]] void Web(int port, int64_t work_ms) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  const int yes = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  const sockaddr_in address = Local(port);
  if (bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(listener, 64) != 0) {
    std::exit(3);
  }
  for (;;) {
    const int peer = accept(listener, nullptr, nullptr);
    char request[512];
    if (recv(peer, request, sizeof(request), 0) > 0) {
      // Time of the processor, not of the clock: less of one, and the page is later.
      const int64_t end_ns = Nanoseconds(CLOCK_PROCESS_CPUTIME_ID) + work_ms * 1'000'000;
      while (Nanoseconds(CLOCK_PROCESS_CPUTIME_ID) < end_ns) {
      }
      const char page[] = "HTTP/1.0 200 OK\r\n\r\nhello\n";
      send(peer, page, sizeof(page) - 1, MSG_NOSIGNAL);
    }
    close(peer);
  }
}

[[noreturn]] void Visits(int port, int64_t rate, int64_t deadline_ms, const char* file) {
  Pace pace(rate);
  Report report(file);
  for (;;) {
    pace.Wait();
    const int64_t begin_ns = Nanoseconds(CLOCK_MONOTONIC);
    const int peer = Connect(port);
    const char request[] = "GET / HTTP/1.0\r\n\r\n";
    send(peer, request, sizeof(request) - 1, MSG_NOSIGNAL);
    char page[512];
    const bool answered = recv(peer, page, sizeof(page), 0) > 0;
    close(peer);
    report.Count(answered && Nanoseconds(CLOCK_MONOTONIC) - begin_ns <= deadline_ms * 1'000'000);
  }
}

bool Receive(int peer, std::string* answer, const char* end) {
  answer->clear();
  while (answer->size() < std::strlen(end) ||
         answer->compare(answer->size() - std::strlen(end), std::string::npos, end) != 0) {
    char buffer[8192];
    const ssize_t got = recv(peer, buffer, sizeof(buffer), 0);
    if (got <= 0) return false;
    answer->append(buffer, static_cast<size_t>(got));
  }
  return true;
}

[[noreturn]] void Lookups(int port, int64_t rate, int64_t keys, const char* file,
                          int64_t value_bytes) {
  Pace pace(rate);
  Report report(file);
  const std::string value(static_cast<size_t>(value_bytes), 'v');
  uint64_t random = 88'172'645'463'325'252;  // xorshift64: the same lookups in every run.
  std::string answer;
  int peer = Connect(port);
  const auto put = [&](int64_t key) {
    const std::string text = "set key" + std::to_string(key) + " 0 0 " +
                             std::to_string(value_bytes) + "\r\n" + value + "\r\n";
    return send(peer, text.data(), text.size(), MSG_NOSIGNAL) > 0 && Receive(peer, &answer, "\r\n");
  };
  for (;;) {
    pace.Wait();
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    const double uniform = static_cast<double>(random >> 11) / 9007199254740992.0;
    // The first quarter of the keys is asked for half of the time.
    const int64_t key = static_cast<int64_t>(static_cast<double>(keys) * uniform * uniform);
    const std::string text = "get key" + std::to_string(key) + "\r\n";
    const bool good =
        send(peer, text.data(), text.size(), MSG_NOSIGNAL) > 0 && Receive(peer, &answer, "END\r\n");
    const bool hit = good && answer.compare(0, 5, "VALUE") == 0;
    report.Count(hit);
    if (!good || (!hit && !put(key))) {
      close(peer);
      peer = Connect(port);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  const auto number = [argv](int i) { return std::atoll(argv[i]); };
  if (what == "web" && argc == 4) Web(static_cast<int>(number(2)), number(3));
  if (what == "visits" && argc == 6) {
    Visits(static_cast<int>(number(2)), number(3), number(4), argv[5]);
  }
  if (what == "lookups" && (argc == 6 || argc == 7)) {
    Lookups(static_cast<int>(number(2)), number(3), number(4), argv[5],
            argc == 7 ? number(6) : kValueBytes);
  }
  std::fprintf(stderr,
               "usage: load web PORT WORK_MS | visits PORT RATE DEADLINE_MS FILE | "
               "lookups PORT RATE KEYS FILE [VALUE_BYTES]\n");
  return 2;
}
