// SPDX-License-Identifier: Apache-2.0
// Tiers: what the market bids for guests that do not, through the engine.

#include "marketd/market/tiers.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <set>

#include "marketd/market/audit.h"
#include "marketd/market/money.h"
#include "policies/tiers/tiers.h"
#include "tests/unit/marketd/market/market_fixture.h"

namespace nom::market {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr auto kMemory = ResourceKind::kMemory;
constexpr auto kCpu = ResourceKind::kCpu;
constexpr Microcredits kCpuReserve = 1'000;
constexpr Microcredits kMemoryReserve = 500;
constexpr int64_t kFloorEvery = 4;
constexpr Microcredits kPlenty = 100'000'000;

std::vector<Tier> Table() {
  return {{.name = "economy",
           .price_multiple_ppm = 1'000'000,
           .floor_units = {{kCpu, 5}, {kMemory, 8}},
           .floor_every_rounds = kFloorEvery},
          {.name = "gold", .price_multiple_ppm = 3'000'000}};
}

class TiersTest : public MarketTest {
 protected:
  virtual void Change(HostConfig& host) { host.tiers = Table(); }
  void SetUp() override {
    Open(nullptr, [this](HostConfig& host) { Change(host); });
    ann_ = Admit("ann", "one");
    bob_ = Admit("bob", "two");
    ASSERT_TRUE(RunUntilInForce(1));
  }
  Reply Ask(const TenantId& tenant_id, Call call) {
    return world_->Ask(Caller{.tenant_id = tenant_id}, std::move(call));
  }
  SetTier Wish(GuestId guest_id, const std::string& tier, int64_t memory,
               Microcredits ceiling = kPlenty) {
    return {.request_id = NewId(),
            .guest_id = guest_id,
            .tier = tier,
            .most = {{kMemory, memory}},
            .ceiling_microcredits = ceiling};
  }
  RoundId Next() { return book().last_decided_round_id + 1; }
  Outcome Of(RoundId round_id, GuestId guest_id, ResourceKind kind = kMemory) {
    const auto rounds = world_->ledger().reader().ListRounds("h", round_id + 1, 1);
    EXPECT_TRUE(rounds.ok()) << rounds.status();
    for (const Outcome& outcome : rounds->at(0).outcomes) {
      if (outcome.guest_id == guest_id && outcome.kind == kind) return outcome;
    }
    ADD_FAILURE() << "no outcome in round " << round_id;
    return {};
  }
  // What the guest holds by its tier's floor in the last round decided.
  std::map<ResourceKind, int64_t> Floor(GuestId guest_id) {
    std::map<ResourceKind, int64_t> out;
    for (const Contract* contract :
         world_->state().contracts.AliveIn(guest_id, book().last_decided_round_id)) {
      if (!IsFloor(*contract)) continue;
      EXPECT_EQ(contract->policy, policies::kTierBids);
      for (const Lot& lot : contract->lots) {
        out[lot.kind] += lot.units;
        EXPECT_EQ(lot.charge_microcredits,
                  lot.units * (lot.kind == kCpu ? kCpuReserve : kMemoryReserve));
      }
    }
    return out;
  }
  void ExpectGoodBooks() {
    EXPECT_EQ(CheckBooks(world_->state()), "");
    const auto audit = Audit(world_->ledger().reader(), ClearByRule);
    ASSERT_TRUE(audit.ok()) << audit.status();
    EXPECT_THAT(audit->findings, IsEmpty());
    const State before = world_->state();
    world_->Restart();
    EXPECT_TRUE(world_->state() == before) << "the ledger says another thing than the engine";
  }

