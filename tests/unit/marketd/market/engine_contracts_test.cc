// SPDX-License-Identifier: Apache-2.0
// Contracts of more than one round, that begin later, and that are part of another: the engine
// holds and bills whatever the ledger has, whoever sold it.

#include <gmock/gmock.h>

#include "marketd/market/audit.h"
#include "tests/unit/marketd/market/market_fixture.h"

namespace nom::market {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr auto kMemory = ResourceKind::kMemory;

class ContractsInForceTest : public MarketTest {
 protected:
  ContractsInForceTest() {
    Open();
    ann_ = Admit("ann", "one");
    bob_ = Admit("bob", "two");
    EXPECT_TRUE(RunUntilInForce(1));
  }
  // Of ann's guest, or bob's if it is part of another, from a round on.
  Contract Sold(int64_t units, Microcredits charge, RoundId from, RoundId until) {
    return {.contract_id = world_->state().last_contract_id + 1,
            .guest_id = ann_,
            .tenant_id = "ann",
            .lots = {{kMemory, units, charge}},
            .from_round_id = from,
            .until_round_id = until,
            .period = kPeriod};
  }
  ContractId Write(const Contract& contract) {
    world_->WriteWhileDown([&](Scribe& scribe) { scribe.Write(OpenContract{contract}); });
    return contract.contract_id;
  }
  RoundId Next() { return book().last_decided_round_id + 1; }
  int64_t SupplyOf(RoundId round_id) {
    EXPECT_TRUE(RunUntilDecided(round_id));
    for (const ResourcePrice& price : book().prices) {
      if (price.kind == kMemory) return price.supply_units;
    }
    return -1;
  }
  void ExpectGoodBooks() {
    EXPECT_EQ(CheckBooks(world_->state()), "");
    const auto audit = Audit(world_->ledger().reader(), ClearByRule);
    ASSERT_TRUE(audit.ok()) << audit.status();
    EXPECT_THAT(audit->findings, IsEmpty());
  }

