// SPDX-License-Identifier: Apache-2.0
// Whole sessions against nom::testing::FakeMarket, in real time: leases, rounds, outages.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
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

TEST_F(SessionLifeTest, AContractIsQuotedTakenHeldRenewedAndLeft) {
  market_.SetPrice(Resource::kMemory, 30);
  market_.SetForwardPrice(Resource::kMemory, 40);
  const auto session = Connect();
  Shared shared;
  std::vector<std::string> told;
  const AsyncCall<Offer> quote = session->GetQuote(
      {.units = {{Resource::kMemory, 10}}, .rounds = 2}, [&](const absl::StatusOr<Offer>& offer) {
        shared.Do([&] { told.push_back(offer.ok() ? offer->policy : "refused"); });
      });
  const absl::StatusOr<Offer> offer = quote.Wait();
  ASSERT_TRUE(offer.ok()) << offer.status();
  EXPECT_TRUE(quote.done());
  EXPECT_EQ(offer->guest_id, guest_) << "the only guest";
  EXPECT_THAT(offer->lots, ElementsAre(Lot{Resource::kMemory, 10, 400}));
  EXPECT_EQ(ChargeOf(*offer), 400);
  EXPECT_GT(offer->valid_until, absl::Now());
  shared.WaitUntil([&] { return told.size() == 1; });
  EXPECT_THAT(told, ElementsAre("forward/1"));
  EXPECT_THAT(session->ListOffers().Wait()->offers, SizeIs(1));

  const absl::StatusOr<Taken> taken =
      session->TakeOffer({.offer_id = offer->offer_id, .renew_ceiling_microcredits = 399}).Wait();
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(taken->from_round_id, 1u);
  EXPECT_TRUE(absl::IsNotFound(session->TakeOffer({.offer_id = offer->offer_id}).Wait().status()))
      << "an offer is taken once";
  ASSERT_THAT(session->ListContracts().Wait()->contracts, SizeIs(1));
  EXPECT_THAT(session->ListContracts(taken->contract_id).Wait()->contracts, IsEmpty());
  EXPECT_EQ(session->ListContracts().Wait()->contracts[0].kind, ContractKind::kForward);

  // Beside what is won at auction, which is of what contracts leave.
  market_.SetSupply(Resource::kMemory, 50);
  ASSERT_TRUE(session->Bid(MemoryBid(64)).ok());
  market_.Decide();
  EXPECT_EQ(market_.award_units(guest_, Resource::kMemory), 50);
  EXPECT_EQ(market_.charge_microcredits(guest_, Resource::kMemory), 40 * 30 + 400);
  // Its second round is its last: the ceiling is below what a round costs, until it is raised.
  ASSERT_TRUE(session->SetRenewal(taken->contract_id, 400).Wait().ok());
  market_.Decide();
  ASSERT_THAT(market_.contracts(), SizeIs(1)) << "renewed";
  EXPECT_EQ(market_.contracts()[0].from_round_id, 3u);
  const absl::StatusOr<uint64_t> left = session->LeaveContract(taken->contract_id).Wait();
  ASSERT_TRUE(left.ok()) << left.status();
  EXPECT_EQ(*left, 3u);
  EXPECT_EQ(session->ListContracts().Wait()->contracts[0].end, ContractEnd::kLeft);
  market_.Decide();
  EXPECT_THAT(market_.contracts(), IsEmpty());
  EXPECT_EQ(market_.charge_microcredits(guest_, Resource::kMemory), 50 * 30);

  // What the market refuses is told as it says it, and not tried again.
  const int64_t writes = market_.write_calls();
  EXPECT_TRUE(absl::IsResourceExhausted(
      session->GetQuote({.units = {{Resource::kMemory, 51}}}).Wait().status()));
  EXPECT_TRUE(absl::IsInvalidArgument(session->GetQuote({}).Wait().status())) << "of nothing";
  EXPECT_EQ(market_.write_calls(), writes + 2);
}

