// SPDX-License-Identifier: Apache-2.0
// What nomhv tells a PC's kernel in the kernel's own memory.

#ifndef NOMHV_X86_PC_GUEST_MEMORY_H_
#define NOMHV_X86_PC_GUEST_MEMORY_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>

#include "nomhv/core/shared_memory.h"
#include "nomhv/x86/guests/guest_machine.h"

namespace nomhv {

// Writes to guest-physical memory of the guest's window; false if a byte of it is not held, or
// lies elsewhere: nomhv's own pages are mapped for the guest, too, and it may not have them
// written. Under the claim of one of its processors, before this processor enters it again.
[[nodiscard]] inline bool WriteGuestMemory(const GuestMachine& guest, uint64_t gpa,
                                           const void* data, uint64_t bytes) {
  constexpr uint64_t kFrame = NOM_FRAME_BYTES;
  if (!InBounds(gpa, bytes, guest.window_frames * kFrame)) return false;
  const auto* from = static_cast<const std::byte*>(data);
  while (bytes > 0) {
    const std::optional<NestedMapping> mapping = guest.tables.Find(gpa & ~(kFrame - 1));
    if (!mapping.has_value() || !mapping->flags.writable) return false;
    const uint64_t part = std::min(bytes, kFrame - gpa % kFrame);
    std::memcpy(Physical<std::byte>(mapping->physical + gpa % kFrame), from, part);
    gpa += part;
    from += part;
    bytes -= part;
  }
  return true;
}

}  // namespace nomhv

#endif  // NOMHV_X86_PC_GUEST_MEMORY_H_
