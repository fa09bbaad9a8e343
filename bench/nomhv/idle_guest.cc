// SPDX-License-Identifier: Apache-2.0
// Sleeps for ever: a guest whose memory can be moved without its help.

#include "client/guest/calls.h"
#include "client/guest/start.h"

int GuestMain(const nom::guest::Start&) {
  for (;;) (void)nom::guest::Hypervisor().Yield(0);
}
