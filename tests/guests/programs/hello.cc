// SPDX-License-Identifier: Apache-2.0
// Claim: a guest starts, finds its start page as it was admitted, and its end is seen.

#include "client/guest/start.h"
#include "tests/guests/programs/check.h"

int GuestMain(const nom::guest::Start& start) {
  using nom::guest::Console;
  using nom::guest::Hypervisor;
  NOM_CHECK(start.guest_id != 0);
  NOM_CHECK(start.tsc_hz > 1'000'000, start.tsc_hz);
  NOM_CHECK(start.seed_frames <= start.window_frames);
  NOM_CHECK(start.image_end_frame <= start.seed_frames);
  NOM_CHECK(Hypervisor().Query(NOM_QUERY_ABI_VERSION).value == NOM_ABI_VERSION);
  Console(&Hypervisor()).Line("hello from ", start.name, ": ", start.arguments);
  return 0;
}
