// SPDX-License-Identifier: Apache-2.0
// One resource, one auction: the input and the output of every clearing rule.
//
// Everything in policies/ is a function of its arguments: no clock, no I/O, no threads, no
// randomness but a seed in the input. The same auction gives the same answer to the last unit,
// on every machine, whatever the order of the bids; a round can be run again from the ledger
// years later.
//
// What a rule maximises, over quantities a_i that can be sold to bid i and sum a_i <= capacity:
//
//   W(a) = sum value_i(a_i) + reserve * (capacity - sum a_i)
//          - reclaim_penalty * sum max(0, held_i - a_i)
//
// The second term is bidder 0, the operator, who keeps what is not sold at least at the reserve.
//
// A bid may have a weight, from 0 to 1: what it is worth above the reserve counts that much of
// itself, and the first term is sum (reserve * a_i + weight_i * (value_i(a_i) - reserve * a_i)).
// Weights are an objective's other than welfare (policies/objective), never a bidder's. Clear,
// ClearWithin and RepeatLast take them, by any rule: see weights.h, also for what is charged then.
// Everything that is said below of values is said of weighted ones.
//
// A quantity can be sold to a bid (Sellable) if the bid allows it and values it at the reserve or
// more. Without a reclaim penalty that follows from the maximisation; with one it has to be said,
// or a holder whose bid is below the reserve would keep its units because taking them costs more,
// and no charge could then be both at least the reserve and at most the value.
//
// Ties. Among equal W: the fewest units taken from holders, sum max(0, held_i - a_i). Among those,
// with the guests in the order of TieOrder, the allocation whose list of quantities is
// lexicographically greatest: the first guest gets the most that it can in any best allocation,
// then the second, and so on. So a bid exactly at the reserve wins, and the awards are unique.
//
// Charges of the rules in the VCG family. An owner's guests are one bidder: they are taken out
// together when its charge is worked out, or two guests of one tenant could hide from each other
// what they displace (policies/cases/two_guests_of_one_owner.yaml). "Without o" keeps the guests of
// owner o in the auction, with the quantities that could be sold to them, each worth exactly the
// reserve (so: nothing, to anyone but bidder 0) and their reclaim penalties still counted. What o
// pays above the reserve, its excess, is
//
//   excess_o = W(without o) - (W(a) - sum over its guests of (value_i(a_i) - reserve * a_i))
//
// and is split over its guests in proportion to what their awards are worth above the reserve,
// value_i(a_i) - reserve * a_i (owners.h). So each guest pays
//
//   charge_i = reserve * a_i + its share of the excess
//
// and reserve * a_i <= charge_i <= value_i(a_i), always; losers pay 0. A guest that is its owner's
// only one pays all of the excess: without a penalty that is the textbook charge. If o were deleted
// together with its penalties, charges would exceed values whenever the penalty is above zero
// (policies/cases/reclaim_penalty_trap.yaml).

#ifndef NOM_POLICIES_CLEARING_AUCTION_H_
#define NOM_POLICIES_CLEARING_AUCTION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "policies/bidding/range.h"

namespace nom::policies {

using GuestId = uint64_t;  // 0 is the operator and never bids.
using OwnerId = uint64_t;  // A tenant. 0: nobody is named, the guest is an owner of its own.

inline constexpr int kBidsMax = 65'536;
inline constexpr int64_t kWholeWeightPpm = 1'000'000;

// What extra quantity is worth to one guest; see Range for what a list of ranges must satisfy.
// value(0) = 0 and 0 is always allowed; between ranges lie quantities that the guest refuses.
struct Bid {
  GuestId guest_id = 0;
  std::vector<Range> ranges;  // At most kRangesMax; empty wants nothing.
  int64_t held_units = 0;     // Held now beyond the seed: what the reclaim penalty counts.
  OwnerId owner_id = 0;       // Bids of one owner are one bidder in charges.
  // Of its worth above the reserve; from 0 to kWholeWeightPpm, and the same for all of an owner's.
  int64_t weight_ppm = kWholeWeightPpm;

