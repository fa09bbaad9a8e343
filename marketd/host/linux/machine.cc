// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/linux/machine.h"

#include <time.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "marketd/base/status.h"

namespace nom::market {
namespace {

absl::StatusOr<std::string> ReadProcFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) return absl::UnavailableError(absl::StrCat(path, ": cannot be read"));
  return text.str();
}

absl::Status BadProc(const std::string& path, absl::string_view what) {
  return absl::DataLossError(absl::StrCat(path, ": ", what));
}

}  // namespace

absl::StatusOr<MachineFacts> ReadMachineFacts(const std::string& proc) {
  MachineFacts facts;
  const std::string boot_path = absl::StrCat(proc, "/sys/kernel/random/boot_id");
  NOM_ASSIGN_OR_RETURN(const std::string boot, ReadProcFile(boot_path));
  // The first 16 hexadecimal digits of a random UUID.
  std::string digits;
  for (const char c : boot) {
    if (absl::ascii_isxdigit(static_cast<unsigned char>(c)) && digits.size() < 16) digits += c;
  }
  if (digits.size() != 16 || !absl::SimpleHexAtoi(digits, &facts.boot_id)) {
    return BadProc(boot_path, "is no UUID");
  }
  facts.boot_id |= 1;

  const std::string stat_path = absl::StrCat(proc, "/stat");
  NOM_ASSIGN_OR_RETURN(const std::string stat, ReadProcFile(stat_path));
  for (const absl::string_view line : absl::StrSplit(stat, '\n')) {
    facts.processors += absl::StartsWith(line, "cpu") && line.size() > 3 &&
                        absl::ascii_isdigit(static_cast<unsigned char>(line[3]));
  }
  if (facts.processors == 0) return BadProc(stat_path, "names no processor");

  const std::string memory_path = absl::StrCat(proc, "/meminfo");
  NOM_ASSIGN_OR_RETURN(const std::string memory, ReadProcFile(memory_path));
  for (const absl::string_view line : absl::StrSplit(memory, '\n')) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    int64_t kib = 0;
    if (words.size() < 2 || !absl::SimpleAtoi(words[1], &kib)) continue;
    if (words[0] == "MemTotal:") facts.memory_bytes = kib * 1024;
    if (words[0] == "SwapTotal:") facts.swap_bytes = kib * 1024;
  }
  if (facts.memory_bytes <= 0) return BadProc(memory_path, "has no MemTotal");

  NOM_ASSIGN_OR_RETURN(facts.kernel, ReadProcFile(absl::StrCat(proc, "/sys/kernel/osrelease")));
  absl::StripAsciiWhitespace(&facts.kernel);
  return facts;
}

absl::StatusOr<int64_t> ReadStolenUs(const std::string& proc) {
  const std::string path = absl::StrCat(proc, "/stat");
  NOM_ASSIGN_OR_RETURN(const std::string stat, ReadProcFile(path));
  // cpu user nice system idle iowait irq softirq steal ..., in ticks.
  const std::vector<absl::string_view> lines = absl::StrSplit(stat, '\n');
  const std::vector<absl::string_view> words = absl::StrSplit(lines[0], ' ', absl::SkipEmpty());
  int64_t ticks = 0;
  if (words.size() < 9 || words[0] != "cpu" || !absl::SimpleAtoi(words[8], &ticks)) {
    return BadProc(path, "has no steal");
  }
  const int64_t hz = sysconf(_SC_CLK_TCK);
  return ticks * (1'000'000 / (hz > 0 ? hz : 100));
}

int64_t BootTimeUs() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

}  // namespace nom::market
