// SPDX-License-Identifier: Apache-2.0
// PVH: xen/include/public/arch-x86/hvm/start_info.h describes the layout. Multiboot2: its
// specification 2.0, section 3.6 (boot information).

#include "nomhv/x86/platform/boot_info.h"

#include <algorithm>
#include <cstring>

#include "nomhv/core/assert.h"

namespace nomhv {
namespace {

constexpr uint32_t kPvhMagic = 0x336ec578;
constexpr uint32_t kMemoryUsable = 1;

struct PvhStartInfo {
  uint32_t magic, version, flags, module_count;
  uint64_t modules, command_line, rsdp, memory_map;
  uint32_t memory_map_count, reserved;
};
struct PvhModule {
  uint64_t address, bytes, command_line, reserved;
};
struct PvhMemory {
  uint64_t address, bytes;
  uint32_t type, reserved;
};

template <size_t N>
void CopyText(char (&to)[N], const char* from, size_t limit) {
  const size_t most = std::min(N - 1, limit);
  size_t i = 0;
  for (; i < most && from[i] != '\0'; ++i) to[i] = from[i];
  to[i] = '\0';
}

template <typename T>
const T* At(uint64_t physical) {
  return reinterpret_cast<const T*>(physical);
}

template <uint32_t N>
void Add(PhysicalRange (&list)[N], uint32_t& count, uint32_t& left_out, PhysicalRange range) {
  if (count == N) {
    ++left_out;
  } else {
    list[count++] = range;
  }
}

void AddUsable(BootInfo& info, const PvhMemory& memory) {
  if (memory.type != kMemoryUsable) return;
  Add(info.usable, info.range_count, info.left_out_ranges, {memory.address, memory.bytes});
}

void ReadPvh(uint64_t physical, BootInfo& info) {
  const auto* start = At<PvhStartInfo>(physical);
  NOMHV_CHECK(start->magic == kPvhMagic && start->version >= 1, "boot: not a PVH start info");
  if (start->command_line != 0) {
    CopyText(info.command_line, At<char>(start->command_line), sizeof(info.command_line));
  }
  info.rsdp = start->rsdp;
  const auto* memory = At<PvhMemory>(start->memory_map);
  for (uint32_t i = 0; i < start->memory_map_count; ++i) AddUsable(info, memory[i]);
  const auto* modules = At<PvhModule>(start->modules);
  for (uint32_t i = 0; i < start->module_count; ++i) {
    Add(info.modules, info.module_count, info.left_out_modules,
        {modules[i].address, modules[i].bytes});
  }
}

struct Mb2Tag {
  uint32_t type, bytes;
};
enum Mb2TagType : uint32_t {
  kMb2End = 0,
  kMb2CommandLine = 1,
  kMb2Module = 3,
  kMb2MemoryMap = 6,
  kMb2AcpiOld = 14,
  kMb2AcpiNew = 15,
};

void ReadMb2MemoryMap(const Mb2Tag* tag, BootInfo& info) {
  const auto base = reinterpret_cast<uint64_t>(tag);
  const uint32_t entry_bytes = *At<uint32_t>(base + 8);
  NOMHV_CHECK(entry_bytes >= 24, "boot: bad multiboot2 memory map");
  for (uint64_t at = base + 16; at + entry_bytes <= base + tag->bytes; at += entry_bytes) {
    AddUsable(info, *At<PvhMemory>(at));  // The same layout.
  }
}

void ReadMultiboot2(uint64_t physical, BootInfo& info) {
  const uint32_t total = *At<uint32_t>(physical);
  for (uint64_t at = physical + 8; at + sizeof(Mb2Tag) <= physical + total;) {
    const auto* tag = At<Mb2Tag>(at);
    NOMHV_CHECK(tag->bytes >= sizeof(Mb2Tag), "boot: bad multiboot2 tag");
    const uint64_t body = at + sizeof(Mb2Tag);
    const uint64_t body_bytes = tag->bytes - sizeof(Mb2Tag);
    switch (tag->type) {
      case kMb2CommandLine:
        CopyText(info.command_line, At<char>(body), body_bytes);
        break;
      case kMb2Module: {
        const uint32_t first = *At<uint32_t>(body);
        const uint32_t end = *At<uint32_t>(body + 4);
        Add(info.modules, info.module_count, info.left_out_modules, {first, end - first});
        break;
      }
      case kMb2MemoryMap:
        ReadMb2MemoryMap(tag, info);
        break;
      case kMb2AcpiOld:
      case kMb2AcpiNew:
        // The new one, if it comes, comes with more bytes and wins.
        if (tag->type == kMb2AcpiNew || !info.has_rsdp_copy) {
          std::memcpy(info.rsdp_copy, At<std::byte>(body),
                      std::min<uint64_t>(body_bytes, sizeof(info.rsdp_copy)));
          info.has_rsdp_copy = true;
        }
        break;
      case kMb2End:
        return;
      default:
        break;
    }
    at += (tag->bytes + 7) & ~uint64_t{7};
  }
}

}  // namespace

void ReadBootInfo(BootProtocol protocol, uint64_t physical, BootInfo& info) {
  protocol == BootProtocol::kPvh ? ReadPvh(physical, info) : ReadMultiboot2(physical, info);
}

}  // namespace nomhv
