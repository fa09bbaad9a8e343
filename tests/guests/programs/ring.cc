// SPDX-License-Identifier: Apache-2.0
// Claims: messages pass between two guests whole, in order and without an exit; what a guest does
// with a region, or when it loses it, is an answer for the other and never more.
// The offerer sends numbered messages, the acceptor sends each back; both check every word.
// Arguments: role (offer, accept), peer (an id), messages (0: for ever), bells = 1: sleeps while
// there is nothing, and rings; as = what else is done, and how it must end:
//   plain    nothing; ends with 0 after its messages
//   quitter  the offerer leaves its region in the middle of use; ends with 0 when all is given back
//   loser    it is the one that the region is taken from; ends with 0 when it has been told so
//   liar     writes wild counts and messages all the time; for ever
//   lied_to  ends with 0 when it has found out
//   keeper   its peer ends; ends with 0 when the region is its alone, as it was
// Tells on the bid page how many messages have come.

#include "client/guest/ring.h"

#include "client/guest/arguments.h"
#include "client/guest/bid_page.h"
#include "client/guest/clock.h"
#include "client/guest/start.h"
#include "tests/guests/programs/check.h"

namespace nom::guest::tests {
namespace {

constexpr uint64_t kFrames = 4;
constexpr uint64_t kTag = 0x72696e67;

enum Role { kOffer, kAccept };
enum As { kPlain, kQuitter, kLoser, kLiar, kLiedTo, kKeeper };

Message Numbered(uint64_t number) {
  Message message;
  for (uint64_t i = 0; i < 8; ++i) message.words[i] = number * 0x9e3779b97f4a7c15 + i;
  return message;
}

uint64_t Enter(Nomhv& nomhv, const Clock& clock, const Start& start, int64_t role, uint64_t peer) {
  if (role == kOffer) {
    NOM_CHECK(nomhv.Release(start.seed_frames - kFrames, kFrames).ok());
    const CallResult region = nomhv.Offer(peer, kFrames, kTag);
    NOM_CHECK(region.ok(), StatusName(region.status));
    return region.value;
  }
  for (;;) {
    const CallResult region = nomhv.Accept(peer, kFrames, kTag);
    if (region.ok()) return region.value;
    NOM_CHECK(region.status == NOM_STATUS_NO_SUCH_REGION, StatusName(region.status));
    (void)clock.SleepUs(1000);
  }
}

[[noreturn]] void Lie(uint64_t region) {
  auto* const words = PointerTo<volatile uint32_t>(region);
  constexpr uint32_t kHalf = kFrames * NOM_FRAME_BYTES / 2 / 4;
  for (uint32_t x = 1;; x = x * 1664525 + 1013904223) {
    words[(x >> 8 & 63) + (x >> 16 & 1) * kHalf] = x;
  }
}

// Calls until the other is cut off; the frames are then the guest's to acquire again.
void LeaveWhole(Nomhv& nomhv, const Clock& clock, const Start& start, uint64_t region) {
  for (;;) {
    const CallResult left = nomhv.Leave(region);
    NOM_CHECK(left.ok(), StatusName(left.status));
    if (left.value == NOM_LEAVE_DONE) break;
    (void)clock.SleepUs(500);
  }
  NOM_CHECK(TouchRead(region) == kVectorGeneralProtection);
  NOM_CHECK(nomhv.Acquire(start.seed_frames - kFrames, kFrames).ok());
}

}  // namespace
}  // namespace nom::guest::tests

