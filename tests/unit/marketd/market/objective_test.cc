// SPDX-License-Identifier: Apache-2.0
// What a host's rounds are for: a market under each objective, over rounds and restarts.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "marketd/market/audit.h"
#include "policies/cases/case_file.h"
#include "tests/unit/marketd/market/market_fixture.h"

namespace nom::market {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr auto kMemory = ResourceKind::kMemory;
constexpr int64_t kForSale = 256 - 2 * 16;  // Less two seeds.

Objective LeastSatisfied() {
  return {.kind = ObjectiveKind::kLeastSatisfied, .look_back_rounds = 20, .steepness = 2};
}

class ObjectiveTest : public MarketTest {
 protected:
  // Two guests that always bid for all that there is, ann's ten times as much as bob's.
  void OpenFor(const std::function<void(HostConfig&)>& change) {
    Open(nullptr, [&change](HostConfig& host) {
      host.resources.erase(host.resources.begin());  // Memory alone.
      host.resources[0].reclaim_penalty_microcredits = 0;
      change(host);
    });
    for (const char* tenant : {"ann", "bob"}) {
      ASSERT_TRUE(world_->AskAsOperator(Deposit{NewId(), tenant, 1'000'000'000'000}).status.ok());
    }
    ann_ = AdmitWithMemory("ann");
    bob_ = AdmitWithMemory("bob");
    ASSERT_TRUE(RunUntilInForce(1));
    ASSERT_TRUE(Bid("ann", MemoryBid(ann_, 10'000, 50'000)).status.ok());
    ASSERT_TRUE(Bid("bob", MemoryBid(bob_, 10'000, 5'000)).status.ok());
  }
  GuestId AdmitWithMemory(const TenantId& tenant_id) {
    AdmitGuest call = Admission(tenant_id, tenant_id);
    call.seeds = {{kMemory, 16}};
    const Reply reply = world_->AskAsOperator(std::move(call));
    EXPECT_TRUE(reply.status.ok()) << reply.status;
    return reply.guest_id;
  }
  // The next round, once it is decided.
  Round Next() {
    const RoundId round_id = book().last_decided_round_id + 1;
    EXPECT_TRUE(RunUntilDecided(round_id));
    return book().open_rounds.at(round_id);
  }
  static int64_t AwardOf(const Round& round, GuestId guest_id) {
    for (const Outcome& outcome : round.outcomes) {
      if (outcome.guest_id == guest_id) return outcome.award_units;
    }
    return 0;
  }
  static Microcredits ChargeOf(const Round& round) {
    Microcredits sum = 0;
    for (const Outcome& outcome : round.outcomes) sum += outcome.charge_microcredits;
    return sum;
  }
  policies::Auction AuctionOf(RoundId round_id) {
    const auto record = world_->ledger().reader().GetAuction("h", round_id, kMemory);
    EXPECT_TRUE(record.ok()) << record.status();
    const auto auction = policies::ParseAuction(record->auction);
    EXPECT_TRUE(auction.ok()) << auction.status();
    return *auction;
  }
  std::vector<std::string> Findings() {
    const auto audit = Audit(world_->ledger().reader(), ClearByRule);
    EXPECT_TRUE(audit.ok()) << audit.status();
    return audit->findings;
  }

