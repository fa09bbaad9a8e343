#include "policies/clearing/mpsp/relaxation.h"

#include <algorithm>

#include "policies/clearing/int128.h"

namespace nom::policies {
namespace {

// By the product: quotients of whole numbers are not exact.
bool HasSteeperSlope(const Part& a, const Part& b) {
  return Int128{a.key} * b.units > Int128{b.key} * a.units;
}

// From the steepest down, as they follow each other.
void AppendParts(std::span<const KeyPiece<int64_t>> pieces, size_t bid, std::vector<Part>& parts) {
  const size_t first = parts.size();
  int64_t units = 0;
  int64_t key = 0;
  const auto append_to = [&](int64_t to_units, int64_t to_key) {
    // Where fewer units add as much, these are on no rising part.
    if (to_key <= key) return;
    Part part{bid, to_units - units, to_key - key};
    units = to_units;
    key = to_key;
    while (parts.size() > first && !HasSteeperSlope(parts.back(), part)) {
      part.units += parts.back().units;
      part.key += parts.back().key;
      parts.pop_back();
    }
    parts.push_back(part);
  };
  for (const KeyPiece<int64_t>& piece : pieces) {
    append_to(piece.min_units, piece.key_at_min);
    append_to(piece.max_units, piece.KeyAt(piece.max_units));
  }
}

}  // namespace

std::vector<Part> PartsOf(const KeyBids<int64_t>& bids) {
  std::vector<Part> parts;
  for (size_t bid = 0; bid < bids.size(); ++bid) AppendParts(bids.PiecesOf(bid), bid, parts);
  std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) {
    if (HasSteeperSlope(a, b)) return true;
    return !HasSteeperSlope(b, a) && a.bid < b.bid;
  });
  return parts;
}

Relaxation::Relaxation(std::span<const Part> parts, int64_t capacity_units)
    : price_max_(kKeySumMax / (capacity_units + 1)), parts_(parts) {
  units_before_.reserve(parts_.size() + 1);
  keys_before_.reserve(parts_.size() + 1);
  int64_t units = 0;
  int64_t key = 0;
  for (const Part& part : parts_) {
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
  const auto behind = std::partition_point(parts_.begin(), parts_.end(), [price](const Part& part) {
    return part.key / part.units >= price;
  });
  const auto count = static_cast<size_t>(behind - parts_.begin());
  return price * capacity_units + keys_before_[count] - price * units_before_[count];
}

int64_t Relaxation::WholeParts(int64_t capacity_units) const {
  return keys_before_[PartWhereFull(capacity_units)];
}

}  // namespace nom::policies
