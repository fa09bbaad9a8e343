// SPDX-License-Identifier: Apache-2.0
// From what a guest holds to what is written into its cgroup: pure.
//
// Measured (see CAVEATS.md): with a period of 100 ms a quota is met within one tick of 4 ms over a
// second; with 10 ms up to 30 % is lost on a full processor. The kernel takes no quota below 1 ms,
// so that 10 millicores are the smallest grant.

#ifndef MARKETD_HOST_LINUX_LIMITS_H_
#define MARKETD_HOST_LINUX_LIMITS_H_

#include <cstdint>

#include "marketd/host/linux/amounts.h"
#include "marketd/host/linux/cgroup_files.h"
#include "marketd/host/linux/recipe.h"

namespace nom::market {

inline constexpr int64_t kCpuPeriodUs = 100'000;
inline constexpr int64_t kCpuMillicoresMin = 10;
// Less, and not even exec(2) succeeds.
inline constexpr int64_t kMemoryBytesMin = 1 << 20;

struct CpuLimits {
  CpuMax max;
  int64_t burst_us = 0;
  bool idle = false;  // Runs only when no other group wants to.
  friend bool operator==(const CpuLimits&, const CpuLimits&) = default;
};

// A guest with an award has exactly seed and award, whatever others do. One of an idle recipe that
// has won nothing has no limit and takes what all others leave, equally with others of its kind.
// What is left is never less than the seeds of these together, since grants never exceed what the
// machine has. Not by a small weight instead: on a full processor that took 9 millicores more than
// was left, from a guest that paid for them (one tick of 4 ms each time that it got to run).
// `recipe` may be null: then as for a recipe of defaults.
CpuLimits CpuLimitsFor(const Recipe* recipe, const Amounts& seed, const Amounts& held);

// The millicores of a quota; `otherwise` if there is none.
int64_t MillicoresOf(const CpuMax& max, int64_t otherwise);

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_LIMITS_H_
