// SPDX-License-Identifier: Apache-2.0
// Whole sessions against nom::testing::FakeMarket, in real time: leases, rounds, outages.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "nom/adviser.h"
#include "tests/net/forwarder.h"
#include "tests/unit/client/session_life_fixture.h"

namespace nom {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(SessionLifeTest, ABidStandsRoundAfterRoundWithoutBeingWrittenAgain) {
  const auto session = Connect();
  ASSERT_TRUE(session->Bid(MemoryBid(64)).ok());
  for (int64_t round = 1; round <= 8; ++round) {
    market_.Decide();
    EXPECT_EQ(market_.award_units(guest_, Resource::kMemory), 64) << round;
    Until([&] { return market_.renewals() >= round; });
  }
  EXPECT_EQ(market_.write_calls(), 1);
}

TEST_F(SessionLifeTest, TheNewerOfTwoSessionsTakesOverAndTheOlderStops) {
  Shared shared;
  std::vector<BidChange> told;
  const auto older = Connect();
  older->OnBidEvent(
      [&](const BidEvent& event) { shared.Do([&] { told.push_back(event.change); }); });
  ASSERT_TRUE(older->Bid(MemoryBid(5)).ok());
  const auto newer = Connect();
  ASSERT_TRUE(newer->Bid(MemoryBid(100)).ok());
  shared.WaitUntil([&] { return !told.empty(); });
  shared.Do([&] { EXPECT_THAT(told, ElementsAre(BidChange::kTakenOver)); });
  EXPECT_THAT(older->standing_bids(), IsEmpty());
  for (int round = 0; round < 8; ++round) {
    const int64_t renewals = market_.renewals();
    market_.Decide();
    EXPECT_EQ(market_.award_units(guest_, Resource::kMemory), 100);
    Until([&] { return market_.renewals() > renewals; });
  }
  EXPECT_EQ(older->Bid(MemoryBid(5)).status().code(), absl::StatusCode::kAborted);
  older->TakeOver();
  EXPECT_TRUE(older->Bid(MemoryBid(7)).ok());
  Until([&] { return newer->standing_bids().empty(); });
}

TEST_F(SessionLifeTest, AWithdrawalByTheOwnerStands) {
  Shared shared;
  std::vector<BidChange> told;
  const auto session = Connect();
  session->OnBidEvent(
      [&](const BidEvent& event) { shared.Do([&] { told.push_back(event.change); }); });
  ASSERT_TRUE(session->Bid(MemoryBid(5)).ok());
  market_.WithdrawAsOwner(guest_, Resource::kMemory);
  market_.Decide();
  shared.WaitUntil([&] { return !told.empty(); });
  shared.Do([&] { EXPECT_THAT(told, ElementsAre(BidChange::kWithdrawn)); });
  for (int round = 0; round < 3; ++round) market_.Decide();
  EXPECT_THAT(market_.bids(), IsEmpty());
}

TEST_F(SessionLifeTest, EachRoundIsToldWithWhatWasWonAndFeedsAHistory) {
  Shared shared;
  std::vector<Round> rounds;
  PriceHistory history;
  market_.SetPrice(Resource::kMemory, 30);
  const auto session = Connect();
  ASSERT_TRUE(session->Bid(MemoryBid(64)).ok());
  session->OnRound([&](const Round& round) {
    shared.Do([&] {
      rounds.push_back(round);
      EXPECT_TRUE(history.Note(round, Resource::kMemory));
    });
  });
  for (size_t round = 1; round <= 8; ++round) {
    market_.Decide();
    shared.WaitUntil([&] { return rounds.size() == round; });
    Until([&] { return market_.renewals() >= static_cast<int64_t>(round); });
    shared.Do([&] {
      EXPECT_EQ(rounds.back().award_units(Resource::kMemory), 64) << "of this round, not the last";
      EXPECT_EQ(rounds.back().charge_microcredits(), 64 * 30);
      EXPECT_EQ(history.rounds().back().free_units, 1'000);
    });
  }
  const absl::StatusOr<RoundsPage> page = session->ListRounds(0, 3);
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_THAT(page->rounds, SizeIs(3));
  EXPECT_EQ(page->rounds[0].round_id, 8u);
  EXPECT_EQ(page->next_before_round_id, 6u);
  EXPECT_EQ(page->rounds[0].award_units(Resource::kMemory), 64);
}

TEST_F(SessionLifeTest, RoundsOfAnOutageAreToldAfterwards) {
  Shared shared;
  std::vector<uint64_t> rounds;
  const auto session = Connect();
  session->OnRound(
      [&](const Round& round) { shared.Do([&] { rounds.push_back(round.round_id); }); });
  market_.Decide();
  shared.WaitUntil([&] { return rounds.size() == 1; });
  market_.Stop();
  for (int round = 0; round < 5; ++round) market_.Decide();
  market_.Start();
  shared.WaitUntil([&] { return rounds.size() == 6; });
  EXPECT_THAT(rounds, ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST_F(SessionLifeTest, CountersCanBeExported) {
  const auto session = Connect();
  ASSERT_TRUE(session->Bid(MemoryBid(5)).ok());
  SessionCounters counters = session->counters();
  counters.market_clock_ahead = absl::Milliseconds(1'500);
  std::map<std::string, NamedCounter> named;
  for (const NamedCounter& counter : NamedCounters(counters)) {
    EXPECT_FALSE(counter.help.empty());
    EXPECT_TRUE(named.emplace(counter.name, counter).second) << counter.name << " is there twice";
  }
  EXPECT_EQ(named["write_calls"].value, 1);
  EXPECT_EQ(named["bids_placed"].value, 1);
  EXPECT_TRUE(named["bids_placed"].only_rises);
  EXPECT_EQ(named["market_clock_ahead_seconds"].value, 1.5);
  EXPECT_FALSE(named["market_clock_ahead_seconds"].only_rises);
  EXPECT_FALSE(named["events_waiting"].only_rises);
}

TEST_F(SessionLifeTest, AStatementSaysWhereTheMoneyWent) {
  const auto session = Connect();
  market_.SetPrice(Resource::kMemory, 30);
  Bid bid = MemoryBid(5);
  bid.rounds = 9;  // Rounds pass here more quickly than bids are renewed.
  ASSERT_TRUE(session->Bid(bid).ok());
  for (int round = 0; round < 3; ++round) market_.Decide();
  market_.SetPrice(Resource::kMemory, 40);
  market_.Decide();
  const absl::StatusOr<Statement> all = session->GetStatement(0);
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->first_round_id, 1u);
  EXPECT_EQ(all->last_round_id, 4u);
  EXPECT_EQ(all->settled_rounds, 4);
  EXPECT_EQ(all->open_rounds, 0);
  ASSERT_THAT(all->lines, SizeIs(1)) << "what nothing was paid for has no line";
  EXPECT_EQ(all->lines[0].resource, Resource::kMemory);
  EXPECT_EQ(all->lines[0].rounds, 4);
  EXPECT_EQ(all->charge_microcredits(), 3 * 5 * 30 + 5 * 40);
  const absl::StatusOr<Statement> some = session->GetStatement(3, 4);
  ASSERT_TRUE(some.ok()) << some.status();
  EXPECT_EQ(some->settled_rounds, 2);
  EXPECT_EQ(some->charge_microcredits(), 5 * 30 + 5 * 40);
  EXPECT_EQ(session->GetStatement(2, 2)->charge_microcredits(), 5 * 30);
  EXPECT_THAT(session->GetStatement(9)->lines, IsEmpty());
  EXPECT_EQ(session->GetStatement(3, 2).status().code(), absl::StatusCode::kInvalidArgument);
  market_.Stop();
  EXPECT_FALSE(session->GetStatement(0, 0, {.timeout = absl::Milliseconds(1)}).ok());
}

TEST_F(SessionLifeTest, ARestartStripsNobodyAndALapsedBidComesBack) {
  const auto session = Connect();
  ASSERT_TRUE(session->Bid(MemoryBid(5)).ok());
  market_.Stop();
  for (int round = 0; round < 5; ++round) market_.Decide();
  EXPECT_THAT(market_.bids(), IsEmpty()) << "nobody renewed it";
  market_.Start();
  Until([&] { return market_.bids().size() == 1; });
  EXPECT_FALSE(session->stale());
}

TEST_F(SessionLifeTest, AnotherLedgerWithTheSameIdsGetsNoneOfTheBids) {
  Shared shared;
  std::vector<SessionChange> told;
  const auto session = Connect();
  session->OnSessionEvent(
      [&](const SessionEvent& event) { shared.Do([&] { told.push_back(event.change); }); });
  ASSERT_TRUE(session->Bid(MemoryBid(5)).ok());
  market_.BeginAnotherLedger();
  shared.WaitUntil([&] {
    return std::find(told.begin(), told.end(), SessionChange::kOtherLedger) != told.end();
  });
  for (int round = 0; round < 4; ++round) market_.Decide();
  EXPECT_THAT(session->standing_bids(), IsEmpty());
  EXPECT_THAT(market_.bids(), IsEmpty());
  EXPECT_TRUE(session->Bid(MemoryBid(7)).ok()) << "what the program bids now is meant";
}

TEST_F(SessionLifeTest, ManyBidsTravelInOneCall) {
  std::vector<Bid> bids;
  for (int guest = 0; guest < 40; ++guest) {
    Bid bid = MemoryBid(3);
    bid.guest_id = market_.AddGuest("guest");
    for (Resource resource : kAllResources) {
      bid.resource = resource;
      bids.push_back(bid);
    }
  }
  const auto session = Connect();
  const BidResults results = session->BidAll(bids);
  ASSERT_THAT(results, SizeIs(240));
  for (const auto& result : results) EXPECT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(market_.write_calls(), 1);
  market_.Decide();
  Until([&] { return market_.renewals() == 1; });
  EXPECT_THAT(session->standing_bids(), SizeIs(240));
  bids.push_back(bids[0]);
  EXPECT_THAT(session->BidAll(bids)[0].status().message(), HasSubstr("twice"));
}

TEST_F(SessionLifeTest, BidsForSeveralResourcesAndForSingleOnesReplaceEachOther) {
  const auto session = Connect();
  const Bid bundles{
      .valuation = Valuation{.bundles = {{.units = {{Resource::kCpu, 4}, {Resource::kMemory, 8}},
                                          .value_microcredits = 500},
                                         {.units = {{Resource::kCpu, 40}, {Resource::kMemory, 80}},
                                          .value_microcredits = 550}}}};
  ASSERT_TRUE(session->Bid(MemoryBid(64)).ok());
  EXPECT_EQ(session->Bid(bundles).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(session->standing_bids(), SizeIs(1)) << "what stood still does";
  market_.ClearJointly();
  ASSERT_TRUE(session->Bid(bundles).ok());
  ASSERT_THAT(market_.bids(), SizeIs(1));
  EXPECT_EQ(market_.bids()[0].valuation, bundles.valuation);
  market_.Decide();  // Of the larger one, all but 430 of the value would be paid.
  EXPECT_EQ(market_.award_units(guest_, Resource::kCpu), 4);
  EXPECT_EQ(market_.award_units(guest_, Resource::kMemory), 8);
  Until([&] { return market_.renewals() > 0; });
  ASSERT_TRUE(session->Bid(MemoryBid(64)).ok());
  market_.Decide();
  EXPECT_EQ(market_.award_units(guest_, Resource::kCpu), 0);
  EXPECT_EQ(market_.award_units(guest_, Resource::kMemory), 64);

  Bid curves;
  curves.valuation = {
      .combination = Combination::kMin,
      .curves = {{Resource::kCpu, {{1, 10, 30, 30}}}, {Resource::kMemory, {{1, 20, 20, 20}}}}};
  ASSERT_TRUE(session->Bid(curves).ok());
  market_.Decide();
  EXPECT_EQ(market_.award_units(guest_, Resource::kCpu), 10);
  EXPECT_EQ(market_.award_units(guest_, Resource::kMemory), 20);
  const absl::StatusOr<bool> removed = session->WithdrawSeveral();
  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_TRUE(*removed);
  EXPECT_THAT(market_.bids(), IsEmpty());
  ASSERT_THAT(session->BidAll({bundles, MemoryBid(4)}), SizeIs(2));
  EXPECT_EQ(session->BidAll({bundles, MemoryBid(4)})[0].status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(SessionLifeTest, ARateLimitIsToldAndWaitedFor) {
  Shared shared;
  bool paced = false;
  const auto session = Connect();
  session->OnSessionEvent([&](const SessionEvent& event) {
    if (event.change == SessionChange::kPaced) shared.Do([&] { paced = true; });
  });
  ASSERT_TRUE(session->Bid(MemoryBid(5)).ok());
  market_.LimitRate(true);
  const BidCall call = session->BidAsync({MemoryBid(6)});
  shared.WaitUntil([&] { return paced; });
  EXPECT_FALSE(call.done());
  market_.LimitRate(false);
  EXPECT_TRUE(call.Wait()[0].ok());
  EXPECT_GE(session->counters().times_paced, 1u);
}

TEST_F(SessionLifeTest, ACallCanBeWaitedForToldAndCancelled) {
  Shared shared;
  std::vector<absl::StatusCode> told;
  const auto session = Connect();
  const auto done = [&](const BidResults& results) {
    shared.Do([&] { told.push_back(results[0].status().code()); });
  };
  EXPECT_TRUE(session->BidAsync({MemoryBid(5)}, done).Wait()[0].ok());
  shared.WaitUntil([&] { return told.size() == 1; });
  market_.LoseCalls(1'000'000);
  const BidCall call = session->BidAsync({MemoryBid(6)}, done);
  Until([&] { return market_.write_calls() > 1; });
  call.Cancel();
  EXPECT_EQ(call.Wait()[0].status().code(), absl::StatusCode::kCancelled);
  shared.WaitUntil([&] { return told.size() == 2; });
  shared.Do([&] { EXPECT_EQ(told[1], absl::StatusCode::kCancelled); });
  // One that was sent is tried on, whatever has become of the call.
  const int64_t writes = market_.write_calls();
  const BidCall sent = session->BidAsync({MemoryBid(7)});
  Until([&] { return market_.write_calls() > writes + 1; });  // The first may be of the one before.
  sent.Cancel();
  EXPECT_EQ(sent.Wait()[0].status().code(), absl::StatusCode::kCancelled);
  market_.LoseCalls(0);
  Until([&] { return market_.bids().size() == 1 && market_.bids()[0].ranges[0].max_units == 7; });
}

TEST_F(SessionLifeTest, AnEndpointThatDoesNotAnswerIsPassedOver) {
  SessionOptions options = Options();
  options.target = "127.0.0.1:1";
  options.other_targets = {market_.target()};
  const auto session = Connect(std::move(options));
  EXPECT_TRUE(session->Bid(MemoryBid(5)).ok());
}

TEST_F(SessionLifeTest, AnEndpointThatGoesAwayIsReplacedByAnother) {
  Shared shared;
  std::vector<std::string> connected;
  auto line = std::make_unique<testing::Forwarder>(market_.target());
  SessionOptions options = Options();
  options.target = line->address();
  options.other_targets = {market_.target()};
  const auto session = Connect(std::move(options));
  session->OnSessionEvent([&](const SessionEvent& event) {
    if (event.change != SessionChange::kConnected) return;
    shared.Do([&] { connected.push_back(event.endpoint); });
  });
  ASSERT_TRUE(session->Bid(MemoryBid(5)).ok());
  line.reset();
  shared.WaitUntil([&] { return !connected.empty(); });
  shared.Do([&] { EXPECT_EQ(connected.back(), market_.target()); });
  EXPECT_TRUE(session->Bid(MemoryBid(6)).ok());
  EXPECT_THAT(session->standing_bids(), SizeIs(1));
}

TEST_F(SessionLifeTest, AGuestThatIsGoneFreesItsBudgetAndTheLastOneIsSeenToGo) {
  SessionOptions options = Options();
  options.budget_per_round_microcredits = 1'000;
  const uint64_t other = market_.AddGuest("batch");
  const auto session = Connect(std::move(options));
  Bid bid = MemoryBid(10);
  bid.guest_id = guest_;
  ASSERT_TRUE(session->Bid(bid).ok());
  bid.guest_id = other;
  EXPECT_EQ(session->Bid(bid).status().code(), absl::StatusCode::kResourceExhausted);
  market_.RemoveGuest(guest_);
  Until([&] { return session->guests().size() == 1; });
  EXPECT_TRUE(session->Bid(bid).ok());
  market_.RemoveGuest(other);
  Until([&] { return session->guests().empty(); });
  EXPECT_THAT(session->standing_bids(), IsEmpty());
}

}  // namespace
}  // namespace nom
