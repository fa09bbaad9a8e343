// SPDX-License-Identifier: Apache-2.0
// Tenants that owe rent: their grace, what ends it, and what the operator was really paid.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "marketd/market/audit.h"
#include "tests/unit/marketd/market/market_fixture.h"

namespace nom::market {
namespace {

using testing::HasSubstr;

// A round's rent of one guest's seed: 16 units of memory at 40, and 10 of cpu at 100.
constexpr Microcredits kRent = 16 * 40 + 10 * 100;
constexpr uint32_t kGrace = 3;

class ArrearsTest : public MarketTest {
 protected:
  ArrearsTest() {
    Open();
    world_->config().hosts[0].arrears_grace_rounds = kGrace;
    world_->Restart();
    world_->Settle();
    EXPECT_TRUE(
        world_->AskAsOperator(CreateTenant{NewId(), "poor", "Without money", "hash"}).status.ok());
  }

  const Guest* Find(GuestId guest_id) {
    const auto it = world_->state().guests.find(guest_id);
    return it == world_->state().guests.end() ? nullptr : &it->second;
  }
  bool RunUntilGone(GuestId guest_id) {
    return world_->RunUntil([&] { return Find(guest_id) == nullptr; }, 20 * kPeriod);
  }
};

TEST_F(ArrearsTest, AGuestWithoutMoneyLeavesAfterItsGraceAndSaysWhy) {
  const GuestId guest = Admit("poor", "one");
  const GuestId paying = Admit("ann", "two");
  ASSERT_TRUE(RunUntilInForce(kGrace));
  ASSERT_NE(Find(guest), nullptr);
  EXPECT_EQ(Find(guest)->arrears_rounds, kGrace);
  EXPECT_EQ(Find(guest)->state, GuestState::kRunning) << "its grace";
  ASSERT_TRUE(RunUntilGone(guest));
  EXPECT_EQ(book().in_force_round_id, kGrace + 1);
  EXPECT_FALSE(host().guests().contains(guest));
  EXPECT_EQ(host_view().counters.evictions_for_arrears, 1u);

  const auto evicted = world_->ledger().reader().GetEvictedGuest(guest);
  ASSERT_TRUE(evicted.ok()) << evicted.status();
  EXPECT_EQ(evicted->state, GuestState::kEvicted);
  EXPECT_EQ(evicted->end_cause, EndCause::kArrears);
  EXPECT_EQ(evicted->exit_reason, "tenant poor owed rent for 4 rounds; 3 are allowed");
  EXPECT_TRUE(absl::IsNotFound(world_->ledger().reader().GetEvictedGuest(paying).status()));
  ASSERT_NE(Find(paying), nullptr) << "nobody pays for another";
  EXPECT_EQ(Find(paying)->arrears_rounds, 0u);
  EXPECT_EQ(CheckBooks(world_->state()), "");
}

TEST_F(ArrearsTest, ADepositInTimeEndsTheCount) {
  const GuestId guest = Admit("poor", "one");
  ASSERT_TRUE(RunUntilInForce(kGrace));
  ASSERT_TRUE(world_->AskAsOperator(Deposit{NewId(), "poor", 100 * kRent}).status.ok());
  ASSERT_TRUE(RunUntilInForce(3 * kGrace));
  ASSERT_NE(Find(guest), nullptr);
  EXPECT_EQ(Find(guest)->arrears_rounds, 0u);
}

TEST_F(ArrearsTest, TheCountOutlivesAMarketdThatIsRestarted) {
  const GuestId guest = Admit("poor", "one");
  ASSERT_TRUE(RunUntilInForce(kGrace));
  world_->Restart();
  ASSERT_NE(Find(guest), nullptr);
  EXPECT_EQ(Find(guest)->arrears_rounds, kGrace);
  ASSERT_TRUE(RunUntilGone(guest));
  EXPECT_LE(book().in_force_round_id, kGrace + 2);
}

TEST_F(ArrearsTest, WithoutAGraceNobodyIsEvicted) {
  world_->config().hosts[0].arrears_grace_rounds = 0;
  world_->Restart();
  world_->Settle();
  const GuestId guest = Admit("poor", "one");
  ASSERT_TRUE(RunUntilInForce(10));
  ASSERT_NE(Find(guest), nullptr);
  EXPECT_GE(Find(guest)->arrears_rounds, 9u);
}

TEST_F(ArrearsTest, AnEvictionThatTheHostNeverConfirmedIsMadeUpFor) {
  const GuestId guest = Admit("poor", "one");
  world_->DieBefore("guest evicted");
  ASSERT_TRUE(world_->RunUntil([&] { return world_->restarts > 1; }, 20 * kPeriod));
  ASSERT_TRUE(RunUntilGone(guest));
  const auto evicted = world_->ledger().reader().GetEvictedGuest(guest);
  ASSERT_TRUE(evicted.ok()) << evicted.status();
  EXPECT_EQ(evicted->end_cause, EndCause::kArrears);
  EXPECT_THAT(evicted->exit_reason, HasSubstr("owed rent"));
}

TEST_F(ArrearsTest, RevenueAndSpentAreWhatWasPaid) {
  Admit("poor", "one");
  ASSERT_TRUE(RunUntilInForce(kGrace));
  const Microcredits owed = -purse("poor").arrears;
  ASSERT_GE(owed, kGrace * kRent);
  EXPECT_EQ(Summarize(purse("poor")).spent, 0) << "it paid nothing";
  EXPECT_EQ(RevenuePaid(world_->state().purses), 0) << "and nobody else had to";
  const auto before = Audit(world_->ledger().reader(), {});
  ASSERT_TRUE(before.ok());
  EXPECT_EQ(before->revenue_microcredits, 0);

  ASSERT_TRUE(world_->AskAsOperator(Deposit{NewId(), "poor", owed}).status.ok());
  EXPECT_EQ(purse("poor").arrears, 0);
  EXPECT_EQ(Summarize(purse("poor")).spent, owed);
  EXPECT_EQ(RevenuePaid(world_->state().purses), owed);
  const auto after = Audit(world_->ledger().reader(), {});
  ASSERT_TRUE(after.ok());
  EXPECT_EQ(after->revenue_microcredits, owed);
}

TEST_F(ArrearsTest, TheOperatorsEvictionSaysThatItWas) {
  const GuestId guest = Admit("ann", "one");
  ASSERT_TRUE(world_->AskAsOperator(EvictGuest{NewId(), guest}).status.ok());
  const auto evicted = world_->ledger().reader().GetEvictedGuest(guest);
  ASSERT_TRUE(evicted.ok()) << evicted.status();
  EXPECT_EQ(evicted->end_cause, EndCause::kEvicted);
  EXPECT_EQ(evicted->exit_reason, "evicted by the operator");
}

}  // namespace
}  // namespace nom::market
