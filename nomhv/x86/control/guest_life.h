// SPDX-License-Identifier: Apache-2.0
// A guest's life: created, ended, buried, forgotten.

#ifndef NOMHV_X86_CONTROL_GUEST_LIFE_H_
#define NOMHV_X86_CONTROL_GUEST_LIFE_H_

#include <cstdint>
#include <span>

#include "nomhv/core/guests.h"
#include "nomhv/core/mailbox.h"
#include "nomhv/core/pc/start.h"
#include "nomhv/x86/control/dispatch.h"
#include "nomhv/x86/control/grant_moves.h"
#include "nomhv/x86/control/meters.h"
#include "nomhv/x86/control/pulse.h"

namespace nomhv {

// The control processor only.
class GuestLife {
 public:
  struct Parts {
    GuestTable* table;
    Mailbox* mailbox;  // May be null.
    Dispatch* dispatch;
    GrantMoves* moves;
    Pulse* pulse;
    Meters* meters;
    NomMachineBoard* machine_board;
  };
  // All outlive it.
  explicit GuestLife(const Parts& parts) : p_(parts) {}

  // Starts a guest with its seed, a PC if `pc` says so. Errors: Admit, BuildGuest, BuildPc.
  Result<uint32_t> Create(const NomCreate& create, uint64_t virtual_processors,
                          std::span<const std::byte> image, NomImageFault& fault,
                          const PcBoot& pc = {});

  // Whether the guest of `slot` has ended and is not buried yet.
  [[nodiscard]] bool Ended(uint32_t slot) const;
  // Buries it: its frames are scrubbed and free, its share is given up; id and meter stay.
  void End(uint32_t slot);

  // Forgets the guest, running or ended.
  void Remove(uint32_t slot);

 private:
  // Takes everything from a guest, in steps.
  void Bury(uint32_t slot);

  Parts p_;
};

}  // namespace nomhv

#endif  // NOMHV_X86_CONTROL_GUEST_LIFE_H_
