// SPDX-License-Identifier: Apache-2.0
// One auction for all kinds of a host: cleared so that whoever wins can pay, and told by kind.
//
// Everything else of the market (prices, outcomes, accounts, metrics) is by kind. So what an item
// of several kinds is charged is divided over its kinds, exactly: each has its reserve, and what
// the charge is above the reserves goes by what the units cost above theirs at the published
// prices, which are those at which the auction balances. So a winner that is charged just those
// prices pays each kind's own price for it.

#ifndef MARKETD_MARKET_JOINT_ROUND_H_
#define MARKETD_MARKET_JOINT_ROUND_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "marketd/market/means_pacing.h"
#include "marketd/market/types.h"
#include "policies/clearing/joint/joint_auction.h"
#include "policies/clearing/joint/joint_fallback.h"

namespace nom::market {

// Clears an auction of all kinds within `work_max` steps; policies::ClearJointWithin unless a test
// says otherwise.
using JointClearFunction = std::function<absl::StatusOr<policies::JointCleared>(
    const policies::JointAuction& auction, int64_t work_max)>;

// Of one round: see means_pacing.h. A joint clearing is dearer than one of a kind, and worth less
// where it is cut short.
inline constexpr int kJointMeansTries = 8;
inline constexpr int64_t kJointMeansTryWork = 25'000'000;

// Steps that reading one guest's bid may take (policies::ReadingSteps), so that those of
// `guests_max` guests are read within every clearing of a round that has `work_max`.
int64_t GuestReadingSteps(int64_t work_max, int guests_max);

struct JointRound {
  policies::JointAuction auction;  // As cleared: the bids may be worth less than they came in with.
  int64_t work_max = 0;            // Of the last clearing.
  policies::JointCleared cleared;
  std::string fault;  // Why the rule failed and the last awards were repeated; empty: it did not.
};

// Fills in the clearing. `means` is what each owner of an item can pay; every item has an owner.
void ClearWithinMeans(JointRound& round, const OwnerMoney& means, int64_t work_max,
                      const JointClearFunction& clear);

// What every joint clearing promises: awards within the bids and the capacities, each bidder at
// most once by rising id, 0 <= charge <= value. INTERNAL says which was broken.
absl::Status CheckClearing(const policies::JointAuction& auction,
                           const policies::JointClearing& clearing);

// A charge for `units`, divided over the resources as said above; the parts add up to `charge`. If
// no unit has a price above its reserve, what is above the reserves goes by what these cost, and if
// these are zero, too, by the numbers of units. Of what is left over by rounding one micro-credit
// each goes to the largest remainders, of equal ones to the first resource. No part is below the
// reserve of its units, as long as the charge is not below all reserves.
policies::PriceVector SplitCharge(Microcredits charge, const policies::UnitVector& units,
                                  const policies::PriceVector& unit_prices,
                                  const policies::PriceVector& reserve_unit_prices);

struct KindAward {
  GuestId guest_id = 0;
  ResourceKind kind = ResourceKind::kMemory;
  int64_t units = 0;
  Microcredits charge_microcredits = 0;
  friend bool operator==(const KindAward&, const KindAward&) = default;
};

// The awards by rising guest and kind; `kinds` are those of the auction's resources.
std::vector<KindAward> AwardsByKind(const policies::JointAuction& auction,
                                    const policies::JointClearing& clearing,
                                    absl::Span<const ResourceKind> kinds);

}  // namespace nom::market

#endif  // MARKETD_MARKET_JOINT_ROUND_H_
