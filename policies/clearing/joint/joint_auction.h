// SPDX-License-Identifier: Apache-2.0
// Several resources, one auction: the input and the output of the joint rule.
//
// A guest that needs memory and processor time together is not served by two auctions: it may win
// one and lose the other. Here a bid says what whole bundles are worth, and one decision is made
// for all resources. As in auction.h everything is a function of its arguments: the same auction
// gives the same answer to the last unit, on every machine, whatever the order of the bids.
//
// What the rule maximises, over bundles a_i that can be sold to bid i, with sum a_i <= capacity in
// every resource r:
//
//   W(a) = sum value_i(a_i) + sum_r reserve_r * (capacity_r - sum a_ir)
//          - sum_r reclaim_penalty_r * sum_i max(0, held_ir - a_ir)
//
// A bundle can be sold to a bid if the bid allows it and values it at the reserves or more. The
// empty bundle always can.
//
// Charges are VCG's as in auction.h, owner by owner: who bids for several guests is charged for
// all of them together, or each could be charged as if the others of its own were rivals, and
// bidding high for all of them would win them for nothing. "Without o" keeps the bids of o's guests
// in the auction, with the bundles that could be sold to them, each worth exactly the reserves, and
// their reclaim penalties still counted:
//
//   charge_o = sum reserve * a_i + W(without o) - (W(a) - sum (value_i(a_i) - reserve * a_i))
//
// where the sums go over o's guests i. Each of them that wins pays reserve * a_i; what charge_o is
// above that is divided among them in proportion to value_i(a_i) - reserve * a_i, by largest
// remainder in whole micro-credits, in the order of TieOrder among equals. So
// reserve * a_i <= charge_i <= value_i(a_i), and losers pay 0.
//
// What is the best bid? Without reclaim penalties, the truth, for a whole owner and whatever the
// others bid: charge_o depends on what o's guests win and on nothing else that o says. With
// penalties it depends on one thing more, which bundles could be sold to o: with fewer of them,
// "without o" keeps fewer of o's holdings. Leaving bundles out can then gain up to
//
//   sum over o's guests of sum_r reclaim_penalty_r * held_r
//
// and no bid gains more (policies/cases/joint/leaving_bundles_out_pays.yaml gains just that). No
// rule could do better and keep the rest: the largest W and the truth as the best bid leave only
// charge_o = h(the others' bids) - (what the others and the penalties add to W), losers that pay
// nothing make h the largest W in which o has lost everything, and then a holder without rivals
// would pay the penalties that it saves less than the reserve (Green and Laffont 1977).
//
// Ties. W and its bound are unique; among allocations of equal W the rule takes one that depends
// on the auction and its seed alone (bids are first put in the order of TieOrder, so no name wins
// for ever), but not, as in one dimension, the lexicographically greatest.

#ifndef NOM_POLICIES_CLEARING_JOINT_JOINT_AUCTION_H_
#define NOM_POLICIES_CLEARING_JOINT_JOINT_AUCTION_H_

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "policies/bidding/range.h"
#include "policies/clearing/auction.h"

namespace nom::policies {

inline constexpr int kJointResourcesMax = 6;  // As many kinds as there are.
inline constexpr int kJointBidsMax = 4'096;
inline constexpr int kBundlesMax = 4'096;
// Bundles that the curves of one bid describe within the capacity: the product, over its curves, of
// one more than the quantities at which the curve reaches a new high.
inline constexpr int64_t kCurveBundlesMax = int64_t{1} << 20;
// Bundles of all bids of one auction together: a bound on memory. Larger units make fewer bundles.
inline constexpr int64_t kJointBundlesMax = int64_t{1} << 27;
// 1 in the levels of a product of curves.
inline constexpr int64_t kLevelOne = int64_t{1} << 20;
// What one bid can add to W: its value and the penalties that it saves.
inline constexpr Microcredits kJointGainMax = Microcredits{1} << 50;

using UnitVector = std::array<int64_t, kJointResourcesMax>;  // Entries from resource_count on: 0.
using PriceVector = std::array<Microcredits, kJointResourcesMax>;  // The same, a unit.

struct Bundle {
  UnitVector units = {};
  Microcredits value_microcredits = 0;

