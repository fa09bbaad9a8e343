// SPDX-License-Identifier: Apache-2.0
// Rounds that are not ordinary: the host's link blips, the process dies or stands still, time is
// late, a round is released, a host is taken out of the config. Whatever happens: what was held is
// paid, nothing is taken without a notice, and nothing counts that came after its time.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "marketd/market/audit.h"
#include "tests/unit/marketd/market/market_fixture.h"

namespace nom::market {
namespace {

using testing::HasSubstr;

class InterruptionsTest : public MarketTest {
 protected:
  InterruptionsTest() { Open(); }

  // A guest with 4 units of memory beyond its seed in force, for 2,000 a round.
  GuestId Holder() {
    const GuestId guest = Admit("ann", "one");
    EXPECT_TRUE(Bid("ann", MemoryBid(guest, 4, 5'000)).status.ok());
    EXPECT_TRUE(RunUntilInForce(1));
    EXPECT_EQ(Held(guest), 20);
    return guest;
  }
  bool RunUntilConnected() {
    return world_->RunUntil([this] { return host_view().connected; }, 20 * kPeriod);
  }
  // What ann paid for awards in a round that is over.
  Microcredits PaidIn(RoundId round_id) {
    const auto rounds = world_->ledger().reader().ListRounds("h", round_id + 1, 1);
    EXPECT_TRUE(rounds.ok() && !rounds->empty());
    Microcredits paid = 0;
    for (const Outcome& outcome : rounds->front().outcomes) paid += outcome.settled_microcredits;
    return paid;
  }
  void ExpectNothingTakenWithoutNotice() { EXPECT_EQ(host().unannounced_units(), 0); }
};

TEST_F(InterruptionsTest, ABlipCostsTheOperatorNothing) {
  Holder();
  for (int i = 0; i < 5; ++i) {
    world_->Run(kPeriod / 8);
    world_->Tell("h", HostLost{"a blip"});
    ASSERT_TRUE(RunUntilConnected());
  }
  ASSERT_TRUE(RunUntilInForce(2));
  // Blips made the round longer than its period, and it is paid for that long.
  const Round& next = book().open_rounds.at(2);
  EXPECT_GE(PaidIn(1), 2'000);
  EXPECT_EQ(next.outcomes[1].award_units, 4);
  ExpectNothingTakenWithoutNotice();
}

TEST_F(InterruptionsTest, TimeWithoutMarketdIsPaid) {
  const GuestId guest = Holder();
  const absl::Time begin = book().open_rounds.at(1).applied_time;
  world_->Run(absl::Seconds(6));
  world_->Restart(/*down=*/absl::Seconds(50));
  ASSERT_TRUE(RunUntilInForce(2));
  const absl::Duration held = book().open_rounds.at(2).applied_time - begin;
  EXPECT_GT(held, absl::Seconds(56));
  EXPECT_NEAR(static_cast<double>(PaidIn(1)), 2'000 * absl::FDivDuration(held, kPeriod), 2);
  EXPECT_EQ(Held(guest), 20);
  EXPECT_EQ(world_->state().guests.at(guest).spent_microcredits,
            purse("ann").deposited - purse("ann").available - purse("ann").escrow);
  EXPECT_EQ(CheckBooks(world_->state()), "");
}

TEST_F(InterruptionsTest, AStallIsPaidLikeAnyOtherTime) {
  Holder();
  world_->Run(absl::Seconds(1));
  world_->Stall(absl::Seconds(35));
  ASSERT_TRUE(RunUntilInForce(2));
  EXPECT_GT(PaidIn(1), 7'200);
  ExpectNothingTakenWithoutNotice();
}

TEST_F(InterruptionsTest, AnEvictedGuestPaysForWhatItHeld) {
  const GuestId guest = Holder();
  world_->Run(absl::Milliseconds(9'500));
  ASSERT_TRUE(world_->AskAsOperator(EvictGuest{NewId(), guest}).status.ok());
  ASSERT_TRUE(RunUntilInForce(2));
  EXPECT_NEAR(static_cast<double>(PaidIn(1)), 1'900, 40);
}

TEST_F(InterruptionsTest, ADeathBetweenApplyingAndCommittingTakesNothing) {
  const GuestId guest = Holder();
  ASSERT_TRUE(Bid("ann", MemoryBid(guest, 30, 5'000)).status.ok());
  ASSERT_TRUE(RunUntilDecided(2));
  world_->DieBefore("round settled");
  const int restarts = world_->restarts;
  ASSERT_TRUE(world_->RunUntil([&] { return world_->restarts > restarts; }, 2 * kPeriod));
  EXPECT_EQ(Held(guest), 46) << "the machine had done it";
  EXPECT_EQ(book().in_force_round_id, 2u) << "and says so: there it goes on from";
  EXPECT_EQ(PaidIn(1), 2'000) << "settled to the instant of the change";
  ASSERT_TRUE(RunUntilInForce(3));
  EXPECT_EQ(host_view().counters.forced_units, 0u);
  ExpectNothingTakenWithoutNotice();
  EXPECT_NEAR(static_cast<double>(PaidIn(2)), 15'000, 400);
}

TEST_F(InterruptionsTest, ALostAnswerToApplyTakesNothing) {
  const GuestId guest = Holder();
  ASSERT_TRUE(Bid("ann", MemoryBid(guest, 30, 5'000)).status.ok());
  ASSERT_TRUE(RunUntilDecided(2));
  host().faults().answer_lost = 1;
  ASSERT_TRUE(world_->RunUntil([this] { return !host_view().connected; }, 2 * kPeriod));
  host().faults().answer_lost = 0;
  ASSERT_TRUE(RunUntilConnected());
  EXPECT_EQ(book().in_force_round_id, 2u);
  EXPECT_EQ(Held(guest), 46);
  ExpectNothingTakenWithoutNotice();
}

TEST_F(InterruptionsTest, AGuestThatNobodyToldHasTheWholeGrace) {
  const GuestId guest = Holder();
  ASSERT_TRUE(
      world_->Ask(Caller{.tenant_id = "ann"}, WithdrawBid{NewId(), guest, ResourceKind::kMemory})
          .removed);
  // The process dies with the decision durable, and is away until just before its time.
  world_->DieBefore("round decided");
  ASSERT_TRUE(world_->RunUntil([this] { return world_->restarts == 1; }, 2 * kPeriod));
  ASSERT_TRUE(RunUntilDecided(2));
  world_->Restart(absl::Milliseconds(1'900));
  ASSERT_TRUE(RunUntilInForce(2));
  EXPECT_EQ(Held(guest), 16);
  ExpectNothingTakenWithoutNotice();
}

TEST_F(InterruptionsTest, MetersThatAreLostAreNotGuessed) {
  const GuestId guest = Holder();
  world_->Run(absl::Seconds(5));
  host().Reboot();
  world_->Run(absl::Milliseconds(500));
  ASSERT_TRUE(RunUntilConnected());
  EXPECT_EQ(purse("ann").escrow, 0);
  EXPECT_EQ(host_view().counters.meters_lost, 1u);
  ASSERT_TRUE(RunUntilInForce(2));
  EXPECT_EQ(PaidIn(1), 0);
  ASSERT_TRUE(RunUntilInForce(3));
  EXPECT_EQ(PaidIn(2), 2'000) << "from then on it counts again";
  EXPECT_EQ(host_view().counters.meters_lost, 1u);
  EXPECT_EQ(Held(guest), 20);
}

TEST_F(InterruptionsTest, CloseIsClose) {
  const GuestId guest = Admit("ann", "one");
  world_->Run(absl::Milliseconds(10));
  const absl::Time close = host_view().close_time;
  // The engine is late: it hears of a bid before it looked at the clock.
  world_->Stall(close + absl::Milliseconds(1'000) - world_->clock.Now());
  const Reply late = Bid("ann", MemoryBid(guest, 4, 5'000));
  EXPECT_EQ(late.round_id, 2u);
  ASSERT_TRUE(RunUntilInForce(1));
  EXPECT_EQ(Held(guest), 16);
  ASSERT_TRUE(RunUntilInForce(2));
  EXPECT_EQ(Held(guest), 20);
}

TEST_F(InterruptionsTest, AReleasedRoundTakesItsNoticesBackAndUsesUpNoBid) {
  const GuestId guest = Admit("ann", "one");
  PlaceBid bid = MemoryBid(guest, 4, 5'000);
  bid.expires_after_rounds = 1;
  ASSERT_TRUE(Bid("ann", bid).status.ok());
  ASSERT_TRUE(RunUntilDecided(1));
  ASSERT_EQ(world_->view().notices.size(), 1u);
  EXPECT_FALSE(world_->view().notices[0].withdrawn);
  const uint64_t told = world_->view().notices[0].sequence;
  host().faults().apply_refused = 1;
  ASSERT_TRUE(
      world_->RunUntil([this] { return host_view().counters.rounds_released > 0; }, 2 * kPeriod));
  host().faults().apply_refused = 0;
  ASSERT_EQ(world_->view().notices.size(), 1u);
  const Notice& notice = world_->view().notices[0];
  EXPECT_TRUE(notice.withdrawn);
  EXPECT_GT(notice.sequence, told) << "who watches is told";
  EXPECT_EQ(notice.units_next, 16);
  EXPECT_EQ(notice.units_now, 16);
  EXPECT_EQ(host().guests().at(guest).told_units.at(ResourceKind::kMemory), 16)
      << "and so is the guest";
  const auto rounds = world_->ledger().reader().ListRounds("h", 2, 1);
  EXPECT_THAT(rounds->front().reason, HasSubstr("apply refused"));
  ASSERT_TRUE(RunUntilInForce(2));
  EXPECT_EQ(Held(guest), 20) << "its one round is still to come";
  ASSERT_TRUE(RunUntilInForce(3));
  EXPECT_EQ(Held(guest), 16);
}

TEST_F(InterruptionsTest, AHostTakenOutOfTheConfigIsClosed) {
  const GuestId guest = Holder();
  ASSERT_TRUE(RunUntilDecided(2));
  EXPECT_EQ(purse("ann").escrow, 4'000);
  HostConfig host = world_->config().hosts[0];
  world_->config().hosts[0] = TestHostConfig("g", kPeriod);
  world_->AddHost("g", TestHostOptions(2));
  world_->Restart();
  EXPECT_EQ(purse("ann").escrow, 0);
  const auto rounds = world_->ledger().reader().ListRounds("h", 0, 2);
  ASSERT_TRUE(rounds.ok());
  EXPECT_EQ((*rounds)[0].phase, RoundPhase::kReleased);
  EXPECT_EQ((*rounds)[1].phase, RoundPhase::kSettled);
  EXPECT_THAT((*rounds)[1].reason, HasSubstr("no longer in the config"));
  ASSERT_NE(world_->view().FindGuest(guest), nullptr) << "it can be seen";
  EXPECT_TRUE(world_->AskAsOperator(EvictGuest{NewId(), guest}).status.ok());
  EXPECT_TRUE(world_->state().guests.empty());
  // And back: its machine is still the same; what runs there is nobody's now.
  world_->config().hosts[0] = host;
  world_->Restart();
  ASSERT_TRUE(RunUntilConnected());
  EXPECT_EQ(host_view().unmanaged_guests.size(), 1u);
  EXPECT_TRUE(RunUntilInForce(3));
}

TEST_F(InterruptionsTest, AStrangersHighIdDoesNotEndTheIds) {
  host().AddUnmanagedGuest(~GuestId{0}, {});
  world_->Tell("h", HostLost{"look again"});
  ASSERT_TRUE(RunUntilConnected());
  const GuestId guest = Admit("ann", "one");
  EXPECT_GT(guest, 0u);
  EXPECT_LT(guest, 1'000u);
}

TEST_F(InterruptionsTest, NobodysWritesForgetAnothers) {
  const GuestId guest = Admit("bob", "one");
  const Deposit deposit{NewId(), "ann", 5};
  const Reply first = world_->AskAsOperator(deposit);
  const Caller bob{.tenant_id = "bob"};
  const WithdrawBid withdraw{NewId(), guest, ResourceKind::kMemory};
  EXPECT_TRUE(world_->Ask(bob, withdraw).status.ok());
  const size_t before = world_->state().requests.size();
  for (int i = 0; i < 1'000; ++i) {
    ASSERT_TRUE(world_->Ask(bob, WithdrawBid{NewId(), guest, ResourceKind::kMemory}).status.ok());
  }
  EXPECT_EQ(world_->state().requests.size(), before + kBidRequestsKept - 1);
  EXPECT_FALSE(world_->state().requests.contains({"tenant/bob", withdraw.request_id}));
  const State known = world_->state();
  world_->Restart();
  EXPECT_EQ(world_->state().requests, known.requests) << "the ledger forgets the same ones";
  EXPECT_EQ(world_->state().bid_requests, known.bid_requests);
  EXPECT_EQ(world_->AskAsOperator(deposit), first);
  EXPECT_EQ(purse("ann").available, 1'000'000'005);
  ASSERT_TRUE(world_->AskAsOperator(EvictGuest{NewId(), guest}).status.ok());
  EXPECT_TRUE(world_->state().bid_requests.empty());
}

TEST_F(InterruptionsTest, EveryEntryBelongsToAnOutcome) {
  const GuestId first = Holder();
  world_->Run(absl::Seconds(3));
  const GuestId second = Admit("bob", "two");  // In the middle of a round.
  world_->Run(absl::Seconds(3));
  ASSERT_TRUE(world_->AskAsOperator(EvictGuest{NewId(), first}).status.ok());
  ASSERT_TRUE(RunUntilInForce(2));
  world_->Run(absl::Seconds(1));
  ASSERT_TRUE(world_->AskAsOperator(EvictGuest{NewId(), second}).status.ok());
  std::map<TenantId, Microcredits> statement;
  const auto rounds = world_->ledger().reader().ListRounds("h", 0, 100);
  ASSERT_TRUE(rounds.ok());
  for (const Round& round : *rounds) {
    for (const Outcome& outcome : round.outcomes) {
      statement[outcome.tenant_id] += outcome.settled_microcredits + outcome.rent_microcredits;
    }
  }
  EXPECT_EQ(statement["ann"], purse("ann").spent);
  EXPECT_EQ(statement["bob"], purse("bob").spent);
  EXPECT_GT(statement["bob"], 0);
}

}  // namespace
}  // namespace nom::market