  GuestId ann_ = 0;
  GuestId bob_ = 0;
};

TEST_F(TiersTest, TheMarketBidsForTheHeadroomAndChargesByTheAuction) {
  const RoundId from = Next();
  const Reply set = Ask("ann", Wish(ann_, "gold", 40));
  ASSERT_TRUE(set.status.ok()) << set.status;
  EXPECT_EQ(set.round_id, from);
  ASSERT_TRUE(RunUntilInForce(from));
  EXPECT_EQ(Held(ann_), 16 + 40) << "what it asked for, on top of its seed";
  EXPECT_EQ(Held(ann_, kCpu), 10) << "a kind that it did not ask for";
  EXPECT_EQ(Of(from, ann_).charge_microcredits, 40 * kMemoryReserve) << "nobody bids against it";
  EXPECT_EQ(Of(from, ann_).reason, AwardReason::kServed);
  const GuestView& view = *world_->view().FindGuest(ann_);
  ASSERT_TRUE(view.tier.has_value());
  EXPECT_EQ(view.tier->tier, "gold");
  EXPECT_THAT(view.bids, IsEmpty());
  // Another wish, from the next round on.
  ASSERT_TRUE(Ask("ann", Wish(ann_, "gold", 12)).status.ok());
  ASSERT_TRUE(RunUntilInForce(Next()));
  EXPECT_EQ(Held(ann_), 16 + 12);
  const Reply cleared = Ask("ann", ClearTier{NewId(), ann_});
  EXPECT_TRUE(cleared.status.ok());
  EXPECT_TRUE(cleared.removed);
  EXPECT_FALSE(Ask("ann", ClearTier{NewId(), ann_}).removed);
  ASSERT_TRUE(RunUntilInForce(Next()));
  EXPECT_EQ(Held(ann_), 16);
  EXPECT_FALSE(world_->view().FindGuest(ann_)->tier.has_value());
  ExpectGoodBooks();
}

TEST_F(TiersTest, AHigherTierIsOutbidLater) {
  ASSERT_TRUE(Ask("ann", Wish(ann_, "economy", 250)).status.ok());
  ASSERT_TRUE(Ask("bob", Wish(bob_, "gold", 250)).status.ok());
  ASSERT_TRUE(RunUntilInForce(Next()));
  const RoundId decided = book().last_decided_round_id;
  EXPECT_EQ(Of(decided, ann_).award_units, 0);
  EXPECT_GE(Of(decided, bob_).award_units, 200);
  ExpectGoodBooks();
}

TEST_F(TiersTest, NoRoundCostsMoreThanTheCeilingAllKindsAndTheFloorTogether) {
  constexpr Microcredits kCeiling = 30'000;  // 20 of cpu at their reserve, and 20 of memory.
  SetTier wish = Wish(ann_, "economy", 200, kCeiling);
  wish.most.push_back({kCpu, 100});
  ASSERT_TRUE(Ask("ann", wish).status.ok());
  const RoundId from = Next();
  bool was_floor = false;
  for (RoundId round = from; round < from + 2 * kFloorEvery; ++round) {
    ASSERT_TRUE(RunUntilDecided(round));
    Microcredits sum = 0;
    for (const auto& [kind, units] : Floor(ann_)) {
      sum += units * (kind == kCpu ? kCpuReserve : kMemoryReserve);
      was_floor = true;
    }
    ASSERT_TRUE(RunUntilInForce(round));
    for (const ResourceKind kind : {kCpu, kMemory}) {
      sum += Of(round, ann_, kind).charge_microcredits;
      EXPECT_GT(Of(round, ann_, kind).award_units, 0) << "each kind has a part of the ceiling";
    }
    EXPECT_LE(sum, kCeiling);
    EXPECT_GT(sum, kCeiling * 8 / 10);
  }
  EXPECT_TRUE(was_floor);
  ExpectGoodBooks();
}

TEST_F(TiersTest, TheLowestTierHasItsFloorInOneOfSoManyRoundsWhoeverBids) {
  ASSERT_TRUE(Bid("bob", MemoryBid(bob_, 256, 90'000)).status.ok());
  // Of its ceiling the floor leaves less than one unit costs: it bids below bob.
  SetTier wish = Wish(ann_, "economy", 6, 10'000);
  wish.most.push_back({kCpu, 5});
  ASSERT_TRUE(Ask("ann", wish).status.ok());
  ASSERT_TRUE(RunUntilInForce(Next()));
  const RoundId from = Next();
  int floors = 0;
  for (RoundId round = from; round < from + 3 * kFloorEvery; ++round) {
    if (round == from + 2) world_->Restart(absl::Seconds(1));
    if (round == from + 5) world_->DieBefore("tier floors given");
    if (round == from + 7) world_->DieBefore("round decided");
    ASSERT_TRUE(RunUntilDecided(round));
    const std::map<ResourceKind, int64_t> floor = Floor(ann_);
    ASSERT_TRUE(RunUntilInForce(round));
    if (!floor.empty()) {
      ++floors;
      EXPECT_EQ(floor, (std::map<ResourceKind, int64_t>{{kCpu, 5}, {kMemory, 6}}))
          << "no more than it asked for";
      EXPECT_EQ(Held(ann_), 16 + 6);
      EXPECT_EQ(Of(round, ann_).contracted_units, 6);
      const auto rounds = world_->ledger().reader().ListRounds("h", round + 1, 1);
      EXPECT_EQ(rounds->at(0).prices[1].contracted_units, 6) << "published";
      EXPECT_EQ(rounds->at(0).prices[1].supply_units, 256 - 32 - 6);
    } else {
      EXPECT_EQ(Held(ann_), 16) << "outbid";
    }
  }
  EXPECT_EQ(floors, 3);
  ExpectGoodBooks();
}

TEST_F(TiersTest, AFloorThatWasGivenBeforeARestartIsNotGivenAgain) {
  ASSERT_TRUE(Ask("ann", Wish(ann_, "economy", 30)).status.ok());
  const auto slot = static_cast<RoundId>(world_->state().tiers.at(ann_).slot);
  while (Next() % static_cast<RoundId>(kFloorEvery) != slot) ASSERT_TRUE(RunUntilInForce(Next()));
  // The process died between the two: the floor is durable, the round is not decided.
  const RoundId round = Next();
  world_->WriteWhileDown([&](Scribe& scribe) {
    Contract floor{.contract_id = scribe.state().last_contract_id + 1,
                   .guest_id = ann_,
                   .tenant_id = "ann",
                   .lots = {{kMemory, 8, 8 * kMemoryReserve}},
                   .from_round_id = round,
                   .until_round_id = round + 1,
                   .period = kPeriod,
                   .policy = std::string(policies::kTierBids)};
    PostEscrow(scribe, floor, ChargeOf(floor));
    scribe.Write(OpenContract{floor});
  });
  ASSERT_TRUE(RunUntilDecided(round));
  EXPECT_EQ(Floor(ann_), (std::map<ResourceKind, int64_t>{{kMemory, 8}}));
  ASSERT_TRUE(RunUntilInForce(round));
  EXPECT_EQ(Held(ann_), 16 + 30) << "what it asked for, of which eight are the floor";
  ExpectGoodBooks();
}

TEST_F(TiersTest, NobodyIsMadeToPayForAFloor) {
  // Not above the ceiling, and not out of an empty purse.
  ASSERT_TRUE(Ask("ann", Wish(ann_, "economy", 8, 8 * kMemoryReserve - 1)).status.ok());
  ASSERT_TRUE(Ask("bob", Wish(bob_, "economy", 8)).status.ok());
  ASSERT_TRUE(world_->AskAsOperator(Deposit{NewId(), "bob", -purse("bob").available}).status.ok());
  const RoundId from = Next();
  for (RoundId round = from; round < from + kFloorEvery; ++round) {
    ASSERT_TRUE(RunUntilDecided(round));
    EXPECT_THAT(Floor(ann_), IsEmpty());
    EXPECT_THAT(Floor(bob_), IsEmpty());
  }
  ExpectGoodBooks();
}

TEST_F(TiersTest, FloorsAreSpreadOverTheRounds) {
  std::set<int64_t> slots;
  for (int i = 0; i < 2; ++i) {
    const GuestId guest = Admit("ann", absl::StrCat("more-", i));
    ASSERT_TRUE(Ask("ann", Wish(guest, "economy", 8)).status.ok());
    slots.insert(world_->state().tiers.at(guest).slot);
  }
  ASSERT_TRUE(Ask("ann", Wish(ann_, "economy", 8)).status.ok());
  const int64_t slot = world_->state().tiers.at(ann_).slot;
  slots.insert(slot);
  EXPECT_EQ(slots.size(), 3u);
  ASSERT_TRUE(Ask("ann", Wish(ann_, "economy", 9)).status.ok());
  EXPECT_EQ(world_->state().tiers.at(ann_).slot, slot) << "another wish costs nobody its turn";
}

TEST_F(TiersTest, AGuestHasATierOrBidsAndNeverBoth) {
  // What stands goes, a lease's too.
  const Reply lease = Ask("ann", OpenLease{});
  PlaceBids leased{.fence = {lease.fence, 1}, .bids = {MemoryBid(ann_, 9, 900)}};
  leased.bids[0].request_id.clear();
  ASSERT_TRUE(Ask("ann", leased).placed_bids.at(0).status.ok());
  ASSERT_TRUE(Ask("ann", Wish(ann_, "gold", 5)).status.ok());
  EXPECT_THAT(world_->state().BidsOf(ann_), IsEmpty());
  // And none comes, by whatever way.
  const Reply refused = Bid("ann", MemoryBid(ann_, 9, 900));
  EXPECT_EQ(refused.status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status.message()), HasSubstr("tier gold"));
  ++leased.fence.sequence;
  EXPECT_EQ(Ask("ann", leased).placed_bids.at(0).lost_to, LeasedBidState::kWithdrawn)
      << "its program is told that another withdrew it";
  PlaceBids anew = leased;
  anew.fence = {Ask("ann", OpenLease{}).fence, 1};
  EXPECT_EQ(Ask("ann", anew).placed_bids.at(0).status.code(),
            absl::StatusCode::kFailedPrecondition);
  world_->Tell(
      "h", GuestBids{.guest_id = ann_, .bids = {{.kind = kMemory, .ranges = {{0, 9, 0, 900}}}}});
  EXPECT_THAT(world_->view().FindGuest(ann_)->bid_page_error, HasSubstr("tier gold"));
  EXPECT_THAT(world_->state().BidsOf(ann_), IsEmpty());
  ASSERT_TRUE(RunUntilInForce(Next()));
  EXPECT_EQ(Held(ann_), 16 + 5);
  // Once it is cleared they do.
  ASSERT_TRUE(Ask("ann", ClearTier{NewId(), ann_}).status.ok());
  ++anew.fence.sequence;
  EXPECT_TRUE(Ask("ann", anew).placed_bids.at(0).status.ok());
  ExpectGoodBooks();
}

TEST_F(TiersTest, APageThatWaitsDoesNotOutliveTheTier) {
  const auto page = [&](Microcredits price) {
    world_->Tell("h", GuestBids{.guest_id = ann_,
                                .bids = {{.kind = kMemory, .ranges = {{0, 9, 0, price}}}}});
  };
  page(900);
  page(901);  // Within a second of the first: it waits.
  ASSERT_TRUE(Ask("ann", Wish(ann_, "gold", 5)).status.ok());
  ASSERT_TRUE(RunUntilInForce(Next()));
  EXPECT_THAT(world_->state().BidsOf(ann_), IsEmpty());
}

TEST_F(TiersTest, WhatCannotBeSetIsRefusedWithTheField) {
  const auto refused = [&](const SetTier& wish, absl::StatusCode code, const char* piece) {
    const Reply reply = Ask("ann", wish);
    EXPECT_EQ(reply.status.code(), code) << reply.status;
    EXPECT_THAT(std::string(reply.status.message()), HasSubstr(piece));
  };
  const SetTier good = Wish(ann_, "gold", 5);
  for (const GuestId guest_id : {GuestId{0}, GuestId{777}, bob_}) {
    SetTier bad = good;
    bad.guest_id = guest_id;
    refused(bad, absl::StatusCode::kNotFound, "guest_id");
  }
  EXPECT_TRUE(absl::IsNotFound(Ask("ann", ClearTier{NewId(), bob_}).status));
  SetTier bad = good;
  bad.tier = "silver";
  refused(bad, absl::StatusCode::kInvalidArgument, "it has economy, gold");
  bad = good;
  bad.most.clear();
  refused(bad, absl::StatusCode::kInvalidArgument, "most");
  for (const int64_t units : {int64_t{0}, int64_t{-1}, policies::kUnitsMax + 1}) {
    bad = good;
    bad.most[0].second = units;
    refused(bad, absl::StatusCode::kInvalidArgument, "most[0].units");
  }
  bad = good;
  bad.most.push_back({kMemory, 1});
  refused(bad, absl::StatusCode::kInvalidArgument, "most[1].kind: memory is there twice");
  bad = good;
  bad.most[0].first = ResourceKind::kDisk;
  refused(bad, absl::StatusCode::kInvalidArgument, "most[0].kind: disk is not sold");
  for (const Microcredits ceiling :
       {Microcredits{0}, Microcredits{-1}, policies::kValueMaxMicrocredits + 1}) {
    bad = good;
    bad.ceiling_microcredits = ceiling;
    refused(bad, absl::StatusCode::kInvalidArgument, "ceiling_microcredits");
  }
  EXPECT_TRUE(absl::IsPermissionDenied(
      world_->Ask(Caller{.tenant_id = "ann", .read_only = true}, good).status));
  EXPECT_TRUE(world_->state().tiers.empty());
  // The same twice is once, another thing under its id nothing.
  EXPECT_TRUE(Ask("ann", good).status.ok());
  EXPECT_TRUE(Ask("ann", good).status.ok());
  bad = good;
  bad.most[0].second = 6;
  refused(bad, absl::StatusCode::kAlreadyExists, "request_id");
  bad = good;
  bad.ceiling_microcredits = 6;
  refused(bad, absl::StatusCode::kAlreadyExists, "request_id");
  bad = good;
  bad.tier = "economy";
  refused(bad, absl::StatusCode::kAlreadyExists, "request_id");
  // It stays through its guest's end, bids nothing meanwhile, and goes with it.
  ASSERT_TRUE(Ask("ann", EndGuest{NewId(), ann_}).status.ok());
  refused(Wish(ann_, "gold", 5), absl::StatusCode::kFailedPrecondition, "has ended");
  ASSERT_TRUE(RunUntilInForce(Next()));
  EXPECT_EQ(Of(book().last_decided_round_id, bob_).award_units, 0);
  ASSERT_TRUE(Ask("ann", StartGuest{NewId(), ann_}).status.ok());
  ASSERT_TRUE(RunUntilInForce(Next()));
  EXPECT_EQ(Held(ann_), 16 + 5);
  ASSERT_TRUE(world_->AskAsOperator(EvictGuest{NewId(), ann_}).status.ok());
  EXPECT_TRUE(world_->state().tiers.empty());
  ExpectGoodBooks();
}

TEST_F(TiersTest, ATableThatChangesIsTheOneThatCounts) {
  ASSERT_TRUE(Ask("ann", Wish(ann_, "gold", 5)).status.ok());
  ASSERT_TRUE(Ask("bob", Wish(bob_, "economy", 8)).status.ok());
  world_->config().hosts[0].tiers.pop_back();
  world_->config().hosts[0].tiers[0].floor_every_rounds = 1;
  world_->Restart();
  ASSERT_TRUE(world_->RunUntil([&] { return host_view().connected; }, kPeriod));
  ASSERT_TRUE(RunUntilInForce(Next()));
  EXPECT_EQ(Held(ann_), 16) << "gold is no more, and nothing is bid by it";
  EXPECT_EQ(Floor(bob_).at(kMemory), 8) << "each round is its turn now";
  ExpectGoodBooks();
}

class JointTiersTest : public TiersTest {
 protected:
  void Change(HostConfig& host) override {
    TiersTest::Change(host);
    host.joint_rule = std::string(policies::kJointVcg);
    for (Resource& resource : host.resources) resource.rule = host.joint_rule;
  }
};

TEST_F(JointTiersTest, TiersBidInOneAuctionForAllKindsToo) {
  SetTier wish = Wish(ann_, "economy", 30);
  wish.most.push_back({kCpu, 20});
  ASSERT_TRUE(Ask("ann", wish).status.ok());
  const RoundId from = Next();
  int floors = 0;
  for (RoundId round = from; round < from + kFloorEvery; ++round) {
    ASSERT_TRUE(RunUntilInForce(round));
    if (!Floor(ann_).empty()) ++floors;
    EXPECT_EQ(Held(ann_), 16 + 30);
    EXPECT_EQ(Held(ann_, kCpu), 10 + 20);
    EXPECT_EQ(Of(round, ann_).reason, AwardReason::kServed);
  }
  EXPECT_EQ(floors, 1);
  ExpectGoodBooks();
}

TEST(TierBids, EachKindHasThePartOfTheCeilingThatItWouldHaveOfTheWhole) {
  const std::vector<Tier> table = Table();
  const UnitPrices prices = {{kCpu, 100}, {kMemory, 10}};
  GuestTier wish{.guest_id = 7,
                 .tier = "gold",
                 .most = {{kCpu, 10}, {kMemory, 100}},
                 .ceiling_microcredits = 6'000};
  std::vector<StandingBid> bids = TierBids(table, wish, prices, 0);
  ASSERT_EQ(bids.size(), 2u);
  EXPECT_EQ(bids[0].budget_microcredits, 3'000) << "10 units at three times 100";
  EXPECT_EQ(bids[1].budget_microcredits, 3'000) << "100 at three times 10";
  EXPECT_EQ(bids[1].ranges[0].unit_price_microcredits, 30);
  EXPECT_EQ(bids[1].ranges[0].max_units, 100);
  bids = TierBids(table, wish, prices, 3'000);
  EXPECT_EQ(bids[0].budget_microcredits, 1'500);
  EXPECT_EQ(bids[1].budget_microcredits, 1'500);
  EXPECT_THAT(TierBids(table, wish, prices, 6'000), IsEmpty());
  wish.most[0].kind = ResourceKind::kDisk;
  EXPECT_EQ(TierBids(table, wish, prices, 0).size(), 1u) << "disk has no price here";
  // The largest of everything: nothing passes 64 bits, and the sum stays below the ceiling.
  wish = {.guest_id = 7,
          .tier = "gold",
          .most = {{kCpu, policies::kUnitsMax}, {kMemory, policies::kUnitsMax}},
          .ceiling_microcredits = policies::kValueMaxMicrocredits};
  bids = TierBids(
      table, wish,
      {{kCpu, policies::kValueMaxMicrocredits}, {kMemory, policies::kValueMaxMicrocredits}}, 0);
  ASSERT_EQ(bids.size(), 2u);
  EXPECT_LE(*bids[0].budget_microcredits + *bids[1].budget_microcredits, wish.ceiling_microcredits);
}

}  // namespace
}  // namespace nom::market
