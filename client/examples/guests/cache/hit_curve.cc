// SPDX-License-Identifier: Apache-2.0
#include "client/examples/guests/cache/hit_curve.h"

namespace nom::examples {

void HitCurve::Add(uint32_t slot, int change) {
  for (uint32_t i = slot + 1; i <= kSlots; i += i & (0 - i)) {
    tree_[i] = static_cast<uint16_t>(tree_[i] + change);
  }
}

uint32_t HitCurve::CountUpTo(uint32_t slot) const {
  uint32_t count = 0;
  for (uint32_t i = slot + 1; i > 0; i &= i - 1) count += tree_[i];
  return count;
}

uint64_t HitCurve::Note(uint32_t key) {
  if (now_ == kSlots) Compact();
  uint64_t distance = kFirstTime;
  if (last_slot_[key] != 0) {
    const uint32_t slot = last_slot_[key] - 1u;
    distance = live_ - CountUpTo(slot);
    Add(slot, -1);
    key_at_[slot] = kNobody;
    ++counts_[distance / kBinEntries];
  } else {
    ++live_;
  }
  Add(now_, 1);
  key_at_[now_] = static_cast<uint16_t>(key);
  last_slot_[key] = static_cast<uint16_t>(now_ + 1);
  ++now_;
  return distance;
}

// Time is used up: the keys' last requests move to its beginning, in their order.
void HitCurve::Compact() {
  uint32_t next = 0;
  for (uint32_t slot = 0; slot < kSlots; ++slot) {
    const uint16_t key = key_at_[slot];
    if (key == kNobody) continue;
    key_at_[next] = key;
    last_slot_[key] = static_cast<uint16_t>(++next);
  }
  now_ = next;
  tree_.fill(0);
  for (uint32_t i = 1; i <= kSlots; ++i) {
    tree_[i] = static_cast<uint16_t>(tree_[i] + (i <= next ? 1 : 0));
    const uint32_t parent = i + (i & (0 - i));
    if (parent <= kSlots) tree_[parent] = static_cast<uint16_t>(tree_[parent] + tree_[i]);
  }
}

void HitCurve::EndRound() {
  for (uint32_t bin = 0; bin < kBins; ++bin) {
    const uint64_t seen = counts_[bin] * kScale;
    smoothed_[bin] = first_round_ ? seen : (smoothed_[bin] + seen) / 2;
    counts_[bin] = 0;
  }
  first_round_ = false;
}

uint64_t HitCurve::HitsWith(uint64_t entries) const {
  uint64_t hits = 0;
  for (uint32_t bin = 0; bin < kBins; ++bin) {
    if (entries >= kBinEntries) {
      hits += smoothed_[bin];
      entries -= kBinEntries;
    } else {
      hits += smoothed_[bin] * entries / kBinEntries;
      break;
    }
  }
  return hits / kScale;
}

}  // namespace nom::examples
