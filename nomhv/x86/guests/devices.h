// SPDX-License-Identifier: Apache-2.0
// PCI functions that are handed out to one guest at a time, and reset in between. Control.

#ifndef NOMHV_X86_GUESTS_DEVICES_H_
#define NOMHV_X86_GUESTS_DEVICES_H_

#include <cstdint>

#include "nomhv/core/acpi_tables.h"
#include "nomhv/x86/guests/guest_machine.h"

namespace nomhv {

// What may be handed out, with a line for each that may not and why. `trusted`: what cannot be
// reset may be, too. Without an IOMMU: nothing. Once, at boot.
void FindDevices(const RemappingUnit& unit, bool trusted);
[[nodiscard]] const NomDeviceBoard& device_board();
// A bit for each.
[[nodiscard]] uint32_t AllDevices();

// Under the guest's claim. Its tables there are reserved. A device that was just taken needs
// DeviceReadyTsc to have passed.
void GiveDevice(GuestMachine& guest, uint32_t device);
// From here on it reaches none of the guest's memory, nor the guest it; it is being reset.
void TakeDevice(GuestMachine& guest, uint32_t device);
[[nodiscard]] uint64_t DeviceReadyTsc(uint32_t device);

// The call ROUTE, on the processor that is to be interrupted.
Status RouteDevice(VirtualProcessor& vcpu, uint64_t device, uint64_t interrupt, uint64_t vector);
// Hands on what has come to this processor of guests' devices. Each is masked until its guest takes
// it, so that a device costs whoever runs here no more than the guest looks.
void DeliverDeviceInterrupts();
// The guest has taken the vector.
void DeviceInterruptTaken(VirtualProcessor& vcpu, uint8_t vector);
// Sends them to where their processors run now. The control processor.
void MoveDeviceInterrupts();

// Says in the log which DMA was refused lately.
void TellDmaFaults();

}  // namespace nomhv

#endif  // NOMHV_X86_GUESTS_DEVICES_H_
