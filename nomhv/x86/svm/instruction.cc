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
// is kept until the guest has other tables or has lost the frame (FrameTaker): guests call from the
// same place over and over. If the guest has changed an entry since, the bytes are those of a page
// that is the guest's all the same, and whoever reads them checks that they are what exited.
const uint8_t* CodePage(GuestMachine& guest, uint64_t linear) {
  const Vmcb& v = *guest.vmcb;
  CodePageCache& cache = guest.code_page;
  const uint64_t page = linear & ~kPageMask;
  if (cache.linear == page && cache.cr3 == v.cr3) return cache.host;
  const std::optional<uint64_t> gpa =
      GuestPhysical(Memory{guest}, {v.cr0, v.cr3, v.cr4, v.efer}, page);
  if (!gpa.has_value()) return nullptr;
  const std::optional<NestedMapping> mapping = guest.tables.Find(*gpa & ~kPageMask);
  if (!mapping.has_value()) return nullptr;
  cache = {page, v.cr3, Physical<uint8_t>(mapping->physical)};
  return cache.host;
}

}  // namespace

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

void AdvancePastSlowly(GuestMachine& guest, const Opcode& opcode, bool code64) {
  Vmcb& v = *guest.vmcb;
  if (v.next_rip != 0) {
    AdvanceRip(v, v.next_rip - v.rip, code64);
    return;
  }
  uint8_t buffer[kInstructionBytesMax];
  const std::optional<Prefixes> prefixes =
      FindOpcode(FetchInstruction(guest, buffer), opcode, code64);
  // Bytes that are not what exited were changed by the guest itself: it goes on where it says.
  AdvanceRip(v, opcode.count + (prefixes.has_value() ? prefixes->count : 0), code64);
}

}  // namespace nomhv
