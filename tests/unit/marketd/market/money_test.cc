// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/money.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

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
                .state = GuestState::kRunning};
    state_.guests[1] = guest;
  }
  Purse& purse() { return state_.purses["t"]; }
  // All but what passed between it and others.
  void ExpectHolds(Microcredits available, Microcredits arrears, Microcredits spent) {
    EXPECT_EQ(purse().available, available);
    EXPECT_EQ(purse().arrears, arrears);
    EXPECT_EQ(purse().spent, spent);
    EXPECT_EQ(FirstBrokenPromise(state_.purses), "");
  }
  void Deposit(Microcredits amount) {
    Scribe scribe(state_, kNow, "deposit");
    PostDeposit(scribe, "t", amount);
    (void)std::move(scribe).Finish();
  }
  // Of memory, for a minute.
  static Contract Won(int64_t units, Microcredits charge) {
    return {.contract_id = 1,
            .guest_id = 1,
            .tenant_id = "t",
            .lots = {{ResourceKind::kMemory, units, charge}},
            .from_round_id = 1,
            .until_round_id = 2,
            .period = absl::Seconds(60)};
  }
  // Covers it, bills it for the interval, gives the rest back. Returns what was paid.
  Microcredits SettledFor(Contract contract, const MeteredInterval& interval) {
    Scribe scribe(state_, kNow, "x");
    PostEscrow(scribe, contract, ChargeOf(contract));
    EXPECT_EQ(purse().escrow, ChargeOf(contract));
    const std::vector<LotBill> bills =
        BillContracts({{&contract}}, state_.guests[1].seeds, interval);
    EXPECT_EQ(bills.size(), 1u);
    const Microcredits paid = PostDue(scribe, contract, bills[0].due_microcredits, /*keep=*/0);
    PostRelease(scribe, contract, /*keep=*/0);
    forgiven_ = bills[0].due_microcredits - paid;
    EXPECT_EQ(purse().escrow, 0);
    (void)std::move(scribe).Finish();
    return paid;
  }
  // So many units of memory were offered for so long; alive all the time.
  static MeteredInterval Offered(int64_t milliunits, int64_t seconds) {
    return {.age_us = seconds * 1'000'000,
            .alive_us = seconds * 1'000'000,
            .amounts = {{.kind = ResourceKind::kMemory,
                         .offered_unit_us = milliunits * 1'000 * seconds,
                         .used_unit_us = milliunits * 500 * seconds}}};
  }

  Microcredits forgiven_ = 0;
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
  purse() = {.arrears = -30, .spent = 30};
  state_.purses[kOperator] = {.revenue = 30, .earned = 30};
  ASSERT_TRUE(CheckDeposit(state_, "t", 100).ok());
  Deposit(100);
  ExpectHolds(70, 0, 30);
  EXPECT_EQ(purse().deposited, 100);
  EXPECT_TRUE(CheckDeposit(state_, "t", -70).ok());
  EXPECT_FALSE(CheckDeposit(state_, "t", -71).ok());
  Deposit(-70);
  ExpectHolds(0, 0, 30);
  EXPECT_EQ(purse().deposited, 30);
  EXPECT_EQ(state_.PurseOf(kOperator).issued, -30);
}

