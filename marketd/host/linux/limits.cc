// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/linux/limits.h"

#include <algorithm>

#include "marketd/base/money.h"

namespace nom::market {
CpuLimits CpuLimitsFor(const Recipe* recipe, const Amounts& seed, const Amounts& held) {
  CpuLimits limits;
  limits.idle =
      recipe != nullptr && recipe->cpu == Recipe::Cpu::kIdle && held.millicores <= seed.millicores;
  if (limits.idle) return limits;
  limits.max.quota_us = SaturatingMultiply(held.millicores, kCpuPeriodUs / 1000);
  if (recipe != nullptr) {
    limits.burst_us = std::clamp<int64_t>(recipe->cpu_burst_us, 0, limits.max.quota_us);
  }
  return limits;
}

int64_t MillicoresOf(const CpuMax& max, int64_t otherwise) {
  if (max.quota_us == kCgroupMax) return otherwise;
  return ShareRoundedDown(max.quota_us, 1000, max.period_us);
}

}  // namespace nom::market
