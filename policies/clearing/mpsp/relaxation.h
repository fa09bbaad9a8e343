// The concave relaxation of an auction: what could be reached if every bid took any quantity below
// its smallest concave curve. Inside policies/clearing only.
//
// For any price u >= 0 of a unit of key, no allocation's keys add up to more than
//
//   L(u) = u * capacity + sum_i s_i(u),   s_i(u) = max(0, max over a of key_i(a) - u * a)
//
// and L is lowest at the slope at which the capacity ends when the curves' parts are filled in from
// the steepest down.

#ifndef NOM_POLICIES_CLEARING_MPSP_RELAXATION_H_
#define NOM_POLICIES_CLEARING_MPSP_RELAXATION_H_

#include <cstdint>
#include <span>
#include <vector>

#include "policies/clearing/mpsp/max_plus.h"

namespace nom::policies {

// A straight, rising part of a bid's smallest concave curve.
struct Part {
  size_t bid = 0;
  int64_t units = 0;  // How wide it is; above 0.
  int64_t key = 0;    // What all of it adds; above 0.
};

// Of all bids, steepest first.
std::vector<Part> PartsOf(const KeyBids<int64_t>& bids);

class Relaxation {
 public:
  // `parts`, steepest first, must outlive this. All keys together, and each slope times the
  // capacity, must be at most kKeySumMax.
  Relaxation(std::span<const Part> parts, int64_t capacity_units);

  // Where L is lowest for so many units; but no more than kKeySumMax / (capacity + 1), so that a
  // price times a quantity stays in 64 bits.
  int64_t PriceAt(int64_t capacity_units) const;
  // The same so many parts before the capacity is full, where it is higher, or after.
  int64_t PriceBefore(int64_t capacity_units, size_t parts) const;
  int64_t PriceAfter(int64_t capacity_units, size_t parts) const;
  // L for so many units.
  int64_t BoundAt(int64_t price, int64_t capacity_units) const;
  // The keys of the parts that fit whole, from the steepest down: an allocation, so at most what
  // can be reached, and less than L at PriceAt by one part at most.
  int64_t WholeParts(int64_t capacity_units) const;

 private:
  size_t PartWhereFull(int64_t capacity_units) const;
  int64_t PriceOf(size_t part) const;

  const int64_t price_max_;
  const std::span<const Part> parts_;
  // Of all parts before part i.
  std::vector<int64_t> units_before_;
  std::vector<int64_t> keys_before_;
};

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_MPSP_RELAXATION_H_
