// SPDX-License-Identifier: Apache-2.0
// A stranger's guest: prints who it is, works out a bid, ends.

#include "client/guest/console.h"
#include "client/guest/start.h"
#include "policies/bidding/utility.h"

int GuestMain(const nom::guest::Start& start) {
  nom::guest::Console console(&nom::guest::Hypervisor());
  console.Line("I am ", start.name, " with ", start.seed_frames, " frames");
  return 0;
}
