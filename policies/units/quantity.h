// SPDX-License-Identifier: Apache-2.0
// Quantities as people write them: "256MiB", "200m", "2 cores", "100Mbit/s", "500 IOPS".
//
// A number, which may have a decimal point, and a unit behind it, with or without blanks between.
// What is written must come out whole in the base measure: "0.5 cores" is 500 millicores, "0.1 B"
// is an error and not 0. A unit must be given: a bare number is a count of the market's units,
// which is another thing.

#ifndef POLICIES_UNITS_QUANTITY_H_
#define POLICIES_UNITS_QUANTITY_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace nom::policies {

// What a quantity counts; the base measures are those in which resources are sold.
enum class Measure {
  kBytes,
  kMillicores,
  kMegabitsPerSecond,
  kRequestsPerSecond,
};

// In the base measure, from 0 to 2^62. Errors: INVALID_ARGUMENT, in one sentence that quotes the
// text and, for an unknown unit, lists the known ones.
absl::StatusOr<int64_t> ParseQuantity(absl::string_view text, Measure measure);

// The shortest text of the largest unit in which `amount` is whole; ParseQuantity reads it back.
// Requires amount >= 0.
std::string FormatQuantity(int64_t amount, Measure measure);

}  // namespace nom::policies

#endif  // POLICIES_UNITS_QUANTITY_H_
