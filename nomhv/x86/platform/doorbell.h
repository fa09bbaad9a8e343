// SPDX-License-Identifier: Apache-2.0
// The doorbell of the mailbox: with QEMU's ivshmem-doorbell device marketd's ring is an interrupt
// here, and a register write here is a ring there (QEMU 7.2, docs/specs/ivshmem-spec.txt; MSI-X:
// PCI Local Bus 3.0, 6.8.2). It only makes things prompt: nothing is said by a ring but "look".

#ifndef NOMHV_X86_PLATFORM_DOORBELL_H_
#define NOMHV_X86_PLATFORM_DOORBELL_H_

#include <cstdint>

#include "nomhv/x86/platform/pci.h"

namespace nomhv {

class Doorbell {
 public:
  // None: Ring does nothing, and nobody rings here.
  Doorbell() = default;

  // Routes vector 0 of the device to kVectorDoorbell of the processor `apic_id`. None if the device
  // has no doorbell (ivshmem-plain). Before the other processors run.
  static Doorbell Open(PciFunction device, uint8_t apic_id);

  // Rings vector 0 of another ivshmem peer; the device ignores a peer that is not there.
  void Ring(uint16_t peer) const;

 private:
  volatile uint32_t* registers_ = nullptr;
};

}  // namespace nomhv

#endif  // NOMHV_X86_PLATFORM_DOORBELL_H_
