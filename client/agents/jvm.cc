// SPDX-License-Identifier: Apache-2.0
#include "client/agents/jvm.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace nom::agents {
namespace {

// As OpenJDK has them by default, where there is room for so much.
constexpr int64_t kFreePercentMax = 70;
constexpr int64_t kFreePercentMin = 40;
constexpr int64_t kFreePercentLeast = 5;
// Collections in a row that end with too much alive: Serial gives back in steps over four.
constexpr int kCollectionsMax = 5;
// G1 gives back behind, by a thread of its own.
constexpr int kLooksAfterCollection = 10;
constexpr absl::Duration kLookNap = absl::Milliseconds(50);
constexpr std::chrono::seconds kKeepInterval{1};
constexpr absl::Duration kKeepTimeout = absl::Seconds(5);

// "78581K" or "82M".
bool ParseAmount(absl::string_view word, int64_t* bytes) {
  while (!word.empty() && word.back() == ',') word.remove_suffix(1);
  if (word.empty()) return false;
  const absl::string_view::size_type unit = absl::string_view("BKMG").find(word.back());
  if (unit == absl::string_view::npos) return false;
  int64_t count = 0;
  if (!absl::SimpleAtoi(word.substr(0, word.size() - 1), &count) || count < 0) return false;
  *bytes = count << (10 * unit);
  return true;
}

int64_t FlagOf(absl::string_view said) {
  const std::pair<absl::string_view, absl::string_view> halves = absl::StrSplit(said, '=');
  int64_t value = 0;
  return absl::SimpleAtoi(halves.second, &value) ? value : 0;
}

}  // namespace

int64_t HeapUsedBytes(absl::string_view heap_info) {
  int64_t sum = 0;
  for (const absl::string_view line : absl::StrSplit(heap_info, '\n')) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (words.empty()) continue;
    if (words[0] == "Metaspace") break;  // Classes: not the heap.
    // A generation's own line has all; those below it, in percent or of its parts, say it again.
    for (size_t i = 0; i < words.size(); ++i) {
      int64_t bytes = 0;
      if (!absl::StartsWith(words[i], "used")) continue;
      if ((i + 1 < words.size() && ParseAmount(words[i + 1], &bytes)) ||
          (i > 0 && ParseAmount(words[i - 1], &bytes))) {
        sum += bytes;
      }
    }
  }
  return sum;
}

Jvm::Jvm(std::unique_ptr<JvmProcess> process, JvmOptions options)
    : process_(std::move(process)),
      options_([&options] {
        if (!options.nap) {
          options.nap = [](absl::Duration d) {
            std::this_thread::sleep_for(absl::ToChronoNanoseconds(d));
          };
        }
        if (!options.now) options.now = [] { return std::chrono::steady_clock::now(); };
        return options;
      }()),
      work_({.resize = "", .work = options_.work}) {}

// What a full collection leaves free: as much as the heap may be larger than what it holds alive.
absl::Status Jvm::SetFreeRatios(int64_t heap_bytes, int64_t used_bytes) {
  const int64_t free = std::max<int64_t>(0, heap_bytes - used_bytes) * 100 / heap_bytes;
  const int64_t most = std::clamp(free, kFreePercentLeast, kFreePercentMax);
  const int64_t least = std::min(kFreePercentMin, most / 2);
  // The one is never to be above the other.
  for (const auto& [flag, percent] :
       {std::pair("MinHeapFreeRatio", int64_t{0}), std::pair("MaxHeapFreeRatio", most),
        std::pair("MinHeapFreeRatio", least)}) {
    const auto set = process_->Ask({"setflag", flag, absl::StrCat(percent)});
    if (!set.ok()) return set.status();
  }
  return absl::OkStatus();
}

// What the process uses after a full collection, once it fits or has had its time.
absl::StatusOr<int64_t> Jvm::Collect(int64_t bytes) {
  const auto ran = process_->Ask({"jcmd", "GC.run"});
  if (!ran.ok()) return ran.status();
  for (int look = 0;; ++look) {
    const absl::StatusOr<int64_t> now = process_->ReadBytes();
    if (!now.ok() || *now <= bytes || look == kLooksAfterCollection) return now;
    options_.nap(kLookNap);
  }
}

absl::Status Jvm::Resize(int64_t bytes, absl::Duration timeout) {
  const auto deadline = options_.now() + absl::ToChronoNanoseconds(timeout);
  const auto max = process_->Ask({"printflag", "MaxHeapSize"});
  if (!max.ok()) return max.status();
  const int64_t heap_max = std::max<int64_t>(1 << 20, FlagOf(*max));
  const int64_t heap =
      std::clamp<int64_t>(bytes - options_.overhead_bytes, int64_t{1} << 20, heap_max);
  // Before version 13 there is no such flag, and then no collector that obeys it.
  const auto soft = process_->Ask({"setflag", "SoftMaxHeapSize", absl::StrCat(heap)});
  if (!soft.ok() && !absl::IsFailedPrecondition(soft.status())) return soft.status();
  int64_t alive = 0;
  for (int collections = 0;; ++collections) {
    const auto info = process_->Ask({"jcmd", "GC.heap_info"});
    if (!info.ok()) return info.status();
    alive = HeapUsedBytes(*info);
    if (absl::Status status = SetFreeRatios(heap, alive); !status.ok()) return status;
    const absl::StatusOr<int64_t> before = process_->ReadBytes();
    if (!before.ok()) return before.status();
    if (*before <= bytes) return absl::OkStatus();
    if (options_.now() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat("jvm: still uses ", *before >> 20, " of ",
                                                      bytes >> 20, " MiB when its time was over"));
    }
    if (collections == kCollectionsMax) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "jvm: uses ", *before >> 20, " of ", bytes >> 20, " MiB after ", collections,
          " collections, of which ", alive >> 20, " MiB are objects; more is not to be had"));
    }
    const absl::StatusOr<int64_t> after = Collect(bytes);
    if (!after.ok()) return after.status();
  }
}

absl::Status Jvm::Keep(int64_t bytes) {
  const auto now = options_.now();
  if (now - looked_at_ < kKeepInterval) return absl::OkStatus();
  looked_at_ = now;
  const absl::StatusOr<int64_t> used = process_->ReadBytes();
  if (!used.ok()) return used.status();
  return *used <= bytes ? absl::OkStatus() : Resize(bytes, kKeepTimeout);
}

}  // namespace nom::agents
