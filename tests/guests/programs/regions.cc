// SPDX-License-Identifier: Apache-2.0
// Claims: OFFER, ACCEPT, LEAVE and RING answer as the table says; what is offered is zero, counts
// as held, and is nobody else's before it is accepted. Alone: it is its own peer's absence.

#include "client/guest/board.h"
#include "client/guest/start.h"
#include "tests/guests/programs/check.h"

#define EXPECT_CALL(call, wanted)                                             \
  do {                                                                        \
    const ::nom::guest::CallResult result_ = (call);                          \
    NOM_CHECK(result_.status == (wanted), #call, StatusName(result_.status)); \
  } while (false)

int GuestMain(const nom::guest::Start& start) {
  using namespace nom::guest;         // NOLINT(google-build-using-namespace)
  using namespace nom::guest::tests;  // NOLINT(google-build-using-namespace)
  ExpectFaults();
  Nomhv& nomhv = Hypervisor();
  constexpr uint64_t kPlaceBytes = NOM_REGION_FRAMES_MAX * NOM_FRAME_BYTES;
  const uint64_t peer = start.guest_id + 1'000'000;  // Nobody, yet.
  const uint64_t first = start.seed_frames - 128;    // Above the image.
  const auto held = [&] { return nomhv.Query(NOM_QUERY_FRAMES_HELD).value; };

  // Within the grant, which the seed fills.
  EXPECT_CALL(nomhv.Offer(peer, 1, 1), NOM_STATUS_OVER_GRANT);
  EXPECT_CALL(nomhv.Release(first - 1, 129), NOM_STATUS_OK);
  for (const uint64_t frames : {uint64_t{0}, uint64_t{17}, ~uint64_t{0}, uint64_t{1} << 52}) {
    EXPECT_CALL(nomhv.Offer(peer, frames, 1), NOM_STATUS_BAD_PARAMETER);
  }
  EXPECT_CALL(nomhv.Offer(0, 1, 1), NOM_STATUS_BAD_PARAMETER);
  EXPECT_CALL(nomhv.Offer(start.guest_id, 1, 1), NOM_STATUS_BAD_PARAMETER);
  EXPECT_CALL(nomhv.Accept(peer, 1, 1), NOM_STATUS_NO_SUCH_REGION);
  EXPECT_CALL(nomhv.Accept(start.guest_id, 1, 1), NOM_STATUS_NO_SUCH_REGION);

  const uint64_t before = held();
  for (uint64_t place = 0; place < NOM_REGIONS_MAX; ++place) {
    NOM_CHECK(TouchRead(NOM_GPA_REGIONS + place * kPlaceBytes) == kVectorGeneralProtection);
    const CallResult region = nomhv.Offer(peer, NOM_REGION_FRAMES_MAX, place);
    NOM_CHECK(region.ok() && region.value == NOM_GPA_REGIONS + place * kPlaceBytes, region.value);
    NOM_CHECK(held() == before + (place + 1) * NOM_REGION_FRAMES_MAX, held());
    auto* const words = PointerTo<volatile uint64_t>(region.value);
    for (uint64_t i = 0; i < kPlaceBytes / 8; ++i) {
      NOM_CHECK(words[i] == 0, "place ", place, " word ", i, " is ", Hex{words[i]});
      words[i] = ~i;
    }
    NOM_CHECK(nomhv.Query(NOM_QUERY_REGION, region.value).value == NOM_REGION_OFFERED);
    EXPECT_CALL(nomhv.Ring(region.value), NOM_STATUS_BAD_STATE);
    EXPECT_CALL(nomhv.Offer(peer, 1, place), NOM_STATUS_EXISTS);
  }
  static NomGuestBoard board;
  NOM_CHECK(CopyBoard(GuestBoardPage(), &board) && board.frames_held == held());
  EXPECT_CALL(nomhv.Offer(peer, 1, 99), NOM_STATUS_TABLE_FULL);
  EXPECT_CALL(nomhv.Acquire(first - 1, 1), NOM_STATUS_OK);
  EXPECT_CALL(nomhv.Offer(peer, 1, 99), NOM_STATUS_OVER_GRANT);
  EXPECT_CALL(nomhv.Acquire(first, 128), NOM_STATUS_OVER_GRANT);

  for (const uint64_t address : {uint64_t{0}, uint64_t{NOM_GPA_REGIONS} + NOM_FRAME_BYTES,
                                 uint64_t{NOM_GPA_REGIONS} + NOM_REGIONS_BYTES, ~uint64_t{0}}) {
    EXPECT_CALL(nomhv.Leave(address), NOM_STATUS_NO_SUCH_REGION);
    EXPECT_CALL(nomhv.Ring(address), NOM_STATUS_NO_SUCH_REGION);
    EXPECT_CALL(nomhv.Query(NOM_QUERY_REGION, address), NOM_STATUS_NO_SUCH_REGION);
  }
  for (uint64_t place = 0; place < NOM_REGIONS_MAX; ++place) {
    const uint64_t region = NOM_GPA_REGIONS + place * kPlaceBytes;
    const CallResult left = nomhv.Leave(region);
    NOM_CHECK(left.ok() && left.value == NOM_LEAVE_DONE, left.value);
    NOM_CHECK(TouchWrite(region, 1) == kVectorGeneralProtection);
    EXPECT_CALL(nomhv.Leave(region), NOM_STATUS_NO_SUCH_REGION);
  }
  NOM_CHECK(held() == before + 1, held());
  // A region is data: nothing in it can be executed.
  const uint64_t region = nomhv.Offer(peer, 1, 1).value;
  volatile uint64_t* const code = ReachPhysical(region);
  code[0] = 0;
  const uint64_t vector = NOM_TRY("jmp *%[at]", [at] "r"(code));
  NOM_CHECK(vector == kVectorGeneralProtection, vector);
  return 0;
}
