// SPDX-License-Identifier: Apache-2.0
// Instructions of the processor that C++ has no word for (AMD64 APM volumes 2 and 3). Ring 0.

#ifndef NOMHV_X86_PLATFORM_CPU_H_
#define NOMHV_X86_PLATFORM_CPU_H_

#include <cstdint>

#include "nomhv/core/control_registers.h"
#include "nomhv/core/cpuid.h"

namespace nomhv {

inline void Out8(uint16_t port, uint8_t value) {
  asm volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}
inline void Out32(uint16_t port, uint32_t value) {
  asm volatile("outl %0, %1" ::"a"(value), "Nd"(port));
}
inline uint8_t In8(uint16_t port) {
  uint8_t value;
  asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
inline uint32_t In32(uint16_t port) {
  uint32_t value;
  asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

inline constexpr uint32_t kMsrApicBase = 0x1b;
inline constexpr uint64_t kFlagsInterrupt = 1u << 9;

inline uint64_t ReadMsr(uint32_t msr) {
  uint32_t low;
  uint32_t high;
  asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
  return uint64_t{high} << 32 | low;
}
inline void WriteMsr(uint32_t msr, uint64_t value) {
  asm volatile("wrmsr" ::"a"(static_cast<uint32_t>(value)), "d"(static_cast<uint32_t>(value >> 32)),
               "c"(msr)
               : "memory");
}

inline CpuidResult Cpuid(uint32_t leaf, uint32_t subleaf = 0) {
  CpuidResult r;
  asm volatile("cpuid"
               : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
               : "a"(leaf), "c"(subleaf));
  return r;
}

// Ordered after what comes before it in program order, so that it never reads early.
inline uint64_t ReadTsc() {
  uint32_t low;
  uint32_t high;
  asm volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
  return uint64_t{high} << 32 | low;
}

inline void Pause() { asm volatile("pause" ::: "memory"); }
inline void DisableInterrupts() { asm volatile("cli" ::: "memory"); }
// Lets what is pending in, and closes the door again.
inline void TakeInterrupts() { asm volatile("sti; nop; nop; cli" ::: "memory"); }
// Sleeps until an interrupt; none can slip in between the two instructions.
inline void EnableInterruptsAndHalt() { asm volatile("sti; hlt; cli" ::: "memory"); }
[[noreturn]] inline void HaltForever() {
  for (;;) asm volatile("cli; hlt" ::: "memory");
}

inline uint64_t ReadCr2() {
  uint64_t value;
  asm volatile("mov %%cr2, %0" : "=r"(value));
  return value;
}
inline uint64_t ReadCr4() {
  uint64_t value;
  asm volatile("mov %%cr4, %0" : "=r"(value));
  return value;
}
inline void WriteCr4(uint64_t value) { asm volatile("mov %0, %%cr4" ::"r"(value) : "memory"); }
inline uint64_t ReadCr0() {
  uint64_t value;
  asm volatile("mov %%cr0, %0" : "=r"(value));
  return value;
}
inline void WriteCr0(uint64_t value) { asm volatile("mov %0, %%cr0" ::"r"(value) : "memory"); }
inline void WriteCr3(uint64_t value) { asm volatile("mov %0, %%cr3" ::"r"(value) : "memory"); }

inline uint64_t ReadXcr0() {
  uint32_t low;
  uint32_t high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}
inline void WriteXcr0(uint64_t value) {
  asm volatile("xsetbv" ::"a"(static_cast<uint32_t>(value)),
               "d"(static_cast<uint32_t>(value >> 32)), "c"(0)
               : "memory");
}

}  // namespace nomhv

#endif  // NOMHV_X86_PLATFORM_CPU_H_
