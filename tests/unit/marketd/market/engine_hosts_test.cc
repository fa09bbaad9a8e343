// SPDX-License-Identifier: Apache-2.0
// The engine against hosts that go, come back, refuse and surprise.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/marketd/market/market_fixture.h"

namespace nom::market {
namespace {

using testing::HasSubstr;

class EngineHostsTest : public MarketTest {
 protected:
  EngineHostsTest() { Open(); }

  // A guest with 20 units of memory in force, 4 of them bought.
  GuestId Holder() {
    const GuestId guest = Admit("ann", "one");
    EXPECT_TRUE(Bid("ann", MemoryBid(guest, 4, 5'000)).status.ok());
    EXPECT_TRUE(RunUntilInForce(1));
    EXPECT_EQ(Held(guest), 20);
    return guest;
  }
  // A round that is over, as the ledger says.
  Round Settled(RoundId round_id) {
    const auto rounds = world_->ledger().reader().ListRounds("h", round_id + 1, 1);
    EXPECT_TRUE(rounds.ok() && rounds->size() == 1 && rounds->front().round_id == round_id);
    return rounds->front();
  }
  bool RunUntilConnected() {
    return world_->RunUntil([this] { return host_view().connected; }, 20 * kPeriod);
  }
};

TEST_F(EngineHostsTest, AttachIsTriedAgain) {
  world_->Tell("h", HostLost{"gone"});
  EXPECT_FALSE(host_view().connected);
  EXPECT_EQ(host_view().detail, "gone");
  EXPECT_LT(host_view().valid_until, world_->clock.Now()) << "prices are not to be trusted";
  EXPECT_TRUE(absl::IsUnavailable(world_->AskAsOperator(Admission("ann", "one")).status));
  host().faults().attach_fails = 1;
  world_->Run(absl::Seconds(30));
  EXPECT_FALSE(host_view().connected);
  EXPECT_THAT(host_view().detail, HasSubstr("not there yet"));
  host().faults().attach_fails = 0;
  EXPECT_TRUE(RunUntilConnected());
}

TEST_F(EngineHostsTest, ARebootedHostGetsItsGuestsBack) {
  const GuestId guest = Holder();
  host().Reboot();
  world_->Run(absl::Milliseconds(500));
  ASSERT_TRUE(RunUntilConnected());
  world_->Run(absl::Milliseconds(500));
  ASSERT_TRUE(host().guests().contains(guest));
  EXPECT_EQ(Held(guest), 16) << "its award went with the machine";
  EXPECT_EQ(purse("ann").escrow, 0);
  EXPECT_EQ(world_->state().guests.at(guest).state, GuestState::kRunning);
  EXPECT_EQ(book().boot_id, host().boot_id());
  ASSERT_TRUE(RunUntilInForce(2));
  EXPECT_EQ(Held(guest), 20) << "its bid still stands";
}

TEST_F(EngineHostsTest, AnImageThatIsGoneAtARebootIsACrashNotALoop) {
  const GuestId guest = Holder();
  host().Reboot();
  host().faults().create_refused = 1;
  world_->Run(absl::Seconds(2));
  EXPECT_EQ(world_->state().guests.at(guest).state, GuestState::kEnded);
  EXPECT_THAT(world_->state().guests.at(guest).exit_reason, HasSubstr("created anew"));
  EXPECT_TRUE(RunUntilInForce(2));
}

TEST_F(EngineHostsTest, AHostThatWentOnKeepsItsGrants) {
  const GuestId guest = Holder();
  world_->Tell("h", HostLost{"a hiccup"});
  ASSERT_TRUE(RunUntilConnected());
  EXPECT_EQ(Held(guest), 20);
  EXPECT_EQ(host_view().counters.differences, 0u);
  EXPECT_TRUE(RunUntilInForce(2));
  EXPECT_GE(Settled(1).outcomes[1].settled_microcredits, 2'000) << "what was held is paid";
  EXPECT_EQ(CheckBooks(world_->state()), "");
}

TEST_F(EngineHostsTest, ARefusedApplyChangesNothingAndCostsNothing) {
  const GuestId guest = Holder();
  ASSERT_TRUE(Bid("ann", MemoryBid(guest, 9, 5'000)).status.ok());
  ASSERT_TRUE(RunUntilDecided(2));
  host().faults().apply_refused = 1;
  ASSERT_TRUE(
      world_->RunUntil([this] { return host_view().counters.applies_refused > 0; }, 2 * kPeriod));
  host().faults().apply_refused = 0;
  EXPECT_EQ(Held(guest), 20);
  const auto rounds = world_->ledger().reader().ListRounds("h", 3, 1);
  ASSERT_TRUE(rounds.ok());
  EXPECT_EQ((*rounds)[0].phase, RoundPhase::kReleased);
  EXPECT_EQ((*rounds)[0].outcomes[1].settled_microcredits, 0);
  ASSERT_TRUE(RunUntilInForce(3));
  EXPECT_EQ(Held(guest), 25);
}

TEST_F(EngineHostsTest, UnmanagedGuestsAreShownAndTheirShareIsNotSold) {
  const GuestId guest = Holder();
  host().AddUnmanagedGuest(700, {{.kind = ResourceKind::kMemory, .seed_units = 100}});
  world_->Tell("h", HostLost{"look again"});
  ASSERT_TRUE(RunUntilConnected());
  ASSERT_EQ(host_view().unmanaged_guests.size(), 1u);
  EXPECT_EQ(host_view().unmanaged_guests[0].guest_id, 700u);
  ASSERT_TRUE(Bid("ann", MemoryBid(guest, 240, 5'000)).status.ok());
  ASSERT_TRUE(RunUntilInForce(3));
  EXPECT_EQ(Held(guest), 156);
  EXPECT_EQ(Held(700), 100);
  EXPECT_TRUE(world_->refusals.empty());
  EXPECT_GT(Admit("ann", "two"), 700u) << "no id is given twice on a host";
}

TEST_F(EngineHostsTest, GrantsThatDifferArePutRightByTheNextRound) {
  const GuestId guest = Holder();
  // Someone else's marketd shrank it.
  Holding seed{.kind = ResourceKind::kMemory, .seed_units = 16};
  Holding cpu{.kind = ResourceKind::kCpu, .seed_units = 10};
  GrantSet set;
  set.grants = {{.guest_id = guest, .now = {cpu, seed}, .next = {cpu, seed}}};
  ASSERT_TRUE(host().Apply(set).ok());
  EXPECT_EQ(Held(guest), 16);
  world_->Tell("h", HostLost{"look again"});
  ASSERT_TRUE(RunUntilConnected());
  EXPECT_EQ(Held(guest), 16) << "attaching changes nothing";
  EXPECT_EQ(host_view().counters.differences, 1u);
  EXPECT_EQ(world_->view().FindGuest(guest)->now[1].units(), 16) << "and says what is so";
  ASSERT_TRUE(RunUntilDecided(2));
  EXPECT_EQ(world_->view().notices.back().units_now, 16);
  ASSERT_TRUE(RunUntilInForce(2));
  EXPECT_EQ(Held(guest), 20);
  EXPECT_EQ(Settled(1).outcomes[1].settled_microcredits, 0) << "what it was robbed of is not paid";
}

TEST_F(EngineHostsTest, ACrashedGuestHoldsNothingAndPaysForTheTimeItRan) {
  const GuestId guest = Holder();
  world_->Run(kPeriod / 2);
  host().EndGuest(guest, "triple fault");
  world_->Run(absl::Milliseconds(500));
  const Guest& crashed = world_->state().guests.at(guest);
  EXPECT_EQ(crashed.state, GuestState::kEnded);
  EXPECT_EQ(crashed.exit_reason, "triple fault");
  EXPECT_TRUE(world_->state().bids.empty());
  EXPECT_TRUE(absl::IsFailedPrecondition(Bid("ann", MemoryBid(guest, 4, 5'000)).status));
  ASSERT_TRUE(RunUntilInForce(2));
  EXPECT_EQ(purse("ann").escrow, 0);
  const auto rounds = world_->ledger().reader().ListRounds("h", 2, 1);
  const Outcome& outcome = rounds->front().outcomes[1];
  EXPECT_NEAR(static_cast<double>(outcome.rent_microcredits), 1.5 * 16 * 40, 0.1 * 16 * 40)
      << "before the first round, too";
  EXPECT_NEAR(static_cast<double>(outcome.settled_microcredits), 1'000, 60) << "half the period";
  EXPECT_TRUE(world_->AskAsOperator(EvictGuest{NewId(), guest}).status.ok());
}

TEST_F(EngineHostsTest, AnAwardOfAGuestThatEndsInGraceIsReleased) {
  const GuestId guest = Holder();
  ASSERT_TRUE(RunUntilDecided(2));
  host().EndGuest(guest, "exit 0");
  ASSERT_TRUE(RunUntilInForce(2));
  const Outcome& outcome = book().open_rounds.at(2).outcomes[1];
  EXPECT_EQ(outcome.award_units, 4);
  EXPECT_TRUE(outcome.settled);
  EXPECT_EQ(outcome.settled_microcredits, 0);
  EXPECT_EQ(purse("ann").escrow, 0);
}

TEST_F(EngineHostsTest, BidPagesAreCheckedAsStrangers) {
  const GuestId guest = Admit("ann", "one");
  GuestBids page{.guest_id = guest};
  page.bids = {{.kind = ResourceKind::kMemory, .ranges = {{0, 4, 0, 5'000}}},
               {.kind = ResourceKind::kCpu, .budget_microcredits = 9, .ranges = {{0, 2, 0, 50}}}};
  world_->Tell("h", page);
  ASSERT_EQ(world_->state().bids.size(), 2u);
  EXPECT_EQ(world_->state().bids.at({guest, ResourceKind::kCpu}).budget_microcredits, 9);
  const uint64_t transactions = world_->state().last_transaction_id;
  world_->Tell("h", page);
  EXPECT_EQ(world_->state().last_transaction_id, transactions) << "the same page says nothing new";

  GuestBids garbage = page;
  garbage.bids[0].ranges[0].max_units = 9;
  garbage.bids[1].ranges[0].max_units = -7;
  world_->Tell("h", garbage);
  EXPECT_EQ(world_->state().bids.at({guest, ResourceKind::kMemory}).ranges[0].max_units, 4)
      << "half a page is not what the guest meant";
  EXPECT_THAT(world_->view().FindGuest(guest)->bid_page_error, HasSubstr("bids[1].ranges[0]"));
  world_->Tell("h", GuestBids{.guest_id = guest, .error = "bid page: magic"});
  EXPECT_EQ(world_->view().FindGuest(guest)->bid_page_error, "bid page: magic");
  EXPECT_EQ(host_view().counters.bid_pages_refused, 2u);
  EXPECT_EQ(world_->state().bids.size(), 2u);

  page.bids[0].ranges.clear();
  world_->Tell("h", page);
  EXPECT_EQ(world_->state().bids.size(), 2u) << "so soon after the last, it waits";
  world_->Run(absl::Seconds(1));
  EXPECT_EQ(world_->state().bids.size(), 1u);
  EXPECT_EQ(world_->view().FindGuest(guest)->bid_page_error, "");
}

TEST_F(EngineHostsTest, ReportsAreShown) {
  const GuestId guest = Admit("ann", "one");
  world_->Tell("h", GuestReport{.guest_id = guest, .work_done = 7, .activity = "hashing"});
  EXPECT_EQ(world_->view().FindGuest(guest)->report.work_done, 7u);
  EXPECT_EQ(world_->view().FindGuest(guest)->report.activity, "hashing");
}

TEST_F(EngineHostsTest, ARestartedMarketGoesOn) {
  const GuestId guest = Holder();
  world_->Restart();
  EXPECT_TRUE(host_view().connected);
  EXPECT_EQ(Held(guest), 20);
  EXPECT_EQ(purse("ann").escrow, 2'000);
  ASSERT_TRUE(RunUntilInForce(2));
  EXPECT_EQ(Settled(1).outcomes[1].settled_microcredits, 2'000);
}

TEST_F(EngineHostsTest, ADecisionSurvivesARestart) {
  const GuestId guest = Admit("ann", "one");
  ASSERT_TRUE(Bid("ann", MemoryBid(guest, 4, 5'000)).status.ok());
  ASSERT_TRUE(RunUntilDecided(1));
  world_->Restart();
  EXPECT_EQ(host_view().phase, RoundPhase::kGrace);
  EXPECT_EQ(host_view().round_id, 1u);
  ASSERT_TRUE(RunUntilInForce(1));
  EXPECT_EQ(Held(guest), 20);
}

TEST_F(EngineHostsTest, ADecisionThatSleptTooLongIsReleasedAtRestart) {
  const GuestId guest = Admit("ann", "one");
  ASSERT_TRUE(Bid("ann", MemoryBid(guest, 4, 5'000)).status.ok());
  ASSERT_TRUE(RunUntilDecided(1));
  world_->Stall(5 * kPeriod);
  world_->Restart();
  EXPECT_EQ(purse("ann").escrow, 0);
  EXPECT_EQ(Held(guest), 16);
  EXPECT_EQ(host_view().round_id, 2u);
}

TEST_F(EngineHostsTest, AnAdmissionIsNotDoneTwiceOverARestart) {
  const AdmitGuest admit = Admission("ann", "one");
  const Reply first = world_->AskAsOperator(admit);
  ASSERT_TRUE(first.status.ok());
  world_->Restart();
  EXPECT_EQ(world_->AskAsOperator(admit).guest_id, first.guest_id);
  EXPECT_EQ(host().guests().size(), 1u);
}

}  // namespace
}  // namespace nom::market
