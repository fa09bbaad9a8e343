// SPDX-License-Identifier: Apache-2.0
// How guests end, what they pay from then on, how they are started again; why bids lose.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "marketd/market/billing.h"
#include "tests/unit/marketd/market/market_fixture.h"

namespace nom::market {
namespace {

using testing::HasSubstr;

constexpr Microcredits kMemoryRent = 16 * 40;           // Of a seed, a round.
constexpr Microcredits kRent = kMemoryRent + 10 * 100;  // With its cpu.

class LifeTest : public MarketTest {
 protected:
  LifeTest() { Open(); }

  const Guest& Of(GuestId guest_id) { return world_->state().guests.at(guest_id); }
  Reply End(const TenantId& tenant_id, GuestId guest_id) {
    return world_->Ask(Caller{.tenant_id = tenant_id}, EndGuest{NewId(), guest_id});
  }
  Reply GiveBack(const TenantId& tenant_id, GuestId guest_id, const std::string& id) {
    return world_->Ask(Caller{.tenant_id = tenant_id},
                       EndGuest{.request_id = id, .guest_id = guest_id, .for_good = true});
  }
  Reply Start(const TenantId& tenant_id, GuestId guest_id) {
    return world_->Ask(Caller{.tenant_id = tenant_id}, StartGuest{NewId(), guest_id});
  }
  // Also for who looks later: it was its owner's will, not the operator's.
  void ExpectGivenBack(GuestId guest_id) {
    EXPECT_FALSE(world_->state().guests.contains(guest_id));
    EXPECT_FALSE(host().guests().contains(guest_id));
    const auto gone = world_->ledger().reader().GetEvictedGuest(guest_id);
    ASSERT_TRUE(gone.ok()) << gone.status();
    EXPECT_EQ(gone->end_cause, EndCause::kStopped);
    EXPECT_EQ(gone->exit_reason, "given back by its owner");
  }
  Round InLedger(RoundId round_id) {
    const auto rounds = world_->ledger().reader().ListRounds("h", round_id + 1, 1);
    EXPECT_TRUE(rounds.ok() && rounds->size() == 1 && rounds->front().round_id == round_id);
    return rounds->front();
  }
  std::optional<Outcome> OutcomeIn(const Round& round, GuestId guest_id) {
    const Outcome* const found = FindOutcome(round, guest_id, ResourceKind::kMemory);
    return found == nullptr ? std::nullopt : std::optional(*found);
  }
  AwardReason Told(GuestId guest_id) {
    return world_->view().FindGuest(guest_id)->decided.at(1).reason;
  }
};

// Also before any round, when its end writes nothing into the books.
TEST_F(LifeTest, WhoIsAnsweredThatAGuestEndedSeesThatItHoldsNothing) {
  const GuestId guest = Admit("ann", "one");
  ASSERT_TRUE(book().open_rounds.empty());
  ASSERT_TRUE(End("ann", guest).status.ok());
  for (const Holding& holding : world_->view().FindGuest(guest)->now) {
    EXPECT_EQ(holding.units(), 0) << KindName(holding.kind);
  }
}

TEST_F(LifeTest, AGuestThatIsGivenBackIsGoneAndItsOwnersDoing) {
  const GuestId runs = Admit("ann", "one");
  const GuestId ended = Admit("ann", "two");
  ASSERT_TRUE(RunUntilInForce(1));
  ASSERT_TRUE(Bid("ann", MemoryBid(runs, 4, 9'000)).status.ok());
  host().EndGuest(ended, "exit 0");
  world_->Run(absl::Seconds(1));
  EXPECT_TRUE(absl::IsNotFound(GiveBack("bob", runs, NewId()).status)) << "not bob's";
  EXPECT_EQ(Of(runs).state, GuestState::kRunning);
  for (const GuestId guest : {runs, ended}) {
    ASSERT_TRUE(GiveBack("ann", guest, absl::StrCat("back-", guest)).status.ok());
    ExpectGivenBack(guest);
    EXPECT_TRUE(GiveBack("ann", guest, absl::StrCat("back-", guest)).status.ok()) << "once more";
    EXPECT_TRUE(absl::IsNotFound(Start("ann", guest).status));
    // Another request of the same id is another one.
    EXPECT_FALSE(
        world_->Ask(Caller{.tenant_id = "ann"}, EndGuest{absl::StrCat("back-", guest), guest})
            .status.ok());
  }
  EXPECT_TRUE(world_->state().BidsOf(runs).empty());
  EXPECT_NE(Admit("ann", "one"), 0u) << "its name is free";
  world_->Run(2 * kPeriod);
  EXPECT_EQ(CheckBooks(world_->state()), "");
}

// marketd dies before the one or the other step of it is durable: who asks again gets it done.
TEST_F(LifeTest, AGuestThatIsGivenBackGoesWhateverDies) {
  for (const char* step : {"guest evicting", "guest evicted"}) {
    SCOPED_TRACE(step);
    const GuestId guest = Admit("ann", "one");
    ASSERT_TRUE(RunUntilInForce(world_->view().hosts[0]->in_force_round_id + 1));
    const std::string id = NewId();
    const int before = world_->restarts;
    world_->DieBefore(step);
    (void)GiveBack("ann", guest, id);
    ASSERT_EQ(world_->restarts, before + 1);
    // At once: what is under way is answered when it is done, and not before.
    ASSERT_TRUE(GiveBack("ann", guest, id).status.ok());
    ExpectGivenBack(guest);
    EXPECT_EQ(CheckBooks(world_->state()), "");
  }
}

// Who asks again before it is done waits with who asked first.
TEST_F(LifeTest, WhoGivesAGuestBackTwiceIsAnsweredWhenItIsGone) {
  const GuestId guest = Admit("ann", "one");
  ASSERT_TRUE(RunUntilInForce(1));
  host().Reboot();  // It does nothing that it is told until it is found again.
  const EndGuest back{.request_id = NewId(), .guest_id = guest, .for_good = true};
  const CallId first = world_->Post(Caller{.tenant_id = "ann"}, back);
  world_->Settle();
  const CallId second = world_->Post(Caller{.tenant_id = "ann"}, back);
  world_->Settle();
  ASSERT_EQ(Of(guest).state, GuestState::kEvicting);
  EXPECT_FALSE(world_->AnswerTo(first).has_value());
  EXPECT_FALSE(world_->AnswerTo(second).has_value());
  world_->Run(absl::Seconds(2));
  ExpectGivenBack(guest);
  for (const CallId call : {first, second}) {
    const std::optional<Reply> answer = world_->AnswerTo(call);
    ASSERT_TRUE(answer.has_value());
    EXPECT_TRUE(answer->status.ok()) << answer->status;
  }
}

TEST_F(LifeTest, AGuestThatIsEndedAndStartedLosesNoMeters) {
  const GuestId guest = Admit("ann", "one");
  ASSERT_TRUE(RunUntilInForce(1));
  ASSERT_TRUE(End("ann", guest).status.ok());
  ASSERT_TRUE(Start("ann", guest).status.ok());
  ASSERT_TRUE(RunUntilInForce(2));
  EXPECT_EQ(host_view().counters.meters_lost, 0u) << "all that it held was billed when it ended";
}

TEST_F(LifeTest, AGuestThatIsDoneIsNoCrash) {
  const GuestId done = Admit("ann", "done");
  const GuestId failed = Admit("ann", "failed");
  const GuestId broken = Admit("ann", "broken");
  host().EndGuest(done, "exit 0");
  host().EndGuest(failed, "exit 3");
  host().EndGuest(broken, "triple fault");
  world_->Run(absl::Seconds(1));
  for (const GuestId guest : {done, failed, broken}) EXPECT_EQ(Of(guest).state, GuestState::kEnded);
  EXPECT_EQ(Of(done).end_cause, EndCause::kExited);
  EXPECT_EQ(Of(failed).end_cause, EndCause::kCrashed);
  EXPECT_EQ(Of(broken).end_cause, EndCause::kCrashed);
  EXPECT_EQ(Of(failed).exit_reason, "exit 3");
  world_->Restart();
  EXPECT_EQ(Of(done).end_cause, EndCause::kExited) << "the ledger says so, too";
}

TEST_F(LifeTest, AnEndWhileNobodyLookedIsToldApartAsWell) {
  const GuestId done = Admit("ann", "done");
  const GuestId broken = Admit("ann", "broken");
  world_->Tell("h", HostLost{"a hiccup"});
  host().EndGuest(done, "exit 0");
  host().EndGuest(broken, "wild access");
  (void)host().Poll();  // What it said is lost with the connection.
  ASSERT_TRUE(world_->RunUntil([this] { return host_view().connected; }, kPeriod));
  EXPECT_EQ(Of(done).end_cause, EndCause::kExited);
  EXPECT_EQ(Of(broken).end_cause, EndCause::kCrashed);
}

TEST_F(LifeTest, WhatHoldsNothingPaysNothing) {
  const GuestId guest = Admit("ann", "one");
  ASSERT_TRUE(Bid("ann", MemoryBid(guest, 4, 5'000)).status.ok());
  ASSERT_TRUE(RunUntilInForce(1));
  world_->Run(kPeriod / 2);
  host().EndGuest(guest, "exit 0");
  ASSERT_TRUE(RunUntilInForce(2));
  const std::optional<Outcome> last = OutcomeIn(InLedger(1), guest);
  ASSERT_TRUE(last.has_value());
  // A round before the first, and half of the first: by the meters, not by the clock of rounds.
  EXPECT_NEAR(static_cast<double>(last->rent_microcredits), 1.5 * kMemoryRent, 0.1 * kMemoryRent);
  const Microcredits left = purse("ann").available;
  ASSERT_TRUE(RunUntilInForce(6));
  EXPECT_EQ(purse("ann").available, left);
  EXPECT_EQ(purse("ann").escrow, 0);
  EXPECT_EQ(OutcomeIn(InLedger(4), guest), std::nullopt) << "it took no part";
  EXPECT_EQ(CheckBooks(world_->state()), "");
}

TEST_F(LifeTest, TheSeedOfAnEndedGuestIsSold) {
  const GuestId guest = Admit("ann", "one");
  const GuestId other = Admit("bob", "two");
  ASSERT_TRUE(RunUntilInForce(1));
  const auto supply = [this](RoundId round_id) {
    return InLedger(round_id).prices[1].supply_units;
  };
  const int64_t before = supply(1);
  host().EndGuest(guest, "exit 0");
  ASSERT_TRUE(Bid("bob", MemoryBid(other, before + 16, 5'000)).status.ok());
  ASSERT_TRUE(RunUntilInForce(3));
  EXPECT_EQ(supply(3), before + 16);
  EXPECT_EQ(Held(other), 16 + before + 16);
  EXPECT_TRUE(world_->refusals.empty()) << world_->refusals[0];
}

TEST_F(LifeTest, ItsOwnerMayEndIt) {
  const GuestId guest = Admit("ann", "one");
  ASSERT_TRUE(Bid("ann", MemoryBid(guest, 4, 5'000)).status.ok());
  ASSERT_TRUE(RunUntilInForce(1));
  EXPECT_TRUE(absl::IsNotFound(End("bob", guest).status)) << "and nobody else";
  const Reply ended = End("ann", guest);
  ASSERT_TRUE(ended.status.ok()) << ended.status;
  EXPECT_FALSE(host().guests().contains(guest));
  EXPECT_EQ(Of(guest).state, GuestState::kEnded);
  EXPECT_EQ(Of(guest).end_cause, EndCause::kStopped);
  EXPECT_EQ(Of(guest).exit_reason, "ended by its owner");
  EXPECT_TRUE(world_->state().bids.empty());
  EXPECT_EQ(purse("ann").escrow, 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(End("ann", guest).status)) << "it has ended";
  ASSERT_TRUE(RunUntilInForce(4));
  EXPECT_EQ(CheckBooks(world_->state()), "");
  EXPECT_EQ(host_view().counters.meters_lost, 0u);
}

TEST_F(LifeTest, ItsOwnerMayStartItAgain) {
  const GuestId guest = Admit("ann", "one");
  EXPECT_TRUE(absl::IsFailedPrecondition(Start("ann", guest).status)) << "it runs";
  host().EndGuest(guest, "exit 0");
  world_->Run(absl::Seconds(1));
  EXPECT_TRUE(absl::IsNotFound(Start("bob", guest).status));
  const StartGuest start{NewId(), guest};
  const Caller ann{.tenant_id = "ann"};
  ASSERT_TRUE(world_->Ask(ann, start).status.ok());
  EXPECT_EQ(Of(guest).state, GuestState::kRunning);
  EXPECT_EQ(Of(guest).end_cause, EndCause::kNone);
  EXPECT_EQ(Of(guest).exit_reason, "");
  EXPECT_EQ(Held(guest), 16);
  EXPECT_TRUE(world_->Ask(ann, start).status.ok()) << "a retry is answered the same";
  ASSERT_TRUE(Bid("ann", MemoryBid(guest, 4, 5'000)).status.ok());
  ASSERT_TRUE(RunUntilInForce(2));
  EXPECT_EQ(Held(guest), 20);
  ASSERT_TRUE(End("ann", guest).status.ok());
  ASSERT_TRUE(Start("ann", guest).status.ok()) << "as often as it likes";
  ASSERT_TRUE(RunUntilInForce(4));
  EXPECT_EQ(Held(guest), 16);
  EXPECT_TRUE(world_->refusals.empty());
  EXPECT_EQ(CheckBooks(world_->state()), "");
}

TEST_F(LifeTest, ItIsPaidForTheTimeThatItRanAndNoOther) {
  const GuestId guest = Admit("ann", "one");
  ASSERT_TRUE(RunUntilInForce(2));
  const Microcredits before = Summarize(purse("ann")).spent;
  ASSERT_TRUE(End("ann", guest).status.ok());
  world_->Run(10 * kPeriod);
  const Microcredits ended = Summarize(purse("ann")).spent;
  EXPECT_LE(ended - before, kRent) << "at most the rest of the round";
  ASSERT_TRUE(Start("ann", guest).status.ok());
  world_->Run(4 * kPeriod);
  EXPECT_NEAR(static_cast<double>(Summarize(purse("ann")).spent - ended), 3.5 * kRent, 0.6 * kRent);
}

TEST_F(LifeTest, AStartNeedsRoomForItsSeed) {
  const GuestId guest = Admit("ann", "one");
  ASSERT_TRUE(End("ann", guest).status.ok());
  AdmitGuest all = Admission("bob", "all");
  all.seeds = {{ResourceKind::kMemory, host_view().resources[1].capacity_units - 8}};
  const Reply admitted = world_->AskAsOperator(all);
  ASSERT_TRUE(admitted.status.ok()) << admitted.status;
  const absl::Status refused = Start("ann", guest).status;
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_THAT(refused.message(), HasSubstr("16 units of memory; host h has 8"));
  ASSERT_TRUE(world_->AskAsOperator(EvictGuest{NewId(), admitted.guest_id}).status.ok());
  EXPECT_TRUE(Start("ann", guest).status.ok());
}

TEST_F(LifeTest, AStartThatTheHostRefusesIsACrashAndARetryIsToldSo) {
  const GuestId guest = Admit("ann", "one");
  ASSERT_TRUE(End("ann", guest).status.ok());
  host().faults().create_refused = 1;
  const StartGuest start{NewId(), guest};
  const Caller ann{.tenant_id = "ann"};
  const absl::Status refused = world_->Ask(ann, start).status;
  EXPECT_FALSE(refused.ok());
  EXPECT_EQ(Of(guest).end_cause, EndCause::kCrashed);
  host().faults().create_refused = 0;
  EXPECT_EQ(world_->Ask(ann, start).status, refused);
  EXPECT_TRUE(Start("ann", guest).status.ok());
}

TEST_F(LifeTest, AnEndIsMadeUpForAfterADeath) {
  const GuestId guest = Admit("ann", "one");
  ASSERT_TRUE(RunUntilInForce(1));
  world_->DieBefore("guest cleared away");
  (void)End("ann", guest);
  ASSERT_EQ(world_->restarts, 1);
  world_->Run(2 * kPeriod);
  EXPECT_EQ(Of(guest).state, GuestState::kEnded);
  EXPECT_EQ(Of(guest).end_cause, EndCause::kStopped);
  EXPECT_FALSE(host().guests().contains(guest) && !host().guests().at(guest).ended);
  EXPECT_EQ(CheckBooks(world_->state()), "");
}

TEST_F(LifeTest, AStartIsMadeUpForAfterADeath) {
  const GuestId guest = Admit("ann", "one");
  ASSERT_TRUE(RunUntilInForce(1));
  host().EndGuest(guest, "exit 0");
  world_->Run(absl::Seconds(1));
  world_->DieBefore("guest cleared away");
  (void)Start("ann", guest);
  ASSERT_EQ(world_->restarts, 1);
  world_->Run(2 * kPeriod);
  EXPECT_EQ(Of(guest).state, GuestState::kRunning);
  EXPECT_EQ(Held(guest), 16);
  EXPECT_EQ(CheckBooks(world_->state()), "");
}

// The machine has the old instance still, as nobody could be told to clear it away.
TEST_F(LifeTest, AStartThatOnlyTheLedgerKnowsRunsTheImageAnew) {
  const GuestId guest = Admit("ann", "one");
  host().EndGuest(guest, "exit 0");
  world_->Run(absl::Seconds(1));
  Guest starting = Of(guest);
  starting.state = GuestState::kAdmitted;
  world_->WriteWhileDown([&](Scribe& scribe) { scribe.Write(PutGuest{starting}); });
  world_->Run(2 * kPeriod);
  EXPECT_EQ(Of(guest).state, GuestState::kRunning);
  EXPECT_FALSE(host().guests().at(guest).ended);
}

TEST_F(LifeTest, WhyABidWonWhatItWonOutlivesARestart) {
  const GuestId silent = Admit("ann", "silent");  // Before who bids, as the last one is after.
  const GuestId winner = Admit("ann", "winner");
  const GuestId outbid = Admit("bob", "outbid");
  const GuestId cheap = Admit("bob", "cheap");
  ASSERT_TRUE(RunUntilDecided(1));
  const int64_t supply = InLedger(1).prices[1].supply_units;
  ASSERT_TRUE(Bid("ann", MemoryBid(winner, supply, 9'000)).status.ok());
  ASSERT_TRUE(Bid("bob", MemoryBid(outbid, 4, 5'000)).status.ok());
  ASSERT_TRUE(RunUntilDecided(3));
  for (int restarted = 0; restarted < 2; ++restarted) {
    EXPECT_EQ(Told(winner), AwardReason::kServed);
    EXPECT_EQ(Told(outbid), AwardReason::kOutbid);
    EXPECT_EQ(Told(cheap), AwardReason::kNoBid);
    EXPECT_EQ(Told(silent), AwardReason::kNoBid);
    const Round round = InLedger(3);
    EXPECT_EQ(OutcomeIn(round, winner)->reason, AwardReason::kServed);
    EXPECT_EQ(OutcomeIn(round, outbid)->reason, AwardReason::kOutbid);
    EXPECT_EQ(OutcomeIn(round, cheap)->reason, AwardReason::kNoBid);
    EXPECT_EQ(OutcomeIn(round, silent)->reason, AwardReason::kNoBid);
    if (restarted == 0) world_->Restart();
  }
}

TEST_F(LifeTest, ABidForMoreThanThereIsIsToldSo) {
  const GuestId guest = Admit("ann", "one");
  PlaceBid bid = MemoryBid(guest, 0, 5'000);
  bid.ranges = {{10'000, 20'000, 50'000'000, 5'000}};
  const Reply placed = Bid("ann", bid);
  ASSERT_TRUE(placed.status.ok()) << placed.status;
  ASSERT_TRUE(RunUntilDecided(1));
  EXPECT_EQ(Told(guest), AwardReason::kLargerThanSupply);
  EXPECT_EQ(OutcomeIn(InLedger(1), guest)->reason, AwardReason::kLargerThanSupply);
}

}  // namespace
}  // namespace nom::market
