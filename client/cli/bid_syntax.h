// SPDX-License-Identifier: Apache-2.0
// Bids and bundles as people type them. Pure functions.

#ifndef CLIENT_CLI_BID_SYNTAX_H_
#define CLIENT_CLI_BID_SYNTAX_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nom/types.h"

namespace nom::cli {

// "MAX@PRICE", "MIN-MAX@PRICE" or "MIN-MAX@PRICE=VALUE": units MIN to MAX (MAX alone: 1 to MAX),
// each worth PRICE micro-credits more than the one before; at MIN the whole is worth VALUE, by
// default as if all units from the end of the range before it (or from 0) were worth PRICE each. So
// "10@50 11-20@40" is ten units at 50 and ten more at 40.
// Errors: INVALID_ARGUMENT that quotes what is wrong, or as of CheckRanges().
absl::StatusOr<std::vector<BidRange>> ParseRanges(const std::vector<std::string>& texts);

// The reverse in its shortest form, for one range.
std::string FormatRange(const BidRange& range);

// "memory=8,cpu=20@90000": eight units of memory and twenty of cpu, all or nothing, are worth
// 90,000. Errors: INVALID_ARGUMENT that quotes what is wrong.
absl::StatusOr<Bundle> ParseBundle(const std::string& text);

// "memory: 16@900 17-64@400": a resource and its ranges, as of ParseRanges.
absl::StatusOr<std::pair<Resource, std::vector<BidRange>>> ParseCurve(const std::string& text);

// "sum", "min", "max" or "product".
absl::StatusOr<Combination> ParseCombination(absl::string_view text);

// "memory=8". Errors: INVALID_ARGUMENT (unknown resource, negative or no number).
absl::StatusOr<std::pair<Resource, int64_t>> ParseQuantity(absl::string_view text);

// INVALID_ARGUMENT "unknown resource \"x\": one of cpu, memory, ...".
absl::StatusOr<Resource> ParseResourceArgument(absl::string_view text);

}  // namespace nom::cli

#endif  // CLIENT_CLI_BID_SYNTAX_H_
