// SPDX-License-Identifier: Apache-2.0
// Claim: however often a guest gives its processor away and asks for it back, it pays for that
// itself. Never stops.
// Arguments: run_us, sleep_us: runs and sleeps so long in turns; without run_us a storm: it yields
// again at once, until a moment that comes while nomhv is still looking for somebody else to run.

#include "client/guest/arguments.h"
#include "client/guest/calls.h"
#include "client/guest/start.h"
#include "tests/guests/programs/check.h"

namespace {

using nom::guest::Nomhv;

// The shortest time that a YIELD with a deadline so far away takes, of several.
uint64_t Elapsed(Nomhv& nomhv, uint64_t gap) {
  uint64_t least = ~uint64_t{0};
  for (int i = 0; i < 8; ++i) {
    const uint64_t before = nomhv.Tsc();
    (void)nomhv.Yield(before + gap);
    const uint64_t elapsed = nomhv.Tsc() - before;
    if (elapsed < least) least = elapsed;
  }
  return least;
}

// The nearest deadline that makes a YIELD leave the processor and not answer at once.
uint64_t NearestSleep(Nomhv& nomhv) {
  const uint64_t at_once = Elapsed(nomhv, 0);
  uint64_t gap = at_once / 4;
  while (Elapsed(nomhv, gap) < 2 * at_once) gap += at_once / 8 + 1;
  return gap;
}

}  // namespace

int GuestMain(const nom::guest::Start& start) {
  using namespace nom::guest;  // NOLINT(google-build-using-namespace)
  int64_t run_us = 0;
  int64_t sleep_us = 0;
  const Argument known[] = {{"run_us", &run_us, 0, 1'000'000},
                            {"sleep_us", &sleep_us, 0, 1'000'000}};
  const auto error = ParseArguments(start.arguments, known);
  NOM_CHECK(error.view().empty(), error.view());
  Nomhv& nomhv = Hypervisor();
  const uint64_t us = start.tsc_hz / 1'000'000;
  if (run_us > 0) {
    for (;;) {
      const uint64_t until = nomhv.Tsc() + static_cast<uint64_t>(run_us) * us;
      while (nomhv.Tsc() < until) {
      }
      (void)nomhv.Yield(nomhv.Tsc() + static_cast<uint64_t>(sleep_us) * us);
    }
  }
  const uint64_t gap = NearestSleep(nomhv);
  for (;;) (void)nomhv.Yield(nomhv.Tsc() + gap);
}
