// SPDX-License-Identifier: Apache-2.0
// Memory that guests share, and what either may do to the other with it: nothing.

#include <string>

#include "nomhv/abi/guest.h"
#include "tests/guests/driver/scenario.h"

namespace nom::tests {
namespace {

class Rings : public Scenario {
 protected:
  // The ids of guests that are created one after the other are known before.
  struct Pair {
    uint64_t offerer = 0;
    uint64_t acceptor = 0;
  };
  Pair CreatePair(const std::string& offerer, const std::string& acceptor) {
    const uint64_t first = machine.next_guest();
    const auto spec = [](const char* role, uint64_t peer, const std::string& rest) {
      return GuestSpec{
          .program = "ring",
          .arguments = std::string("role=") + role + " peer=" + std::to_string(peer) + rest,
          .millicores = 300};
    };
    Pair pair;
    pair.offerer = Create(spec("offer", first + 1, offerer));
    pair.acceptor = Create(spec("accept", first, acceptor));
    EXPECT_EQ(pair.offerer, first);
    EXPECT_EQ(pair.acceptor, first + 1);
    return pair;
  }
  void ExpectDone(uint64_t id) { ExpectEnd(id, NOM_EXIT_REASON_DONE, 0); }
  void Running(const Pair& pair) {
    machine.WaitFor("messages", [&] { return machine.WorkDone(pair.offerer) >= 256; });
  }
};

TEST_F(Rings, CallsAnswerAsTheTablesSay) { ExpectDone(Create({.program = "regions"})); }

TEST_F(Rings, MessagesPassWholeAndInOrder) {
  // On one processor they take turns: each eight wait for a slice to end.
  const std::string messages =
      machine.Header().guest_processors > 1 ? " messages=20000" : " messages=4000";
  const Pair pair = CreatePair(messages, messages);
  ExpectDone(pair.acceptor);
  ExpectDone(pair.offerer);
}

TEST_F(Rings, MessagesPassWithoutAnExit) {
  const Pair pair = CreatePair("", "");
  Running(pair);
  const auto exits = [&](uint64_t id) {
    const NomMeter meter = FreshMeter(id);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < NOM_EXITS_COUNT; ++i) sum += meter.exits[i];
    // Those are time's and control's, not the guest's.
    return sum - meter.exits[NOM_EXIT_TIMER] - meter.exits[NOM_EXIT_INTERRUPT];
  };
  const uint64_t offerer = exits(pair.offerer);
  const uint64_t acceptor = exits(pair.acceptor);
  const uint64_t before = machine.WorkDone(pair.offerer);
  machine.WaitFor("messages", [&] { return machine.WorkDone(pair.offerer) > before + 5000; });
  EXPECT_EQ(exits(pair.offerer), offerer);
  EXPECT_EQ(exits(pair.acceptor), acceptor);
}

TEST_F(Rings, BellsWakeSleepers) {
  const Pair pair = CreatePair(" messages=3000 bells=1", " messages=3000 bells=1");
  ExpectDone(pair.acceptor);
  ExpectDone(pair.offerer);
}

TEST_F(Rings, ARegionIsTakenBackInTheMiddleOfUse) {
  const Pair pair = CreatePair(" as=quitter", " as=loser");
  ExpectDone(pair.offerer);
  ExpectDone(pair.acceptor);
}

TEST_F(Rings, TheOffererIsDestroyedInTheMiddleOfUse) {
  const Pair pair = CreatePair("", " as=loser");
  Running(pair);
  Destroy(pair.offerer);
  ExpectDone(pair.acceptor);
}

TEST_F(Rings, TheAcceptorIsDestroyedInTheMiddleOfUse) {
  const Pair pair = CreatePair(" as=keeper", "");
  Running(pair);
  Destroy(pair.acceptor);
  ExpectDone(pair.offerer);
}

TEST_F(Rings, LiesAreFoundOut) {
  const Pair acceptor_lies = CreatePair(" as=lied_to", " as=liar");
  ExpectDone(acceptor_lies.offerer);
  const Pair offerer_lies = CreatePair(" as=liar", " as=lied_to");
  ExpectDone(offerer_lies.acceptor);
}

// Its window's frames are not enough: a shrink by force takes the regions, too.
TEST_F(Rings, ForceTakesRegionsLast) {
  const Pair pair = CreatePair(" as=loser", " as=loser");
  Running(pair);
  ASSERT_EQ(machine.Apply({{pair.offerer, 800, 300}, {pair.acceptor, 512, 300}}).status,
            NOM_STATUS_OK);
  machine.WaitFor("growth", [&] { return machine.Meter(pair.offerer)->frames_held == 800; });
  ASSERT_EQ(machine.Apply({{pair.offerer, 512, 300}, {pair.acceptor, 512, 300}}).status,
            NOM_STATUS_OK);
  // The growth filled the holes of its seed, too: the region is beyond it.
  EXPECT_EQ(machine.Meter(pair.offerer)->frames_held, 512u);
  EXPECT_EQ(machine.Meter(pair.offerer)->forced_frames, 288u);
  ExpectDone(pair.offerer);
  ExpectDone(pair.acceptor);
}

}  // namespace
}  // namespace nom::tests
