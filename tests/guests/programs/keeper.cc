// SPDX-License-Identifier: Apache-2.0
// Claims: a frame that a guest comes to hold is zero; a frame that it holds is its alone; what it
// loses it cannot touch. Fills every frame with its own pattern, and checks all of them for ever.
// Tells on the bid page: work_done = rounds, value = frames that it can touch outside its seed.
// Arguments: notices = obey (gives back its lowest frames outside the seed in time) or ignore
// (never looks); quiet = 1: makes no call at all, interrupts off, learns by #GP alone; churn = 1:
// gives back and takes frames again all the time.

#include "client/guest/arguments.h"
#include "client/guest/bid_page.h"
#include "client/guest/board.h"
#include "client/guest/start.h"
#include "tests/guests/programs/check.h"

namespace nom::guest::tests {
namespace {

constexpr uint64_t kWords = NOM_FRAME_BYTES / 8;
constexpr uint64_t kFramesMax = 16384;

bool seen[kFramesMax];  // Held when last looked at, and filled.
alignas(NOM_FRAME_BYTES) uint64_t copy[kWords];

uint64_t Pattern(uint64_t id, uint64_t frame) { return 0x6b65650000000000 + (id << 32) + frame; }

// Looks at one frame; true if it can be touched.
bool Keep(Nomhv& nomhv, uint64_t id, uint64_t frame) {
  void* const at = reinterpret_cast<void*>(frame * NOM_FRAME_BYTES);
  const uint64_t mine = Pattern(id, frame);
  if (!nomhv.TryCopy(copy, at, NOM_FRAME_BYTES)) {
    seen[frame] = false;
    return false;
  }
  // Seen and lost and granted again since: then it is zero, as a whole.
  const uint64_t wanted = seen[frame] && copy[0] == mine ? mine : 0;
  for (uint64_t i = 0; i < kWords; ++i) {
    NOM_CHECK(copy[i] == wanted, "frame ", frame, " word ", i, ": ", Hex{copy[i]}, " for ",
              Hex{wanted});
  }
  for (uint64_t& word : copy) word = mine;
  seen[frame] = nomhv.TryCopy(at, copy, NOM_FRAME_BYTES);
  return seen[frame];
}

// Gives back the lowest frames outside the seed until no more than the board's are held.
void Obey(Nomhv& nomhv, const Start& start) {
  static NomGuestBoard board;
  if (!CopyBoard(GuestBoardPage(), &board)) return;
  uint64_t held = nomhv.Query(NOM_QUERY_FRAMES_HELD).value;
  uint64_t frame = start.seed_frames;
  while (held > board.frames_next) {
    const CallResult next = nomhv.Query(NOM_QUERY_NEXT_HELD, frame);
    if (!next.ok()) return;
    frame = next.value;
    if (!nomhv.Release(frame, 1).ok()) return;
    --held;
  }
}

void Churn(Nomhv& nomhv, const Start& start, uint64_t round) {
  const uint64_t frame = start.seed_frames + round * 7 % (start.window_frames - start.seed_frames);
  if (nomhv.Release(frame, 1).ok()) {
    NOM_CHECK(TouchRead(frame * NOM_FRAME_BYTES) == kVectorGeneralProtection, fault.vector);
    seen[frame] = false;
  } else {
    (void)nomhv.Acquire(frame, 1);
  }
}

}  // namespace
}  // namespace nom::guest::tests

int GuestMain(const nom::guest::Start& start) {
  using namespace nom::guest;         // NOLINT(google-build-using-namespace)
  using namespace nom::guest::tests;  // NOLINT(google-build-using-namespace)
  static constexpr std::string_view kNotices[] = {"obey", "ignore"};
  int64_t notices = 1;
  int64_t quiet = 0;
  int64_t churn = 0;
  const Argument known[] = {
      {"notices", &notices, 0, 0, kNotices}, {"quiet", &quiet, 0, 1}, {"churn", &churn, 0, 1}};
  const auto error = ParseArguments(start.arguments, known);
  NOM_CHECK(error.view().empty(), error.view());
  NOM_CHECK(start.window_frames <= kFramesMax);
  ExpectFaults();

  Nomhv& nomhv = Hypervisor();
  BidPage page(BidPageOfGuest());
  for (uint64_t round = 1;; ++round) {
    uint64_t extra = 0;
    for (uint64_t frame = start.image_end_frame; frame < start.window_frames; ++frame) {
      const bool can_touch = Keep(nomhv, start.guest_id, frame);
      NOM_CHECK(can_touch || frame >= start.seed_frames, "a frame of the seed is gone: ", frame);
      if (can_touch && frame >= start.seed_frames) ++extra;
    }
    page.Say({.work_done = round,
              .work_unit = "rounds",
              .value_microcredits = static_cast<int64_t>(extra),
              .activity = ""});
    if (quiet != 0) continue;
    if (notices == 0) Obey(nomhv, start);
    if (churn != 0) Churn(nomhv, start, round);
  }
}
