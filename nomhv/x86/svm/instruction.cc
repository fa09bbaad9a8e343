#include "nomhv/x86/svm/instruction.h"

#include <atomic>
#include <cstring>

#include "nomhv/core/guest_walk.h"
#include "nomhv/x86/cpu.h"

namespace nomhv {
namespace {

constexpr uint64_t kPageMask = NOM_FRAME_BYTES - 1;

struct Memory {
  const GuestMachine& guest;
  [[nodiscard]] std::optional<uint64_t> Read64(uint64_t gpa) const {
    const std::optional<NestedMapping> mapping = guest.tables.Find(gpa & ~kPageMask);
    if (!mapping.has_value()) return std::nullopt;
    auto* const word = Physical<uint64_t>(mapping->physical + (gpa & kPageMask));
    return std::atomic_ref<uint64_t>(*word).load(std::memory_order_relaxed);
  }
};

uint64_t LinearRip(const Vmcb& v) {
  const uint64_t linear = v.cs.base + v.rip;
  return InCode64(v) ? v.rip : linear & 0xffffffff;
}

// Where the page of the guest-linear address lies in the machine's memory, or null. The last answer
// is kept: guests call from the same place over and over. It is of no use once the guest has other
// tables or has lost a frame; if the guest has changed an entry since, the bytes are those of a
// page that is the guest's all the same, and whoever reads them checks that they are what exited.
const uint8_t* CodePage(GuestMachine& guest, uint64_t linear) {
  const Vmcb& v = *guest.vmcb;
  CodePageCache& cache = guest.code_page;
  const uint64_t page = linear & ~kPageMask;
  if (cache.host != nullptr && cache.linear == page && cache.cr3 == v.cr3 &&
      cache.generation == guest.translations.generation()) {
    return cache.host;
  }
  cache.host = nullptr;
  const std::optional<uint64_t> gpa =
      GuestPhysical(Memory{guest}, {v.cr0, v.cr3, v.cr4, v.efer}, page);
  if (!gpa.has_value()) return nullptr;
  const std::optional<NestedMapping> mapping = guest.tables.Find(*gpa & ~kPageMask);
  if (!mapping.has_value()) return nullptr;
  cache = {page, v.cr3, guest.translations.generation(), Physical<uint8_t>(mapping->physical)};
  return cache.host;
}

}  // namespace

bool InCode64(const Vmcb& v) {
  constexpr uint16_t kLong = 1u << 9;  // CS.L
  return (v.efer & kEferLma) != 0 && (v.cs.attributes & kLong) != 0;
}

std::span<const uint8_t> FetchInstruction(GuestMachine& guest,
                                          uint8_t (&buffer)[kInstructionBytesMax]) {
  const uint64_t linear = LinearRip(*guest.vmcb);
  size_t count = 0;
  while (count < kInstructionBytesMax) {
    const uint8_t* const page = CodePage(guest, linear + count);
    if (page == nullptr) break;
    const uint64_t offset = (linear + count) & kPageMask;
    const size_t part = std::min<size_t>(kInstructionBytesMax - count, NOM_FRAME_BYTES - offset);
    std::memcpy(buffer + count, page + offset, part);
    count += part;
  }
  return {buffer, count};
}

void AdvancePast(GuestMachine& guest, const Opcode& opcode) {
  Vmcb& v = *guest.vmcb;
  if (v.next_rip != 0) {
    AdvanceRip(guest, v.next_rip - v.rip);
    return;
  }
  // Nearly always there is no prefix, and the page is the last one.
  const uint64_t linear = LinearRip(v);
  const uint8_t* const page = CodePage(guest, linear);
  const uint64_t offset = linear & kPageMask;
  if (page != nullptr && page[offset] == opcode.bytes[0]) {
    AdvanceRip(guest, opcode.count);
    return;
  }
  uint8_t buffer[kInstructionBytesMax];
  const std::optional<Prefixes> prefixes =
      FindOpcode(FetchInstruction(guest, buffer), opcode, InCode64(v));
  // Bytes that are not what exited were changed by the guest itself: it goes on where it says.
  AdvanceRip(guest, opcode.count + (prefixes.has_value() ? prefixes->count : 0));
}

void AdvanceRip(GuestMachine& guest, uint64_t bytes) {
  Vmcb& v = *guest.vmcb;
  v.rip += bytes;
  if (!InCode64(v)) v.rip &= 0xffffffff;
  v.interrupt_shadow &= ~uint64_t{1};
}

}  // namespace nomhv
