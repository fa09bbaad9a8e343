// SPDX-License-Identifier: Apache-2.0
// Grants of memory: growing, shrinking, force, scrubbing.

#include <algorithm>
#include <string>

#include "nomhv/abi/guest.h"
#include "tests/guests/driver/scenario.h"

namespace nom::tests {
namespace {

using Memory = Scenario;

TEST_F(Memory, CallsAnswerAsTheTablesSay) {
  ExpectEnd(Create({.program = "calls"}), NOM_EXIT_REASON_DONE, 0);
}

class Calls : public Scenario {};

TEST_F(Calls, NoneTakesLongInALargeWindow) {
  ExpectEnd(Create({.program = "call_cost",
                    .frames = 2000,
                    .window_frames = NOM_WINDOW_FRAMES_MAX,
                    .millicores = 900}),
            NOM_EXIT_REASON_DONE, 0);
}

TEST_F(Memory, AGuestGrowsWithItsGrantAndSeesZeroes) {
  const uint64_t id = Create({.program = "keeper", .millicores = 500});
  ExpectProgress(id);
  EXPECT_EQ(machine.Value(id), 0);
  ASSERT_EQ(machine.Apply({{id, 700, 500}}).status, NOM_STATUS_OK);
  EXPECT_EQ(machine.Meter(id)->frames_held, 700u);
  machine.WaitFor("the new frames", [&] { return machine.Value(id) == 188; });
  EXPECT_EQ(machine.Header().frames_granted, 700u);
  ExpectProgress(id);
}

TEST_F(Memory, WhoIgnoresNoticesLosesExactlyWhatIsMissing) {
  const uint64_t id =
      Create({.program = "keeper", .arguments = "notices=ignore", .millicores = 500});
  ASSERT_EQ(machine.Apply({{id, 1000, 500}}).status, NOM_STATUS_OK);
  machine.WaitFor("growth", [&] { return machine.Value(id) == 488; });
  ASSERT_EQ(machine.Prepare({{id, 800, 500}}, 1000).status, NOM_STATUS_OK);
  ExpectProgress(id);
  EXPECT_EQ(machine.Meter(id)->frames_held, 1000u) << "nothing is taken before APPLY";
  ASSERT_EQ(machine.Apply({{id, 800, 500}}).status, NOM_STATUS_OK);
  EXPECT_EQ(machine.Meter(id)->frames_held, 800u);
  EXPECT_EQ(machine.Meter(id)->forced_frames, 200u);
  NomRoundMeters round{};
  ASSERT_TRUE(machine.Round(round));
  ASSERT_EQ(round.guest_count, 1u);
  EXPECT_EQ(round.guests[0].guest_id, id);
  EXPECT_EQ(round.guests[0].frames_forced, 200u);
  machine.WaitFor("the loss to be felt", [&] { return machine.Value(id) == 288; });
  // To the seed, which stays whole: the keeper ends if a frame of it is gone.
  ASSERT_EQ(machine.Apply({{id, 512, 500}}).status, NOM_STATUS_OK);
  EXPECT_EQ(machine.Meter(id)->forced_frames, 488u);
  machine.WaitFor("the loss to be felt", [&] { return machine.Value(id) == 0; });
  ExpectProgress(id);
}

TEST_F(Memory, WhoObeysChoosesWhatToGive) {
  const uint64_t id = Create({.program = "keeper", .arguments = "notices=obey", .millicores = 500});
  ASSERT_EQ(machine.Apply({{id, 900, 500}}).status, NOM_STATUS_OK);
  machine.WaitFor("growth", [&] { return machine.Value(id) == 388; });
  ASSERT_EQ(machine.Prepare({{id, 600, 500}}, 60'000'000).status, NOM_STATUS_OK);
  machine.WaitFor("what is given back", [&] { return machine.Meter(id)->frames_held == 600; });
  ASSERT_EQ(machine.Apply({{id, 600, 500}}).status, NOM_STATUS_OK);
  EXPECT_EQ(machine.Meter(id)->forced_frames, 0u);
  EXPECT_EQ(machine.Meter(id)->frames_held, 600u);
  ExpectProgress(id);
}

TEST_F(Memory, ANoticeIsAnInterrupt) {
  const uint64_t id = Create({.program = "notice", .arguments = "frames=600"});
  const auto wait_until_ready_for = [&](uint64_t notice) {
    machine.WaitFor("the guest to be ready",
                    [&] { return machine.WorkDone(id) == notice || machine.End(id).has_value(); });
  };
  wait_until_ready_for(1);
  ASSERT_EQ(machine.Prepare({{id, 900, 100}}, 1000).status, NOM_STATUS_OK);
  ASSERT_EQ(machine.Apply({{id, 900, 100}}).status, NOM_STATUS_OK);
  wait_until_ready_for(2);
  EXPECT_FALSE(machine.End(id).has_value());
  ASSERT_EQ(machine.Prepare({{id, 600, 100}}, 60'000'000).status, NOM_STATUS_OK);
  machine.WaitFor("what is given back", [&] { return machine.Meter(id)->frames_held == 600; });
  ASSERT_EQ(machine.Apply({{id, 600, 100}}).status, NOM_STATUS_OK);
  ExpectEnd(id, NOM_EXIT_REASON_DONE, 0);
}

// Frames go back and forth between two guests that fill all they have with their own pattern, and
// check every word that they get. Quiet guests never leave the processor of their own will, so a
// missing shootdown shows as one's pattern in the other's memory.
TEST_F(Memory, FramesThatChangeHandsAreZero) {
  const NomMailboxHeader header = machine.Header();
  const uint64_t share = header.capacity_millicores / 2 > 900 ? 900 : 400;
  const uint64_t a = Create({.program = "keeper", .arguments = "quiet=1", .millicores = share});
  const uint64_t b = Create({.program = "keeper", .arguments = "quiet=1", .millicores = share});
  for (int round = 0; round < 30; ++round) {
    SCOPED_TRACE(round);
    const bool to_a = round % 2 == 0;
    ASSERT_EQ(
        machine.Apply({{a, to_a ? 1000u : 512u, share}, {b, to_a ? 512u : 1000u, share}}).status,
        NOM_STATUS_OK);
    const uint64_t rich = to_a ? a : b;
    const uint64_t poor = to_a ? b : a;
    machine.WaitFor("both to see it", [&] {
      return (machine.Value(rich) == 488 && machine.Value(poor) == 0) ||
             machine.End(a).has_value() || machine.End(b).has_value();
    });
    ASSERT_FALSE(machine.End(a).has_value()) << "saw what was not its own";
    ASSERT_FALSE(machine.End(b).has_value()) << "saw what was not its own";
  }
}

TEST_F(Memory, GivingAndTakingByCallsLeavesNothingBehind) {
  std::vector<uint64_t> guests;
  std::vector<Grant> grants;
  for (int i = 0; i < 3; ++i) {
    guests.push_back(Create({.program = "keeper",
                             .arguments = "churn=1",
                             .frames = 400,
                             .window_frames = 700,
                             .millicores = 250}));
    grants.push_back({guests.back(), 600, 250});
  }
  ASSERT_EQ(machine.Apply(grants).status, NOM_STATUS_OK);
  for (int i = 0; i < 20; ++i) {
    for (const uint64_t id : guests) ExpectProgress(id);
  }
}

TEST_F(Memory, CreateAndDestroyLeakNothing) {
  const uint64_t neighbour = Create({.program = "worker"});
  const uint64_t free = machine.Header().frames_free;
  for (int i = 0; i < 100; ++i) {
    const char* programs[] = {"spin", "hello", "worker", "keeper"};
    const uint64_t id =
        Create({.program = programs[i % 4], .window_frames = 512u + 97u * (i % 7u)});
    if (i % 4 == 1) ExpectEnd(id, NOM_EXIT_REASON_DONE, 0);
    Destroy(id);
    ASSERT_EQ(machine.Header().frames_free, free) << "after " << i;
  }
  ExpectProgress(neighbour);
}

// While memory moves by the hundred thousand frames, the heart beats, and who is not concerned
// runs.
class Steps : public Scenario {};

TEST_F(Steps, TheHeartBeatsWhileMemoryMoves) {
  const uint64_t capacity = machine.Header().capacity_frames;
  const uint64_t most = std::min<uint64_t>(capacity - 2048, NOM_WINDOW_FRAMES_MAX);
  ASSERT_GT(most, 100'000u);
  const uint64_t neighbour = Create({.program = "worker", .millicores = 300});
  const uint64_t id = Create({.program = "spin", .window_frames = most, .millicores = 100});
  ExpectProgress(neighbour);
  const auto apply = [&](uint64_t frames) {
    const uint64_t before = machine.WorkDone(neighbour);
    const uint64_t began = machine.Header().heartbeat_tsc;
    EXPECT_EQ(machine.Apply({{neighbour, 512, 300}, {id, frames, 100}}).status, NOM_STATUS_OK);
    const uint64_t took_ms =
        (machine.Header().heartbeat_tsc - began) / (machine.Header().tsc_hz / 1000);
    // Several processors take turns under -icount, by tens of milliseconds.
    if (took_ms > 300) {
      EXPECT_GT(machine.WorkDone(neighbour), before) << "the neighbour stood still";
    }
    EXPECT_EQ(machine.Meter(id)->frames_held, frames);
  };
  for (const uint64_t frames : {most, uint64_t{512}, most}) apply(frames);
  Destroy(id);
  const NomMailboxHeader header = machine.Header();
  EXPECT_LE(header.heartbeat_gap_tsc / (header.tsc_hz / 1000), 100u) << "milliseconds";
  ExpectProgress(neighbour);
}

TEST_F(Memory, TheSumOfGrantsIsTheMachineAndNoMore) {
  const uint64_t capacity = machine.Header().capacity_frames;
  const uint64_t window = capacity < 4096 ? capacity : 4096;
  const uint64_t a = Create({.program = "worker", .window_frames = window});
  EXPECT_EQ(machine.Apply({{a, window, 100}}).status, NOM_STATUS_OK);
  EXPECT_EQ(machine.Meter(a)->frames_held, window);
  EXPECT_EQ(machine.Apply({{a, window + 1, 100}}).status, NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(machine.Apply({{a, 512, 100}}).status, NOM_STATUS_OK);
  ExpectProgress(a);
}

}  // namespace
}  // namespace nom::tests