  GuestId ann_ = 0;
  GuestId bob_ = 0;
};

TEST_F(ContractsInForceTest, AContractOfThreeRoundsIsHeldNotAuctionedAndPaidByRound) {
  // Bob would take all there is, at any price.
  ASSERT_TRUE(Bid("bob", MemoryBid(bob_, 200, 50'000)).status.ok());
  const RoundId from = Next() + 1;
  const ContractId id = Write(Sold(40, 4'000, from, from + 3));
  const Microcredits spent = purse("ann").spent;
  const int64_t all = SupplyOf(from - 1);
  EXPECT_EQ(purse("ann").escrow, 0) << "nothing is set aside before a round that it is alive in";
  for (RoundId round = from; round < from + 3; ++round) {
    EXPECT_EQ(SupplyOf(round), all - 40);
    EXPECT_EQ(purse("ann").escrow, round == from ? 4'000 : 8'000);
    ASSERT_TRUE(RunUntilInForce(round));
    EXPECT_EQ(Held(ann_), 16 + 40);
    EXPECT_EQ(purse("ann").escrow, 4'000);
  }
  EXPECT_EQ(SupplyOf(from + 3), all);
  ASSERT_TRUE(RunUntilInForce(from + 3));
  EXPECT_EQ(Held(ann_), 16);
  EXPECT_EQ(purse("ann").escrow, 0);
  EXPECT_EQ(world_->state().contracts.Find(id), nullptr);
  // Rent goes on beside it.
  Microcredits charged = 0;
  const auto rounds = world_->ledger().reader().ListRounds("h", 0, 100);
  for (const Round& round : *rounds) {
    for (const Outcome& outcome : round.outcomes) {
      if (outcome.guest_id != ann_) continue;
      charged += outcome.settled_microcredits;
      const bool alive = round.round_id >= from && round.round_id < from + 3;
      EXPECT_EQ(outcome.contracted_units, outcome.kind == kMemory && alive ? 40 : 0);
      EXPECT_EQ(outcome.award_units, 0);
    }
  }
  EXPECT_EQ(charged, 3 * 4'000);
  EXPECT_GT(purse("ann").spent, spent + 3 * 4'000);
  ExpectGoodBooks();
}

TEST_F(ContractsInForceTest, OneThatCannotBePaidEndsBeforeTheRoundThatItWouldCost) {
  const RoundId from = Next();
  // Pays for two rounds, not for a third; rent takes its part.
  const ContractId id = Write(Sold(40, 400'000'000, from, from + 9));
  ASSERT_TRUE(RunUntilInForce(from + 1));
  EXPECT_EQ(Held(ann_), 56);
  ASSERT_TRUE(RunUntilInForce(from + 2));
  EXPECT_EQ(Held(ann_), 16);
  EXPECT_EQ(world_->state().contracts.Find(id), nullptr);
  ExpectGoodBooks();
}

TEST_F(ContractsInForceTest, ARoundThatIsReleasedGivesBackWhatWasSetAsideForIt) {
  const RoundId from = Next();
  const ContractId id = Write(Sold(40, 4'000, from, from + 3));
  ASSERT_TRUE(RunUntilInForce(from));
  ASSERT_TRUE(RunUntilDecided(from + 1));
  EXPECT_EQ(purse("ann").escrow, 8'000);
  host().faults().apply_refused = 1;
  ASSERT_TRUE(
      world_->RunUntil([&] { return host_view().counters.rounds_released > 0; }, 5 * kPeriod));
  EXPECT_EQ(purse("ann").escrow, 4'000);
  EXPECT_EQ(Held(ann_), 56) << "what was in force stays";
  host().faults() = {};
  ASSERT_TRUE(RunUntilInForce(from + 2));
  EXPECT_EQ(Held(ann_), 56);
  EXPECT_NE(world_->state().contracts.Find(id), nullptr);
  ASSERT_TRUE(RunUntilInForce(from + 3));
  EXPECT_EQ(Held(ann_), 16);
  ExpectGoodBooks();
}

TEST_F(ContractsInForceTest, ASubletPassesUnitsOneWayAndMoneyTheOther) {
  const RoundId from = Next();
  const ContractId whole = Write(Sold(40, 4'000, from, from + 6));
  Contract sublet = Sold(10, 3'000, from + 1, from + 3);
  sublet.guest_id = bob_;
  sublet.tenant_id = "bob";
  sublet.seller = "ann";
  sublet.part_of = whole;
  ASSERT_TRUE(world_->state().contracts.CheckPart(sublet).ok());
  const int64_t all = SupplyOf(from - 1) - 40;
  Write(sublet);
  for (RoundId round = from; round < from + 5; ++round) {
    const bool lives = round == from + 1 || round == from + 2;
    EXPECT_EQ(SupplyOf(round), all);
    ASSERT_TRUE(RunUntilInForce(round));
    EXPECT_EQ(Held(ann_), lives ? 46 : 56) << round - from;
    EXPECT_EQ(Held(bob_), lives ? 26 : 16) << round - from;
  }
  EXPECT_EQ(purse("ann").earned, 2 * 3'000);
  ExpectGoodBooks();
}

TEST_F(ContractsInForceTest, AGuestThatLeavesEndsItsContracts) {
  const RoundId from = Next();
  const ContractId id = Write(Sold(40, 4'000, from, from + 6));
  const ContractId later = Write(Sold(40, 4'000, from + 8, from + 9));
  ASSERT_TRUE(RunUntilInForce(from + 1));
  ASSERT_TRUE(world_->AskAsOperator(EvictGuest{NewId(), ann_}).status.ok());
  EXPECT_EQ(world_->state().contracts.Find(id), nullptr);
  EXPECT_EQ(world_->state().contracts.Find(later), nullptr);
  EXPECT_EQ(purse("ann").escrow, 0);
  ExpectGoodBooks();
}

}  // namespace
}  // namespace nom::market
