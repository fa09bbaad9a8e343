// Just enough of PCI to find the mailbox's memory (PCI Local Bus 3.0, 3.2.2.3.2 and 6.1).

#ifndef NOMHV_X86_PCI_H_
#define NOMHV_X86_PCI_H_

#include <cstdint>
#include <optional>

#include "nomhv/x86/boot_info.h"

namespace nomhv {

// The memory BAR of the first ivshmem device (1af4:1110), switched on. Nothing if there is none, it
// has no address, or it is smaller than `bytes`.
std::optional<PhysicalRange> FindSharedMemory(uint64_t bytes);

}  // namespace nomhv

#endif  // NOMHV_X86_PCI_H_