  friend bool operator==(const Bid&, const Bid&) = default;
};

struct Auction {
  int64_t capacity_units = 0;                        // Sold beyond all seeds.
  Microcredits reserve_unit_price_microcredits = 0;  // The operator's lowest price a unit.
  Microcredits reclaim_penalty_microcredits = 0;     // For each unit taken from a holder.
  uint64_t seed = 0;                                 // Orders ties. Recorded with the round.
  std::vector<Bid> bids;                             // Any order; a guest at most once.

  friend bool operator==(const Auction&, const Auction&) = default;
};

struct Award {
  GuestId guest_id = 0;
  int64_t units = 0;
  Microcredits charge_microcredits = 0;  // For the whole round, not a unit. 0 <= charge <= value.

  friend bool operator==(const Award&, const Award&) = default;
};

enum class BoundBy { kReserve, kBids };  // What set the price.
// How awards were found. kExact: by the rule as it is. kBounded: by the joint rule, which ran out
// of work before all was proven: the best awards found, with a proven bound.
enum class Method { kExact, kCoarser, kGreedy, kRepeatLast, kBounded };

struct Clearing {
  std::vector<Award> awards;  // Winners only, by rising guest_id.
  // The price a unit that watchers see. Under a uniform price: what everybody paid. Under VCG-style
  // rules: NextUnitPrice, what the next unit would have cost. Never below the reserve.
  Microcredits clearing_unit_price_microcredits = 0;
  // The best marginal offer that was not served, 0 if every offer was; recorded even below the
  // reserve. See HighestRejectedUnitPrice.
  Microcredits highest_rejected_unit_price_microcredits = 0;
  BoundBy bound_by = BoundBy::kReserve;   // kBids if the clearing price is above the reserve.
  Microcredits welfare_microcredits = 0;  // W of the awards.
  Microcredits welfare_bound_microcredits =
      0;  // Proven: no allocation is above this. Efficient rules, if exact: = welfare.
  Method method = Method::kExact;

  friend bool operator==(const Clearing&, const Clearing&) = default;
};

// INVALID_ARGUMENT that names the first thing that is wrong ("bids[3].ranges[1].min_units: ..."),
// or OK. Every rule calls it; marketd calls it on each bid at the door. A bid with a weight is none
// that a rule takes as it is: see weights.h.
absl::Status ValidateAuction(const Auction& auction);
absl::Status ValidateBid(const Bid& bid);

// True if `bid` accepts exactly `units`; 0 always is. The bid must be valid.
bool Allowed(const Bid& bid, int64_t units);
// The bid must be valid and allow `units`; anything else is our own mistake and aborts.
Microcredits ValueOf(const Bid& bid, int64_t units);
// Allowed, and worth at least `reserve_unit_price_microcredits` a unit.
bool Sellable(const Bid& bid, int64_t units, Microcredits reserve_unit_price_microcredits);

// The quantity of at most `units_max` that leaves the most after paying `unit_price` for each unit,
// among equals the largest; 0 if every other one would leave less than nothing. The bid must be
// valid.
int64_t BestUnits(const Bid& bid, int64_t units_max, Microcredits unit_price_microcredits);

// W of an allocation given as units parallel to auction.bids, without weights. Errors: OUT_OF_RANGE
// on overflow, INVALID_ARGUMENT if a quantity can't be sold to its bid or the sum is above the
// capacity.
absl::StatusOr<Microcredits> Welfare(const Auction& auction, const std::vector<int64_t>& units);

// Over all bids, with `units` parallel to auction.bids: the highest price a unit, rounded down,
// offered for any larger quantity than the one awarded, (value(q) - value(a)) / (q - a); at least
// 0. For falling marginal values that is the first unit not served.
Microcredits HighestRejectedUnitPrice(const Auction& auction, const std::vector<int64_t>& units);
// What one bid adds to that.
Microcredits HighestRejectedUnitPrice(const Bid& bid, int64_t units);

// The rank of a guest in ties: lower wins. A keyed hash of (seed, guest_id), so no name wins for
// ever; for one seed, different guests have different ranks.
uint64_t TieOrder(uint64_t seed, GuestId guest_id);

// Indices into auction.bids, in the order of TieOrder.
std::vector<size_t> InTieOrder(const Auction& auction);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_AUCTION_H_
