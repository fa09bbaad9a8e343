// SPDX-License-Identifier: Apache-2.0
// Spins for ever with interrupts off and never gives the processor back.

#include "client/guest/start.h"

int GuestMain(const nom::guest::Start&) {
  asm volatile("cli; 1: incq %%rax; jmp 1b" ::: "rax", "memory");
  return 1;
}
