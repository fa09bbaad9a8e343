// SPDX-License-Identifier: Apache-2.0
// Where a program goes on when an access of its own faults, because nomhv has taken the memory.

#ifndef CLIENT_GUEST_X86_FIXUP_H_
#define CLIENT_GUEST_X86_FIXUP_H_

#include <cstdint>

namespace nom::guest {

// A fault at [begin, end) goes on at `resume` (x86/interrupts.cc). They lie in section .nom_fixups.
struct Fixup {
  uint64_t begin, end, resume;
};

// At the end of an `asm goto`: a fault between its labels 1 and 2 jumps to the C++ label `resume`.
#define NOM_FIXUP(resume)                 \
  "\n.pushsection .nom_fixups, \"a\"\n\t" \
  ".quad 1b, 2b, %l[" #resume             \
  "]\n\t"                                 \
  ".popsection"

}  // namespace nom::guest

#endif  // CLIENT_GUEST_X86_FIXUP_H_
