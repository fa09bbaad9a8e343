// SPDX-License-Identifier: Apache-2.0
// A guest's own page tables, walked as the processor walks them, to find the bytes of an
// instruction that it has just executed (AMD64 APM volume 2, 5.2 and 5.3). Rights are not looked
// at: the processor has fetched it. Everything in guest memory may change at any time: an entry is
// read once, and whatever it says, only the guest's own memory is reached.

#ifndef NOMHV_CORE_GUEST_WALK_H_
#define NOMHV_CORE_GUEST_WALK_H_

#include <concepts>
#include <cstdint>
#include <optional>

#include "nomhv/core/control_registers.h"

namespace nomhv {

template <typename M>
concept GuestMemory = requires(const M memory, uint64_t gpa) {
  // The aligned word there; nothing where the guest holds no memory.
  { memory.Read64(gpa) } -> std::same_as<std::optional<uint64_t>>;
};

// The guest-physical address of `linear`, or nothing if nothing is mapped there.
template <GuestMemory M>
std::optional<uint64_t> GuestPhysical(const M& memory, const ControlRegisters& state,
                                      uint64_t linear) {
  constexpr uint64_t kCr4PageSize = 1u << 4;
  constexpr uint64_t kCr4PhysicalExtension = 1u << 5;
  constexpr uint64_t kCr4FiveLevels = 1u << 12;
  constexpr uint64_t kPresent = 1;
  constexpr uint64_t kLarge = 1u << 7;
  constexpr uint64_t kAddress = 0x000ffffffffff000;
  const bool wide = (state.efer & kEferLma) != 0;
  if (!wide) linear &= 0xffffffff;
  if ((state.cr0 & kCr0Paging) == 0) return linear;

  if (!wide && (state.cr4 & kCr4PhysicalExtension) == 0) {
    const auto read32 = [&](uint64_t at) -> std::optional<uint64_t> {
      const std::optional<uint64_t> word = memory.Read64(at & ~uint64_t{7});
      if (!word.has_value()) return std::nullopt;
      return (at & 4) != 0 ? *word >> 32 : *word & 0xffffffff;
    };
    const std::optional<uint64_t> directory = read32((state.cr3 & 0xfffff000) + (linear >> 22) * 4);
    if (!directory.has_value() || (*directory & kPresent) == 0) return std::nullopt;
    if ((*directory & kLarge) != 0 && (state.cr4 & kCr4PageSize) != 0) {
      // Bits 20 to 13 are address bits 39 to 32.
      return (*directory & 0xffc00000) | (*directory >> 13 & 0xff) << 32 | (linear & 0x3fffff);
    }
    const std::optional<uint64_t> entry =
        read32((*directory & 0xfffff000) + (linear >> 12 & 0x3ff) * 4);
    if (!entry.has_value() || (*entry & kPresent) == 0) return std::nullopt;
    return (*entry & 0xfffff000) | (linear & 0xfff);
  }

  const int levels = !wide ? 3 : (state.cr4 & kCr4FiveLevels) != 0 ? 5 : 4;
  // Without long mode the root is four entries, 32-byte aligned.
  uint64_t table = wide ? state.cr3 & kAddress : state.cr3 & 0xffffffe0;
  for (int level = levels; level > 0; --level) {
    const int shift = 12 + 9 * (level - 1);
    const uint64_t index = linear >> shift & (!wide && level == 3 ? 3 : 511);
    const std::optional<uint64_t> entry = memory.Read64(table + index * 8);
    if (!entry.has_value() || (*entry & kPresent) == 0) return std::nullopt;
    const uint64_t offset_mask = (uint64_t{1} << shift) - 1;
    const bool may_be_large = level == 2 || (level == 3 && wide);
    if (level == 1 || (may_be_large && (*entry & kLarge) != 0)) {
      return (*entry & kAddress & ~offset_mask) | (linear & offset_mask);
    }
    table = *entry & kAddress;
  }
  return std::nullopt;
}

}  // namespace nomhv

#endif  // NOMHV_CORE_GUEST_WALK_H_
