// SPDX-License-Identifier: Apache-2.0
// nomhv's own interrupts, and the stacks that processors run on. Its faults stop the machine; of
// the rest only the fact that something happened matters, and whoever waited looks for itself.
// Below each stack a page is left unmapped, and faults that a broken stack must not stop have
// stacks of their own (AMD64 APM volume 2, 8.9.4 and 12.2.5).

#ifndef NOMHV_X86_PLATFORM_INTERRUPTS_H_
#define NOMHV_X86_PLATFORM_INTERRUPTS_H_

#include <cstdint>

namespace nomhv {

// What interrupts.S pushes, then what the processor pushed (APM 2, 8.9.3).
struct InterruptFrame {
  uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
  uint64_t vector, error_code;
  uint64_t rip, cs, rflags, rsp, ss;
};

// Where the stack of processor `index` ends; that of the first is the boot stack.
[[nodiscard]] uint64_t StackEnd(uint32_t index);

// Whether the page at `address` is one of those that stay unmapped.
[[nodiscard]] bool IsStackGuard(uint64_t address);

// Loads a GDT and a task state of its own on the processor `index`, which runs this.
void LoadDescriptors(uint32_t index);

// Builds the table; once, on the first processor.
void BuildInterruptTable();
// Uses it, on each processor.
void LoadInterruptTable();

// Interrupts of kVectorDoorbell taken since boot. Any processor.
[[nodiscard]] uint64_t DoorbellInterrupts();

// Those of guests' devices since the last look, by the machine: from kVectorDevices on, a bit each,
// in words of 64. Any processor; whoever takes one sees to it.
[[nodiscard]] uint64_t TakeDeviceInterrupts(uint32_t word);
inline constexpr uint32_t kDeviceInterruptWords = 2;

// How the machine leaves the emulator (isa-debug-exit), if it runs in one.
inline constexpr uint32_t kExitPass = 0x10;
inline constexpr uint32_t kExitFail = 0x11;
inline constexpr uint32_t kExitPanic = 0x12;
[[noreturn]] void LeaveMachine(uint32_t code);

}  // namespace nomhv

#endif  // NOMHV_X86_PLATFORM_INTERRUPTS_H_
