// SPDX-License-Identifier: Apache-2.0
// The example guests on the real nomhv, with this test in the market's place: they bid for what
// they lack, use what they get, and give back what a notice takes.

#include <algorithm>
#include <functional>

#include "tests/guests/driver/scenario.h"

namespace nom::tests {
namespace {

constexpr uint64_t kPeriodUs = 1'000'000;

class Examples : public Scenario {
 protected:
  // Begins a round: prices on the machine board, as marketd would.
  void BeginRound() {
    NomPublish publish{};
    publish.round_id = ++round_;
    publish.priced_round_id = round_ - 1;
    publish.valid_for_us = 60 * kPeriodUs;
    publish.close_in_us = kPeriodUs / 2;
    publish.effective_in_us = kPeriodUs;
    publish.period_us = kPeriodUs;
    publish.resource_count = 2;
    publish.prices[0] = {.kind = NOM_RESOURCE_CPU,
                         .bound_by = NOM_BOUND_BY_RESERVE,
                         .unit_size = 10,
                         .unit_price_microcredits = 1};
    publish.prices[1] = {.kind = NOM_RESOURCE_MEMORY,
                         .bound_by = NOM_BOUND_BY_RESERVE,
                         .unit_size = 1 << 20,
                         .unit_price_microcredits = 1};
    ASSERT_EQ(machine.Call(NOM_COMMAND_PUBLISH, &publish, sizeof(publish)).status, NOM_STATUS_OK);
  }
  // The units up to which the guest bids for a resource; 0 if it does not.
  int64_t Wanted(uint64_t id, NomResource kind) {
    NomBidPage page;
    if (!machine.BidPage(id, page)) return 0;
    for (const NomBid& bid : page.bids) {
      if (bid.kind != static_cast<uint32_t>(kind) || bid.range_count == 0) continue;
      return bid.ranges[std::min(bid.range_count, NOM_RANGES_MAX) - 1].max_units;
    }
    return 0;
  }
  // What it says of its work, read at one instant: value is work times its price.
  void ExpectValue(uint64_t id, int64_t price) {
    NomBidPage page;
    ASSERT_TRUE(machine.BidPage(id, page));
    EXPECT_GT(page.work_done, 0u);
    EXPECT_EQ(page.value_microcredits, static_cast<int64_t>(page.work_done) * price);
  }
  // Rounds go on until `done`.
  void RoundsUntil(const char* what, const std::function<bool()>& done) {
    for (int i = 0; i < 60 && !done() && !HasFatalFailure(); ++i) {
      BeginRound();
      machine.PassUs(kPeriodUs);
    }
    EXPECT_TRUE(done()) << what;
  }

  uint64_t round_ = 0;
};

TEST_F(Examples, TheCacheBidsForMemoryUsesItAndGivesItBack) {
  const uint64_t id = Create({.program = "cache",
                              .arguments = "keys=4096 rate=1000 phase_rounds=1000",
                              .frames = 512,
                              .window_frames = 8192,
                              .millicores = 500});
  RoundsUntil("a bid for memory", [&] { return Wanted(id, NOM_RESOURCE_MEMORY) > 0; });
  ASSERT_EQ(machine.Apply({{id, 3000, 500}}).status, NOM_STATUS_OK);
  const uint64_t before = machine.WorkDone(id);
  RoundsUntil("hits", [&] { return machine.WorkDone(id) > before + 1000; });
  ExpectValue(id, 100);
  // A notice is met: nothing is left to be taken.
  ASSERT_EQ(machine.Prepare({{id, 1000, 500}}, 60'000'000).status, NOM_STATUS_OK);
  machine.WaitFor("what is given back", [&] { return machine.Meter(id)->frames_held == 1000; });
  ASSERT_EQ(machine.Apply({{id, 1000, 500}}).status, NOM_STATUS_OK);
  EXPECT_EQ(machine.Meter(id)->forced_frames, 0u);
  // Force is survived, down to the seed, and the hits go on.
  ASSERT_EQ(machine.Apply({{id, 3000, 500}}).status, NOM_STATUS_OK);
  RoundsUntil("time to fill", [&, until = round_ + 3] { return round_ >= until; });
  ASSERT_EQ(machine.Apply({{id, 512, 500}}).status, NOM_STATUS_OK);
  EXPECT_GT(machine.Meter(id)->forced_frames, 0u);
  const uint64_t after = machine.WorkDone(id);
  RoundsUntil("hits on the seed", [&] { return machine.WorkDone(id) > after + 100; });
  EXPECT_FALSE(machine.End(id).has_value());
}

TEST_F(Examples, TheBatchBidsForTheProcessorAndHashesMoreWithIt) {
  const uint64_t id = Create({.program = "batch", .arguments = "seed=3"});
  const uint64_t silent = Create({.program = "batch", .arguments = "bids=none"});
  RoundsUntil("a bid for cpu", [&] { return Wanted(id, NOM_RESOURCE_CPU) > 0; });
  RoundsUntil("work", [&] { return machine.WorkDone(silent) > 0; });
  EXPECT_EQ(Wanted(silent, NOM_RESOURCE_CPU), 0);
  ASSERT_EQ(machine.Apply({{id, 512, 600}, {silent, 512, 100}}).status, NOM_STATUS_OK);
  const uint64_t before = machine.Meter(id)->cycles_used;
  const uint64_t before_silent = machine.Meter(silent)->cycles_used;
  RoundsUntil("six rounds", [&, until = round_ + 6] { return round_ >= until; });
  const uint64_t used = machine.Meter(id)->cycles_used - before;
  const uint64_t used_silent = machine.Meter(silent)->cycles_used - before_silent;
  EXPECT_GT(used, 3 * used_silent) << "it does not use what it bought";
  ExpectValue(id, 50);
}

TEST_F(Examples, TheServiceBidsForItsPeaks) {
  const uint64_t id =
      Create({.program = "service", .arguments = "rate=800 peak_rounds=3 answer_value=70"});
  RoundsUntil("a bid for cpu", [&] { return Wanted(id, NOM_RESOURCE_CPU) > 0; });
  RoundsUntil("answers", [&] { return machine.WorkDone(id) > 1000; });
  ExpectValue(id, 70);
}

// Two tenants, one reading from the other's cache while both run; then the cache goes.
TEST_F(Examples, TheServiceReadsFromAnothersCache) {
  const uint64_t cache = machine.next_guest();
  ASSERT_EQ(Create({.program = "cache",
                    .arguments = "keys=1024 rate=200 reader=" + std::to_string(cache + 1),
                    .frames = 1024,
                    .millicores = 400}),
            cache);
  const uint64_t service =
      Create({.program = "service",
              .arguments = "rate=300 peak=100 deadline_ms=2000 cache=" + std::to_string(cache),
              .millicores = 400});
  RoundsUntil("answers", [&] { return machine.WorkDone(service) > 1000; });
  ExpectValue(service, 60);
  RoundsUntil("hits", [&] { return machine.WorkDone(cache) > 500; });
  // Without it there is nothing to answer with, and that is all.
  Destroy(cache);
  RoundsUntil("two rounds", [&, until = round_ + 2] { return round_ >= until; });
  EXPECT_FALSE(machine.End(service).has_value());
}

TEST_F(Examples, BadArgumentsEndThem) {
  for (const char* program : {"cache", "batch", "service"}) {
    ExpectEnd(Create({.program = program, .arguments = "colour=red"}), NOM_EXIT_REASON_DONE, 2);
  }
}

}  // namespace
}  // namespace nom::tests
