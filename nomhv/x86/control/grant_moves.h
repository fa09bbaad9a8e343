// SPDX-License-Identifier: Apache-2.0
// Moving what guests are granted: frames from one to another, in steps, so that the heart beats
// and guests run in between; and what their boards say of it.

#ifndef NOMHV_X86_CONTROL_GRANT_MOVES_H_
#define NOMHV_X86_CONTROL_GRANT_MOVES_H_

#include <cstdint>

#include "nomhv/core/guests.h"
#include "nomhv/x86/control/dispatch.h"
#include "nomhv/x86/control/meters.h"
#include "nomhv/x86/control/pulse.h"

namespace nomhv {

// The control processor only.
class GrantMoves {
 public:
  // All outlive it.
  GrantMoves(GuestTable* table, Dispatch* dispatch, Pulse* pulse, Meters* meters)
      : table_(table), dispatch_(dispatch), pulse_(pulse), meters_(meters) {}

  // Puts a plan that was checked in force: shrinks by force, grows, replans, rewrites the boards.
  // `grants` carries marketd's words for them, or is null.
  void Apply(const GrantPlan& plan, const NomGrants* grants, ForcedFrames& forced);

  // Tells of a plan that is to come: boards first, then notices to whom it concerns.
  void Prepare(const GrantPlan& plan, const NomGrants& grants, uint64_t deadline_tsc);

  // Writes the guest's board: marketd's words in `grant`, or without it only the books' numbers.
  void WriteBoard(uint32_t slot, const NomGrant* grant);

 private:
  // Takes (or gives) devices until the guest holds those of the plan.
  void MoveDevices(const GrantPlan& plan, bool give);
  // Until the guest holds no more than `frames`, by force; how many were taken.
  uint64_t Shrink(uint32_t slot, uint64_t frames);
  void Grow(uint32_t slot, uint64_t frames);

  GuestTable* table_;
  Dispatch* dispatch_;
  Pulse* pulse_;
  Meters* meters_;
};

}  // namespace nomhv

#endif  // NOMHV_X86_CONTROL_GRANT_MOVES_H_
