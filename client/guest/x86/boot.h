// SPDX-License-Identifier: Apache-2.0
// What the start-up code is made of; not for guests to call.

#ifndef CLIENT_GUEST_X86_BOOT_H_
#define CLIENT_GUEST_X86_BOOT_H_

#include <cstdint>

namespace nom::guest {

// Replaces the first map: code executable, constants read-only, all else writable and not
// executable; of the window only what lies in it, and nomhv's pages.
void SetUpPaging(uint64_t window_frames);

void SetUpInterrupts();

}  // namespace nom::guest

#endif  // CLIENT_GUEST_X86_BOOT_H_
