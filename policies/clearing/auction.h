// One resource, one auction: the input and the output of every clearing rule.
//
// Everything in policies/ is a function of its arguments: no clock, no I/O, no threads, no
// randomness but a seed in the input. The same auction gives the same answer to the last unit,
// on every machine, whatever the order of the bids; a round can be run again from the ledger
// years later.
//
// What a rule maximises, over quantities a_i that bid i allows and sum a_i <= capacity:
//
//   W(a) = sum value_i(a_i) + reserve * (capacity - sum a_i) - reclaim_penalty * sum max(0, held_i
//   - a_i)
//
// The second term is bidder 0, the operator, who keeps what is not sold at least at the reserve.
// Ties: among equal W, the fewest units taken from holders; then a fixed order of guests drawn
// from `seed` (see TieOrder).

#ifndef NOM_POLICIES_CLEARING_AUCTION_H_
#define NOM_POLICIES_CLEARING_AUCTION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace nom::policies {

// Whole micro-credits. Never floating point; every sum is overflow-checked.
using Microcredits = int64_t;
using GuestId = uint64_t;  // 0 is the operator and never bids.

inline constexpr Microcredits kValueMaxMicrocredits =
    1'000'000'000'000'000;  // 10^15, a bid's value
inline constexpr int64_t kUnitsMax = int64_t{1} << 24;
inline constexpr int kRangesMax = 16;
inline constexpr int kBidsMax = 65'536;

// Quantities [min_units, max_units] that the guest accepts, worth
//   value(q) = value_at_min + (q - min_units) * unit_price.
// A step is min_units == max_units. unit_price may be negative: values need not rise.
struct Range {
  int64_t min_units = 0;
  int64_t max_units = 0;
  Microcredits value_at_min_microcredits = 0;
  Microcredits unit_price_microcredits = 0;

  friend bool operator==(const Range&, const Range&) = default;
};

// What extra quantity is worth to one guest. Ranges rise: each begins after the one before it ends,
// or at its end with the same value there (a range that touches). value(0) = 0 and 0 is always
// allowed; between ranges lie quantities that the guest refuses.
struct Bid {
  GuestId guest_id = 0;
  std::vector<Range> ranges;  // At most kRangesMax; empty wants nothing.
  int64_t held_units = 0;     // Held now beyond the seed: what the reclaim penalty counts.

  friend bool operator==(const Bid&, const Bid&) = default;
};

struct Auction {
  int64_t capacity_units = 0;                        // Sold beyond all seeds.
  Microcredits reserve_unit_price_microcredits = 0;  // The operator's lowest price a unit.
  Microcredits reclaim_penalty_microcredits = 0;     // For each unit taken from a holder.
  uint64_t seed = 0;                                 // Orders ties. Recorded with the round.
  std::vector<Bid> bids;                             // Any order; a guest at most once.
};

struct Award {
  GuestId guest_id = 0;
  int64_t units = 0;
  Microcredits charge_microcredits = 0;  // For the whole round, not a unit. 0 <= charge <= value.

  friend bool operator==(const Award&, const Award&) = default;
};

enum class BoundBy { kReserve, kBids };  // What set the price.
enum class Method { kExact, kCoarser, kGreedy, kRepeatLast };

struct Clearing {
  std::vector<Award> awards;  // Winners only, by rising guest_id.
  // The price a unit that watchers see. Under a uniform price: what everybody paid. Under VCG-style
  // rules: what the next unit would have cost (see each rule).
  Microcredits clearing_unit_price_microcredits = 0;
  // The best marginal offer that was not served, 0 if every offer was; recorded even below the
  // reserve.
  Microcredits highest_rejected_unit_price_microcredits = 0;
  BoundBy bound_by = BoundBy::kReserve;
  Microcredits welfare_microcredits = 0;  // W of the awards.
  Microcredits welfare_bound_microcredits =
      0;  // Proven: no allocation is above this. Exact rules: = welfare.
  Method method = Method::kExact;

  friend bool operator==(const Clearing&, const Clearing&) = default;
};

// Names the first thing that is wrong ("bids[3].ranges[1].min_units: ..."), or OK. Every rule calls
// it; marketd calls it on each bid at the door.
absl::Status ValidateAuction(const Auction& auction);
absl::Status ValidateBid(const Bid& bid);

// True if `bid` accepts exactly `units`; 0 always is.
bool Allowed(const Bid& bid, int64_t units);
// Requires Allowed(bid, units).
Microcredits ValueOf(const Bid& bid, int64_t units);

// W of an allocation given as units parallel to auction.bids. Errors: OUT_OF_RANGE on overflow,
// INVALID_ARGUMENT if a quantity is not allowed or the sum is above the capacity.
absl::StatusOr<Microcredits> Welfare(const Auction& auction, const std::vector<int64_t>& units);

// The rank of a guest in ties: lower wins. A keyed hash of (seed, guest_id), so no name wins for
// ever.
uint64_t TieOrder(uint64_t seed, GuestId guest_id);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_AUCTION_H_
