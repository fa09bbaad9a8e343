// SPDX-License-Identifier: Apache-2.0
// What CREATE says of a guest that is a PC: ../ABI.md tells what it finds. Since 1.6.

#ifndef NOMHV_ABI_PC_H_
#define NOMHV_ABI_PC_H_

#include "nomhv/abi/mailbox.h"

#define NOM_PERSONALITY_PC 1u  // Argument 1 of CREATE; 0: none.
// With the terminating zero: Linux takes no more, and one byte beyond it is its end.
#define NOM_PC_COMMAND_LINE_BYTES 2048u

// The payload then. Kernel and initramfs are files of the archives that the machine's loader
// brought: they are larger than a mailbox. Texts are zero-terminated.
struct NomCreatePc {
  struct NomCreate create;  // Its image and arguments mean nothing.
  char kernel[NOM_NAME_BYTES];
  char initramfs[NOM_NAME_BYTES];  // Empty: none.
  char command_line[NOM_PC_COMMAND_LINE_BYTES];
};

#endif  // NOMHV_ABI_PC_H_
