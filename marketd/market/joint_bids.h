// SPDX-License-Identifier: Apache-2.0
// Bids for one auction of all kinds: at the door, and as they enter it.
//
// A guest enters the auction with one or more items, each a bidder of its own with the same owner:
// one for each kind that it bids for by itself, or by a sum, and one for a valuation of several
// kinds that can't be taken apart. An item's name in the auction says whose it is and of what kind.

#ifndef MARKETD_MARKET_JOINT_BIDS_H_
#define MARKETD_MARKET_JOINT_BIDS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "marketd/market/bids.h"
#include "marketd/market/state.h"
#include "policies/clearing/joint/joint_auction.h"

namespace nom::market {

// The name of an item, and back. The guest's id is at most kGuestIdMax.
policies::GuestId ItemId(GuestId guest_id, ResourceKind kind);
std::pair<GuestId, ResourceKind> OfItem(policies::GuestId item_id);

// A valuation as a ledger keeps it: in the text of policies/cases/joint_case_file.h, the only bid
// of an auction of all kinds. ParseValuation(ToText(v)) == v. Errors: INVALID_ARGUMENT.
std::string ToText(const Valuation& valuation);
absl::StatusOr<Valuation> ParseValuation(const std::string& text);

// What of a bid for several kinds can be judged without knowing anyone's money. `steps_max` is what
// reading it may cost (policies::ReadingSteps). Errors: INVALID_ARGUMENT names the field:
// "valuation.curves[memory].ranges[1].min_units: ...".
absl::Status CheckValuation(absl::Span<const Resource> resources, const Valuation& valuation,
                            std::optional<Microcredits> budget, int64_t steps_max);

// The same of a bid for one kind in one auction of all kinds.
absl::Status CheckSingleBid(const Resource& resource, GuestId guest_id,
                            const std::vector<policies::Range>& ranges, int64_t steps_max);

// FAILED_PRECONDITION if the bid could never win: neither the budget nor all the tenant's money
// would pay the reserves for any of its bundles.
absl::Status CheckValuationMeans(absl::Span<const Resource> resources, const Valuation& valuation,
                                 std::optional<Microcredits> budget, const Purse& purse);

// What the bid may cost in one clearing: no rule charges more than it is worth. For curves of a
// product and sums with a budget of their own all values are scaled; others are cut.
void CapValues(policies::JointBid& bid, Microcredits means);

// All values times numerator / denominator (at most 1), rounded down.
void ScaleValues(policies::JointBid& bid, int64_t numerator, int64_t denominator);

// The items of all running guests of a host, each cut to its own budget and to all that its tenant
// has available. Units are in the order of `resources`, which is by rising kind. Items whose
// reading would take more than `steps_max` (the capacity has grown since they came) are left out.
// `held` gives the award in force of each guest and kind.
std::vector<policies::JointBid> ItemsForRound(const State& state, const HostId& host_id,
                                              RoundId round_id,
                                              absl::Span<const Resource> resources,
                                              const std::map<ResourceKind, int64_t>& supply,
                                              const Owners& owners,
                                              const std::map<BidKey, int64_t>& held,
                                              int64_t steps_max, const MadeBids& made);

// The most units of each resource that the bid asks for.
policies::UnitVector UnitsMax(const policies::JointBid& bid);

}  // namespace nom::market

#endif  // MARKETD_MARKET_JOINT_BIDS_H_
