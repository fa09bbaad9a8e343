#include "marketd/market/money.h"

#include <gtest/gtest.h>

#include <limits>

namespace nom::market {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(5'000);

class MoneyTest : public testing::Test {
 protected:
  MoneyTest() {
    state_.tenants["t"].tenant_id = "t";
    Guest guest{.guest_id = 1,
                .host_id = "h",
                .tenant_id = "t",
                .seeds = {{.kind = ResourceKind::kMemory, .seed_units = 4}},
                .state = GuestState::kRunning,
                .rented_until = kNow - absl::Seconds(30)};
    state_.guests[1] = guest;
  }
  Balances& balances() { return state_.tenants["t"].balances; }
  void Deposit(Microcredits amount) {
    Scribe scribe(state_, kNow, "deposit");
    PostDeposit(scribe, "t", amount);
    (void)std::move(scribe).Finish();
  }
  Outcome Settle(Outcome outcome, const Delivered* delivered, absl::Duration interval) {
    Scribe scribe(state_, kNow, "x");
    PostEscrow(scribe, outcome);
    EXPECT_EQ(balances().escrow, outcome.charge_microcredits);
    PostSettlement(scribe, delivered, interval, absl::Seconds(60), outcome);
    EXPECT_EQ(balances().escrow, 0);
    (void)std::move(scribe).Finish();
    return outcome;
  }

  State state_;
};

TEST_F(MoneyTest, DepositsAreCheckedAndPayArrearsFirst) {
  EXPECT_TRUE(absl::IsNotFound(CheckDeposit(state_, "nobody", 1)));
  EXPECT_TRUE(absl::IsInvalidArgument(CheckDeposit(state_, "t", 0)));
  EXPECT_TRUE(
      absl::IsInvalidArgument(CheckDeposit(state_, "t", std::numeric_limits<int64_t>::max())));
  EXPECT_TRUE(
      absl::IsInvalidArgument(CheckDeposit(state_, "t", std::numeric_limits<int64_t>::min())));
  EXPECT_TRUE(absl::IsFailedPrecondition(CheckDeposit(state_, "t", -1)));
  balances() = {.arrears = -30, .revenue = 30};
  ASSERT_TRUE(CheckDeposit(state_, "t", 100).ok());
  Deposit(100);
  EXPECT_EQ(balances(), (Balances{.available = 70, .revenue = 30, .deposits = -100}));
  EXPECT_TRUE(CheckDeposit(state_, "t", -70).ok());
  EXPECT_FALSE(CheckDeposit(state_, "t", -71).ok());
  Deposit(-70);
  EXPECT_EQ(balances(), (Balances{.revenue = 30, .deposits = -30}));
}

TEST_F(MoneyTest, WhatWasDeliveredIsCharged) {
  Deposit(1'000);
  const Outcome won{.guest_id = 1,
                    .tenant_id = "t",
                    .seed_units = 4,
                    .award_units = 6,
                    .charge_microcredits = 100};
  Delivered all{.offered_milliunits = 10'000, .used_milliunits = 2'000};
  EXPECT_EQ(Settle(won, &all, absl::Seconds(60)).settled_microcredits, 100);
  EXPECT_EQ(balances(), (Balances{.available = 900, .revenue = 100, .deposits = -1'000}));
  EXPECT_EQ(state_.guests[1].spent_microcredits, 100);
  // The machine gave 9 of 10: the seed first, so 5 of the 6 that were bought.
  Delivered less{.offered_milliunits = 9'000};
  EXPECT_EQ(Settle(won, &less, absl::Seconds(60)).settled_microcredits, 83);
  // Less than the seed: nothing of the award came.
  Delivered little{.offered_milliunits = 3'999};
  EXPECT_EQ(Settle(won, &little, absl::Seconds(60)).settled_microcredits, 0);
  // A meter that says more than was sold earns no more.
  Delivered more{.offered_milliunits = 99'000};
  EXPECT_EQ(Settle(won, &more, absl::Seconds(60)).settled_microcredits, 100);
  // Half a period costs half; a longer one no more than was agreed.
  EXPECT_EQ(Settle(won, &all, absl::Seconds(30)).settled_microcredits, 50);
  EXPECT_EQ(Settle(won, &all, absl::Seconds(600)).settled_microcredits, 100);
  EXPECT_EQ(Settle(won, &all, -absl::Seconds(1)).settled_microcredits, 0);
  // Nobody metered it.
  const Outcome unmetered = Settle(won, nullptr, absl::Seconds(60));
  EXPECT_TRUE(unmetered.settled);
  EXPECT_EQ(unmetered.settled_microcredits, 0);
}

TEST_F(MoneyTest, AnOutcomeIsSettledOnce) {
  Deposit(1'000);
  Outcome won{.guest_id = 1, .tenant_id = "t", .award_units = 1, .charge_microcredits = 100};
  won = Settle(won, nullptr, absl::ZeroDuration());
  const Balances before = balances();
  Scribe scribe(state_, kNow, "x");
  PostRelease(scribe, won);
  EXPECT_EQ(balances(), before);
  EXPECT_TRUE(scribe.empty());
}

TEST_F(MoneyTest, RentIsForTimeHeldAndGoesToArrears) {
  const std::vector<Resource> resources = {
      {.kind = ResourceKind::kMemory, .seed_rent_unit_price_microcredits = 25}};
  Deposit(70);
  {
    Scribe scribe(state_, kNow, "rent");  // Half a minute of 4 units.
    EXPECT_EQ(PostRent(scribe, 1, resources, absl::Seconds(60)).at(ResourceKind::kMemory), 50);
    (void)std::move(scribe).Finish();
  }
  EXPECT_EQ(balances(), (Balances{.available = 20, .revenue = 50, .deposits = -70}));
  {
    // Away for an hour: one period, no more. 20 can be paid, 80 are owed; the seed stays.
    Scribe scribe(state_, kNow + absl::Hours(1), "rent");
    EXPECT_EQ(PostRent(scribe, 1, resources, absl::Seconds(60)).at(ResourceKind::kMemory), 100);
    (void)std::move(scribe).Finish();
  }
  EXPECT_EQ(balances(),
            (Balances{.available = 0, .arrears = -80, .revenue = 150, .deposits = -70}));
  EXPECT_EQ(state_.guests[1].spent_microcredits, 150);
  {
    // The clock was set back: no rent, and counting goes on from here.
    Scribe scribe(state_, kNow, "rent");
    EXPECT_EQ(PostRent(scribe, 1, resources, absl::Seconds(60)).at(ResourceKind::kMemory), 0);
    (void)std::move(scribe).Finish();
  }
  EXPECT_EQ(state_.guests[1].rented_until, kNow);
}

TEST_F(MoneyTest, ArrearsStopBeforeTheyOverflow) {
  const std::vector<Resource> resources = {
      {.kind = ResourceKind::kMemory,
       .seed_rent_unit_price_microcredits = policies::kValueMaxMicrocredits}};
  balances() = {.arrears = -kArrearsMaxMicrocredits + 5, .revenue = kArrearsMaxMicrocredits - 5};
  Scribe scribe(state_, kNow, "rent");
  EXPECT_EQ(PostRent(scribe, 1, resources, absl::Seconds(60)).at(ResourceKind::kMemory), 5);
  EXPECT_EQ(balances().arrears, -kArrearsMaxMicrocredits);
}

TEST_F(MoneyTest, EntriesNeverPutABalanceOnTheWrongSide) {
  EXPECT_TRUE(absl::IsFailedPrecondition(ApplyEntry({"t", Account::kAvailable, 0, -1}, state_)));
  EXPECT_TRUE(absl::IsFailedPrecondition(ApplyEntry({"t", Account::kEscrow, 0, -1}, state_)));
  EXPECT_TRUE(absl::IsFailedPrecondition(ApplyEntry({"t", Account::kArrears, 0, 1}, state_)));
  EXPECT_TRUE(absl::IsNotFound(ApplyEntry({"u", Account::kRevenue, 0, 1}, state_)));
  balances().revenue = std::numeric_limits<int64_t>::max();
  EXPECT_TRUE(absl::IsOutOfRange(ApplyEntry({"t", Account::kRevenue, 0, 1}, state_)));
}

TEST(MoneyDeathTest, MoneyIsNotMade) {
  State state;
  state.tenants["t"].tenant_id = "t";
  EXPECT_DEATH(
      {
        Scribe scribe(state, kNow, "x");
        scribe.Move("t", 0, Account::kAvailable, Account::kRevenue, 1);
      },
      "wrong side of zero");
}

}  // namespace
}  // namespace nom::market
