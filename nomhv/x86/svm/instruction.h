// The instruction at which a guest exited: its bytes and its end. Where the processor saves the
// next RIP (nRIP, AMD64 APM volume 2, 15.7.1) that is the end; elsewhere prefixes are counted.

#ifndef NOMHV_X86_SVM_INSTRUCTION_H_
#define NOMHV_X86_SVM_INSTRUCTION_H_

#include <cstdint>
#include <span>

#include "nomhv/core/instruction.h"
#include "nomhv/x86/guest_machine.h"

namespace nomhv {

// Whether the guest executes 64-bit code.
[[nodiscard]] inline bool InCode64(const Vmcb& v) {
  constexpr uint64_t kEferLongModeActive = 1u << 10;
  constexpr uint16_t kLong = 1u << 9;  // CS.L
  return (v.efer & kEferLongModeActive) != 0 && (v.cs.attributes & kLong) != 0;
}

// The bytes from RIP on, as many as there are in its memory and an instruction may have.
std::span<const uint8_t> FetchInstruction(GuestMachine& guest,
                                          uint8_t (&buffer)[kInstructionBytesMax]);

// Goes on so many bytes further.
inline void AdvanceRip(Vmcb& v, uint64_t bytes, bool code64) {
  v.rip += bytes;
  if (!code64) v.rip &= 0xffffffff;
  v.interrupt_shadow &= ~uint64_t{1};
}

// The general case of AdvancePast.
void AdvancePastSlowly(GuestMachine& guest, const Opcode& opcode, bool code64);

// Goes on after the instruction `opcode`, which exited, with whatever prefixes it has. Nearly
// always it has none, and lies in the page of the last one.
inline void AdvancePast(GuestMachine& guest, const Opcode& opcode, bool code64) {
  Vmcb& v = *guest.vmcb;
  constexpr uint64_t kOffset = NOM_FRAME_BYTES - 1;
  const CodePageCache& cache = guest.code_page;
  if (code64 && cache.linear == (v.rip & ~kOffset) && cache.cr3 == v.cr3 &&
      cache.host[v.rip & kOffset] == opcode.bytes[0]) {
    AdvanceRip(v, opcode.count, code64);
    return;
  }
  AdvancePastSlowly(guest, opcode, code64);
}

}  // namespace nomhv

#endif  // NOMHV_X86_SVM_INSTRUCTION_H_
