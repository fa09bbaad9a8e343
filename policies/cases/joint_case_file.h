// SPDX-License-Identifier: Apache-2.0
// Joint auctions as text that a person can read. As case_file.h, with the names of joint_auction.h:
//
//   resource_count: 2
//   capacity_units: [16, 4]                        # one entry a resource, in all lists like this
//   reserve_unit_prices_microcredits: [2, 10]      # zeros if left out, as is the next
//   reclaim_penalties_microcredits: [0, 0]
//   seed: 1
//   bids:
//     - guest_id: 7
//       owner_id: 3                                # 0, or left out: it is its own owner
//       held_units: [0, 0]                         # zeros if left out
//       bundles:                                   # either bundles or curves
//         - {units: [4, 1], value_microcredits: 90}
//     - guest_id: 8
//       curves:
//         combination: product                     # sum, min, max, product
//         whole_value_microcredits: 500            # with product only
//         of_resources:                            # one list of ranges a resource, as in
//         case_file.h
//           - - {min_units: 1, max_units: 8, value_at_min_microcredits: 131072,
//                unit_price_microcredits: 131072}
//           - []
//
// A joint case has `shows`, `joint_auction` and `expect`: either `error`, a part of the Status
// message, or `awards`, `clearing_unit_prices_microcredits` and `welfare_microcredits` of
// joint_vcg/1, which must be exact.

#ifndef NOM_POLICIES_CASES_JOINT_CASE_FILE_H_
#define NOM_POLICIES_CASES_JOINT_CASE_FILE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "policies/clearing/joint/joint_auction.h"

namespace nom::policies {

// Always every field; the same auction gives the same text for ever. Linear time.
std::string ToText(const JointAuction& auction);
std::string ToText(const JointClearing& clearing, int resource_count);

// Only the form is checked, not ValidateJointAuction. ParseJointAuction(ToText(a)) == a.
absl::StatusOr<JointAuction> ParseJointAuction(const std::string& text);

struct JointCase {
  std::string shows;
  JointAuction auction;
  std::string error;  // Not empty: the rule must refuse with this in its message.
  // If `error` is empty.
  std::vector<JointAward> awards;
  PriceVector clearing_unit_prices_microcredits = {};
  Microcredits welfare_microcredits = 0;
};

absl::StatusOr<JointCase> ParseJointCase(const std::string& text);

// True if the text is a mapping with the key `joint_auction` or `resource_count`: what tells the
// two formats apart. False for anything that is not YAML.
bool IsJointText(const std::string& text);

}  // namespace nom::policies

#endif  // NOM_POLICIES_CASES_JOINT_CASE_FILE_H_
