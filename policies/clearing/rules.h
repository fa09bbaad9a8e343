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
  bool truthful;             // A truthful bid is a best answer to any bids of the others.
};

// In the order in which they are shown.
std::span<const RuleInfo> Rules();

// Null if no rule is called so.
const RuleInfo* FindRule(std::string_view name);

// OK if the rule takes this bid. INVALID_ARGUMENT names the field, or the rule if it is unknown.
absl::Status CheckBidForRule(std::string_view rule, const Bid& bid);

// Errors: INVALID_ARGUMENT if no rule is called so, and those of the rule.
absl::StatusOr<Clearing> Clear(std::string_view rule, const Auction& auction);

// The same within a budget (work.h): nothing if that is used up first. For fallback.h.
absl::StatusOr<std::optional<Clearing>> ClearByRuleWithin(std::string_view rule,
                                                          const Auction& auction, Work& work);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_RULES_H_
