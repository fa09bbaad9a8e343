// SPDX-License-Identifier: Apache-2.0
#include "nomhv/x86/platform/doorbell.h"

#include "nomhv/x86/iommu/iommu.h"
#include "nomhv/x86/platform/apic.h"
#include "nomhv/x86/platform/log.h"
#include "nomhv/x86/platform/memory.h"
#include "nomhv/x86/platform/paging.h"

namespace nomhv {
namespace {

constexpr uint8_t kRegistersBar = 0;
// Words of BAR 0.
constexpr uint32_t kOwnPeer = 8 / 4;
constexpr uint32_t kDoorbell = 12 / 4;
constexpr uint64_t kRegisterBytes = 16;

}  // namespace

Doorbell Doorbell::Open(PciFunction device, uint8_t apic_id) {
  Doorbell none;
  const std::optional<MsixTable> table = FindMsix(device);
  if (!table.has_value()) return none;
  const std::optional<PhysicalRange> registers = ReadMemoryBar(device, kRegistersBar);
  if (!registers.has_value() || registers->bytes < kRegisterBytes) {
    Log(LogLevel::kError, "the mailbox's doorbell has no registers: it is polled");
    return none;
  }
  MapAlso(table->memory.first, table->memory.bytes);
  MapAlso(registers->first, registers->bytes);
  const InterruptMessage message =
      RouteInterrupt(kDoorbellRoute, device.place(), apic_id, kVectorDoorbell);
  WriteMessage(*table, 0, message.address, message.data);
  EnableMsix(device, *table, true);
  MaskMessage(*table, 0, false);

  Doorbell doorbell;
  doorbell.registers_ = Physical<volatile uint32_t>(registers->first);
  Log(LogLevel::kInfo, "doorbell at ", Hex{registers->first}, ", this machine is peer ",
      doorbell.registers_[kOwnPeer]);
  return doorbell;
}

void Doorbell::Ring(uint16_t peer) const {
  if (registers_ != nullptr) registers_[kDoorbell] = uint32_t{peer} << 16;
}

}  // namespace nomhv
