// SPDX-License-Identifier: Apache-2.0
// Calls and rounds of the engine. Hosts that fail: engine_hosts_test.cc.

#include "marketd/market/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "marketd/market/audit.h"
#include "tests/unit/marketd/market/market_fixture.h"

namespace nom::market {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class EngineTest : public MarketTest {
 protected:
  EngineTest() { Open(); }
};

TEST_F(EngineTest, ARoundGoesThroughItsLife) {
  const GuestId guest = Admit("ann", "one");
  EXPECT_EQ(Held(guest), 16);
  const Reply placed = Bid("ann", MemoryBid(guest, 40, 5'000));
  ASSERT_TRUE(placed.status.ok()) << placed.status;
  EXPECT_EQ(placed.round_id, 1u);
  EXPECT_EQ(host_view().phase, RoundPhase::kCollect);
  EXPECT_EQ(host_view().round_id, 1u);

  ASSERT_TRUE(RunUntilDecided(1));
  const Round& round = book().open_rounds.at(1);
  EXPECT_EQ(round.phase, RoundPhase::kGrace);
  EXPECT_EQ(host_view().phase, RoundPhase::kGrace);
  EXPECT_EQ(Held(guest), 16) << "not before its time";
  // Nobody else wants it: 40 units at the reserve of 500.
  EXPECT_EQ(purse("ann").escrow, 20'000);
  ASSERT_EQ(world_->view().notices.size(), 1u);
  const Notice& notice = world_->view().notices[0];
  EXPECT_EQ(notice.units_now, 16);
  EXPECT_EQ(notice.units_next, 56);
  EXPECT_EQ(notice.charge_microcredits, 20'000);
  EXPECT_EQ(notice.effective_time, round.effective_time);

  ASSERT_TRUE(RunUntilInForce(1));
  EXPECT_EQ(Held(guest), 56);
  EXPECT_GE(book().open_rounds.at(1).applied_time, round.effective_time);
  ASSERT_TRUE(RunUntilInForce(2));
  const auto rounds = world_->ledger().reader().ListRounds("h", 0, 10);
  ASSERT_TRUE(rounds.ok());
  ASSERT_EQ(rounds->size(), 2u);
  EXPECT_EQ((*rounds)[0].round_id, 2u);
  const Round& settled = (*rounds)[1];
  EXPECT_EQ(settled.phase, RoundPhase::kSettled);
  const Outcome& outcome = settled.outcomes[1];
  EXPECT_EQ(outcome.kind, ResourceKind::kMemory);
  EXPECT_EQ(outcome.award_units, 40);
  EXPECT_EQ(outcome.delivered_milliunits, 56'000);
  EXPECT_TRUE(outcome.settled);
  EXPECT_EQ(outcome.settled_microcredits, 20'000);
  EXPECT_EQ(outcome.rent_microcredits, 2 * 16 * 40) << "before the first round, too";
  const GuestView* view = world_->view().FindGuest(guest);
  ASSERT_NE(view, nullptr);
  EXPECT_EQ(view->last_settled_round_id, 1u);
  EXPECT_EQ(CheckBooks(world_->state()), "");
}

TEST_F(EngineTest, RetriesAreHarmless) {
  const Deposit deposit{NewId(), "ann", 5};
  const Reply first = world_->AskAsOperator(deposit);
  ASSERT_TRUE(first.status.ok());
  const uint64_t transactions = world_->state().last_transaction_id;
  EXPECT_EQ(world_->AskAsOperator(deposit), first);
  EXPECT_EQ(world_->state().last_transaction_id, transactions);
  Deposit other = deposit;
  other.amount_microcredits = 6;
  EXPECT_TRUE(absl::IsAlreadyExists(world_->AskAsOperator(other).status));
  // Another call under the same id is another write.
  EXPECT_TRUE(absl::IsAlreadyExists(
      world_->AskAsOperator(CreateTenant{.request_id = deposit.request_id, .tenant_id = "eve"})
          .status));
  // Ids are durable.
  world_->Restart();
  EXPECT_EQ(world_->AskAsOperator(deposit), first);
  EXPECT_EQ(purse("ann").available, 1'000'000'005);
}

TEST_F(EngineTest, RequestIdsBelongToTheirOwner) {
  const GuestId a = Admit("ann", "a");
  const GuestId b = Admit("bob", "b");
  PlaceBid bid = MemoryBid(a, 4, 5'000);
  bid.request_id = "same";
  ASSERT_TRUE(Bid("ann", bid).status.ok());
  PlaceBid other = MemoryBid(b, 9, 7'000);
  other.request_id = "same";
  EXPECT_TRUE(Bid("bob", other).status.ok());
}

TEST_F(EngineTest, RequestIdsHaveOneToSixtyFourCharacters) {
  for (const std::string& id : {std::string(), std::string(65, 'x')}) {
    EXPECT_TRUE(absl::IsInvalidArgument(world_->AskAsOperator(Deposit{id, "ann", 5}).status));
  }
  EXPECT_TRUE(world_->AskAsOperator(Deposit{std::string(64, 'x'), "ann", 5}).status.ok());
}

TEST_F(EngineTest, ARetriedTenantGetsTheNewToken) {
  CreateTenant create{NewId(), "eve", "Eve", "old"};
  ASSERT_TRUE(world_->AskAsOperator(create).status.ok());
  create.token_hash = "new";
  ASSERT_TRUE(world_->AskAsOperator(create).status.ok());
  const Tenant& eve = world_->state().tenants.at("eve");
  ASSERT_EQ(eve.tokens.size(), 1u);
  EXPECT_EQ(eve.tokens[0].hash, "new");
  create.request_id = NewId();
  EXPECT_TRUE(absl::IsAlreadyExists(world_->AskAsOperator(create).status));
}

TEST_F(EngineTest, TenantsReachOnlyTheirOwn) {
  const GuestId guest = Admit("ann", "one");
  EXPECT_TRUE(absl::IsNotFound(Bid("bob", MemoryBid(guest, 4, 5'000)).status));
  EXPECT_TRUE(absl::IsNotFound(
      world_->Ask(Caller{.tenant_id = "bob"}, WithdrawBid{NewId(), guest, ResourceKind::kMemory})
          .status));
  const Caller ann{.tenant_id = "ann"};
  EXPECT_TRUE(absl::IsPermissionDenied(world_->Ask(ann, Deposit{NewId(), "ann", 5}).status));
  EXPECT_TRUE(absl::IsPermissionDenied(world_->Ask(ann, EvictGuest{NewId(), guest}).status));
}

TEST_F(EngineTest, BadAdmissionsAreRefusedWithoutATrace) {
  const uint64_t transactions = world_->state().last_transaction_id;
  const auto said = [this](auto spoil) {
    AdmitGuest call = Admission("ann", "one");
    spoil(call);
    return world_->AskAsOperator(call).status;
  };
  EXPECT_THAT(said([](auto& c) { c.host_id = "x"; }).ToString(), HasSubstr("NOT_FOUND: host_id"));
  EXPECT_THAT(said([](auto& c) { c.tenant_id = "x"; }).ToString(),
              HasSubstr("NOT_FOUND: tenant_id"));
  EXPECT_THAT(said([](auto& c) { c.name = "Two Words"; }).message(), HasSubstr("name"));
  for (const char* image : {"", "a/b", "..", "."}) {
    EXPECT_THAT(said([image](auto& c) { c.image = image; }).message(), HasSubstr("image")) << image;
  }
  EXPECT_THAT(said([](auto& c) { c.arguments = std::string(256, 'x'); }).message(),
              HasSubstr("arguments"));
  EXPECT_THAT(said([](auto& c) { c.seeds[1].second = -1; }).message(), HasSubstr("seeds[1].units"));
  EXPECT_THAT(said([](auto& c) { c.seeds[1].second = INT64_MAX; }).message(),
              HasSubstr("seeds[1].units"));
  EXPECT_THAT(said([](auto& c) { c.seeds[1].first = ResourceKind::kCpu; }).message(),
              HasSubstr("seeds[1].kind: is there twice"));
  EXPECT_THAT(said([](auto& c) { c.seeds[1].first = ResourceKind::kDisk; }).message(),
              HasSubstr("is not sold"));
  EXPECT_TRUE(absl::IsResourceExhausted(said([](auto& c) { c.seeds[1].second = 257; })));
  EXPECT_THAT(said([](auto& c) { c.memory_max_units = 15; }).message(),
              HasSubstr("memory_max_units"));
  EXPECT_EQ(world_->state().last_transaction_id, transactions);

  for (const char* name : {"a", "b", "c", "d"}) Admit("ann", name);
  EXPECT_TRUE(absl::IsAlreadyExists(said([](auto& c) { c.name = "a"; })) ||
              absl::IsResourceExhausted(said([](auto& c) { c.name = "a"; })));
  EXPECT_TRUE(absl::IsResourceExhausted(said([](auto&) {})));
}

TEST_F(EngineTest, BadBidsAreRefusedAndTheStandingOneStays) {
  const GuestId guest = Admit("ann", "one");
  ASSERT_TRUE(Bid("ann", MemoryBid(guest, 4, 5'000)).status.ok());
  const auto said = [this, guest](auto spoil) {
    PlaceBid bid = MemoryBid(guest, 9, 9'000);
    spoil(bid);
    return Bid("ann", bid).status.ToString();
  };
  EXPECT_THAT(said([](auto& b) { b.guest_id = 999; }), HasSubstr("NOT_FOUND"));
  EXPECT_THAT(said([](auto& b) { b.kind = ResourceKind::kDisk; }), HasSubstr("INVALID_ARGUMENT"));
  EXPECT_THAT(said([](auto& b) { b.ranges[0].max_units = -1; }), HasSubstr("ranges[0].max_units"));
  EXPECT_THAT(said([](auto& b) { b.ranges[0].unit_price_microcredits = INT64_MAX; }),
              HasSubstr("ranges[0].unit_price_microcredits"));
  EXPECT_THAT(said([](auto& b) { b.ranges.push_back({5, 12, 1, 1}); }), HasSubstr("ranges[1]"));
  EXPECT_THAT(said([](auto& b) { b.budget_microcredits = -1; }), HasSubstr("budget_microcredits"));
  EXPECT_THAT(said([](auto& b) { b.budget_microcredits = 499; }), HasSubstr("FAILED_PRECONDITION"));
  EXPECT_EQ(world_->state().bids.at({guest, ResourceKind::kMemory}).ranges[0].max_units, 4);
}

TEST_F(EngineTest, BidsLapse) {
  const GuestId guest = Admit("ann", "one");
  PlaceBid bid = MemoryBid(guest, 4, 5'000);
  bid.expires_after_rounds = 2;
  ASSERT_TRUE(Bid("ann", bid).status.ok());
  ASSERT_TRUE(RunUntilInForce(2));
  EXPECT_EQ(Held(guest), 20);
  EXPECT_TRUE(world_->state().bids.empty());
  ASSERT_TRUE(RunUntilInForce(3));
  EXPECT_EQ(Held(guest), 16);
}

TEST_F(EngineTest, BidsAfterCloseCountInTheNextRound) {
  const GuestId guest = Admit("ann", "one");
  ASSERT_TRUE(RunUntilDecided(1));
  EXPECT_EQ(Bid("ann", MemoryBid(guest, 4, 5'000)).round_id, 2u);
  ASSERT_TRUE(RunUntilInForce(1));
  EXPECT_EQ(Held(guest), 16);
  ASSERT_TRUE(RunUntilInForce(2));
  EXPECT_EQ(Held(guest), 20);
}

TEST_F(EngineTest, WithdrawingEndsTheBidNotTheGrant) {
  const GuestId guest = Admit("ann", "one");
  ASSERT_TRUE(Bid("ann", MemoryBid(guest, 4, 5'000)).status.ok());
  ASSERT_TRUE(RunUntilInForce(1));
  const Caller ann{.tenant_id = "ann"};
  EXPECT_TRUE(world_->Ask(ann, WithdrawBid{NewId(), guest, ResourceKind::kMemory}).removed);
  EXPECT_FALSE(world_->Ask(ann, WithdrawBid{NewId(), guest, ResourceKind::kMemory}).removed);
  EXPECT_EQ(Held(guest), 20);
  ASSERT_TRUE(RunUntilInForce(2));
  EXPECT_EQ(Held(guest), 16);
}

TEST_F(EngineTest, WinningAlwaysMeansBeingAbleToPay) {
  const GuestId poor = Admit("bob", "poor");
  ASSERT_TRUE(
      world_->AskAsOperator(Deposit{NewId(), "bob", 3'000 - purse("bob").available}).status.ok());
  ASSERT_TRUE(Bid("bob", MemoryBid(poor, 100, 5'000)).status.ok());
  ASSERT_TRUE(RunUntilDecided(1));
  // Asked for 100; all it owns is worth less than one unit is to it, and buys at most that.
  const Outcome& outcome = book().open_rounds.at(1).outcomes[1];
  EXPECT_LE(outcome.charge_microcredits, 3'000);
  EXPECT_LE(outcome.award_units, 1);
  EXPECT_EQ(CheckBooks(world_->state()), "");
  // Rent takes the rest; the seed stays.
  ASSERT_TRUE(RunUntilInForce(4));
  EXPECT_EQ(purse("bob").available, 0);
  EXPECT_LT(purse("bob").arrears, 0);
  EXPECT_EQ(Held(poor), 16);
}

TEST_F(EngineTest, TruthfulSiblingsDoNotStarveEachOther) {
  const GuestId first = Admit("bob", "first");
  const GuestId second = Admit("bob", "second");
  ASSERT_TRUE(world_->AskAsOperator(Deposit{NewId(), "bob", 2'000'000 - purse("bob").available})
                  .status.ok());
  // Each is worth all that bob has; together they cost 40,000.
  for (const GuestId guest : {first, second}) {
    ASSERT_TRUE(Bid("bob", MemoryBid(guest, 40, 50'000)).status.ok());
  }
  ASSERT_TRUE(RunUntilInForce(1));
  EXPECT_EQ(Held(first), 56);
  EXPECT_EQ(Held(second), 56);
}

TEST_F(EngineTest, EvictionReturnsTheSeedAndWhatWasInEscrow) {
  const GuestId guest = Admit("ann", "one");
  ASSERT_TRUE(Bid("ann", MemoryBid(guest, 240, 5'000)).status.ok());
  ASSERT_TRUE(RunUntilInForce(1));
  ASSERT_TRUE(RunUntilDecided(2));
  EXPECT_GT(purse("ann").escrow, 0);
  const EvictGuest evict{NewId(), guest};
  ASSERT_TRUE(world_->AskAsOperator(evict).status.ok());
  EXPECT_EQ(purse("ann").escrow, 0);
  EXPECT_TRUE(world_->state().guests.empty());
  EXPECT_TRUE(world_->state().bids.empty());
  EXPECT_TRUE(host().guests().empty());
  EXPECT_TRUE(world_->AskAsOperator(evict).status.ok()) << "a retry";
  EXPECT_TRUE(absl::IsNotFound(world_->AskAsOperator(EvictGuest{NewId(), guest}).status));
  ASSERT_TRUE(RunUntilInForce(3));
  EXPECT_EQ(CheckBooks(world_->state()), "");
  // Its name and its seed can be had again; its id never.
  EXPECT_GT(Admit("ann", "one"), guest);
}

TEST_F(EngineTest, AnAdmissionWaitsForRoom) {
  const GuestId first = Admit("ann", "one");
  ASSERT_TRUE(Bid("ann", MemoryBid(first, 240, 5'000)).status.ok());
  ASSERT_TRUE(RunUntilInForce(1));
  EXPECT_EQ(host().granted_units(ResourceKind::kMemory), 256);
  // Every byte is granted until the next round takes effect.
  const CallId call = world_->Post(Caller{.is_operator = true}, Admission("bob", "two"));
  world_->Settle();
  EXPECT_FALSE(world_->AnswerTo(call).has_value());
  ASSERT_TRUE(RunUntilInForce(2));
  ASSERT_TRUE(world_->AnswerTo(call).has_value());
  EXPECT_TRUE(world_->AnswerTo(call)->status.ok()) << world_->AnswerTo(call)->status;
  EXPECT_EQ(Held(first), 240);
  EXPECT_TRUE(world_->refusals.empty());
}

TEST_F(EngineTest, ARefusedImageLeavesNothingAndIsRefusedAgain) {
  host().faults().create_refused = 1;
  const AdmitGuest admit = Admission("ann", "one");
  const Reply refused = world_->AskAsOperator(admit);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status)) << refused.status;
  EXPECT_TRUE(world_->state().guests.empty());
  host().faults().create_refused = 0;
  EXPECT_EQ(world_->AskAsOperator(admit).status, refused.status) << "the same request";
  EXPECT_GT(Admit("ann", "one"), 0u);
}

TEST_F(EngineTest, MissedTimeIsSkippedNotMadeUpFor) {
  const GuestId guest = Admit("ann", "one");
  ASSERT_TRUE(Bid("ann", MemoryBid(guest, 4, 5'000)).status.ok());
  ASSERT_TRUE(RunUntilInForce(1));
  world_->Stall(absl::Hours(5));
  world_->Run(absl::Milliseconds(10));
  EXPECT_LE(book().last_decided_round_id, 2u);
  EXPECT_GT(host_view().counters.rounds_skipped, 1'000u);
  EXPECT_EQ(Held(guest), 20) << "the last grants stay";
  ASSERT_TRUE(RunUntilInForce(2));
  // And back: rounds go on at once, not in five hours.
  world_->Step(-absl::Hours(5));
  EXPECT_TRUE(RunUntilInForce(4));
}

TEST_F(EngineTest, ADecisionWhoseTimePassedIsReleased) {
  const GuestId guest = Admit("ann", "one");
  ASSERT_TRUE(Bid("ann", MemoryBid(guest, 4, 5'000)).status.ok());
  ASSERT_TRUE(RunUntilDecided(1));
  EXPECT_EQ(purse("ann").escrow, 2'000);
  world_->Stall(3 * kPeriod);
  world_->Run(absl::Milliseconds(10));
  EXPECT_EQ(purse("ann").escrow, 0);
  EXPECT_EQ(host_view().counters.rounds_released, 1u);
  EXPECT_EQ(Held(guest), 16);
  ASSERT_TRUE(RunUntilInForce(2));
  EXPECT_EQ(Held(guest), 20);
}

TEST_F(EngineTest, NothingIsToldBeforeItIsDurable) {
  // Straight at the engine: no ledger answers here.
  Engine engine({.hosts = {TestHostConfig("h", kPeriod)}}, State{});
  SimulatedClock clock;
  Effects start = engine.Handle(Tick{}, clock.Now());
  ASSERT_NE(start.view, nullptr);
  Effects effects = engine.Handle(
      CallEvent{.call_id = 1, .caller = {.is_operator = true}, .call = CreateTenant{"r", "ann"}},
      clock.Now());
  ASSERT_EQ(effects.transactions.size(), 1u);
  EXPECT_TRUE(effects.replies.empty());
  EXPECT_EQ(effects.view, nullptr);
  // Even a refusal waits: it may rest on what is not yet durable.
  effects = engine.Handle(
      CallEvent{.call_id = 2, .caller = {.is_operator = true}, .call = CreateTenant{"s", "ann"}},
      clock.Now());
  EXPECT_TRUE(effects.replies.empty());
  effects = engine.Handle(CommitDone{1}, clock.Now());
  ASSERT_EQ(effects.replies.size(), 2u);
  EXPECT_TRUE(effects.replies[0].reply.status.ok());
  EXPECT_TRUE(absl::IsAlreadyExists(effects.replies[1].reply.status));
  ASSERT_NE(effects.view, nullptr);
  EXPECT_NE(effects.view->FindTenant("ann"), nullptr);
  EXPECT_GT(effects.view->sequence, start.view->sequence);
}

TEST_F(EngineTest, NonsenseFromOutsideIsPassedOver) {
  const uint64_t transactions = world_->state().last_transaction_id;
  Engine engine({.hosts = {TestHostConfig("h", kPeriod)}}, State{});
  const absl::Time now = world_->clock.Now();
  (void)engine.Handle(HostCommandDone{.host_id = "h", .command_id = 77}, now);
  (void)engine.Handle(HostCommandDone{.host_id = "nowhere", .command_id = 1}, now);
  (void)engine.Handle(CommitDone{1'000'000}, now);
  (void)engine.Handle(HostNewsEvent{"nowhere", HostLost{}}, now);
  (void)engine.Handle(HostNewsEvent{"h", GuestEnded{55, "x"}}, now);
  (void)engine.Handle(Tick{}, now - absl::Hours(1));
  EXPECT_EQ(engine.state(), State{});
  world_->Tell("h", GuestBids{.guest_id = 99, .bids = {{.ranges = {{0, 1, 0, 1}}}}});
  EXPECT_EQ(world_->state().last_transaction_id, transactions);
}

TEST_F(EngineTest, AnAuctionBeyondItsWorkIsClearedByTheNextInTheChain) {
  const GuestId guest = Admit("ann", "one");
  const int64_t enough = ClearingWorkMax(world_->config().hosts[0], 1);
  ASSERT_TRUE(Bid("ann", MemoryBid(guest, 4, 5'000)).status.ok());
  ASSERT_TRUE(RunUntilInForce(1));
  EXPECT_EQ(book().prices[1].method, policies::Method::kExact);
  EXPECT_EQ(Held(guest), 20);
  world_->config().hosts[0].clearing_work_max = 1;
  world_->Restart();
  ASSERT_TRUE(Bid("ann", MemoryBid(guest, 100, 5'000)).status.ok());
  ASSERT_TRUE(RunUntilInForce(2));
  EXPECT_EQ(book().prices[1].method, policies::Method::kRepeatLast);
  EXPECT_EQ(Held(guest), 20) << "it keeps what it held";
  LedgerReader& reader = world_->ledger().reader();
  EXPECT_EQ(reader.GetAuction("h", 1, ResourceKind::kMemory)->work_max, enough - enough / 2)
      << "the other half is for clearing again";
  const auto limited = reader.GetAuction("h", 2, ResourceKind::kMemory);
  EXPECT_EQ(limited->work_max, 1);
  EXPECT_EQ(limited->fault, "") << "no rule failed";
  // Each is cleared again within its own limit.
  const auto audit = Audit(reader, ClearByRule);
  EXPECT_THAT(audit->findings, IsEmpty());
  EXPECT_EQ(audit->auctions_repeated, 0u);
}

class FailingRuleTest : public MarketTest {};

TEST_F(FailingRuleTest, TheLastAwardsAreRepeated) {
  bool fails = false;
  Open([&fails](const std::string& rule, const policies::Auction& auction,
                int64_t work_max) -> absl::StatusOr<policies::Clearing> {
    if (fails) return absl::InternalError("no");
    return ClearByRule(rule, auction, work_max);
  });
  const GuestId guest = Admit("ann", "one");
  ASSERT_TRUE(Bid("ann", MemoryBid(guest, 4, 5'000)).status.ok());
  ASSERT_TRUE(RunUntilInForce(1));
  fails = true;
  ASSERT_TRUE(Bid("ann", MemoryBid(guest, 100, 5'000)).status.ok());
  ASSERT_TRUE(RunUntilInForce(2));
  EXPECT_EQ(Held(guest), 20);
  EXPECT_EQ(book().prices[1].method, policies::Method::kRepeatLast);
  EXPECT_EQ(host_view().counters.clearings_repeat_last, 2u);
  const auto record = world_->ledger().reader().GetAuction("h", 2, ResourceKind::kMemory);
  ASSERT_TRUE(record.ok());
  EXPECT_THAT(record->fault, HasSubstr("no"));
}

}  // namespace
}  // namespace nom::market
