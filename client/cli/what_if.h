// SPDX-License-Identifier: Apache-2.0
// Auctions cleared here, not by the market: to try a rule, a bid, a reserve, and to run a past
// round again. Pure but for the clock that times a clearing.

#ifndef CLIENT_CLI_WHAT_IF_H_
#define CLIENT_CLI_WHAT_IF_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "policies/cases/case_file.h"
#include "policies/clearing/auction.h"

namespace nom::cli {

// One auction, from wherever it came.
struct AuctionSource {
  std::string name;  // For people: the file, or the round and its resource.
  std::string text;  // What `auction` was read from; to find lines in.
  bool is_case = false;
  policies::Auction auction;
  std::vector<policies::Expectation> expect;
  // What the ledger has for it.
  std::string rule;
  std::optional<int64_t> work_max;
};

// What is asked of it.
struct WhatIf {
  std::vector<std::string> rules;   // Empty: those that are expected, the ledger's, or mpsp/1.
  std::optional<int64_t> work_max;  // Unset: the ledger's, else as much as it takes.
  std::optional<int64_t> capacity_units;  // Instead of the auction's.
  std::optional<int64_t> reserve_unit_price_microcredits;

  // Something was changed: what is expected of the auction as it was says nothing.
  bool changes() const { return work_max || capacity_units || reserve_unit_price_microcredits; }
};

// A rule in WhatIf::rules: every one.
inline constexpr char kAllRules[] = "all";

enum class Verdict { kNone, kAsExpected, kNotAsExpected };

// What one rule made of it.
struct Answer {
  std::string rule;
  absl::Status status;          // Why the rule refused.
  policies::Clearing clearing;  // If it did not.
  int64_t work = 0;             // Steps that were taken, the fallbacks' included.
  absl::Duration took;          // Wall time, the median of a few runs.
  Verdict verdict = Verdict::kNone;
};

struct Answers {
  AuctionSource source;  // With the changes made.
  std::vector<Answer> answers;
  bool all_rules = false;  // Some of them need not take such an auction.
};

// Reads a case or a bare auction. Errors: INVALID_ARGUMENT "NAME: line 4: bids[0].held: ...".
absl::StatusOr<AuctionSource> ParseSource(const std::string& name, const std::string& text);

// Errors: INVALID_ARGUMENT for a rule that there is not. What a rule refuses is an answer.
absl::StatusOr<Answers> Ask(AuctionSource source, const WhatIf& what_if);

// What is said of the answers to one auction.
struct Report {
  std::string text;  // For people.
  std::string json;  // One object with the names of policies/cases; numbers are whole.
  // A rule refused what nobody expected it to refuse; where all were asked: every one did.
  bool refused = false;
  bool unexpected = false;  // An answer is not what was expected.
};
Report ReportOf(const Answers& answers);

}  // namespace nom::cli

#endif  // CLIENT_CLI_WHAT_IF_H_
