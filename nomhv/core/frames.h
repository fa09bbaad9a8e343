// SPDX-License-Identifier: Apache-2.0
// Physical frames: which are free, which are taken. One bit a frame over the machine's usable
// ranges; the storage is the caller's. Not thread-safe: the caller holds its lock.

#ifndef NOMHV_CORE_FRAMES_H_
#define NOMHV_CORE_FRAMES_H_

#include <cstdint>
#include <span>

#include "nomhv/core/result.h"

namespace nomhv {

// [first, first + count) in frames of NOM_FRAME_BYTES; number 3 is physical address 0x3000.
struct FrameRange {
  uint64_t first = 0;
  uint64_t count = 0;
};

class FrameAllocator {
 public:
  // Ranges beyond this many are not used.
  static constexpr uint32_t kRangesMax = 192;

  // How many 64-bit words of storage Init needs for `ranges`.
  static uint64_t WordsNeeded(std::span<const FrameRange> ranges);

  // Takes the ranges, which must not overlap (a broken promise otherwise) and are all free.
  // `words` has WordsNeeded() words and outlives the allocator.
  void Init(std::span<const FrameRange> ranges, std::span<uint64_t> words);

  // The lowest free frame from where the last search ended, wrapping round; its physical address.
  // TABLE_FULL when none is free.
  Result<uint64_t> Allocate();

  // Gives a frame back. The caller has scrubbed it. A frame that is free already, or that was never
  // of the ranges, is a broken promise and panics.
  void Free(uint64_t physical);

  [[nodiscard]] uint64_t total_frames() const { return total_; }
  [[nodiscard]] uint64_t free_frames() const { return free_; }

 private:
  struct Zone {
    FrameRange range;
    uint64_t first_word = 0;
  };
  // The bit of a frame, or false if it is in no zone.
  bool Find(uint64_t physical, uint64_t& word, uint64_t& mask) const;

  Zone zones_[kRangesMax];
  uint32_t zone_count_ = 0;
  uint32_t hint_zone_ = 0;
  uint64_t hint_word_ = 0;     // In the hinted zone.
  std::span<uint64_t> words_;  // 1 = free.
  uint64_t total_ = 0;
  uint64_t free_ = 0;
};

}  // namespace nomhv

#endif  // NOMHV_CORE_FRAMES_H_