TEST_F(SessionLifeTest, UnitsArePassedOnToAnotherGuest) {
  const uint64_t other = market_.AddGuest("other");
  const auto session = Connect();
  EXPECT_FALSE(session->GetQuote({.units = {{Resource::kCpu, 8}}}).Wait().ok())
      << "which of the two guests?";
  const auto offer =
      session->GetQuote({.guest_id = guest_, .units = {{Resource::kCpu, 8}}, .rounds = 9}).Wait();
  ASSERT_TRUE(offer.ok()) << offer.status();
  const auto taken = session->TakeOffer({.offer_id = offer->offer_id, .guest_id = guest_}).Wait();
  ASSERT_TRUE(taken.ok()) << taken.status();
  SubletOptions sublet{.contract_id = taken->contract_id,
                       .lots = {{Resource::kCpu, 3, 12}},
                       .to_guest_id = other,
                       .rounds = 4,
                       .valid_for = absl::Milliseconds(1'500)};
  EXPECT_TRUE(absl::IsInvalidArgument(session->OfferSublet(sublet).Wait().status()))
      << "whole seconds";
  sublet.valid_for = absl::Minutes(2);
  const auto first = session->OfferSublet(sublet).Wait();
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(session->WithdrawOffer(first->offer_id).Wait().ok());
  EXPECT_TRUE(absl::IsNotFound(session->WithdrawOffer(first->offer_id).Wait().status()));
  const auto second = session->OfferSublet(sublet).Wait();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->part_of, taken->contract_id);
  ASSERT_TRUE(session->TakeOffer({.offer_id = second->offer_id, .guest_id = other}).Wait().ok());
  market_.Decide();
  EXPECT_EQ(market_.award_units(guest_, Resource::kCpu), 5);
  EXPECT_EQ(market_.award_units(other, Resource::kCpu), 3);
  EXPECT_EQ(market_.charge_microcredits(other, Resource::kCpu), 12);
}

TEST_F(SessionLifeTest, WhatIsLostOnTheWayIsCarriedOutOnce) {
  const auto session = Connect();
  market_.LoseCalls(2);
  const auto offer = session->GetQuote({.units = {{Resource::kMemory, 10}}, .rounds = 5}).Wait();
  ASSERT_TRUE(offer.ok()) << offer.status();
  EXPECT_EQ(market_.write_calls(), 3);
  market_.LoseAnswers(2);
  const auto taken = session->TakeOffer({.offer_id = offer->offer_id}).Wait();
  ASSERT_TRUE(taken.ok()) << taken.status() << ": a retry under another id finds it taken";
  EXPECT_EQ(market_.write_calls(), 6);
  EXPECT_THAT(market_.contracts(), SizeIs(1));
  // The market goes away, and comes back while the call is still wanted.
  market_.Stop();
  const AsyncCall<uint64_t> leave =
      session->LeaveContract(taken->contract_id, nullptr, {.timeout = absl::InfiniteDuration()});
  EXPECT_FALSE(leave.done());
  market_.Start();
  EXPECT_TRUE(leave.Wait().ok()) << leave.Wait().status();
}

TEST_F(SessionLifeTest, AContractsCallIsGivenUpAndDelaysNoOther) {
  Shared shared;
  bool first_came = false;
  bool go_on = false;
  market_.SetOnCall([&] {
    bool is_first = false;
    shared.Do([&] { is_first = !std::exchange(first_came, true); });
    if (is_first) shared.WaitUntil([&] { return go_on; });
  });
  SessionOptions options = Options();
  options.attempt_timeout = absl::Minutes(1);
  const auto session = Connect(options);
  std::vector<absl::StatusCode> told;
  const QuoteOptions wanted{.units = {{Resource::kMemory, 1}}};
  const AsyncCall<Offer> slow =
      session->GetQuote(wanted,
                        [&](const absl::StatusOr<Offer>& offer) {
                          shared.Do([&] { told.push_back(offer.status().code()); });
                        },
                        {.timeout = absl::InfiniteDuration()});
  shared.WaitUntil([&] { return first_came; });
  EXPECT_TRUE(session->GetQuote(wanted).Wait().ok()) << "while another has no answer";
  EXPECT_FALSE(slow.done());
  slow.Cancel();
  EXPECT_TRUE(absl::IsCancelled(slow.Wait().status()));
  slow.Cancel();  // Harmless.
  shared.WaitUntil([&] { return told.size() == 1; });
  EXPECT_THAT(told, ElementsAre(absl::StatusCode::kCancelled));
  shared.Do([&] { go_on = true; });

  market_.Stop();
  const AsyncCall<Offer> late =
      session->GetQuote(wanted, nullptr, {.timeout = absl::Milliseconds(30)});
  EXPECT_TRUE(absl::IsDeadlineExceeded(late.Wait().status())) << late.Wait().status();
  // No more at once than are promised; all of them end with the session, and none is told then.
  std::vector<AsyncCall<Offer>> many;
  for (int i = 0; i < 300; ++i) {
    many.push_back(session->GetQuote(wanted, [&](const absl::StatusOr<Offer>&) {},
                                     {.timeout = absl::InfiniteDuration()}));
  }
  int refused = 0;
  for (const AsyncCall<Offer>& call : many) {
    if (call.done() && absl::IsResourceExhausted(call.Wait().status())) ++refused;
  }
  // Of the two that were given up an attempt may still be on its way back.
  EXPECT_GE(refused, 300 - 256);
  EXPECT_LE(refused, 300 - 254);
  EXPECT_TRUE(absl::IsDeadlineExceeded(session->Close({.timeout = absl::ZeroDuration()})));
  for (const AsyncCall<Offer>& call : many) EXPECT_FALSE(call.Wait().ok());
  EXPECT_TRUE(absl::IsCancelled(many[0].Wait().status()));
  EXPECT_TRUE(absl::IsCancelled(session->GetQuote(wanted).Wait().status())) << "after the end";
  many[0].Cancel();
}

TEST_F(SessionLifeTest, PricesOfBeforeComeInPagesAndBeginAHistory) {
  for (int64_t price = 10; price < 50; ++price) {
    market_.SetPrice(Resource::kMemory, price);
    market_.Decide();
  }
  const auto session = Connect();
  PriceHistory history(64);
  PriceQuery query{.resources = {Resource::kMemory}, .last_round_id = 35, .page_size = 10};
  std::vector<PricedRound> all;
  int pages = 0;
  do {
    const absl::StatusOr<PricesPage> page = session->ListPrices(query);
    ASSERT_TRUE(page.ok()) << page.status();
    all.insert(all.end(), page->rounds.begin(), page->rounds.end());
    query.page_token = page->next_page_token;
    ++pages;
  } while (!query.page_token.empty());
  EXPECT_EQ(pages, 4);
  ASSERT_THAT(all, SizeIs(35));
  EXPECT_EQ(all.front().round_id, 35u);
  ASSERT_THAT(all.front().prices, SizeIs(1));
  EXPECT_EQ(all.front().prices[0].price.unit_price_microcredits, 44);
  EXPECT_EQ(all.front().prices[0].rule, "posted_price/1");
  EXPECT_EQ(history.NotePast(all, Resource::kMemory), 35u);
  EXPECT_EQ(history.rounds().back().next_unit_price_microcredits, 44);
  EXPECT_EQ(history.UnitPriceAbove(1'000, 100), 44);
  query = {.since = all[4].close_time, .until = all[0].close_time};
  const absl::StatusOr<PricesPage> some = session->ListPrices(query);
  ASSERT_TRUE(some.ok()) << some.status();
  EXPECT_GE(some->rounds.size(), 4u);
  EXPECT_EQ(some->rounds.back().round_id, all[4].round_id);
  query.page_token = "no such";
  EXPECT_TRUE(absl::IsInvalidArgument(session->ListPrices(query).status()));
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
  bool is_back = false;
  auto line = std::make_unique<testing::Forwarder>(market_.target());
  SessionOptions options = Options();
  options.target = line->address();
  options.other_targets = {market_.target()};
  const auto session = Connect(std::move(options));
  session->OnSessionEvent([&](const SessionEvent& event) {
    // Of the first connection it may be told as well.
    if (event.change != SessionChange::kConnected || event.endpoint != market_.target()) return;
    shared.Do([&] { is_back = true; });
  });
  ASSERT_TRUE(session->Bid(MemoryBid(5)).ok());
  line.reset();
  shared.WaitUntil([&] { return is_back; });
  EXPECT_TRUE(session->Bid(MemoryBid(6)).ok());
  EXPECT_THAT(session->standing_bids(), SizeIs(1));
}

// Its id alone must not keep the others from being watched.
TEST_F(SessionLifeTest, OfGuestsThatWereNamedThoseThatAreLeftAreFollowedOn) {
  const uint64_t gone = market_.AddGuest("gone");
  SessionOptions options = Options();
  options.guest_ids = {guest_, gone};
  const auto session = Connect(std::move(options));
  EXPECT_THAT(session->guests(), SizeIs(2));
  market_.RemoveGuest(gone);
  (void)market_.AddGuest("nobody asked for it");
  market_.Stop();
  Until([&] { return session->state() == SessionState::kLost; });
  market_.Start();
  Until([&] { return session->state() == SessionState::kLive && !session->stale(); });
  ASSERT_THAT(session->guests(), SizeIs(1));
  EXPECT_EQ(session->guests()[0].guest_id, guest_);
  EXPECT_TRUE(session->Bid(MemoryBid(4)).ok()) << "it is the only one";
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
