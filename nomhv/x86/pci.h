// Just enough of PCI to find the mailbox and its doorbell (PCI Local Bus 3.0, 3.2.2.3.2, 6.1, 6.7).
// At boot, on the first processor, before the others run.

#ifndef NOMHV_X86_PCI_H_
#define NOMHV_X86_PCI_H_

#include <cstdint>
#include <optional>

#include "nomhv/x86/boot_info.h"

namespace nomhv {

struct PciFunction {
  uint32_t bus, device, function;
};

// The aligned word at `offset` of its configuration space.
uint32_t ReadConfig(PciFunction f, uint8_t offset);
void WriteConfig(PciFunction f, uint8_t offset, uint32_t value);

// Where BAR `index` (0 to 5) lies; the device then answers there and may write memory itself, which
// is how it sends interrupts. Nothing if it is no memory BAR or has no address.
std::optional<PhysicalRange> ReadMemoryBar(PciFunction f, uint8_t index);

// Where in configuration space the capability `id` lies, if the function has it.
std::optional<uint8_t> FindCapability(PciFunction f, uint8_t id);

// Turns bus mastering off at every device that the firmware left it on at: it could write into what
// becomes a guest's memory. Bridges keep it. How many there were.
uint32_t StopBusMasters();

struct SharedMemory {
  PciFunction function;
  PhysicalRange memory;
};
// The first ivshmem device (1af4:1110) with at least `bytes` of memory, if there is one.
std::optional<SharedMemory> FindSharedMemory(uint64_t bytes);

}  // namespace nomhv

#endif  // NOMHV_X86_PCI_H_
