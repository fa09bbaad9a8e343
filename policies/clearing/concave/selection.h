// SPDX-License-Identifier: Apache-2.0
// The part of an order that matters, found without sorting the rest. Inside policies/clearing only.
//
// Selling concave bids serves offers from the dearest down until the capacity ends. Only the offers
// around that place have to be known one by one; of all that are dearer only how many units they
// have. A random sample of the offers, sorted, gives two gains with the place probably in between;
// one pass over all offers keeps those between the two; and so on with the ones that were kept,
// until they are few. A sample that misleads costs time, never the answer: whether the place lies
// in between is checked.

#ifndef NOM_POLICIES_CLEARING_CONCAVE_SELECTION_H_
#define NOM_POLICIES_CLEARING_CONCAVE_SELECTION_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "policies/bidding/range.h"
#include "policies/clearing/work.h"

namespace nom::policies {

// Units that each add the same to W. Where it comes from is a number that the caller understands.
struct Offer {
  Microcredits gain = 0;  // At least 0, and below the largest 64-bit number.
  uint32_t run = 0;
  int32_t units = 0;  // At least 1.
};

// All offers, as columns: offer i is that of run i.
struct OfferColumns {
  std::span<const Microcredits> gain;
  std::span<const int32_t> units;
  uint64_t seed = 0;  // Chooses the samples; the answer does not depend on it.
};

// Some of the offers, dearest first, and how many units all have that are dearer than these.
struct Window {
  std::vector<Offer> offers;
  int64_t units_above = 0;
};

// Puts all offers in a row by falling gain and finds those that end behind unit `first_unit` and
// begin at unit `last_unit` or before it, with possibly some more on both sides; whoever offers the
// same gain as one of them is found with it. 0 <= first_unit < last_unit <= all_units, which is the
// sum of `columns.units`. Time: expected linear, whatever the offers, as long as the units between
// first and last belong to few of them; then that of sorting those too. Nothing if the work is used
// up.
std::optional<Window> FindWindow(const OfferColumns& columns, int64_t first_unit, int64_t last_unit,
                                 int64_t all_units, Work& work);

// Dearest first; of equal gains in the order in which they stood. Linear time for many. False if
// the work is used up.
[[nodiscard]] bool SortDearestFirst(std::vector<Offer>& offers, Work& work);

// Reorders `items` so that the longest row of first ones, in the order of `less`, whose units fit
// in `units` together stands in front, and the next one behind it. Returns how many these are, and
// takes their units off `units`. Equals stand in any order; `units_of` gives the units of an item,
// 0 or more. Expected linear time.
template <typename T, typename Less, typename UnitsOf>
size_t PartitionAtUnits(std::span<T> items, int64_t& units, const Less& less,
                        const UnitsOf& units_of) {
  // Items before `begin` fit; from `end` on they do not, or stand behind one that does not.
  size_t begin = 0;
  size_t end = items.size();
  while (begin < end) {
    const size_t middle = begin + (end - begin) / 2;
    std::nth_element(items.begin() + static_cast<ptrdiff_t>(begin),
                     items.begin() + static_cast<ptrdiff_t>(middle),
                     items.begin() + static_cast<ptrdiff_t>(end), less);
    int64_t sum = 0;
    for (size_t i = begin; i <= middle; ++i) sum += units_of(items[i]);
    if (sum <= units) {
      units -= sum;
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin;
}

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_CONCAVE_SELECTION_H_
