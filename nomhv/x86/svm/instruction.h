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
[[nodiscard]] bool InCode64(const Vmcb& v);

// The bytes from RIP on, as many as there are in its memory and an instruction may have.
std::span<const uint8_t> FetchInstruction(GuestMachine& guest,
                                          uint8_t (&buffer)[kInstructionBytesMax]);

// Goes on after the instruction `opcode`, which exited, with whatever prefixes it has.
void AdvancePast(GuestMachine& guest, const Opcode& opcode);

// Goes on so many bytes further.
void AdvanceRip(GuestMachine& guest, uint64_t bytes);

}  // namespace nomhv

#endif  // NOMHV_X86_SVM_INSTRUCTION_H_
