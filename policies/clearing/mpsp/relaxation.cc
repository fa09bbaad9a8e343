// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/mpsp/relaxation.h"

#include <algorithm>

namespace nom::policies {
Relaxation::Relaxation(std::span<const Part<int64_t>> parts, int64_t capacity_units)
    : price_max_(kKeySumMax / (capacity_units + 1)), parts_(parts) {
  units_before_.reserve(parts_.size() + 1);
  keys_before_.reserve(parts_.size() + 1);
  int64_t units = 0;
  int64_t key = 0;
  for (const Part<int64_t>& part : parts_) {
    units_before_.push_back(units);
    keys_before_.push_back(key);
    units += part.units;
    key += part.key;
  }
  units_before_.push_back(units);
  keys_before_.push_back(key);
}

// parts_.size() if all fit.
size_t Relaxation::PartWhereFull(int64_t capacity_units) const {
  const auto behind =
      std::upper_bound(units_before_.begin() + 1, units_before_.end(), capacity_units);
  return static_cast<size_t>(behind - units_before_.begin()) - 1;
}

int64_t Relaxation::PriceAt(int64_t capacity_units) const {
  return PriceOf(PartWhereFull(capacity_units));
}

int64_t Relaxation::PriceBefore(int64_t capacity_units, size_t parts) const {
  const size_t full_at = PartWhereFull(capacity_units);
  return PriceOf(full_at - std::min(full_at, parts));
}

int64_t Relaxation::PriceAfter(int64_t capacity_units, size_t parts) const {
  return PriceOf(std::min(PartWhereFull(capacity_units) + parts, parts_.size()));
}

// Behind the last part nobody wants more.
int64_t Relaxation::PriceOf(size_t part) const {
  if (part == parts_.size()) return 0;
  return std::min(parts_[part].key / parts_[part].units, price_max_);
}

int64_t Relaxation::BoundAt(int64_t price, int64_t capacity_units) const {
  const auto behind = std::partition_point(
      parts_.begin(), parts_.end(),
      [price](const Part<int64_t>& part) { return part.key / part.units >= price; });
  const auto count = static_cast<size_t>(behind - parts_.begin());
  return price * capacity_units + keys_before_[count] - price * units_before_[count];
}

int64_t Relaxation::WholeParts(int64_t capacity_units) const {
  return keys_before_[PartWhereFull(capacity_units)];
}

}  // namespace nom::policies