  friend bool operator==(const Bundle&, const Bundle&) = default;
};

// How the curves of one bid make the value of a bundle.
enum class Combination {
  kSum,      // Independent needs.
  kMin,      // Complements: the scarcest decides.
  kMax,      // Substitutes: the best decides.
  kProduct,  // Each resource scales what the others make.
};

// A value for every bundle out of one curve a resource. Each curve is a list of ranges as in a Bid
// and has the same limits; it is worth 0 at 0 units, and what lies between ranges is refused.
// Resources without ranges are not wanted and do not count.
//
// kSum, kMin, kMax: a curve's values are micro-credits, and so is their sum, least or largest.
// kProduct: a curve's values are levels, at most kLevelOne, and
//   value = whole_value_microcredits * level_0 / kLevelOne * level_1 / kLevelOne ...
// in the order of resources, each step rounded down.
struct CurveFamily {
  Combination combination = Combination::kSum;
  Microcredits whole_value_microcredits = 0;  // kProduct only; else 0.
  std::array<std::vector<Range>, kJointResourcesMax> curves;

  friend bool operator==(const CurveFamily&, const CurveFamily&) = default;
};

// Either bundles, at most one of which is won, or curves.
struct JointBid {
  GuestId guest_id = 0;
  std::vector<Bundle> bundles;  // At most kBundlesMax, units rising from no one; no two alike.
  std::optional<CurveFamily> curves;  // Not together with bundles.
  UnitVector held_units = {};         // Held now beyond the seed.
  // Whose guest it is; 0: its own. Owners have names of their own: owner 7 is not guest 7.
  uint64_t owner_id = 0;

  friend bool operator==(const JointBid&, const JointBid&) = default;
};

struct JointAuction {
  int resource_count = 1;  // 1 to kJointResourcesMax.
  UnitVector capacity_units = {};
  PriceVector reserve_unit_prices_microcredits = {};
  PriceVector reclaim_penalties_microcredits = {};
  uint64_t seed = 0;
  std::vector<JointBid> bids;  // Any order; a guest at most once.

  friend bool operator==(const JointAuction&, const JointAuction&) = default;
};

struct JointAward {
  GuestId guest_id = 0;
  UnitVector units = {};
  // For the whole round. Where JointClearing::charges_are_exact, all three are VCG's charge. Else
  // reserve * units <= least <= charge <= bound <= value, where `least` and `bound` are proven to
  // contain VCG's charge if the awards are the best ones, and the charge is what the prices at
  // which the relaxed auction balances say that the bundle costs, or the nearest of the interval's
  // ends.
  Microcredits charge_microcredits = 0;
  Microcredits charge_bound_microcredits = 0;
  Microcredits charge_least_microcredits = 0;

  friend bool operator==(const JointAward&, const JointAward&) = default;
};

struct JointClearing {
  std::vector<JointAward> awards;  // Winners only, by rising guest_id.
  // What watchers see of each resource: the reserve plus the price at which the relaxed auction
  // balances, rounded down. No winner is billed by it.
  PriceVector clearing_unit_prices_microcredits = {};
  std::array<BoundBy, kJointResourcesMax> bound_by = {};  // kBids where the price is above reserve.
  Microcredits welfare_microcredits = 0;
  Microcredits welfare_bound_microcredits = 0;  // Proven: no allocation is above. Exact: = welfare.
  bool charges_are_exact = true;                // Never without an exact welfare.
  int64_t work = 0;  // Steps counted, see JointVcgOptions. The same on every machine.

  friend bool operator==(const JointClearing&, const JointClearing&) = default;
};

// INVALID_ARGUMENT that names the first thing that is wrong ("bids[3].bundles[1].units[0]: ..."),
// or OK.
absl::Status ValidateJointAuction(const JointAuction& auction);

// Bundles of the bid that have to be looked at: those that it lists, or those that its curves
// describe within the capacity; kCurveBundlesMax + 1 if there are more. The bid must be valid.
int64_t CountBundles(const JointAuction& auction, const JointBid& bid);

// No bundle of the bid is worth more than this. The bid must be valid.
Microcredits ValueMax(const JointBid& bid);

// What the bid says `units` are worth; nothing if it refuses them. The empty bundle is worth 0.
// The bid must be valid.
std::optional<Microcredits> ValueOf(const JointBid& bid, const UnitVector& units);

// W of an allocation given as units parallel to auction.bids. Errors: OUT_OF_RANGE on overflow,
// INVALID_ARGUMENT if a bundle can't be sold to its bid or a sum is above the capacity.
absl::StatusOr<Microcredits> JointWelfare(const JointAuction& auction,
                                          const std::vector<UnitVector>& units);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_JOINT_JOINT_AUCTION_H_
