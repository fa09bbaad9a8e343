// SPDX-License-Identifier: Apache-2.0
// PCI functions: their configuration space, BARs and capabilities (PCI Local Bus 3.0, 6.1, 6.2.5,
// 6.7), by memory where firmware says where (PCI Express 4.0, 7.2.2), else by ports. Control only.

#ifndef NOMHV_X86_PLATFORM_PCI_H_
#define NOMHV_X86_PLATFORM_PCI_H_

#include <cstdint>
#include <optional>

#include "nomhv/core/acpi_tables.h"
#include "nomhv/x86/platform/boot_info.h"

namespace nomhv {

struct PciFunction {
  uint32_t bus = 0, device = 0, function = 0;

  [[nodiscard]] constexpr uint16_t place() const {
    return static_cast<uint16_t>(bus << 8 | device << 3 | function);
  }
};

inline constexpr uint32_t kIvshmem = 0x1110'1af4;  // Device and vendor.

void UseEcam(const Ecam& ecam);

// The aligned word at `offset` of its configuration space.
uint32_t ReadConfig(PciFunction f, uint32_t offset);
void WriteConfig(PciFunction f, uint32_t offset, uint32_t value);

// Whether it answers in memory, may write memory (as interrupts are sent, too), raises no INTx.
inline constexpr uint32_t kCommandMemory = 1u << 1;
inline constexpr uint32_t kCommandMaster = 1u << 2;
inline constexpr uint32_t kCommandNoInterrupt = 1u << 10;
void SetCommand(PciFunction f, uint32_t command);

// Where BAR `index` (0 to 5) lies. Nothing if it is no memory BAR or has no address.
std::optional<PhysicalRange> ReadMemoryBar(PciFunction f, uint8_t index);

// 0: a device; 1: a bridge.
[[nodiscard]] inline uint32_t HeaderType(PciFunction f) { return ReadConfig(f, 0x0c) >> 16 & 0x7f; }

// Where in configuration space the capability `id` lies, if the function has it.
std::optional<uint8_t> FindCapability(PciFunction f, uint8_t id);

// A function's table of interrupts (PCI Local Bus 3.0, 6.8.2): messages that it sends, each masked
// or not. What comes while one is masked is sent when it is no more.
struct MsixTable {
  uint8_t capability = 0;
  uint8_t bar = 0;
  uint32_t count = 0;
  uint64_t offset = 0;  // In its BAR.
  PhysicalRange memory;
};
// Nothing if it has none, or one outside its BAR.
std::optional<MsixTable> FindMsix(PciFunction f);
void EnableMsix(PciFunction f, const MsixTable& table, bool on);
void WriteMessage(const MsixTable& table, uint32_t index, uint32_t address, uint32_t data);
// Returns when the function knows.
void MaskMessage(const MsixTable& table, uint32_t index, bool masked);

// Turns bus mastering off at every device that the firmware left it on at: it could write into what
// becomes a guest's memory. Bridges keep it. How many there were.
uint32_t StopBusMasters();

// Calls `visit(function, id)` for each function that there is, until it answers true.
template <typename Visit>
void ForEachFunction(Visit&& visit) {
  for (uint32_t bus = 0; bus < 256; ++bus) {
    for (uint32_t device = 0; device < 32; ++device) {
      for (uint32_t function = 0; function < 8; ++function) {
        const PciFunction f = {bus, device, function};
        const uint32_t id = ReadConfig(f, 0);
        if (id != ~0u && visit(f, id)) return;
        const bool many = (ReadConfig(f, 0x0c) >> 16 & 0x80) != 0;
        if (function == 0 && (id == ~0u || !many)) break;
      }
    }
  }
}

struct SharedMemory {
  PciFunction function;
  PhysicalRange memory;
};
// The first ivshmem device (1af4:1110) with at least `bytes` of memory, if there is one.
std::optional<SharedMemory> FindSharedMemory(uint64_t bytes);

}  // namespace nomhv

#endif  // NOMHV_X86_PLATFORM_PCI_H_
