// SPDX-License-Identifier: Apache-2.0
// How likely a normally distributed quantity is to lie above a limit, in integers: the same bits on
// every machine, and in guests, which have no floating point. Pure; any thread.

#ifndef NOM_POLICIES_BIDDING_NORMAL_TAIL_H_
#define NOM_POLICIES_BIDDING_NORMAL_TAIL_H_

#include <stdint.h>

namespace nom::policies {

// Probabilities are parts of this: certainty. A fraction of 32 bits.
inline constexpr int kProbabilityBits = 32;
inline constexpr int64_t kCertain = int64_t{1} << kProbabilityBits;
// Standard deviations from the mean have a fraction of 20 bits.
inline constexpr int kDeviationBits = 20;

// Pr[Z > z] of the standard normal distribution, 0 to kCertain, for any z. Never rises with z. At
// most one part in kCertain from the truth; a test holds all z that are not trivial to that.
int64_t NormalTail(int64_t z);

// Pr[Normal(mean, deviation) > limit]. Never falls when the mean rises. A deviation of 0 is no
// chance at all: kCertain if mean > limit, else 0. Requires 0 <= mean, limit, deviation <= 10^12.
int64_t ChanceAbove(int64_t limit, int64_t mean, int64_t deviation);

}  // namespace nom::policies

#endif  // NOM_POLICIES_BIDDING_NORMAL_TAIL_H_
