// SPDX-License-Identifier: Apache-2.0
// Several processors of one guest. What they share is the guest's to guard: this SDK's pools,
// boards and bid pages are one thread's, interrupt handlers and the fault hook are set for all.

#ifndef CLIENT_GUEST_X86_PROCESSORS_H_
#define CLIENT_GUEST_X86_PROCESSORS_H_

#include <cstddef>
#include <span>

#include "client/guest/calls.h"

namespace nom::guest {

// Runs `body(argument)` on processor `number` of the guest, interrupts off, on a stack of its own:
// at least 4 KiB, and it outlives the run. A processor whose body has returned stops and may be
// started again. BAD_PARAMETER: the guest has no such processor; BAD_STATE: it runs.
CallResult StartProcessor(uint32_t number, void (*body)(void*), void* argument,
                          std::span<std::byte> stack);

}  // namespace nom::guest

#endif  // CLIENT_GUEST_X86_PROCESSORS_H_
