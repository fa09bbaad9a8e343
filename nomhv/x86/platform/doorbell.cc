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

constexpr uint8_t kMsix = 0x11;
constexpr uint32_t kMsixEnable = 1u << 31;
constexpr uint32_t kMsixMaskAll = 1u << 30;
constexpr uint64_t kMsixEntryBytes = 16;

}  // namespace

Doorbell Doorbell::Open(PciFunction device, uint8_t apic_id) {
  Doorbell none;
  const std::optional<uint8_t> msix = FindCapability(device, kMsix);
  if (!msix.has_value()) return none;
  const uint32_t table_place = ReadConfig(device, static_cast<uint8_t>(*msix + 4));
  const uint64_t table_offset = table_place & ~7u;
  const std::optional<PhysicalRange> table =
      ReadMemoryBar(device, static_cast<uint8_t>(table_place & 7));
  const std::optional<PhysicalRange> registers = ReadMemoryBar(device, kRegistersBar);
  if (!table.has_value() || table_offset + kMsixEntryBytes > table->bytes ||
      !registers.has_value() || registers->bytes < kRegisterBytes) {
    Log(LogLevel::kError, "the mailbox's doorbell has no registers: it is polled");
    return none;
  }
  MapAlso(table->first, table->bytes);
  MapAlso(registers->first, registers->bytes);

  const uint32_t control = ReadConfig(device, *msix);
  WriteConfig(device, *msix, control | kMsixEnable | kMsixMaskAll);
  volatile uint32_t* entry = Physical<volatile uint32_t>(table->first + table_offset);
  const InterruptMessage message = RouteInterrupt(device.place(), apic_id, kVectorDoorbell);
  entry[0] = message.address;
  entry[1] = 0;
  entry[2] = message.data;
  entry[3] = 0;  // Not masked.
  WriteConfig(device, *msix, (control | kMsixEnable) & ~kMsixMaskAll);

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
