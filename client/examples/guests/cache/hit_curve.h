// SPDX-License-Identifier: Apache-2.0
// How many hits a cache of any size would have had: measured while it runs, exactly.
//
// Under least-recently-used replacement a request hits if fewer distinct keys than the cache has
// entries were asked for since the same key was last (its stack distance). So a histogram of stack
// distances is the whole curve. Mattson, Gecsei, Slutz, Traiger, "Evaluation techniques for storage
// hierarchies" (1970); distances by a binary indexed tree over time, as in Bennett and Kruskal
// (1975).

#ifndef CLIENT_EXAMPLES_GUESTS_CACHE_HIT_CURVE_H_
#define CLIENT_EXAMPLES_GUESTS_CACHE_HIT_CURVE_H_

#include <array>
#include <cstdint>

namespace nom::examples {

class HitCurve {
 public:
  static constexpr uint32_t kKeysMax = 16384;
  static constexpr uint32_t kBinEntries = 64;
  static constexpr uint64_t kFirstTime = ~uint64_t{0};

  // A request for key number `key` (below kKeysMax). Its stack distance; kFirstTime if the key was
  // never asked for.
  uint64_t Note(uint32_t key);

  // Ends a round: the curve becomes the mean of what it was and what this round saw.
  void EndRound();

  // Hits in one round, of the requests that came, with `entries` entries.
  uint64_t HitsWith(uint64_t entries) const;

 private:
  static constexpr uint32_t kSlots = 2 * kKeysMax;
  static constexpr uint16_t kNobody = 0xffff;
  static constexpr uint32_t kBins = kKeysMax / kBinEntries;
  static constexpr uint64_t kScale = 256;  // Fixed point of the smoothed curve.

  void Add(uint32_t slot, int change);
  uint32_t CountUpTo(uint32_t slot) const;  // Live slots in [0, slot].
  void Compact();

  uint32_t now_ = 0;   // The next free slot of time.
  uint32_t live_ = 0;  // Keys seen.
  std::array<uint16_t, kSlots + 1> tree_ = {};
  std::array<uint16_t, kSlots> key_at_ = {};  // Whose last request a slot was; valid below now_.
  std::array<uint16_t, kKeysMax> last_slot_ = {};  // One above the slot; 0: never.
  std::array<uint32_t, kBins> counts_ = {};
  std::array<uint64_t, kBins> smoothed_ = {};
  bool first_round_ = true;
};

}  // namespace nom::examples

#endif  // CLIENT_EXAMPLES_GUESTS_CACHE_HIT_CURVE_H_
