// SPDX-License-Identifier: Apache-2.0
#include "client/examples/guests/cache/load.h"

#include <algorithm>

namespace nom::examples {
namespace {

// Large enough that the last of 16,384 ranks still weighs 64, small enough that all weights
// together (about 10.3 times this) fit in 32 bits.
constexpr uint32_t kFirstWeight = 1 << 20;

constexpr uint64_t kRatePercents[] = {50, 100, 150};
constexpr uint32_t kActivePercents[] = {25, 50, 100};

}  // namespace

Load::Load(uint32_t keys, uint64_t rate, uint64_t seed)
    : keys_(keys), mean_rate_(rate), random_(seed), rate_(rate), active_(keys) {
  uint32_t sum = 0;
  for (uint32_t rank = 0; rank < keys; ++rank) {
    sum += kFirstWeight / (rank + 1);
    below_[rank] = sum;
  }
}

uint32_t Load::Next() {
  const auto first = below_.begin();
  const auto draw = static_cast<uint32_t>(random_.Below(below_[active_ - 1]));
  const auto rank = static_cast<uint32_t>(std::upper_bound(first, first + active_, draw) - first);
  return (rank + shift_) % keys_;
}

void Load::NextPhase() {
  rate_ = std::max<uint64_t>(1, mean_rate_ * kRatePercents[random_.Below(3)] / 100);
  active_ = std::max<uint32_t>(1, keys_ / 100 * kActivePercents[random_.Below(3)]);
  // A few hundred ranks on: the old favourites lose most of their weight.
  shift_ = static_cast<uint32_t>((shift_ + random_.Below(keys_ / 16 + 1)) % keys_);
}

}  // namespace nom::examples
