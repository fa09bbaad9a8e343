// SPDX-License-Identifier: Apache-2.0
// Jain's index: how evenly something is shared.
//
//   (sum x_i)^2 / (n * sum x_i^2)
//
// 1 if all have the same; k / n if k of n have the same and the rest nothing (Jain, Chiu, Hawe, "A
// quantitative measure of fairness and discrimination for resource allocation in shared computer
// systems", DEC TR-301, 1984). It says nothing of how much there is. The report takes for x_i what
// one was given in parts of what it should have been; marketd takes each owner's share of what it
// asked for (SharePpm in least_satisfied.h).

#ifndef NOM_POLICIES_OBJECTIVE_JAIN_H_
#define NOM_POLICIES_OBJECTIVE_JAIN_H_

#include <cstdint>
#include <optional>
#include <span>

namespace nom::policies {

// In parts per million, rounded down. Nothing if there are no shares, or all are 0: then there is
// nothing that could be even or not. Each share is from 0 to 1,000,000, and there are at most
// kBidsMax.
std::optional<int64_t> JainIndexPpm(std::span<const int64_t> shares_ppm);

}  // namespace nom::policies

#endif  // NOM_POLICIES_OBJECTIVE_JAIN_H_
