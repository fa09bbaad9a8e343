// SPDX-License-Identifier: Apache-2.0
// Wide integers for sums of money. Inside policies/clearing only.
//
// kBidsMax bids of kValueMaxMicrocredits, penalties on kUnitsMax held units each, times the factor
// that breaks ties: below 2^115, so no sum in a rule can wrap.

#ifndef NOM_POLICIES_CLEARING_INT128_H_
#define NOM_POLICIES_CLEARING_INT128_H_

#include <cstdint>
#include <limits>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "policies/bidding/range.h"

namespace nom::policies {

using Int128 = __int128;

// Rounds towards minus infinity; requires divisor > 0.
constexpr Int128 FloorDivide(Int128 dividend, Int128 divisor) {
  const Int128 quotient = dividend / divisor;
  return dividend % divisor < 0 ? quotient - 1 : quotient;
}

// OUT_OF_RANGE, naming `what`, if the amount does not fit.
inline absl::StatusOr<Microcredits> ToMicrocredits(Int128 amount, absl::string_view what) {
  if (amount > std::numeric_limits<Microcredits>::max() ||
      amount < std::numeric_limits<Microcredits>::min()) {
    return absl::OutOfRangeError(absl::StrCat(what, ": does not fit in 64 bits"));
  }
  return static_cast<Microcredits>(amount);
}

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_INT128_H_
