// SPDX-License-Identifier: Apache-2.0
// What the guests of these tests share: failing with a reason, touching memory that may fault,
// reaching physical addresses that the SDK would never map.

#ifndef TESTS_GUESTS_PROGRAMS_CHECK_H_
#define TESTS_GUESTS_PROGRAMS_CHECK_H_

#include <cstdint>

#include "client/guest/calls.h"
#include "client/guest/console.h"
#include "client/guest/x86/interrupts.h"

// Ends the guest with code 1 and a line in the log when its claim does not hold.
#define NOM_CHECK(condition, ...)                                                                \
  do {                                                                                           \
    if (!(condition)) {                                                                          \
      ::nom::guest::tests::Fail(__FILE_NAME__, __LINE__, #condition __VA_OPT__(, ) __VA_ARGS__); \
    }                                                                                            \
  } while (false)

namespace nom::guest::tests {

template <typename... Pieces>
[[noreturn]] void Fail(const char* file, int line, const char* condition, const Pieces&... pieces) {
  Console(&Hypervisor()).Line("FAIL ", file, ":", line, ": ", condition, " ", pieces...);
  Hypervisor().Exit(1);
  for (;;) asm volatile("cli; hlt");
}

// A fault that Touch expects. Volatile: written in the fault hook.
struct Fault {
  volatile uint64_t resume_rip = 0;  // 0: none is expected.
  volatile uint64_t vector = 0;
  volatile uint64_t error_code = 0;
};
inline Fault fault;

inline bool OnFault(InterruptFrame& frame) {
  if (fault.resume_rip == 0) return false;
  fault.vector = frame.vector;
  fault.error_code = frame.error_code;
  frame.rip = fault.resume_rip;
  fault.resume_rip = 0;
  return true;
}

// Call once before the first Touch or Try.
inline void ExpectFaults() { SetFaultHook(OnFault); }

// Runs one instruction; `vector` of the fault that it raised, 0 for none. Code lies low: labels fit
// 32 bits.
#define NOM_TRY(instruction, ...)                                                       \
  (                                                                                     \
      ::nom::guest::tests::fault.vector = 0,                                            \
      [&] {                                                                             \
        asm volatile("movq $1f, %[resume]\n\t" instruction "\n1:\n\tmovq $0, %[resume]" \
                     : [resume] "+m"(::nom::guest::tests::fault.resume_rip)             \
                     : __VA_ARGS__                                                      \
                     : "rax", "rcx", "rdx", "rsi", "memory");                           \
      }(),                                                                              \
      uint64_t{::nom::guest::tests::fault.vector})

inline uint64_t TouchRead(uint64_t address) {
  return NOM_TRY("movq (%[at]), %%rax", [at] "r"(address));
}
inline uint64_t TouchWrite(uint64_t address, uint64_t value) {
  return NOM_TRY("movq %[value], (%[at])", [at] "r"(address), [value] "r"(value));
}

// Maps the GiB around any physical address, read, write and execute, and returns where `physical`
// then lies. Each call replaces the last one's map.
inline volatile uint64_t* ReachPhysical(uint64_t physical) {
  constexpr uint64_t kGib = uint64_t{1} << 30;
  constexpr uint64_t kPresentWritable = 3;
  constexpr uint64_t kLarge = 1 << 7;
  alignas(4096) static uint64_t table[512];
  uint64_t root = 0;
  asm volatile("mov %%cr3, %0" : "=r"(root));
  table[0] = physical / kGib * kGib | kPresentWritable | kLarge;
  reinterpret_cast<uint64_t*>(root & ~uint64_t{4095})[1] =
      reinterpret_cast<uint64_t>(table) | kPresentWritable;
  asm volatile("mov %0, %%cr3" ::"r"(root) : "memory");
  return reinterpret_cast<volatile uint64_t*>((uint64_t{1} << 39) + physical % kGib);
}

}  // namespace nom::guest::tests

#endif  // TESTS_GUESTS_PROGRAMS_CHECK_H_
