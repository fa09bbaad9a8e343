// SPDX-License-Identifier: Apache-2.0
// Every clearing rule by name and version: all that marketd and nomctl need to clear an auction.
//
// A round records the rule that cleared it. A version promises the same bits for ever: a change of
// any award, charge or price is a new version, and the old one stays for replaying the ledger.

#ifndef NOM_POLICIES_CLEARING_RULES_H_
#define NOM_POLICIES_CLEARING_RULES_H_

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "policies/clearing/auction.h"
#include "policies/clearing/work.h"

namespace nom::policies {

struct RuleInfo {
  std::string_view name;     // With the version: "mpsp/1".
  std::string_view summary;  // One line, for people.
  bool takes_gaps;           // False: only bids whose marginal values never rise.
  bool efficient;            // The awards have the largest W.
  // No guest does better than with the truth about its own bid, whatever the others bid. With a
  // reclaim penalty a holder can, by leaving out quantities that it would accept; see below.
  bool truthful;
  // The same of an owner with several guests, whatever these bid together.
  bool truthful_for_owners;
};

// What a reclaim penalty does to the truth under mpsp. Without its values an owner would still keep
// some of what it holds, of the quantities that it accepts, as taking them costs more than they are
// worth to others; its charge is what it displaces beyond that. So which quantities it accepts
// enters its own charge, and leaving some out can lower it: what that gains is at most
//
//   reclaim_penalty * sum over its guests of min(held, the most that its bid accepts within the
//                                                capacity)
//
// and as much can be gained: a charge of all of that can become 0 (tests/referee/truth_test.cc,
// with the proof). The values of the quantities that are accepted are best told as they are, with a
// penalty as without. No efficient rule under which losers pay nothing is truthful in quantities,
// too. In that test's auction it would have to charge nothing for h units to a guest that accepts
// only h, and nothing for 2 h to one that accepts only 2 h; but where a guest accepts both, the two
// charges would have to differ by what the other guest loses.

// In the order in which they are shown.
std::span<const RuleInfo> Rules();

// Null if no rule is called so.
const RuleInfo* FindRule(std::string_view name);

// OK if the rule takes this bid. INVALID_ARGUMENT names the field, or the rule if it is unknown.
absl::Status CheckBidForRule(std::string_view rule, const Bid& bid);

// Also of an auction whose bids have weights (weights.h). Errors: INVALID_ARGUMENT if no rule is
// called so, and those of the rule.
absl::StatusOr<Clearing> Clear(std::string_view rule, const Auction& auction);

// The same within a budget (work.h): nothing if that is used up first. For fallback.h.
absl::StatusOr<std::optional<Clearing>> ClearByRuleWithin(std::string_view rule,
                                                          const Auction& auction, Work& work);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_RULES_H_
