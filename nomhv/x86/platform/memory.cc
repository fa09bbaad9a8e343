// SPDX-License-Identifier: Apache-2.0
#include "nomhv/x86/platform/memory.h"

#include <algorithm>

#include "nomhv/abi/version.h"
#include "nomhv/core/assert.h"
#include "nomhv/x86/platform/spinlock.h"

extern "C" {
extern char ImageStart[], ImageEnd[];
}

namespace nomhv {
namespace {

constexpr uint64_t kFrame = NOM_FRAME_BYTES;
constexpr uint64_t kLowest = 1u << 20;  // Below live firmware, the start page, old devices.
// One frame in this many is nomhv's own.
constexpr uint64_t kOwnShare = 32;
constexpr uint64_t kOwnFramesMin = 512;

SpinLock g_lock;
FrameAllocator g_guest_frames;
FrameAllocator g_own_frames;
// Frames below it have been a guest's, and were scrubbed when they came back; those above are as
// the firmware left them. The allocator goes upwards, so one number is enough.
uint64_t g_scrubbed_below = 0;

struct Ranges {
  uint32_t count = 0;
  FrameRange ranges[FrameAllocator::kRangesMax];

  void Add(uint64_t first, uint64_t end) {
    if (first < end && count < FrameAllocator::kRangesMax) ranges[count++] = {first, end - first};
  }
  // Frames [first, end) are somebody else's.
  void Remove(uint64_t first, uint64_t end) {
    const Ranges old = *this;
    count = 0;
    for (uint32_t i = 0; i < old.count; ++i) {
      const uint64_t a = old.ranges[i].first;
      const uint64_t b = a + old.ranges[i].count;
      Add(a, std::min(b, first));
      Add(std::max(a, end), b);
    }
  }
  [[nodiscard]] uint64_t Sum() const {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; ++i) sum += ranges[i].count;
    return sum;
  }
  // Takes `frames` off the end of the largest range.
  FrameRange Take(uint64_t frames) {
    FrameRange* const largest = std::max_element(
        ranges, ranges + count,
        [](const FrameRange& a, const FrameRange& b) { return a.count < b.count; });
    NOMHV_CHECK(count > 0 && largest->count > frames, "memory: too little of it");
    largest->count -= frames;
    return {largest->first + largest->count, frames};
  }
  [[nodiscard]] std::span<const FrameRange> span() const { return {ranges, count}; }
};

std::span<uint64_t> Words(FrameRange range) {
  return {Physical<uint64_t>(range.first * kFrame), range.count * kFrame / sizeof(uint64_t)};
}

uint64_t FramesOfWords(uint64_t words) { return (words * sizeof(uint64_t) + kFrame - 1) / kFrame; }

void Zero(uint64_t physical) {
  uint64_t words = kFrame / sizeof(uint64_t);
  void* at = Physical<void>(physical);
  asm volatile("rep stosq" : "+D"(at), "+c"(words) : "a"(0) : "memory");
}

}  // namespace

void InitMemory(const BootInfo& info) {
  Ranges ranges;
  for (uint32_t i = 0; i < info.range_count; ++i) {
    const uint64_t end = info.usable[i].first + info.usable[i].bytes;
    ranges.Add((std::max(info.usable[i].first, kLowest) + kFrame - 1) / kFrame, end / kFrame);
  }
  const auto remove = [&](uint64_t first, uint64_t end) {
    ranges.Remove(first / kFrame, (end + kFrame - 1) / kFrame);
  };
  remove(reinterpret_cast<uint64_t>(ImageStart), reinterpret_cast<uint64_t>(ImageEnd));
  for (uint32_t i = 0; i < info.module_count; ++i) {
    const PhysicalRange& range = info.modules[i];
    remove(range.first, range.first + range.bytes);
  }
  std::sort(ranges.ranges, ranges.ranges + ranges.count,
            [](const FrameRange& a, const FrameRange& b) { return a.first < b.first; });

  const FrameRange own = ranges.Take(std::max(ranges.Sum() / kOwnShare, kOwnFramesMin));
  const uint64_t own_words = FrameAllocator::WordsNeeded({&own, 1});
  const FrameRange own_bits = ranges.Take(FramesOfWords(own_words));
  const FrameRange guest_bits =
      ranges.Take(FramesOfWords(FrameAllocator::WordsNeeded(ranges.span())));
  g_own_frames.Init({&own, 1}, Words(own_bits).first(own_words));
  g_guest_frames.Init(ranges.span(),
                      Words(guest_bits).first(FrameAllocator::WordsNeeded(ranges.span())));
}

uint64_t GuestFramesTotal() { return g_guest_frames.total_frames(); }

uint64_t GuestFramesFree() {
  const SpinLockGuard guard(g_lock);
  return g_guest_frames.free_frames();
}

uint64_t AllocateGuestFrame() {
  uint64_t physical = 0;
  bool dirty = false;
  {
    const SpinLockGuard guard(g_lock);
    const Result<uint64_t> frame = g_guest_frames.Allocate();
    NOMHV_CHECK(frame.ok(), "memory: a granted frame is not there");
    physical = frame.value();
    dirty = physical >= g_scrubbed_below;
    if (dirty) g_scrubbed_below = physical + kFrame;
  }
  if (dirty) Zero(physical);
  return physical;
}

void FreeGuestFrames(std::span<const uint64_t> physical) {
  for (const uint64_t frame : physical) Zero(frame);
  const SpinLockGuard guard(g_lock);
  for (const uint64_t frame : physical) g_guest_frames.Free(frame);
}

Result<uint64_t> AllocateOwnFrame() {
  Result<uint64_t> frame = NOM_STATUS_TABLE_FULL;
  {
    const SpinLockGuard guard(g_lock);
    frame = g_own_frames.Allocate();
  }
  if (frame.ok()) Zero(frame.value());
  return frame;
}

void FreeOwnFrame(uint64_t physical) {
  const SpinLockGuard guard(g_lock);
  g_own_frames.Free(physical);
}

}  // namespace nomhv