  GuestId ann_ = 0;
  GuestId bob_ = 0;
};

TEST_F(ObjectiveTest, WelfareServesWhoBidsMostAndSaysWhatItCameTo) {
  OpenFor([](HostConfig&) {});
  ASSERT_TRUE(RunUntilDecided(3));
  const Round round = Next();
  EXPECT_EQ(round.objective, "welfare/1");
  EXPECT_EQ(AwardOf(round, ann_), kForSale);
  ASSERT_TRUE(round.prices[0].measures);
  const RoundMeasures& measures = *round.prices[0].measures;
  EXPECT_EQ(measures.welfare_microcredits, kForSale * 50'000);
  EXPECT_EQ(measures.welfare_bound_microcredits, kForSale * 50'000);
  EXPECT_EQ(measures.revenue_microcredits, kForSale * 5'000);
  EXPECT_EQ(measures.revenue_microcredits, ChargeOf(round));
  EXPECT_EQ(measures.moved_units, 0) << "the same guest holds the same";
  EXPECT_EQ(measures.jain_index_ppm, 500'000) << "one of two has all";
  EXPECT_EQ(measures.best_unit_price_microcredits, std::nullopt);
  // Bob outbids: all of it changes hands.
  ASSERT_TRUE(Bid("bob", MemoryBid(bob_, 10'000, 60'000)).status.ok());
  const Round after = Next();
  EXPECT_EQ(AwardOf(after, bob_), kForSale);
  EXPECT_EQ(after.prices[0].measures->moved_units, kForSale);
  EXPECT_THAT(Findings(), IsEmpty());
}

TEST_F(ObjectiveTest, TheLeastSatisfiedComeFirst) {
  OpenFor([](HostConfig& host) { host.objective = LeastSatisfied(); });
  std::map<GuestId, int64_t> won;
  Microcredits budget = 0;
  for (int i = 0; i < 60; ++i) {
    const Round round = Next();
    EXPECT_EQ(round.objective, "least_satisfied/1");
    const RoundMeasures& measures = *round.prices[0].measures;
    EXPECT_EQ(AwardOf(round, ann_) + AwardOf(round, bob_), kForSale) << "nothing is left unsold";
    EXPECT_LE(measures.welfare_microcredits, measures.welfare_bound_microcredits);
    EXPECT_EQ(measures.maximised_microcredits, measures.maximised_bound_microcredits);
    for (const GuestId guest_id : {ann_, bob_}) won[guest_id] += AwardOf(round, guest_id);
    for (const Outcome& outcome : round.outcomes) {
      const Microcredits price = outcome.guest_id == ann_ ? 50'000 : 5'000;
      EXPECT_LE(outcome.charge_microcredits, outcome.award_units * price);
      EXPECT_GE(outcome.charge_microcredits, outcome.award_units * 500);
      EXPECT_EQ(outcome.asked_units, kForSale);
    }
    budget += measures.revenue_microcredits;
  }
  // By welfare bob would have nothing. Shares settle where their ratio squared is that of the bids
  // above the reserve, 49,500 to 4,500: bob has 23 %.
  EXPECT_GT(won[bob_] * 100, (won[ann_] + won[bob_]) * 15);
  EXPECT_LT(won[bob_] * 100, (won[ann_] + won[bob_]) * 30);
  EXPECT_GT(budget, 0);
  EXPECT_EQ(CheckBooks(world_->state()), "");
  EXPECT_THAT(Findings(), IsEmpty());
}

TEST_F(ObjectiveTest, WhatWasRefusedIsRememberedOverARestart) {
  OpenFor([](HostConfig& host) { host.objective = LeastSatisfied(); });
  ASSERT_TRUE(RunUntilInForce(7));
  const std::vector<PastAsks> before = book().past_asks;
  ASSERT_THAT(before, Not(IsEmpty()));
  world_->Restart();
  EXPECT_EQ(book().past_asks, before);
  ASSERT_TRUE(RunUntilInForce(20));
  EXPECT_THAT(Findings(), IsEmpty());
}

TEST_F(ObjectiveTest, RoundsAreClearedAgainAlsoAfterTheObjectiveIsAnother) {
  OpenFor([](HostConfig& host) { host.objective = LeastSatisfied(); });
  ASSERT_TRUE(RunUntilInForce(12));
  bool any_weight = false;
  for (RoundId round_id = 2; round_id <= 12; ++round_id) {
    for (const policies::Bid& bid : AuctionOf(round_id).bids) {
      any_weight = any_weight || bid.weight_ppm != policies::kWholeWeightPpm;
    }
  }
  EXPECT_TRUE(any_weight) << "the record says what was maximised";
  // Another objective from the next start on.
  HostConfig& host = world_->config().hosts[0];
  host.objective = {.kind = ObjectiveKind::kRevenue};
  host.resources[0].reserve_kind = policies::ReserveKind::kLearnt;
  host.resources[0].reserve_ceiling_unit_price_microcredits = 20'000;
  host.resources[0].reserve_look_back_rounds = 10;
  world_->Restart();
  ASSERT_TRUE(RunUntilInForce(24));
  host.objective = {};
  host.resources[0].reserve_kind = policies::ReserveKind::kFixed;
  world_->Restart();
  ASSERT_TRUE(RunUntilInForce(28));
  std::map<std::string, int> rounds;
  const auto listed = world_->ledger().reader().ListRounds("h", 0, 100);
  ASSERT_TRUE(listed.ok()) << listed.status();
  for (const Round& round : *listed) ++rounds[round.objective];
  EXPECT_GT(rounds["least_satisfied/1"], 5);
  EXPECT_GT(rounds["revenue/1"], 5);
  EXPECT_GT(rounds["welfare/1"], 2);
  EXPECT_EQ(rounds.size(), 3u);
  EXPECT_EQ(CheckBooks(world_->state()), "");
  EXPECT_THAT(Findings(), IsEmpty());
}

TEST_F(ObjectiveTest, RevenueLearnsItsReserveAndStopsAtTheCeiling) {
  OpenFor([](HostConfig& host) {
    host.objective.kind = ObjectiveKind::kRevenue;
    host.resources[0].reserve_kind = policies::ReserveKind::kLearnt;
    host.resources[0].reserve_ceiling_unit_price_microcredits = 20'000;
    host.resources[0].reserve_look_back_rounds = 10;
  });
  // Both want a part of what there is: by welfare they pay the reserve of 500.
  ASSERT_TRUE(Bid("ann", MemoryBid(ann_, 10, 15'000)).status.ok());
  ASSERT_TRUE(Bid("bob", MemoryBid(bob_, 10, 8'000)).status.ok());
  const Round first = Next();
  EXPECT_EQ(first.objective, "revenue/1");
  EXPECT_EQ(first.prices[0].reserve_policy, "learnt/1");
  EXPECT_EQ(first.prices[0].reserve_unit_price_microcredits, 500);
  EXPECT_EQ(first.prices[0].measures->revenue_microcredits, 20 * 500);
  EXPECT_EQ(first.prices[0].measures->best_unit_price_microcredits, 8'000)
      << "both at 8,000, rather than one at 15,000";
  ASSERT_TRUE(RunUntilInForce(first.round_id + 12));
  const Round learnt = Next();
  EXPECT_EQ(learnt.prices[0].reserve_unit_price_microcredits, 8'000);
  EXPECT_EQ(learnt.prices[0].measures->revenue_microcredits, 20 * 8'000);
  // What it learns is capped.
  ASSERT_TRUE(Bid("ann", MemoryBid(ann_, 10, 90'000)).status.ok());
  ASSERT_TRUE(Bid("bob", MemoryBid(bob_, 10, 80'000)).status.ok());
  ASSERT_TRUE(RunUntilInForce(learnt.round_id + 14));
  const Round capped = Next();
  EXPECT_EQ(capped.prices[0].measures->best_unit_price_microcredits, 80'000);
  EXPECT_EQ(capped.prices[0].reserve_unit_price_microcredits, 20'000);
  EXPECT_EQ(AwardOf(capped, ann_), 10);
  // And is remembered.
  const auto past = book().past_prices;
  world_->Restart();
  EXPECT_EQ(book().past_prices, past);
  EXPECT_EQ(Next().prices[0].reserve_unit_price_microcredits, 20'000);
  EXPECT_THAT(Findings(), IsEmpty());
}

TEST_F(ObjectiveTest, AnAuditFindsWhatARoundDidNotComeTo) {
  OpenFor([](HostConfig& host) { host.objective = LeastSatisfied(); });
  ASSERT_TRUE(RunUntilInForce(4));
  // Only in the copy that the audit is shown: the chain is another's to judge.
  class Forger : public LedgerReader {
   public:
    Forger(LedgerReader& real, std::function<void(PutRound&)> forge)
        : real_(real), forge_(std::move(forge)) {}
    absl::StatusOr<std::vector<Round>> ListRounds(const HostId& h, RoundId b, int n) override {
      return real_.ListRounds(h, b, n);
    }
    absl::StatusOr<std::vector<Round>> ListPrices(const PricesWanted& wanted) override {
      return real_.ListPrices(wanted);
    }
    absl::StatusOr<AuctionRecord> GetAuction(const HostId& h, RoundId r, ResourceKind k) override {
      return real_.GetAuction(h, r, k);
    }
    absl::StatusOr<Guest> GetEvictedGuest(GuestId id) override { return real_.GetEvictedGuest(id); }
    absl::StatusOr<std::vector<BookId>> ListBooks() override { return real_.ListBooks(); }
    absl::StatusOr<std::vector<Transfer>> OpenTransfers(const BookId& id) override {
      return real_.OpenTransfers(id);
    }
    absl::StatusOr<std::unique_ptr<LedgerSnapshot>> Look(const BookId& id) override {
      auto real = real_.Look(id);
      if (!real.ok()) return real.status();
      return std::make_unique<Snapshot>(*std::move(real), forge_);
    }

   private:
    class Snapshot : public LedgerSnapshot {
     public:
      Snapshot(std::unique_ptr<LedgerSnapshot> real, std::function<void(PutRound&)>& forge)
          : real_(std::move(real)), forge_(forge) {}
      absl::StatusOr<ChainHead> Head() override { return real_->Head(); }
      absl::StatusOr<Purses> ReadPurses() override { return real_->ReadPurses(); }
      absl::StatusOr<std::map<TenantId, Microcredits>> ReadFees() override {
        return real_->ReadFees();
      }
      absl::Status ReadTransactions(
          uint64_t after, uint64_t limit,
          const std::function<absl::Status(const ChainedTransaction&)>& visit) override {
        return real_->ReadTransactions(after, limit, [&](const ChainedTransaction& read) {
          ChainedTransaction shown = read;
          for (PutRound& put : shown.decided) {
            if (put.round.round_id == 3) forge_(put);
          }
          return visit(shown);
        });
      }
      absl::StatusOr<Round> ReadRound(const HostId& h, RoundId r) override {
        return real_->ReadRound(h, r);
      }
      absl::StatusOr<std::vector<LoggedEvent>> ReadEvents(const TenantId& id,
                                                          const NewestBelow& which) override {
        return real_->ReadEvents(id, which);
      }
      absl::StatusOr<AccountStatement> ReadStatement(const TenantId& id,
                                                     const NewestBelow& which) override {
        return real_->ReadStatement(id, which);
      }
      absl::StatusOr<std::vector<Contract>> ReadEndedContracts(const TenantId& id, GuestId guest_id,
                                                               ContractId before,
                                                               int limit) override {
        return real_->ReadEndedContracts(id, guest_id, before, limit);
      }

     private:
      const std::unique_ptr<LedgerSnapshot> real_;
      std::function<void(PutRound&)>& forge_;
    };
    LedgerReader& real_;
    std::function<void(PutRound&)> forge_;
  };
  const auto found = [this](std::function<void(PutRound&)> forge) {
    Forger forger(world_->ledger().reader(), std::move(forge));
    const auto audit = Audit(forger, ClearByRule);
    EXPECT_TRUE(audit.ok()) << audit.status();
    std::string all;
    for (const std::string& finding : audit->findings) all += finding + "\n";
    return all;
  };
  EXPECT_EQ(found([](PutRound&) {}), "");
  const auto measures = [](PutRound& put) -> RoundMeasures& {
    return *put.round.prices[0].measures;
  };
  for (const auto& forge : std::vector<std::function<void(RoundMeasures&)>>{
           [](RoundMeasures& m) { ++*m.welfare_microcredits; },
           [](RoundMeasures& m) { --*m.welfare_bound_microcredits; },
           [](RoundMeasures& m) { ++*m.maximised_microcredits; },
           [](RoundMeasures& m) { m.maximised_bound_microcredits.reset(); },
           [](RoundMeasures& m) { ++m.revenue_microcredits; },
           [](RoundMeasures& m) { --*m.jain_index_ppm; }}) {
    const std::string findings = found([&](PutRound& put) { forge(measures(put)); });
    EXPECT_THAT(findings, HasSubstr("what it came to of memory is not"));
    EXPECT_THAT(findings, HasSubstr("its digest is not that"));
  }
  EXPECT_THAT(found([&](PutRound& put) { ++measures(put).moved_units; }),
              HasSubstr("its digest is not that"));
  EXPECT_THAT(found([](PutRound& put) { put.round.objective = "welfare/1"; }),
              HasSubstr("its digest is not that"));
  EXPECT_THAT(found([](PutRound& put) { ++put.round.outcomes[0].asked_units; }),
              HasSubstr("asked for 225 of memory, by its bid for 224"));
}

}  // namespace
}  // namespace nom::market