TEST_F(MoneyTest, WhatWasDeliveredIsCharged) {
  Deposit(10'000);
  const Contract won = Won(6, 100);
  EXPECT_EQ(SettledFor(won, Offered(10'000, 60)), 100);
  ExpectHolds(9'900, 0, 100);
  EXPECT_EQ(state_.PurseOf(kOperator).revenue, 100);
  EXPECT_EQ(state_.guests[1].spent_microcredits, 100);
  // The machine gave 9 of 10: the seed first, so 5 of the 6 that were bought.
  EXPECT_EQ(SettledFor(won, Offered(9'000, 60)), 83);
  // Less than the seed: nothing of the award came.
  EXPECT_EQ(SettledFor(won, Offered(3'999, 60)), 0);
  // A meter that says more than was sold earns no more.
  EXPECT_EQ(SettledFor(won, Offered(99'000, 60)), 100);
  // Half a period costs half, and ten periods ten times as much.
  EXPECT_EQ(SettledFor(won, Offered(10'000, 30)), 50);
  EXPECT_EQ(SettledFor(won, Offered(10'000, 600)), 1'000);
  EXPECT_EQ(forgiven_, 0);
  EXPECT_EQ(SettledFor(won, MeteredInterval{}), 0);
  // It ended after a quarter of the minute: seed and award for that quarter.
  MeteredInterval quarter = Offered(10'000, 15);
  quarter.age_us = 60'000'000;
  EXPECT_EQ(SettledFor(won, quarter), 25);
}

TEST_F(MoneyTest, WhatIsHeldBeyondThePeriodAndCannotBePaidIsForgiven) {
  Deposit(150);
  state_.guests[1].seeds.clear();
  EXPECT_EQ(SettledFor(Won(6, 100), Offered(6'000, 120)), 150);
  EXPECT_EQ(forgiven_, 50);
  ExpectHolds(0, 0, 150);
}

TEST_F(MoneyTest, WhatIsSetAsideForTheNextRoundIsNotTouched) {
  Deposit(250);
  Scribe scribe(state_, kNow, "x");
  Contract contract = Won(6, 100);
  PostEscrow(scribe, contract, 200);
  EXPECT_EQ(PostDue(scribe, contract, 180, /*keep=*/100), 150);
  EXPECT_EQ(contract.escrow_microcredits, 100);
  PostRelease(scribe, contract, /*keep=*/100);
  EXPECT_EQ(contract.escrow_microcredits, 100);
  ExpectHolds(0, 0, 150);
}

TEST_F(MoneyTest, ATenantThatLetsUnitsIsPaidAndPaysWhatItOwes) {
  state_.tenants["u"].tenant_id = "u";
  state_.purses["u"] = {.arrears = -30, .spent = 30};
  state_.purses[kOperator] = {.revenue = 30, .earned = 30};
  Deposit(100);
  Scribe scribe(state_, kNow, "x");
  Contract sublet = Won(6, 100);
  sublet.seller = "u";
  PostEscrow(scribe, sublet, 100);
  EXPECT_EQ(PostDue(scribe, sublet, 80, /*keep=*/0), 80);
  PostRelease(scribe, sublet, /*keep=*/0);
  ExpectHolds(20, 0, 80);
  EXPECT_EQ(state_.PurseOf("u"), (Purse{.available = 50, .spent = 30, .earned = 80}));
  // From itself it rents for nothing.
  sublet.seller = "t";
  PostEscrow(scribe, sublet, 20);
  EXPECT_EQ(PostDue(scribe, sublet, 20, /*keep=*/0), 0);
}

TEST_F(MoneyTest, RentIsForTheTimeHeldAndGoesToArrears) {
  Deposit(70);
  Outcome outcome{.guest_id = 1, .tenant_id = "t", .seed_units = 4};
  {
    Scribe scribe(state_, kNow, "rent");  // Half a minute of 4 units.
    PostRent(scribe, Offered(4'000, 30), 25, absl::Seconds(60), outcome);
    EXPECT_EQ(outcome.rent_microcredits, 50);
    (void)std::move(scribe).Finish();
  }
  ExpectHolds(20, 0, 50);
  {
    // An hour: 20 can be paid, the rest is owed; the seed stays.
    Scribe scribe(state_, kNow, "rent");
    PostRent(scribe, Offered(4'000, 3'600), 25, absl::Seconds(60), outcome);
    EXPECT_EQ(outcome.rent_microcredits, 6'050);
    (void)std::move(scribe).Finish();
  }
  ExpectHolds(0, -5'980, 6'050);
  EXPECT_EQ(state_.guests[1].spent_microcredits, 6'050);
}

TEST_F(MoneyTest, ArrearsStopBeforeTheyOverflow) {
  purse() = {.arrears = -kArrearsMaxMicrocredits + 5, .spent = kArrearsMaxMicrocredits - 5};
  Scribe scribe(state_, kNow, "rent");
  Outcome outcome{.guest_id = 1, .tenant_id = "t", .seed_units = 4};
  PostRent(scribe, Offered(4'000, 60), policies::kValueMaxMicrocredits, absl::Seconds(60), outcome);
  EXPECT_EQ(outcome.rent_microcredits, 5);
  EXPECT_EQ(purse().arrears, -kArrearsMaxMicrocredits);
}

TEST_F(MoneyTest, NothingIsOwedThatWouldBringRevenueToItsLimit) {
  state_.purses[kOperator] = {.revenue = kRevenueMaxMicrocredits - 7};
  Scribe scribe(state_, kNow, "rent");
  Outcome outcome{.guest_id = 1, .tenant_id = "t", .seed_units = 4};
  PostRent(scribe, Offered(4'000, 60), 25, absl::Seconds(60), outcome);
  EXPECT_EQ(outcome.rent_microcredits, 7);
}

TEST_F(MoneyTest, DepositsOfAllTenantsStayInsideOneLimit) {
  state_.tenants["u"].tenant_id = "u";
  Deposit(kIssuedMaxMicrocredits - 1);
  EXPECT_TRUE(CheckDeposit(state_, "u", 1).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(CheckDeposit(state_, "u", 2)));
}

TEST(MeteredIntervalTest, IsTheDifferenceOfTwoReadings) {
  GuestMeters from{.guest_id = 1, .age_us = 10, .alive_us = 10};
  from.amounts = {{ResourceKind::kMemory, ~uint64_t{0} - 4, 7}};
  GuestMeters to{.guest_id = 1, .age_us = 25, .alive_us = 20};
  to.amounts = {{ResourceKind::kCpu, 3, 2}, {ResourceKind::kMemory, 15, 9}};
  const auto interval = Between(from, to);
  ASSERT_TRUE(interval.has_value());
  EXPECT_EQ(interval->age_us, 15);
  EXPECT_EQ(interval->alive_us, 10);
  EXPECT_EQ(interval->amounts[0].offered_unit_us, 3) << "a kind that was not there before";
  EXPECT_EQ(interval->amounts[1].offered_unit_us, 20) << "counted modulo 2^64";
  EXPECT_EQ(interval->amounts[1].used_unit_us, 2);
  EXPECT_FALSE(Between(to, from).has_value());
  GuestMeters fell = to;
  fell.age_us = 30;
  fell.amounts[1].used_unit_us = 6;
  EXPECT_FALSE(Between(to, fell).has_value()) << "no honest meter falls";
}

TEST_F(MoneyTest, EntriesAreOfTenantsThatThereAre) {
  const Account revenue{kOperator, AccountKind::kRevenue};
  EXPECT_TRUE(absl::IsNotFound(ApplyEntry({{"u", AccountKind::kArrears}, revenue, 0, 1}, state_)));
  EXPECT_TRUE(absl::IsNotFound(ApplyEntry({revenue, {"u", AccountKind::kArrears}, 0, 1}, state_)));
  EXPECT_TRUE(ApplyEntry({{"t", AccountKind::kArrears}, revenue, 0, 1}, state_).ok());
}

TEST(MoneyDeathTest, MoneyIsNotMade) {
  State state;
  state.tenants["t"].tenant_id = "t";
  EXPECT_DEATH(
      {
        Scribe scribe(state, kNow, "x");
        scribe.Move({"t", AccountKind::kAvailable}, {kOperator, AccountKind::kRevenue}, 0, 1);
      },
      "wrong side of zero");
}

TEST_F(MoneyTest, WhatOneGuestPaysIsOneEntryWhereItMayBePostedAsOne) {
  Deposit(100);
  const Account available{"t", AccountKind::kAvailable};
  const Account escrow{"t", AccountKind::kEscrow};
  const Account revenue{kOperator, AccountKind::kRevenue};
  const Purses before = state_.purses;
  Scribe scribe(state_, kNow, "x");
  scribe.Move(available, escrow, 1, 60);
  scribe.Move(available, revenue, 1, 3);
  scribe.Move(available, revenue, 1, 4);  // The same.
  scribe.Move(available, revenue, 2, 5);  // Of another guest.
  scribe.Move(escrow, available, 1, 60);
  // Posted with the first it would take what only the entry in between has given back.
  scribe.Move(available, escrow, 1, 80);
  const Transaction written = std::move(scribe).Finish();
  ASSERT_EQ(written.entries.size(), 5u);
  EXPECT_EQ(written.entries[1].amount_microcredits, 7);
  Purses again = before;
  for (const Entry& entry : written.entries) ASSERT_TRUE(Post(entry, again).ok());
  EXPECT_EQ(again, state_.purses) << "gone through again the entries give the same";
}

}  // namespace
}  // namespace nom::market
