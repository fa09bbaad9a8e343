// SPDX-License-Identifier: Apache-2.0
// Claim: no call keeps the processor for more than 20,000 instructions, however large the window
// and whatever the guest asks about: beyond that a neighbour's slice would begin late. Only under
// -icount, one tick an instruction. Needs a window of 3 GiB and a seed of two large pages or more.

#include "client/guest/start.h"
#include "tests/guests/programs/check.h"

namespace nom::guest::tests {
namespace {

constexpr uint64_t kMost = 20'000;

template <typename Call>
void ExpectBounded(const char* what, NomStatus status, Call&& call) {
  // A call may be interrupted between by others' slices: the least of a few is what it costs.
  uint64_t least = ~uint64_t{0};
  for (int i = 0; i < 5; ++i) {
    const uint64_t before = Hypervisor().Tsc();
    const CallResult result = call();
    const uint64_t cost = Hypervisor().Tsc() - before;
    NOM_CHECK(result.status == status, what, " answered ", StatusName(result.status));
    if (cost < least) least = cost;
  }
  Console(&Hypervisor()).Line("cost ", what, " ", least);
  NOM_CHECK(least <= kMost, what, " took ", least);
}

}  // namespace
}  // namespace nom::guest::tests

int GuestMain(const nom::guest::Start& start) {
  using namespace nom::guest::tests;  // NOLINT(google-build-using-namespace)
  auto& nomhv = nom::guest::Hypervisor();
  const uint64_t seed = start.seed_frames;
  const uint64_t window = start.window_frames;
  NOM_CHECK(window == NOM_WINDOW_FRAMES_MAX && seed > 1024);
  ExpectBounded("next-held", NOM_STATUS_NOT_HELD,
                [&] { return nomhv.Query(NOM_QUERY_NEXT_HELD, seed); });
  ExpectBounded("next-hole", NOM_STATUS_OK, [&] { return nomhv.Query(NOM_QUERY_NEXT_HOLE, 0); });
  ExpectBounded("acquire-refused", NOM_STATUS_OVER_GRANT,
                [&] { return nomhv.Acquire(seed, window - seed); });
  ExpectBounded("acquire-held", NOM_STATUS_ALREADY_HELD,
                [&] { return nomhv.Acquire(seed - 1, window - seed); });
  // Everything is held but one frame at the end of what is named.
  ExpectBounded("release-refused", NOM_STATUS_NOT_HELD, [&] { return nomhv.Release(1, seed); });
  // With one frame far away the search for it goes through all of the window.
  NOM_CHECK(nomhv.Release(seed - 1, 1).ok());
  NOM_CHECK(nomhv.Acquire(window - 1, 1).ok());
  ExpectBounded("last-held", NOM_STATUS_OK,
                [&] { return nomhv.Query(NOM_QUERY_NEXT_HELD, seed - 1); });
  return 0;
}
