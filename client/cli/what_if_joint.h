// SPDX-License-Identifier: Apache-2.0
// Joint auctions, cleared here: several resources at once.

#ifndef CLIENT_CLI_WHAT_IF_JOINT_H_
#define CLIENT_CLI_WHAT_IF_JOINT_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/cli/what_if.h"
#include "policies/clearing/joint/joint_auction.h"

namespace nom::cli {

inline constexpr char kJointRule[] = "joint_vcg/1";

struct JointAnswer {
  std::string name;
  policies::JointAuction auction;
  absl::Status status;               // Why the rule refused.
  policies::JointClearing clearing;  // If it did not.
  absl::Duration took;               // Wall time, the median of a few runs.
  Verdict verdict = Verdict::kNone;
};

// Reads a joint case or a bare joint auction, and clears it. Errors: INVALID_ARGUMENT for what is
// neither, for another rule than kJointRule, and for what is not for joint auctions in `what_if`.
absl::StatusOr<JointAnswer> AskJoint(const std::string& name, const std::string& text,
                                     const WhatIf& what_if);

Report ReportOf(const JointAnswer& answer);

}  // namespace nom::cli

#endif  // CLIENT_CLI_WHAT_IF_JOINT_H_
