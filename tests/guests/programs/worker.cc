// SPDX-License-Identifier: Apache-2.0
// A good neighbour: keeps a pattern in all of its memory, checks it, counts its rounds on the bid
// page. If anybody reaches into its memory it ends with code 1.
// Arguments: sleep_us (between rounds, 0: spins).

#include "client/guest/arguments.h"
#include "client/guest/bid_page.h"
#include "client/guest/clock.h"
#include "client/guest/start.h"
#include "tests/guests/programs/check.h"

int GuestMain(const nom::guest::Start& start) {
  using namespace nom::guest;  // NOLINT(google-build-using-namespace)
  int64_t sleep_us = 1000;
  const Argument known[] = {{"sleep_us", &sleep_us, 0, 1'000'000}};
  const auto error = ParseArguments(start.arguments, known);
  NOM_CHECK(error.view().empty(), error.view());

  Clock clock(&Hypervisor(), start.tsc_hz);
  BidPage page(BidPageOfGuest());
  const uint64_t pattern = 0x6e6f6d0000000000 + start.guest_id;
  const auto word = [&](uint64_t frame) {
    return reinterpret_cast<volatile uint64_t*>(frame * NOM_FRAME_BYTES);
  };
  const uint64_t first = start.image_end_frame;
  for (uint64_t frame = first; frame < start.seed_frames; ++frame) {
    for (uint64_t i = 0; i < 512; ++i) {
      NOM_CHECK(word(frame)[i] == 0, "a new guest's frame is not zero: ", frame);
      word(frame)[i] = pattern ^ frame ^ i << 32;
    }
  }
  for (uint64_t round = 1;; ++round) {
    for (uint64_t frame = first; frame < start.seed_frames; ++frame) {
      for (uint64_t i = round % 8; i < 512; i += 8) {
        NOM_CHECK(word(frame)[i] == (pattern ^ frame ^ i << 32), "frame ", frame, " word ", i,
                  " is ", Hex{word(frame)[i]});
      }
    }
    page.Say({.work_done = round, .work_unit = "rounds", .value_microcredits = 0, .activity = ""});
    if (sleep_us != 0) (void)clock.SleepUs(static_cast<uint64_t>(sleep_us));
  }
}
