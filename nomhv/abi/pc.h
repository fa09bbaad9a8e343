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

// BAR 1 of the board function: a page of registers of 64 bits, by which a PC's frames follow its
// grant. Whoever the guest's kernel lets map it gives frames back and takes them. Since 1.7.
#define NOM_GPA_PC_DOORBELL 0xFD010000u
#define NOM_PC_DOORBELL_BYTES 4096u
// Written: the guest-physical address of the first frame, and in the low 12 bits how many follow it
// (0 to NOM_PC_DOORBELL_FRAMES - 1). When the next instruction begins it is done, or refused.
#define NOM_PC_DOORBELL_RELEASE 0x00u
#define NOM_PC_DOORBELL_ACQUIRE 0x08u
#define NOM_PC_DOORBELL_FRAMES 512u
#define NOM_PC_DOORBELL_STATUS 0x10u  // Read: what the last write came to (NomStatus).
#define NOM_PC_DOORBELL_WINDOW 0x18u  // Read: window_frames, what the kernel was told is RAM.

#endif  // NOMHV_ABI_PC_H_
