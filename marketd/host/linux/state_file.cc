// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/linux/state_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "marketd/base/status.h"

namespace nom::market {
namespace {

constexpr absl::string_view kHeader = "nom-linux-host 1";
constexpr size_t kFileBytesMax = 16 << 20;
constexpr size_t kAmountsWordsMin = 4;  // A key, a guest, millicores and bytes of memory.

absl::string_view PhaseName(GuestRecord::Phase phase) {
  switch (phase) {
    case GuestRecord::Phase::kCreating:
      return "creating";
    case GuestRecord::Phase::kRunning:
      return "running";
    case GuestRecord::Phase::kEnded:
      break;
  }
  return "ended";
}

std::string Wide(absl::uint128 value) {
  return absl::StrCat(absl::Hex(absl::Uint128High64(value)), ":",
                      absl::Hex(absl::Uint128Low64(value)));
}

std::string SumsText(const MeterSums& sums) {
  return absl::StrCat(
      sums.created_us, " ", sums.ended_us, " ", sums.cpu_usage_us, " ", Wide(sums.cpu_offered), " ",
      Wide(sums.memory_offered), " ", Wide(sums.memory_used), " ", Wide(sums.disk_offered), " ",
      Wide(sums.disk_used), " ", sums.disk_seen.read_bytes, " ", sums.disk_seen.written_bytes, " ",
      sums.disk_seen.reads, " ", sums.disk_seen.writes, " ", Wide(sums.network_offered), " ",
      Wide(sums.network_used), " ", sums.network_seen.received_bytes, " ",
      sums.network_seen.sent_bytes);
}

// Texts of others (names, reasons) as one word.
std::string Word(absl::string_view text) {
  return text.empty() ? "-" : absl::StrCat("=", absl::WebSafeBase64Escape(text));
}

using Words = std::vector<absl::string_view>;

// Reads the words of a line one after the other; remembers whether all were right.
class LineReader {
 public:
  explicit LineReader(absl::string_view line) : words_(absl::StrSplit(line, ' ')) {}

  absl::string_view Next() {
    if (at_ < words_.size()) return words_[at_++];
    good_ = false;
    return "";
  }
  template <typename Int>
  void Number(Int* out) {
    good_ &= absl::SimpleAtoi(Next(), out);
  }
  void Hexadecimal(uint64_t* out) { good_ &= absl::SimpleHexAtoi(Next(), out); }
  void Wide128(absl::uint128* out) {
    const std::pair<absl::string_view, absl::string_view> halves = absl::StrSplit(Next(), ':');
    uint64_t high = 0;
    uint64_t low = 0;
    good_ &= absl::SimpleHexAtoi(halves.first, &high) && absl::SimpleHexAtoi(halves.second, &low);
    *out = absl::MakeUint128(high, low);
  }
  void Text(std::string* out) {
    const absl::string_view word = Next();
    if (word == "-") return;
    good_ &= !word.empty() && word[0] == '=' && absl::WebSafeBase64Unescape(word.substr(1), out);
  }
  // Kinds that were not sold yet when the line was written are 0.
  void Each(Amounts* out) {
    for (const ResourceKind kind : kEnforcedKinds) {
      if (!AtEnd()) Number(&AmountOf(*out, kind));
    }
    good_ &= at_ >= kAmountsWordsMin;
  }
  void Sums(MeterSums* out) {
    Number(&out->created_us);
    Number(&out->ended_us);
    Number(&out->cpu_usage_us);
    Wide128(&out->cpu_offered);
    Wide128(&out->memory_offered);
    Wide128(&out->memory_used);
    if (AtEnd()) return;
    Wide128(&out->disk_offered);
    Wide128(&out->disk_used);
    for (uint64_t* count : {&out->disk_seen.read_bytes, &out->disk_seen.written_bytes,
                            &out->disk_seen.reads, &out->disk_seen.writes}) {
      Number(count);
    }
    Wide128(&out->network_offered);
    Wide128(&out->network_used);
    Number(&out->network_seen.received_bytes);
    Number(&out->network_seen.sent_bytes);
  }
  bool AtEnd() const { return at_ == words_.size(); }
  void Fail() { good_ = false; }
  bool Good() const { return good_ && at_ == words_.size(); }

