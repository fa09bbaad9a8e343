// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/frames.h"

#include <bit>

#include "nomhv/core/assert.h"

namespace nomhv {
namespace {

constexpr uint64_t WordsOf(uint64_t frames) { return (frames + 63) / 64; }

}  // namespace

uint64_t FrameAllocator::WordsNeeded(std::span<const FrameRange> ranges) {
  uint64_t words = 0;
  for (size_t i = 0; i < ranges.size() && i < kRangesMax; ++i) words += WordsOf(ranges[i].count);
  return words;
}

void FrameAllocator::Init(std::span<const FrameRange> ranges, std::span<uint64_t> words) {
  NOMHV_CHECK(words.size() >= WordsNeeded(ranges), "frame allocator: too little storage");
  *this = {};
  words_ = words;
  uint64_t next_word = 0;
  for (const FrameRange& range : ranges) {
    if (zone_count_ == kRangesMax) break;
    if (range.count == 0) continue;
    for (uint32_t i = 0; i < zone_count_; ++i) {
      const FrameRange& other = zones_[i].range;
      NOMHV_CHECK(
          range.first + range.count <= other.first || other.first + other.count <= range.first,
          "frame allocator: ranges overlap");
    }
    zones_[zone_count_++] = {range, next_word};
    for (uint64_t i = 0; i < WordsOf(range.count); ++i) {
      const uint64_t left = range.count - i * 64;
      words_[next_word++] = left >= 64 ? ~uint64_t{0} : (uint64_t{1} << left) - 1;
    }
    total_ += range.count;
  }
  free_ = total_;
}

Result<uint64_t> FrameAllocator::Allocate() {
  if (free_ == 0) return NOM_STATUS_TABLE_FULL;
  // One turn over all zones, and once more over the words before the hint in its own.
  for (uint32_t turn = 0; turn <= zone_count_; ++turn) {
    const Zone& zone = zones_[hint_zone_];
    for (uint64_t i = hint_word_; i < WordsOf(zone.range.count); ++i) {
      uint64_t& word = words_[zone.first_word + i];
      if (word == 0) continue;
      const auto bit = static_cast<uint64_t>(std::countr_zero(word));
      word &= word - 1;
      --free_;
      hint_word_ = i;
      return (zone.range.first + i * 64 + bit) * NOM_FRAME_BYTES;
    }
    hint_zone_ = hint_zone_ + 1 == zone_count_ ? 0 : hint_zone_ + 1;
    hint_word_ = 0;
  }
  Panic("frame allocator: the count of free frames is wrong", __FILE__, __LINE__);
}

void FrameAllocator::Free(uint64_t physical) {
  uint64_t word = 0;
  uint64_t mask = 0;
  NOMHV_CHECK(Find(physical, word, mask), "frame allocator: freed a frame that it never had");
  NOMHV_CHECK((words_[word] & mask) == 0, "frame allocator: frame freed twice");
  words_[word] |= mask;
  ++free_;
}

bool FrameAllocator::Find(uint64_t physical, uint64_t& word, uint64_t& mask) const {
  if (physical % NOM_FRAME_BYTES != 0) return false;
  const uint64_t frame = physical / NOM_FRAME_BYTES;
  for (uint32_t i = 0; i < zone_count_; ++i) {
    const FrameRange& range = zones_[i].range;
    if (frame < range.first || frame - range.first >= range.count) continue;
    const uint64_t index = frame - range.first;
    word = zones_[i].first_word + index / 64;
    mask = uint64_t{1} << (index % 64);
    return true;
  }
  return false;
}

}  // namespace nomhv
