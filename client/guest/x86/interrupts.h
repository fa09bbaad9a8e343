// SPDX-License-Identifier: Apache-2.0
// Faults and interrupts of a guest. Only for programs on nomhv.

#ifndef CLIENT_GUEST_X86_INTERRUPTS_H_
#define CLIENT_GUEST_X86_INTERRUPTS_H_

#include <cstdint>

#include "nomhv/abi/guest.h"

namespace nom::guest {

// What was pushed, lowest address first: x86/entry.S, then the processor (AMD64 APM volume 2,
// 8.9.3).
struct InterruptFrame {
  uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
  uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
  uint64_t vector;
  uint64_t error_code;  // 0 for vectors that have none.
  uint64_t rip, cs, rflags, rsp, ss;
};

// Vectors 0 to 31 of this list are what a guest meets in practice.
inline constexpr uint64_t kVectorInvalidOpcode = 6;
inline constexpr uint64_t kVectorGeneralProtection = 13;
inline constexpr uint64_t kVectorPageFault = 14;

// Called on every fault (vector below 32), interrupts off. True goes on where the frame, which it
// may change, says; false falls to the default: a line in the log and EXIT with 128 + vector.
using FaultHook = bool (*)(InterruptFrame& frame);
void SetFaultHook(FaultHook hook);  // nullptr for none.

// Called on the interrupt `vector` (32 to 255), interrupts off. There is nothing to acknowledge.
// With none set, an interrupt is ignored.
using InterruptHandler = void (*)();
void SetInterruptHandler(uint8_t vector, InterruptHandler handler);

// Asks nomhv to raise `vector` with each notice and lets interrupts in. `handler` should set a flag
// and leave: pools and bid pages are not for interrupt handlers. False if nomhv refused.
[[nodiscard]] bool EnableNoticeInterrupt(uint8_t vector, InterruptHandler handler);

// Lets interrupts in and sleeps until one, a notice, a ring, a signal or `deadline_tsc` (0: none);
// then they are off again. Whoever looked with interrupts off and found nothing misses none that
// comes between.
inline void SleepUntilInterrupt(uint64_t deadline_tsc) {
  uint64_t status = NOM_CALL_YIELD;
  uint64_t wake = 0;
  asm volatile("sti; vmmcall; cli"
               : "+a"(status), "+d"(wake)
               : "D"(deadline_tsc), "S"(uint64_t{0})
               : "memory");
}

inline void EnableInterrupts() { asm volatile("sti" ::: "memory"); }
inline void DisableInterrupts() { asm volatile("cli" ::: "memory"); }

}  // namespace nom::guest

#endif  // CLIENT_GUEST_X86_INTERRUPTS_H_
