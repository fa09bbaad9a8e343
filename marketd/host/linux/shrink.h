// SPDX-License-Identifier: Apache-2.0
// How one guest is brought down to a smaller memory.max: a state machine without I/O.
//
// The guest had its notice and the grace to give back. From the deadline on:
//
//   fits already ------------------------------------------------------> kSetMax --> kDone
//   too much -> kReclaim (the kernel takes page cache and what else is easy), a few times
//            -> still too much: `force`:  kill -> kKill -> kWaitEmpty --> kSetMax --> kDone
//                                         swap -> kSetMax (the kernel swaps) -------> kDone
//   a write fails, or the time is over: kKill, whatever `force` says
//   it cannot even be killed: kGiveUp, and nothing that it holds is given to anybody
//
// memory.max is written below what is in use in one case only, force `swap`: otherwise the kernel
// would choose the moment and the victim. A check before the write is a race that the guest can win
// by allocating; then the kernel reclaims or kills within this one guest, which is force as well.
//
// The machine is asked for one action, told what became of it, and asked again.

#ifndef MARKETD_HOST_LINUX_SHRINK_H_
#define MARKETD_HOST_LINUX_SHRINK_H_

#include <cstdint>

#include "marketd/host/linux/recipe.h"

namespace nom::market {

enum class ShrinkAction : uint8_t {
  kReclaim,    // Write reclaim_bytes() to memory.reclaim.
  kSetMax,     // Write the target to memory.max; may block for as long as swapping takes.
  kKill,       // Write cgroup.kill.
  kWaitEmpty,  // Wait a little for the cgroup to be empty.
  kDone,       // memory.max is the target.
  kGiveUp,     // It is not, and cannot be.
};

// What is seen of the guest after an action, and of the action.
struct ShrinkSight {
  int64_t current_bytes = 0;  // memory.current
  bool populated = true;
  bool action_failed = false;  // The last action's write was refused.
  bool late = false;           // The time for shrinking is over.
};

class Shrink {
 public:
  // Attempts of memory.reclaim: the kernel sometimes stops early, and says EAGAIN with most of it
  // done.
  static constexpr int kReclaimsMax = 3;
  // Waits for a killed guest to be empty. Processes in the middle of a system call die at its end.
  static constexpr int kWaitsMax = 500;

  Shrink(int64_t target_bytes, Recipe::Force force) : target_bytes_(target_bytes), force_(force) {}

  // The next action, given what is seen now. After kDone or kGiveUp it stays there.
  ShrinkAction Next(const ShrinkSight& sight);

  int64_t target_bytes() const { return target_bytes_; }
  int64_t reclaim_bytes() const { return reclaim_bytes_; }
  // What had to be taken: what was above the target when it was first looked at.
  int64_t forced_bytes() const { return forced_bytes_; }
  // Whether the guest was ended for it.
  bool killed() const { return killed_; }

 private:
  ShrinkAction To(ShrinkAction action) { return last_ = action; }
  ShrinkAction KillOrGiveUp();

  const int64_t target_bytes_;
  const Recipe::Force force_;
  bool begun_ = false;
  ShrinkAction last_ = ShrinkAction::kWaitEmpty;
  int reclaims_ = 0;
  int waits_ = 0;
  int sets_failed_ = 0;
  int64_t reclaim_bytes_ = 0;
  int64_t forced_bytes_ = 0;
  bool killed_ = false;
};

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_SHRINK_H_
