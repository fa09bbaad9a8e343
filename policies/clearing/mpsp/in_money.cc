// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/mpsp/in_money.h"

#include "policies/clearing/owners.h"

namespace nom::policies {
namespace {

Microcredits SurplusOf(const Auction& auction, size_t index, int64_t units) {
  return static_cast<Microcredits>(ValueOf(auction.bids[index], units) -
                                   Int128{units} * auction.reserve_unit_price_microcredits);
}

}  // namespace

template <typename Key>
InMoney ToMoney(const Auction& auction, const std::vector<size_t>& origin, Int128 key_scale,
                const std::vector<std::vector<size_t>>& shared, const Solution<Key>& solution,
                int64_t units_less) {
  // The low digits of a key, the units that holders keep, fall away.
  const auto gain = [key_scale](Key key) {
    return key_scale == 1 ? Int128{key} : FloorDivide(key, key_scale);
  };
  const Microcredits reserve = auction.reserve_unit_price_microcredits;
  const Int128 best_gain = gain(solution.best);
  InMoney money;
  money.units.resize(auction.bids.size(), 0);
  money.charges.resize(auction.bids.size(), 0);
  std::vector<char> is_shared(origin.size(), 0);
  for (const std::vector<size_t>& owned : shared) {
    for (size_t place : owned) is_shared[place] = 1;
  }
  for (size_t place = 0; place < origin.size(); ++place) {
    const int64_t units = solution.units[place];
    if (units == 0) continue;
    const size_t index = origin[place];
    money.units[index] = units;
    if (solution.without.empty() || is_shared[place] != 0) continue;
    money.charges[index] =
        static_cast<Microcredits>(Int128{units} * reserve + gain(solution.without[place]) -
                                  (best_gain - SurplusOf(auction, index, units)));
  }
  for (size_t owner = 0; owner < solution.without_shared.size(); ++owner) {
    if (!HasUnits(shared[owner], solution.units)) continue;
    // Places are in the order of ties, as SplitExcess wants its guests.
    std::vector<Microcredits> surpluses;
    Int128 excess = gain(solution.without_shared[owner]) - best_gain;
    for (size_t place : shared[owner]) {
      surpluses.push_back(SurplusOf(auction, origin[place], solution.units[place]));
      excess += surpluses.back();
    }
    const std::vector<Microcredits> shares = SplitExcess(excess, surpluses);
    for (size_t k = 0; k < shares.size(); ++k) {
      const size_t place = shared[owner][k];
      money.charges[origin[place]] =
          static_cast<Microcredits>(Int128{solution.units[place]} * reserve + shares[k]);
    }
  }
  money.next_unit_price_microcredits = reserve;
  if (units_less > 0 && auction.capacity_units > 0) {
    money.next_unit_price_microcredits +=
        static_cast<Microcredits>((best_gain - gain(solution.best_of_one_less)) / units_less);
  }
  return money;
}

template InMoney ToMoney(const Auction&, const std::vector<size_t>&, Int128,
                         const std::vector<std::vector<size_t>>&, const Solution<int64_t>&,
                         int64_t);
template InMoney ToMoney(const Auction&, const std::vector<size_t>&, Int128,
                         const std::vector<std::vector<size_t>>&, const Solution<Int128>&, int64_t);

}  // namespace nom::policies
