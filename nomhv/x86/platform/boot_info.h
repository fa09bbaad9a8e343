// SPDX-License-Identifier: Apache-2.0
// What the loader told us, copied out of its memory before that is used for anything else.

#ifndef NOMHV_X86_PLATFORM_BOOT_INFO_H_
#define NOMHV_X86_PLATFORM_BOOT_INFO_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace nomhv {

struct PhysicalRange {
  uint64_t first = 0;
  uint64_t bytes = 0;
};

struct BootInfo {
  static constexpr uint32_t kRangesMax = 128;
  static constexpr uint32_t kModulesMax = 32;

  char command_line[1024] = {};
  uint64_t rsdp = 0;  // 0: the loader named none.
  // Multiboot2 gives a copy of the RSDP instead.
  alignas(8) std::byte rsdp_copy[36] = {};
  bool has_rsdp_copy = false;
  uint32_t range_count = 0;
  PhysicalRange usable[kRangesMax];
  uint32_t module_count = 0;
  PhysicalRange modules[kModulesMax];
  // More than there was room for. A module that is left out is no memory either: the loader's map
  // may call it usable, and nobody wants it.
  uint32_t left_out_ranges = 0;
  uint32_t left_out_modules = 0;
};

enum class BootProtocol : uint32_t { kPvh = 0, kMultiboot2 = 1 };

// Panics on a structure that is not the protocol's: nothing can be done without memory.
void ReadBootInfo(BootProtocol protocol, uint64_t physical, BootInfo& info);

}  // namespace nomhv

#endif  // NOMHV_X86_PLATFORM_BOOT_INFO_H_
