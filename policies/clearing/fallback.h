// What to do when the exact rule would take too long: the declared chain.
//
//   exact        the rule itself.
//   coarser      mpsp with larger units: quantities are counted in lots of g = 2, 4, 8, ..., the
//                smallest power of two that fits the budget while at least kCoarseUnitsMin lots
//                remain. Charges are mpsp's of that auction: 0 <= charge <= value, and the truth is
//                still the best bid, as the awards are the best within a range fixed beforehand.
//   greedy       ClearGreedy: the concave relaxation, rounded down to what is allowed.
//   repeat last  every guest keeps what it holds, cut to what it still bids for, at the reserve.
//
// The budget is a count of work, never a clock: WorkOf is known before a step begins, so the same
// auction with the same budget is cleared in the same way on every machine, and a replay agrees.
// A result that is not exact carries the bound it can prove (Clearing::welfare_bound_microcredits).

#ifndef NOM_POLICIES_CLEARING_FALLBACK_H_
#define NOM_POLICIES_CLEARING_FALLBACK_H_

#include <cstdint>
#include <string_view>

#include "policies/clearing/auction.h"

namespace nom::policies {

inline constexpr int64_t kCoarseUnitsMin = 16;

// What one core of about 2.6 GHz does in a second: for choosing a budget from a round's period. A
// budget is part of what a recorded round means, so it is a setting, not a measurement.
inline constexpr int64_t kWorkASecond = 500'000'000;
inline constexpr int64_t kWorkMaxDefault = 4 * kWorkASecond;

// Steps of the inner loop, that the exact rule takes at most.
// -1 if no rule is called so. `auction` must be valid.
int64_t WorkOf(std::string_view rule, const Auction& auction);

// Clears by `rule`, or by the next in the chain that fits; Clearing::method says which it was.
// Repeating the last awards always fits. Errors: those of Clear.
absl::StatusOr<Clearing> ClearWithin(std::string_view rule, const Auction& auction,
                                     int64_t work_max = kWorkMaxDefault);

// The last link of the chain. Each guest keeps at most what it holds: rounded down to a quantity
// that its bid accepts and values at the reserve or more, and first scaled down if the guests
// together hold more than the capacity. It pays the reserve.
absl::StatusOr<Clearing> RepeatLast(const Auction& auction);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_FALLBACK_H_
