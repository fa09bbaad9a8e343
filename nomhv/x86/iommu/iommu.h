// SPDX-License-Identifier: Apache-2.0
// What confines devices: their DMA to one guest's memory, their interrupts to what nomhv routes.
// One back end: VT-d. A function is named by its place: bus << 8 | device << 3 | function.

#ifndef NOMHV_X86_IOMMU_IOMMU_H_
#define NOMHV_X86_IOMMU_IOMMU_H_

#include <cstdint>
#include <optional>

#include "nomhv/abi/guest.h"
#include "nomhv/core/nested_paging.h"
#include "nomhv/x86/platform/memory.h"

namespace nomhv {

// Turns the unit on: from here on no function reaches any memory, and no interrupt of theirs
// arrives. False, with a line that says what is missing, if it cannot be used. Once, at boot.
[[nodiscard]] bool OpenIommu(uint64_t vtd_registers);
[[nodiscard]] bool IommuIsOn();

// Makes room for functions of a bus. At boot.
void PrepareBus(uint32_t bus);

// The function's DMA goes through these tables, and what is remembered of it is forgotten by
// `domain`, a guest's slot. Detach: it reaches nothing, and what was on its way has arrived.
void AttachDevice(uint16_t place, uint32_t domain, const NestedTables<MachineTables>& tables);
void DetachDevice(uint16_t place, uint32_t domain);

// Returns when no device of the domain reaches what is mapped no more. The unit answers in
// microseconds; one that does not is failing hardware. Any processor.
void ForgetDeviceTranslations(uint32_t domain);

// What a function writes to raise `vector` on a processor.
struct InterruptMessage {
  uint32_t address = 0;
  uint32_t data = 0;
};
// Each route has a number below kRoutes; one that is in use goes elsewhere from then on, and what
// the function sends meanwhile may be lost. Unroute: what it sends is dropped.
inline constexpr uint32_t kDoorbellRoute = 0;
inline constexpr uint32_t kDeviceRoutes = 1;  // The first of them.
inline constexpr uint32_t kRoutes = kDeviceRoutes + NOM_DEVICES_MAX * NOM_DEVICE_INTERRUPTS_MAX;
InterruptMessage RouteInterrupt(uint32_t route, uint16_t place, uint8_t apic_id, uint8_t vector);
void UnrouteInterrupt(uint32_t route);

// DMA that was refused since the last look: whose, and to where.
struct DmaFault {
  uint16_t place = 0;
  uint64_t address = 0;
};
std::optional<DmaFault> TakeDmaFault();

}  // namespace nomhv

#endif  // NOMHV_X86_IOMMU_IOMMU_H_
