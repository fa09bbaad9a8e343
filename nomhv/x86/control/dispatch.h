// SPDX-License-Identifier: Apache-2.0
// Which guest runs where, as the control processor decides it: stopping a guest to change it, and
// giving every guest processor its plan.

#ifndef NOMHV_X86_CONTROL_DISPATCH_H_
#define NOMHV_X86_CONTROL_DISPATCH_H_

#include <cstdint>
#include <span>

#include "nomhv/core/guests.h"
#include "nomhv/core/processors.h"
#include "nomhv/x86/control/pulse.h"
#include "nomhv/x86/guests/machine.h"

namespace nomhv {

// The processors that run guests: all but the control processor, unless it is the only one.
[[nodiscard]] std::span<Processor> GuestProcessors();

// The control processor only.
class Dispatch {
 public:
  // Both outlive it.
  Dispatch(const GuestTable* table, Pulse* pulse) : table_(table), pulse_(pulse) {}

  // Takes the claim of a guest, wherever it runs: until Release no processor runs it. A guest that
  // does not leave its processor is waited for, with the heart beating, and ends when it does.
  void Hold(uint32_t slot);
  void Release(uint32_t slot);

  // Gives every guest processor the plan for the grants in force, and waits until all have it.
  void Replan();

 private:
  const GuestTable* table_;
  Pulse* pulse_;
  ProcessorPieces plan_[kProcessorsMax];
};

// While it lives the guest runs nowhere.
class Held {
 public:
  Held(Dispatch& dispatch, uint32_t slot) : dispatch_(dispatch), slot_(slot) {
    dispatch_.Hold(slot_);
  }
  ~Held() { dispatch_.Release(slot_); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

 private:
  Dispatch& dispatch_;
  uint32_t slot_;
};

}  // namespace nomhv

#endif  // NOMHV_X86_CONTROL_DISPATCH_H_