 private:
  Words words_;
  size_t at_ = 0;
  bool good_ = true;
};

}  // namespace

std::string HostRecordText(const HostRecord& record) {
  std::string out = absl::StrCat(kHeader, "\n");
  absl::StrAppend(&out, "boot ", absl::Hex(record.boot_id), " ", record.at_us, " ",
                  record.stolen_us, "\n");
  absl::StrAppend(&out, "applied ", record.applied_round_id, " ", record.applied_at_us, "\n");
  if (record.applying_round_id) {
    absl::StrAppend(&out, "applying ", *record.applying_round_id, "\n");
  }
  for (const auto& [id, guest] : record.guests) {
    absl::StrAppend(&out, "guest ", id, " ", PhaseName(guest.phase), " ", Word(guest.name), " ",
                    Word(guest.recipe), " ", guest.memory_window_bytes, " ",
                    Word(guest.exit_reason), "\n");
    const auto each = [&out, guest_id = id](absl::string_view key, const Amounts& amounts) {
      absl::StrAppend(&out, key, " ", guest_id);
      for (const ResourceKind kind : kEnforcedKinds) {
        absl::StrAppend(&out, " ", AmountOf(amounts, kind));
      }
      absl::StrAppend(&out, "\n");
    };
    each("seed", guest.seed);
    each("held", guest.held);
    if (guest.target) each("target", *guest.target);
    absl::StrAppend(&out, "sums ", id, " ", SumsText(guest.sums), "\n");
    if (guest.has_applied)
      absl::StrAppend(&out, "at_apply ", id, " ", SumsText(guest.applied), "\n");
    if (guest.adopted()) {
      const UnitLimits& limits = guest.unit_limits;
      absl::StrAppend(&out, "unit ", id, " ", Word(guest.unit_cgroup), " ", limits.cpu_us_per_s,
                      " ", limits.memory_max_bytes, " ", limits.memory_min_bytes, " ",
                      limits.swap_max_bytes, " ", guest.usage_offset_us, "\n");
    }
  }
  absl::StrAppend(&out, "end\n");
  return out;
}

absl::StatusOr<HostRecord> ParseHostRecord(absl::string_view text) {
  const std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
  const auto wrong = [&lines](size_t i) {
    return absl::DataLossError(
        absl::StrCat("line ", i + 1, ": not understood: \"", lines[i].substr(0, 80), "\""));
  };
  if (lines[0] != kHeader) return wrong(0);
  HostRecord record;
  for (size_t i = 1; i < lines.size(); ++i) {
    if (lines[i] == "end") return record;
    LineReader line(lines[i]);
    const absl::string_view key = line.Next();
    if (key == "boot") {
      line.Hexadecimal(&record.boot_id);
      line.Number(&record.at_us);
      line.Number(&record.stolen_us);
    } else if (key == "applied") {
      line.Number(&record.applied_round_id);
      line.Number(&record.applied_at_us);
    } else if (key == "applying") {
      line.Number(&record.applying_round_id.emplace());
    } else {
      GuestId guest_id = 0;
      line.Number(&guest_id);
      if (key != "guest" && !record.guests.contains(guest_id)) return wrong(i);
      GuestRecord& guest = record.guests[guest_id];
      if (key == "guest") {
        const absl::string_view phase = line.Next();
        if (phase == "creating") {
          guest.phase = GuestRecord::Phase::kCreating;
        } else if (phase == "running") {
          guest.phase = GuestRecord::Phase::kRunning;
        } else if (phase == "ended") {
          guest.phase = GuestRecord::Phase::kEnded;
        } else {
          line.Fail();
        }
        line.Text(&guest.name);
        line.Text(&guest.recipe);
        line.Number(&guest.memory_window_bytes);
        line.Text(&guest.exit_reason);
      } else if (key == "seed") {
        line.Each(&guest.seed);
      } else if (key == "held") {
        line.Each(&guest.held);
      } else if (key == "target") {
        line.Each(&guest.target.emplace());
      } else if (key == "sums") {
        line.Sums(&guest.sums);
      } else if (key == "at_apply") {
        line.Sums(&guest.applied);
        guest.has_applied = true;
      } else if (key == "unit") {
        line.Text(&guest.unit_cgroup);
        line.Number(&guest.unit_limits.cpu_us_per_s);
        line.Number(&guest.unit_limits.memory_max_bytes);
        line.Number(&guest.unit_limits.memory_min_bytes);
        line.Number(&guest.unit_limits.swap_max_bytes);
        line.Number(&guest.usage_offset_us);
      } else {
        line.Fail();
      }
    }
    if (!line.Good()) return wrong(i);
  }
  return absl::DataLossError("has no end: it is cut short");
}

absl::Status SaveHostRecord(const std::string& path, const HostRecord& record) {
  const std::string text = HostRecordText(record);
  const std::string temporary = absl::StrCat(path, ".new");
  const auto failed = [](const std::string& what) {
    return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(errno)));
  };
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (fd < 0) return failed(temporary);
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t put = write(fd, text.data() + done, text.size() - done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) {
      const absl::Status status = failed(temporary);
      close(fd);
      return status;
    }
    done += static_cast<size_t>(put);
  }
  close(fd);
  return rename(temporary.c_str(), path.c_str()) == 0 ? absl::OkStatus() : failed(path);
}

absl::StatusOr<HostRecord> LoadHostRecord(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    const std::string what = absl::StrCat(path, ": ", std::strerror(errno));
    return errno == ENOENT ? absl::NotFoundError(what) : absl::UnavailableError(what);
  }
  std::string text;
  char buffer[16'384];
  ssize_t got = 0;
  while ((got = read(fd, buffer, sizeof(buffer))) > 0 && text.size() <= kFileBytesMax) {
    text.append(buffer, static_cast<size_t>(got));
  }
  close(fd);
  if (got != 0) return absl::UnavailableError(absl::StrCat(path, ": cannot be read"));
  absl::StatusOr<HostRecord> record = ParseHostRecord(text);
  if (record.ok()) return record;
  return absl::DataLossError(absl::StrCat(path, ": ", record.status().message()));
}

}  // namespace nom::market
