// SPDX-License-Identifier: Apache-2.0
// The concave relaxation of an auction: what could be reached if every bid took any quantity below
// its smallest concave curve. Inside policies/clearing only.
//
// Suppose every unit had a price u >= 0, and every bid took what leaves it the most, its surplus
// s_i(u) = max(0, max over a of key_i(a) - u * a). Nobody can do better at that price, so no
// allocation's keys add up to more than what all bids have left and what all units cost:
//
//   L(u) = u * capacity + sum_i s_i(u)
//
// That holds for any price; the best bound is at the price where demand just meets the capacity.
// It is found without searching: cut each concave curve into its straight parts, fill in the
// steepest parts first, and take the slope of the part in which the capacity ends.

#ifndef NOM_POLICIES_CLEARING_MPSP_RELAXATION_H_
#define NOM_POLICIES_CLEARING_MPSP_RELAXATION_H_

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "policies/clearing/int128.h"
#include "policies/clearing/mpsp/key_bids.h"

namespace nom::policies {

// A straight, rising part of a bid's smallest concave curve.
template <typename Key>
struct Part {
  size_t bid = 0;
  int64_t units = 0;       // How wide it is; above 0.
  Key key = 0;             // What all of it adds; above 0.
  int64_t from_units = 0;  // The quantity at which it begins, which the bid accepts, and its key.
  Key from_key = 0;

  int64_t to_units() const { return from_units + units; }
};

// By the product: quotients of whole numbers are not exact. Keys of one bid are below 2^99 and
// units at most 2^24, so products stay far from 2^127.
template <typename Key>
bool IsSteeper(const Part<Key>& a, const Part<Key>& b) {
  return Int128{a.key} * b.units > Int128{b.key} * a.units;
}
// The order in which a relaxation takes parts: the steepest first, of equals the first bid's.
template <typename Key>
bool IsTakenBefore(const Part<Key>& a, const Part<Key>& b) {
  const Int128 left = Int128{a.key} * b.units;
  const Int128 right = Int128{b.key} * a.units;
  return left != right ? left > right : a.bid < b.bid;
}

// Appends the parts of one bid over the quantities from `low_units`, whose key is `low_key`, to
// `high_units`: from the steepest down, as they follow each other.
template <typename Key>
void AppendParts(std::span<const KeyPiece<Key>> pieces, size_t bid, int64_t low_units, Key low_key,
                 int64_t high_units, std::vector<Part<Key>>& parts) {
  const size_t first = parts.size();
  int64_t units = low_units;
  Key key = low_key;
  const auto append_to = [&](int64_t to_units, Key to_key) {
    // Where fewer units add as much, these are on no rising part.
    if (to_key <= key) return;
    Part<Key> part{bid, to_units - units, to_key - key, units, key};
    units = to_units;
    key = to_key;
    while (parts.size() > first && !IsSteeper(parts.back(), part)) {
      part.units += parts.back().units;
      part.key += parts.back().key;
      part.from_units = parts.back().from_units;
      part.from_key = parts.back().from_key;
      parts.pop_back();
    }
    parts.push_back(part);
  };
  for (const KeyPiece<Key>& piece : pieces) {
    const int64_t from = std::max(piece.min_units, low_units + 1);
    const int64_t to = std::min(piece.max_units, high_units);
    if (from > to) continue;
    append_to(from, piece.KeyAt(from));
    append_to(to, piece.KeyAt(to));
  }
}

// Steps of work.h that PartsOf takes.
inline constexpr int64_t kStepsASortedPart = 40;
template <typename Key>
int64_t StepsOfParts(const KeyBids<Key>& bids) {
  return kStepsASortedPart * static_cast<int64_t>(bids.pieces.size() + bids.size());
}

// Of all bids, in the order in which they are taken.
template <typename Key>
std::vector<Part<Key>> PartsOf(const KeyBids<Key>& bids) {
  std::vector<Part<Key>> parts;
  parts.reserve(bids.pieces.size());
  for (size_t bid = 0; bid < bids.size(); ++bid) {
    const auto pieces = bids.PiecesOf(bid);
    if (!pieces.empty()) AppendParts(pieces, bid, 0, Key{0}, pieces.back().max_units, parts);
  }
  std::sort(parts.begin(), parts.end(), IsTakenBefore<Key>);
  return parts;
}

class Relaxation {
 public:
  // `parts`, steepest first, must outlive this. All keys together, and each slope times the
  // capacity, must be at most kKeySumMax.
  Relaxation(std::span<const Part<int64_t>> parts, int64_t capacity_units);

  // The price at which L is lowest for so many units; but no more than kKeySumMax / (capacity + 1),
  // so that a price times a quantity stays in 64 bits. Any price gives a bound, so that cap costs
  // sharpness only.
  int64_t PriceAt(int64_t capacity_units) const;
  // The slope of the part that comes so many parts before the one in which the capacity ends, which
  // is steeper, or after it.
  int64_t PriceBefore(int64_t capacity_units, size_t parts) const;
  int64_t PriceAfter(int64_t capacity_units, size_t parts) const;
  // L for so many units.
  int64_t BoundAt(int64_t price, int64_t capacity_units) const;
  // The keys of the parts that fit whole, from the steepest down. Corners of the curves are
  // quantities that the bids accept, so this is what an allocation reaches. L at PriceAt is more by
  // less than the key of the part that does not fit.
  int64_t WholeParts(int64_t capacity_units) const;

 private:
  size_t PartWhereFull(int64_t capacity_units) const;
  int64_t PriceOf(size_t part) const;

  const int64_t price_max_;
  const std::span<const Part<int64_t>> parts_;
  // Of all parts before part i.
  std::vector<int64_t> units_before_;
  std::vector<int64_t> keys_before_;
};

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_MPSP_RELAXATION_H_
