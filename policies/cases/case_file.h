// SPDX-License-Identifier: Apache-2.0
// Auctions as text that a person can read: the cases in this folder, and the snapshot that the
// ledger keeps of every round.
//
// An auction is a YAML mapping with the names of auction.h:
//
//   capacity_units: 10
//   reserve_unit_price_microcredits: 2      # 0 if left out, as is the next
//   reclaim_penalty_microcredits: 0
//   seed: 1
//   bids:
//     - guest_id: 7
//       held_units: 0                       # 0 if left out
//       ranges:
//         - {min_units: 1, max_units: 4, value_at_min_microcredits: 9, unit_price_microcredits: 3}
//
// A case is a mapping of `shows` (one sentence: what it is there for), `auction`, and `expect`, a
// list of what each named rule must answer: either `error`, a part of the Status message, or every
// field of the Clearing (`awards`, `clearing_unit_price_microcredits`,
// `highest_rejected_unit_price_microcredits`, `bound_by: reserve|bids`, `welfare_microcredits`;
// `welfare_bound_microcredits` is the welfare if left out, and `method:
// exact|coarser|greedy|repeat_last` is exact).
//
// Parsing is strict: an unknown, repeated or missing key, a number that is not a whole decimal one
// (in quotes, or 010), a second document, tags, anchors and aliases, and what is not UTF-8 are
// errors with their line, before anything is made of the text.

#ifndef NOM_POLICIES_CASES_CASE_FILE_H_
#define NOM_POLICIES_CASES_CASE_FILE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "policies/clearing/auction.h"

namespace nom::policies {

// Always every field, in the order above, one range a line. The same auction gives the same text
// for ever, so texts can be compared and hashed. Linear time.
std::string ToText(const Auction& auction);
std::string ToText(const Clearing& clearing);

// Only the form is checked, not ValidateAuction: an auction that a rule must refuse can be written
// down too. ParseAuction(ToText(a)) == a. Errors: INVALID_ARGUMENT, "line 4: bids[0].held: ...".
absl::StatusOr<Auction> ParseAuction(const std::string& text);
absl::StatusOr<Clearing> ParseClearing(const std::string& text);

struct Expectation {
  std::string rule;   // "mpsp/1"
  std::string error;  // Not empty: the rule must refuse with this in its message.
  Clearing clearing;  // If `error` is empty.

  friend bool operator==(const Expectation&, const Expectation&) = default;
};

struct Case {
  std::string shows;
  Auction auction;
  std::vector<Expectation> expect;

  friend bool operator==(const Case&, const Case&) = default;
};

std::string ToText(const Case& c);
absl::StatusOr<Case> ParseCase(const std::string& text);

// The line, from 1, on which a field stands that an error names
// ("auction.bids[3].ranges[1].min_units"), or where the innermost thing around it that is there
// begins; 0 if not even the first is.
int LineOf(const std::string& text, const std::string& path);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CASES_CASE_FILE_H_
