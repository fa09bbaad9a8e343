// SPDX-License-Identifier: Apache-2.0
// Claim: whatever a guest calls, with whatever arguments, it gets an answer of the table, keeps
// what it holds, and harms nobody. Makes `calls` calls at random and at every boundary, and ends
// with 0; its random numbers begin with `seed`.
// Arguments: calls, seed.

#include "client/guest/arguments.h"
#include "client/guest/start.h"
#include "tests/guests/programs/check.h"
#include "tests/guests/programs/random.h"

namespace nom::guest::tests {
namespace {

// A number near something that matters, or any.
uint64_t Interesting(Random& random, const Start& start) {
  const uint64_t near[] = {0,
                           start.seed_frames,
                           start.window_frames,
                           start.window_frames * NOM_FRAME_BYTES,
                           uint64_t{1} << 32,
                           uint64_t{1} << 47,
                           uint64_t{1} << 52,
                           uint64_t{1} << 63,
                           NOM_GPA_MACHINE_BOARD,
                           NOM_GPA_START_PAGE};
  switch (random.Below(4)) {
    case 0:
      return random.Next() >> random.Below(64);
    case 1:
      return random.Below(start.window_frames + 8);
    default:
      return near[random.Below(sizeof(near) / sizeof(near[0]))] + random.Below(5) - 2;
  }
}

// Guests whose ids lie side by side attack together: calls that may succeed.
void AimAtRegions(Random& random, const Start& start, uint32_t number, uint64_t* first,
                  uint64_t* second) {
  constexpr uint64_t kPlaceBytes = NOM_REGION_FRAMES_MAX * NOM_FRAME_BYTES;
  if (number == NOM_CALL_OFFER || number == NOM_CALL_ACCEPT) {
    *first = start.guest_id + random.Below(5) - 2;
    *second = 1 + random.Below(NOM_REGION_FRAMES_MAX);
  } else {
    *first = NOM_GPA_REGIONS + random.Below(NOM_REGIONS_MAX) * kPlaceBytes;
  }
}

// Writes all over a region that may be gone by now.
void Scribble(Nomhv& nomhv, uint64_t region, uint64_t frames) {
  alignas(64) static uint64_t junk[NOM_FRAME_BYTES / 8];
  for (uint64_t& word : junk) word = region ^ 0xa77ac4a77ac4;
  for (uint64_t i = 0; i < frames; ++i) {
    (void)nomhv.TryCopy(PointerTo<void>(region + i * NOM_FRAME_BYTES), junk, sizeof(junk));
  }
}

bool Known(uint64_t status) { return StatusName(static_cast<NomStatus>(status)) != "UNKNOWN"; }

}  // namespace
}  // namespace nom::guest::tests

int GuestMain(const nom::guest::Start& start) {
  using namespace nom::guest;         // NOLINT(google-build-using-namespace)
  using namespace nom::guest::tests;  // NOLINT(google-build-using-namespace)
  int64_t calls = 1000;
  int64_t seed = 1;
  const Argument known[] = {{"calls", &calls, 1, 100'000'000}, {"seed", &seed, 0, 1 << 30}};
  const auto error = ParseArguments(start.arguments, known);
  NOM_CHECK(error.view().empty(), error.view());
  Nomhv& nomhv = Hypervisor();
  Random random(static_cast<uint64_t>(seed));
  for (int64_t i = 0; i < calls; ++i) {
    auto number = static_cast<uint32_t>(random.Below(16) == 0 ? random.Next()
                                                              : random.Below(NOM_CALL_ROUTE + 3));
    uint64_t first = Interesting(random, start);
    uint64_t second = Interesting(random, start);
    // It would end, sleep for ever, or give back the frames that this program lies in.
    if (number == NOM_CALL_EXIT) number = 0;
    if (number == NOM_CALL_YIELD && random.Below(8) != 0) number = NOM_CALL_QUERY;
    if (number == NOM_CALL_YIELD) first = nomhv.Tsc() + random.Below(2000) - 1000;
    if (number == NOM_CALL_RELEASE && first < start.image_end_frame) {
      first += start.image_end_frame;
      second = random.Below(64);
    }
    if (number == NOM_CALL_ACQUIRE && random.Below(2) == 0) second = random.Below(64);
    uint64_t third = random.Next();
    if (number >= NOM_CALL_OFFER && number <= NOM_CALL_RING && random.Below(8) != 0) {
      AimAtRegions(random, start, number, &first, &second);
      third = random.Below(3);
    }
    const CallResult result = nomhv.Call(number, first, second, third);
    if ((number == NOM_CALL_OFFER || number == NOM_CALL_ACCEPT) && result.ok()) {
      Scribble(nomhv, result.value, second);
    }
    NOM_CHECK(Known(result.status), "call ", number, " answered ", uint64_t{result.status});
    NOM_CHECK(
        (number >= 1 && number <= NOM_CALL_ROUTE) == (result.status != NOM_STATUS_NO_SUCH_CALL),
        number);
  }
  // The books still agree with the window.
  uint64_t held = 0;
  for (uint64_t frame = 0; frame < start.window_frames; ++frame) {
    const CallResult next = nomhv.Query(NOM_QUERY_NEXT_HELD, frame);
    if (!next.ok()) break;
    NOM_CHECK(next.value >= frame, next.value, " below ", frame);
    frame = next.value;
    ++held;
  }
  Console(&nomhv).Line("holds ", held, " frames after ", calls, " calls");
  return 0;
}
