// SPDX-License-Identifier: Apache-2.0
// The machine's frames, split in two at boot: what guests are granted, and what nomhv needs for
// them (tables, control blocks, boards). So a grant never fails for want of a table.

#ifndef NOMHV_X86_PLATFORM_MEMORY_H_
#define NOMHV_X86_PLATFORM_MEMORY_H_

#include <cstdint>
#include <span>

#include "nomhv/core/frames.h"
#include "nomhv/core/result.h"
#include "nomhv/x86/platform/boot_info.h"

namespace nomhv {

// Takes all usable memory above 1 MiB but the image and the boot modules. Once.
void InitMemory(const BootInfo& info);

[[nodiscard]] uint64_t GuestFramesTotal();
[[nodiscard]] uint64_t GuestFramesFree();

// A zeroed frame for a guest. By the books there is one; none is a broken promise. Any processor.
uint64_t AllocateGuestFrame();
// Scrubs the frames, then frees them: a free frame that was ever a guest's is all zeroes. No
// processor and no device may reach them any more.
void FreeGuestFrames(std::span<const uint64_t> physical);

// Zeroed frames for nomhv itself; TABLE_FULL when its share is used up.
Result<uint64_t> AllocateOwnFrame();
void FreeOwnFrame(uint64_t physical);

// For NestedTables (core/nested_paging.h).
struct MachineTables {
  static uint64_t* Table(uint64_t physical) { return reinterpret_cast<uint64_t*>(physical); }
  static Result<uint64_t> AllocateTable() { return AllocateOwnFrame(); }
  static void FreeTable(uint64_t physical) { FreeOwnFrame(physical); }
  // For an IOMMU that does not snoop.
  static inline bool flush_entries = false;
  static void Changed(const void* entry) {
    if (flush_entries) asm volatile("clflush (%0)" ::"r"(entry) : "memory");
  }
};

template <typename T>
T* Physical(uint64_t address) {
  return reinterpret_cast<T*>(address);
}

}  // namespace nomhv

#endif  // NOMHV_X86_PLATFORM_MEMORY_H_
