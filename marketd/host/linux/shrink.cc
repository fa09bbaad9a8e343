// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/linux/shrink.h"

#include <algorithm>

namespace nom::market {

ShrinkAction Shrink::KillOrGiveUp() {
  if (killed_) return To(ShrinkAction::kGiveUp);
  killed_ = true;
  return To(ShrinkAction::kKill);
}

ShrinkAction Shrink::Next(const ShrinkSight& sight) {
  if (last_ == ShrinkAction::kDone || last_ == ShrinkAction::kGiveUp) return last_;
  if (!begun_) {
    begun_ = true;
    forced_bytes_ = std::max<int64_t>(0, sight.current_bytes - target_bytes_);
  }

  if (last_ == ShrinkAction::kSetMax) {
    if (!sight.action_failed) return To(ShrinkAction::kDone);
    // Once more in case it passes: an empty guest has nobody left to kill.
    if (++sets_failed_ > 1 && !sight.populated) return To(ShrinkAction::kGiveUp);
    if (sight.populated) return KillOrGiveUp();
  }
  if (last_ == ShrinkAction::kKill && sight.action_failed && sight.populated) {
    return To(ShrinkAction::kGiveUp);
  }
  // Nobody allocates any more in an empty cgroup; what is left is cache, which the write takes.
  if (!sight.populated) return To(ShrinkAction::kSetMax);

  if (killed_) {
    if (++waits_ > kWaitsMax) return To(ShrinkAction::kGiveUp);
    return To(ShrinkAction::kWaitEmpty);
  }
  if (sight.current_bytes <= target_bytes_) return To(ShrinkAction::kSetMax);
  if (sight.late) return KillOrGiveUp();
  if (reclaims_ < kReclaimsMax) {
    ++reclaims_;
    reclaim_bytes_ = sight.current_bytes - target_bytes_;
    return To(ShrinkAction::kReclaim);
  }
  return force_ == Recipe::Force::kSwap ? To(ShrinkAction::kSetMax) : KillOrGiveUp();
}

}  // namespace nom::market
