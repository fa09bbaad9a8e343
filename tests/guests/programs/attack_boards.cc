// SPDX-License-Identifier: Apache-2.0
// Claim: boards and the start page cannot be written, not even through page tables that allow it;
// the attempt is #GP(0), and the page is as it was. Nor does the guest's own window hold anything
// that it does not own: every frame is zero or a hole.

#include <cstring>

#include "client/guest/start.h"
#include "tests/guests/programs/check.h"

int GuestMain(const nom::guest::Start& start) {
  using namespace nom::guest;         // NOLINT(google-build-using-namespace)
  using namespace nom::guest::tests;  // NOLINT(google-build-using-namespace)
  ExpectFaults();
  for (const uint64_t page : {NOM_GPA_MACHINE_BOARD, NOM_GPA_GUEST_BOARD, NOM_GPA_START_PAGE}) {
    volatile uint64_t* const words = ReachPhysical(page);
    for (uint64_t i = 0; i < 512; i += 37) {
      const uint64_t before = words[i];
      const uint64_t vector = TouchWrite(reinterpret_cast<uint64_t>(&words[i]), ~before);
      NOM_CHECK(vector == kVectorGeneralProtection, "page ", Hex{page}, " word ", i, ": ", vector);
      NOM_CHECK(fault.error_code == 0, fault.error_code);
      NOM_CHECK(words[i] != ~before, "page ", Hex{page}, " word ", i, " was written");
    }
  }
  uint64_t holes = 0;
  for (uint64_t frame = start.image_end_frame; frame < start.window_frames; ++frame) {
    const auto* at = reinterpret_cast<const volatile uint64_t*>(frame * NOM_FRAME_BYTES);
    if (TouchRead(frame * NOM_FRAME_BYTES) != 0) {
      ++holes;
      continue;
    }
    for (uint64_t i = 0; i < 512; ++i) NOM_CHECK(at[i] == 0, "frame ", frame, ": ", Hex{at[i]});
  }
  NOM_CHECK(holes == start.window_frames - start.seed_frames, holes);
  return 0;
}
