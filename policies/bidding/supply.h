// SPDX-License-Identifier: Apache-2.0
// What more units are likely to cost: a supply curve, predicted from the rounds of late.
//
// In a round some units could have been had without taking them from anybody, for the reserve; more
// would have cost what the bids that lost them asked: the price of the next unit. Of each round
// seen, only these three numbers are kept. The estimator, plainly: the price of the q-th unit is
// the chosen percentile, over the last rounds, of what the q-th unit would have cost in each. 50 is
// the median, 100 the dearest of late. It does not extrapolate: rounds as they were, bids as they
// are. A large bidder displaces dearer and dearer bids and pays more than this says.
//
//   RoundSeen room[16];
//   PriceHistory history(room, 16);
//   history.Note({.free_units = 20, .reserve_unit_price_microcredits = 5,
//                 .next_unit_price_microcredits = 9});                     // after each round
//   SupplyCurve supply;
//   if (history.Predict(50, supply)) best = BestUnitsAgainst(bid, supply, ChargeRule::kByHarm);
//
// No allocation, no exceptions, no floating point, no C++ library. A history belongs to one thread.

#ifndef NOM_POLICIES_BIDDING_SUPPLY_H_
#define NOM_POLICIES_BIDDING_SUPPLY_H_

#include "policies/bidding/curve.h"
#include "policies/bidding/range.h"

namespace nom::policies {

inline constexpr int kHistoryRoundsMax = 64;

// Numbers outside their range count as the nearest within.
struct RoundSeen {
  // The supply less what others won; 0 to kUnitsMax.
  int64_t free_units = 0;
  // 0 to kValueMaxMicrocredits. The next unit never costs less than the reserve.
  Microcredits reserve_unit_price_microcredits = 0;
  Microcredits next_unit_price_microcredits = 0;
};

// Units above steps[i].above_units, up to those of the next step, cost so much each. Rising units
// from 0 on, rising prices.
struct SupplyStep {
  int64_t above_units = 0;
  Microcredits unit_price_microcredits = 0;
};

struct SupplyCurve {
  SupplyStep steps[kHistoryRoundsMax + 1] = {};
  int count = 0;
};

class PriceHistory {
 public:
  // `room` outlives the history and is nobody else's; `rounds` are remembered, at most
  // kHistoryRoundsMax, at least 1.
  PriceHistory(RoundSeen* room, int rounds);

  void Note(const RoundSeen& round);
  void Forget() { noted_ = 0; }
  int rounds() const { return noted_ < capacity_ ? static_cast<int>(noted_) : capacity_; }

  // False, and no curve, before the first round: what was never seen is not guessed. `percent` is
  // held within 1 and 100. The curve ends at no quantity; kUnitsMax is as far as a bid goes.
  bool Predict(int percent, SupplyCurve& supply) const;

 private:
  RoundSeen* room_;
  int capacity_;
  int64_t noted_ = 0;
};

// How a rule charges: what is taken from others, each unit at its own price (mpsp); or one price
// for all units, that of the last (uniform_price).
enum class ChargeRule : uint8_t { kByHarm, kOnePrice };

// What `units` are expected to cost in all; INT64_MAX if it is more. 0 if the curve is empty.
Microcredits ExpectedCharge(const SupplyCurve& supply, ChargeRule rule, int64_t units);

// The quantity among those that the bid allows with the largest value less expected charge, the
// smallest such; 0 if none is worth its charge, or the curve is empty: unseen, nothing is spent.
int64_t BestUnitsAgainst(const RangeList& bid, const SupplyCurve& supply, ChargeRule rule);

}  // namespace nom::policies

#endif  // NOM_POLICIES_BIDDING_SUPPLY_H_
