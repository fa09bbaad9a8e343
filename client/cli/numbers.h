// SPDX-License-Identifier: Apache-2.0
// Numbers as people type them: decimal only, and never rounded, cut or clamped. Pure functions.
//
// Every number on nomctl's command line goes through here. The C library's own reading takes 0100
// for 64 and 0x10 for 16, which is how a deposit can come to another sum than the one typed.

#ifndef CLIENT_CLI_NUMBERS_H_
#define CLIENT_CLI_NUMBERS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace nom::cli {

inline constexpr int64_t kMicrocreditsPerCredit = 1'000'000;

// A whole number: digits, with a minus sign in front where `min` is negative. Leading zeros say
// nothing. Errors: INVALID_ARGUMENT if it is anything else, OUT_OF_RANGE if it is not from `min` to
// `max`; both quote the text.
absl::StatusOr<int64_t> ParseWhole(absl::string_view text, int64_t min, int64_t max);

// A sum of money in micro-credits: "1500000", or the same in credits with up to six decimals,
// "1.5cr". Errors: as of ParseWhole(); INVALID_ARGUMENT also for a seventh decimal.
absl::StatusOr<int64_t> ParseMoney(absl::string_view text, int64_t min, int64_t max);

// Seconds, with decimals if wanted: "20", "0.5". Errors: as of ParseWhole().
absl::StatusOr<double> ParseSeconds(absl::string_view text, double min, double max);

// How long something lasts, in whole seconds: "45s", "30m", "12h", "90d". Errors: as of
// ParseWhole().
absl::StatusOr<int64_t> ParseLifetime(absl::string_view text);

// In credits, exactly, in the form that ParseMoney() reads: 1500000 is "1.5cr".
std::string FormatCredits(int64_t microcredits);

}  // namespace nom::cli

#endif  // CLIENT_CLI_NUMBERS_H_
