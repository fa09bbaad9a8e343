// SPDX-License-Identifier: Apache-2.0
// Why a guest's processor stopped, in words of no one maker's: a back end (x86/svm) translates to
// them, and x86/guests/exits.cc answers them.

#ifndef NOMHV_CORE_EXIT_H_
#define NOMHV_CORE_EXIT_H_

#include <cstdint>
#include <optional>

#include "nomhv/abi/mailbox.h"
#include "nomhv/core/instruction.h"

namespace nomhv {

// X(kind, the meter's heading, what happened)
#define NOMHV_EXIT_KINDS(X)                                                                   \
  X(kInterrupt, NOM_EXIT_INTERRUPT, "the machine's own: a timer, a poke, a device")           \
  X(kCall, NOM_EXIT_CALL, "a call, from ring 0")                                              \
  X(kHalt, NOM_EXIT_HALT, "HLT")                                                              \
  X(kMemory, NOM_EXIT_NESTED_PAGE_FAULT, "its memory refused an access")                      \
  X(kCpuid, NOM_EXIT_CPUID, "CPUID")                                                          \
  X(kReadMsr, NOM_EXIT_MSR, "RDMSR of one that is not its own")                               \
  X(kWriteMsr, NOM_EXIT_MSR, "WRMSR likewise")                                                \
  X(kPort, NOM_EXIT_PORT, "an I/O port")                                                      \
  X(kException, NOM_EXIT_EXCEPTION, "one that it is to get all the same")                     \
  X(kReadDebug, NOM_EXIT_OTHER, "MOV from a debug register")                                  \
  X(kWriteDebug, NOM_EXIT_OTHER, "MOV to one")                                                \
  X(kFlushCaches, NOM_EXIT_OTHER, "INVD and its kind: caches are coherent and not its own")   \
  X(kRefused, NOM_EXIT_OTHER, "an instruction that raises #GP, as on a processor without it") \
  X(kAbsent, NOM_EXIT_OTHER, "an instruction that its processor does not have: #UD")          \
  X(kShutdown, NOM_EXIT_OTHER, "three faults in one")                                         \
  X(kBadState, NOM_EXIT_OTHER, "it is in a state that no processor has")

enum class ExitKind : uint8_t {
#define NOM_X(kind, heading, meaning) kind,
  NOMHV_EXIT_KINDS(NOM_X)
#undef NOM_X
};

inline constexpr NomExit kExitHeadings[] = {
#define NOM_X(kind, heading, meaning) heading,
    NOMHV_EXIT_KINDS(NOM_X)
#undef NOM_X
};

struct Exit {
  ExitKind kind = ExitKind::kInterrupt;
  bool code64 = false;  // It executes 64-bit code.
  // kMemory: the access that was refused. An access that only reads is neither.
  bool write = false;  // kPort: OUT.
  bool fetch = false;
  uint64_t address = 0;  // kMemory: guest-physical.
  uint64_t code = 0;   // kPort: its number; kException: its vector; kAbsent: the back end's number.
  uint32_t error = 0;  // kException: its error code, if it has one.
  uint32_t bytes = 0;  // kPort: 1, 2 or 4; 0: a string's.
  uint32_t length = 0;  // kPort: the instruction's.
  // The exception that was being delivered when its memory refused, if one was.
  std::optional<uint8_t> delivering;
  // kReadDebug, kWriteDebug: which registers; nothing if the instruction could not be read.
  std::optional<DebugMove> move;
};

}  // namespace nomhv

#endif  // NOMHV_CORE_EXIT_H_