int GuestMain(const nom::guest::Start& start) {
  using namespace nom::guest;         // NOLINT(google-build-using-namespace)
  using namespace nom::guest::tests;  // NOLINT(google-build-using-namespace)
  static constexpr std::string_view kRoles[] = {"offer", "accept"};
  static constexpr std::string_view kAs[] = {"plain", "quitter", "loser",
                                             "liar",  "lied_to", "keeper"};
  int64_t role = kOffer;
  int64_t peer = 0;
  int64_t messages = 0;
  int64_t bells = 0;
  int64_t as = kPlain;
  const Argument known[] = {{"role", &role, 0, 0, kRoles},
                            {"peer", &peer, 1, 1 << 30},
                            {"messages", &messages, 0, 1 << 30},
                            {"bells", &bells, 0, 1},
                            {"as", &as, 0, 0, kAs}};
  const auto error = ParseArguments(start.arguments, known);
  NOM_CHECK(error.view().empty(), error.view());
  ExpectFaults();
  Nomhv& nomhv = Hypervisor();
  const Clock clock(&nomhv, start.tsc_hz);
  BidPage page(BidPageOfGuest());
  const uint64_t region = Enter(nomhv, clock, start, role, static_cast<uint64_t>(peer));
  if (as == kLiar) Lie(region);
  Channel channel(PointerTo<void>(region), kFrames,
                  role == kOffer ? Channel::Side::kOfferer : Channel::Side::kAcceptor);

  // Whether to go on; false: the other side is gone or lies.
  const auto expect = [&](RingStatus status) {
    if (status == RingStatus::kGone) NOM_CHECK(as == kLoser, "the region is gone");
    if (status == RingStatus::kBroken) NOM_CHECK(as == kLiedTo, "the ring is broken");
    return status == RingStatus::kOk || status == RingStatus::kWait;
  };
  const auto wait = [&] {
    // Between sending and sleeping a ring may come: it is not lost, YIELD answers it at once.
    if (bells != 0)
      (void)nomhv.Yield(nomhv.Tsc() + start.tsc_hz / 10);
    else
      asm volatile("pause");
  };
  uint64_t sent = 0;
  uint64_t received = 0;
  Message echo;
  bool has_echo = false;
  for (bool going = true; going;) {
    bool moved = false;
    const bool done = messages != 0 && received >= static_cast<uint64_t>(messages);
    if (done && !has_echo) break;
    if (role == kOffer ? !done && sent < received + 8 : has_echo) {
      const RingStatus status = channel.Send(role == kOffer ? Numbered(sent) : echo);
      going = expect(status);
      if (status == RingStatus::kOk) {
        ++sent;
        has_echo = false;
        moved = true;
        if (bells != 0) (void)nomhv.Ring(region);
      }
    }
    if (going && !has_echo && !done) {
      const RingStatus status = channel.Receive(&echo);
      going = expect(status);
      if (status == RingStatus::kOk) {
        // A liar's messages may be anything.
        NOM_CHECK(as == kLiedTo || echo == Numbered(received), "message ", received, " is ",
                  Hex{echo.words[0]});
        ++received;
        has_echo = role == kAccept;
        moved = true;
        if (received % 256 == 0) page.Say({.work_done = received, .work_unit = "messages"});
      }
    }
    if (as == kQuitter && received >= 1000) {
      LeaveWhole(nomhv, clock, start, region);
      return 0;
    }
    if (as == kKeeper && nomhv.Query(NOM_QUERY_REGION, region).value == NOM_REGION_LEFT) {
      NOM_CHECK(TouchRead(region) == 0, "the offerer has lost its own region");
      LeaveWhole(nomhv, clock, start, region);
      return 0;
    }
    if (going && !moved) wait();
  }
  if (as == kPlain) {
    if (role == kOffer) LeaveWhole(nomhv, clock, start, region);
    return 0;
  }
  // Told once is told for ever, and calls say the same.
  if (as == kLoser) {
    NOM_CHECK(channel.Send(echo) == RingStatus::kGone);
    NOM_CHECK(TouchWrite(region, 1) == kVectorGeneralProtection);
    NOM_CHECK(nomhv.Leave(region).status == NOM_STATUS_NO_SUCH_REGION);
  } else if (role == kAccept) {
    NOM_CHECK(nomhv.Leave(region).value == NOM_LEAVE_DONE);
  }
  return 0;
}
