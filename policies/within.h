// SPDX-License-Identifier: Apache-2.0
// The one sentence about a parameter that is out of its range. For the .cc files of policies.

#ifndef NOM_POLICIES_WITHIN_H_
#define NOM_POLICIES_WITHIN_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace nom::policies {

// OK, or INVALID_ARGUMENT "field: value is outside [low, high]".
inline absl::Status Within(absl::string_view field, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": ", value, " is outside [", low, ", ", high, "]"));
}

}  // namespace nom::policies

#endif  // NOM_POLICIES_WITHIN_H_
