// SPDX-License-Identifier: Apache-2.0
// Instructions that are never done for a guest, whatever stands before them and is in its
// registers: tests/guests/programs/attack_code.cc executes them, and its scenario knows what comes
// of each.

#ifndef TESTS_GUESTS_FORBIDDEN_CODE_H_
#define TESTS_GUESTS_FORBIDDEN_CODE_H_

#include <cstdint>

#include "nomhv/abi/version.h"

namespace nom::tests {

struct ForbiddenCode {
  const char* name;
  uint8_t count;  // Of the bytes.
  uint8_t bytes[3];
  // What it ends the guest with; NONE: it raises a fault, and the guest goes on.
  NomExitReason end;
};

inline constexpr ForbiddenCode kForbiddenCode[] = {
    {"outb", 1, {0xee}, NOM_EXIT_REASON_BAD_PORT},
    {"outl", 1, {0xef}, NOM_EXIT_REASON_BAD_PORT},
    {"outb imm", 2, {0xe6, 0x80}, NOM_EXIT_REASON_BAD_PORT},
    {"inb", 1, {0xec}, NOM_EXIT_REASON_BAD_PORT},
    {"inl", 1, {0xed}, NOM_EXIT_REASON_BAD_PORT},
    {"inb imm", 2, {0xe4, 0x60}, NOM_EXIT_REASON_BAD_PORT},
    {"outsb", 1, {0x6e}, NOM_EXIT_REASON_BAD_PORT},
    {"insb", 1, {0x6c}, NOM_EXIT_REASON_BAD_PORT},
    // An interrupt table of nothing: the fault that comes next is three.
    {"lidt (%rax)", 3, {0x0f, 0x01, 0x18}, NOM_EXIT_REASON_TRIPLE_FAULT},
    {"vmrun", 3, {0x0f, 0x01, 0xd8}, NOM_EXIT_REASON_NONE},
    {"vmload", 3, {0x0f, 0x01, 0xda}, NOM_EXIT_REASON_NONE},
    {"vmsave", 3, {0x0f, 0x01, 0xdb}, NOM_EXIT_REASON_NONE},
    {"stgi", 3, {0x0f, 0x01, 0xdc}, NOM_EXIT_REASON_NONE},
    {"clgi", 3, {0x0f, 0x01, 0xdd}, NOM_EXIT_REASON_NONE},
    {"skinit", 3, {0x0f, 0x01, 0xde}, NOM_EXIT_REASON_NONE},
    {"invlpga", 3, {0x0f, 0x01, 0xdf}, NOM_EXIT_REASON_NONE},
    {"monitor", 3, {0x0f, 0x01, 0xc8}, NOM_EXIT_REASON_NONE},
    {"mwait", 3, {0x0f, 0x01, 0xc9}, NOM_EXIT_REASON_NONE},
    {"rdpmc", 2, {0x0f, 0x33}, NOM_EXIT_REASON_NONE},
};
inline constexpr int64_t kForbiddenCodes = sizeof(kForbiddenCode) / sizeof(kForbiddenCode[0]);

}  // namespace nom::tests

#endif  // TESTS_GUESTS_FORBIDDEN_CODE_H_
