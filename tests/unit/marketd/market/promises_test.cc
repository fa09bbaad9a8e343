// SPDX-License-Identifier: Apache-2.0
// Each promise, kept and then broken by hand.

#include "marketd/market/promises.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "marketd/market/money.h"
#include "tests/sim/world.h"

namespace nom::market {
namespace {

using testing::HasSubstr;
constexpr auto kMemory = ResourceKind::kMemory;

// Guest 1 of ann with a seed of 8 on a host with 100 units; ann has 1,000.
class PromisesTest : public testing::Test {
 protected:
  PromisesTest() : money_(state_) {
    const Transaction begun = Write("begun", [](Scribe& s) {
      s.Write(PutTenant{{.tenant_id = "ann"}});
      PostDeposit(s, "ann", 1'000);
      s.Write(PutGuest{{.guest_id = 1,
                        .host_id = "h",
                        .tenant_id = "ann",
                        .seeds = {{.kind = kMemory, .seed_units = 8}},
                        .state = GuestState::kRunning}});
    });
    EXPECT_EQ(money_.FirstBroken(begun, state_), "");
  }

  Transaction Write(const std::string& kind, const std::function<void(Scribe&)>& write) {
    Scribe scribe(state_, absl::UnixEpoch(), kind);
    write(scribe);
    return std::move(scribe).Finish();
  }
  Transaction Open(int64_t units, RoundId from, RoundId until, Microcredits escrow) {
    Contract contract{.contract_id = state_.last_contract_id + 1,
                      .guest_id = 1,
                      .tenant_id = "ann",
                      .lots = {{kMemory, units, escrow}},
                      .from_round_id = from,
                      .until_round_id = until,
                      .period = absl::Seconds(1)};
    return Write("round decided", [&](Scribe& s) {
      PostEscrow(s, contract, escrow);
      s.Write(OpenContract{contract});
    });
  }
  std::string Oversold(const Transaction& transaction) const {
    return FirstOversold(transaction, {state_, host_id_, resources_, unmanaged_, holdings_}, 3);
  }

  const HostId host_id_ = "h";
  std::vector<Resource> resources_ = {{.kind = kMemory, .capacity_units = 100}};
  std::vector<HostGuest> unmanaged_;
  HostHoldings holdings_;
  State state_;
  MoneyPromises money_;
};

TEST_F(PromisesTest, APurseIsWhatEntriesMadeOfIt) {
  const Transaction paid = Write("paid", [](Scribe& s) { PostDeposit(s, "ann", 5); });
  EXPECT_EQ(money_.FirstBroken(paid, state_), "");
  // 7 more that no entry moved, in a purse that adds up by itself.
  state_.purses["ann"].available += 7;
  state_.purses["ann"].deposited += 7;
  const Transaction next = Write("paid", [](Scribe& s) { PostDeposit(s, "ann", 1); });
  EXPECT_THAT(money_.FirstBroken(next, state_),
              HasSubstr("ann: available is 1013, and should be 1006"));
}

TEST_F(PromisesTest, APurseAddsUp) {
  state_.purses["ann"].spent += 1;
  const Transaction next = Write("paid", [](Scribe& s) { PostDeposit(s, "ann", 1); });
  EXPECT_THAT(money_.FirstBroken(next, state_), HasSubstr("ann"));
}

TEST_F(PromisesTest, EscrowIsThatOfOpenContracts) {
  EXPECT_EQ(money_.FirstBroken(Open(4, 3, 4, 30), state_), "");
  // Less is set aside for it, and no money came back.
  Contract contract = state_.contracts.all().begin()->second;
  contract.escrow_microcredits = 20;
  const Transaction lost =
      Write("round settled", [&](Scribe& s) { s.Write(UpdateContract{contract}); });
  EXPECT_THAT(money_.FirstBroken(lost, state_),
              HasSubstr("ann: 30 in escrow, for open contracts of 20"));
}

TEST_F(PromisesTest, ARoundAwardsWhatItSoldOfWhatThereWas) {
  PutRound put;
  put.round = {.host_id = "h", .round_id = 3};
  put.round.prices = {{.kind = kMemory, .supply_units = 92, .sold_units = 5}};
  put.round.outcomes = {{.guest_id = 1, .kind = kMemory, .award_units = 5}};
  const auto decided = [&] {
    return money_.FirstBroken(Write("round decided", [&](Scribe& s) { s.Write(put); }), state_);
  };
  EXPECT_EQ(decided(), "");
  put.round.outcomes[0].award_units = 6;
  EXPECT_THAT(decided(), HasSubstr("6 units awarded, 5 sold of 92"));
  put.round.outcomes[0].award_units = put.round.prices[0].sold_units = 93;
  EXPECT_THAT(decided(), HasSubstr("93 sold of 92"));
}

TEST_F(PromisesTest, NoRoundIsOversoldNowOrLater) {
  EXPECT_EQ(Oversold(Open(60, 3, 4, 0)), "") << "8 are a seed";
  EXPECT_EQ(Oversold(Open(92, 5, 9, 0)), "") << "a future, when the other is over";
  EXPECT_EQ(Oversold(Open(32, 3, 5, 0)), "");
  EXPECT_THAT(Oversold(Open(1, 4, 6, 0)), HasSubstr("101 units are given out, of 100"))
      << "in its last round alone";
}

TEST_F(PromisesTest, HostsThatGiveNothingAreNotLookedAt) {
  const Transaction award = Open(10, 1, 2, 100);
  EXPECT_THAT(HostsGivenOut(award, state_), testing::ElementsAre("h"));
  const Transaction other = Write("guest admitted", [](Scribe& s) {
    s.Write(PutGuest{{.guest_id = 2, .host_id = "other", .tenant_id = "ann"}});
  });
  EXPECT_THAT(HostsGivenOut(other, state_), testing::ElementsAre("other"));
  const Transaction money = Write("deposit", [](Scribe& s) { PostDeposit(s, "ann", 5); });
  EXPECT_THAT(HostsGivenOut(money, state_), testing::IsEmpty());
}

TEST_F(PromisesTest, WhatUnknownGuestsHoldIsNotGivenOut) {
  unmanaged_ = {{.guest_id = 99, .holdings = {{.kind = kMemory, .seed_units = 50}}}};
  EXPECT_EQ(Oversold(Open(42, 3, 4, 0)), "");
  EXPECT_THAT(Oversold(Open(1, 3, 4, 0)), HasSubstr("51 units are given out, of 50"));
}

TEST_F(PromisesTest, ASeedIsGivenOfWhatNobodyWasPromised) {
  Open(92, 7, 8, 0);
  const auto admit = [&](int64_t units) {
    return Oversold(Write("guest admitted", [&](Scribe& s) {
      s.Write(PutGuest{{.guest_id = state_.last_guest_id + 1,
                        .host_id = "h",
                        .tenant_id = "ann",
                        .seeds = {{.kind = kMemory, .seed_units = units}}}});
    }));
  };
  EXPECT_EQ(admit(0), "");
  EXPECT_THAT(admit(1), HasSubstr("101 units are given out"));
}

// The machine came back smaller: nothing new is sold, and what is held may stay until it ends.
TEST_F(PromisesTest, AMachineThatShrankBreaksNothing) {
  Open(92, 3, 9, 0);
  resources_[0].capacity_units = 50;
  const Transaction other = Write("deposit", [](Scribe& s) { PostDeposit(s, "ann", 1); });
  EXPECT_EQ(Oversold(other), "");
  Guest guest = state_.guests.at(1);
  guest.state = GuestState::kAdmitted;
  guest.has_run = true;
  EXPECT_EQ(Oversold(Write("again", [&](Scribe& s) { s.Write(PutGuest{guest}); })), "");
}

TEST_F(PromisesTest, WhatWasToldIsHeld) {
  GrantSet told;
  told.grants = {{.guest_id = 1, .next = {{.kind = kMemory, .seed_units = 8, .award_units = 4}}}};
  holdings_.Set(1, {{.kind = kMemory, .seed_units = 12}});
  EXPECT_EQ(FirstUntold(told, state_, holdings_), "");
  holdings_.Set(1, {{.kind = kMemory, .seed_units = 11}});
  EXPECT_THAT(FirstUntold(told, state_, holdings_),
              HasSubstr("guest 1, resource 2: was told of 12 units, and holds 11"));
  EXPECT_EQ(HoldAsTold(told, state_, holdings_), 1) << "what the machine was made to hold counts";
  EXPECT_EQ(FirstUntold(told, state_, holdings_), "");
  EXPECT_EQ(HoldAsTold(told, state_, holdings_), 0);
  holdings_.Remove(1);
  Guest ended = state_.guests.at(1);
  ended.state = GuestState::kEnded;
  Write("guest ended", [&](Scribe& s) { s.Write(PutGuest{ended}); });
  EXPECT_EQ(FirstUntold(told, state_, holdings_), "") << "it holds nothing any more";
  EXPECT_EQ(HoldAsTold(told, state_, holdings_), 0);
  EXPECT_FALSE(holdings_.Has(1));
}

// A book with 5 in escrow that no contract is for: the next transaction of its owner ends the
// engine before anybody hears of it.
TEST(PromisesDeathTest, AnEngineThatBreaksOneEnds) {
  State state;
  state.tenants["ann"].tenant_id = "ann";
  state.purses["ann"] = {.available = 5, .escrow = 5, .deposited = 10};
  state.purses[kOperator] = {.issued = -10};
  MarketConfig config;
  config.hosts = {TestHostConfig("h", absl::Seconds(10))};
  Engine engine(std::move(config), std::move(state));
  const Event deposit = CallEvent{1, Caller{.is_operator = true}, Deposit{"id", "ann", 1'000'000}};
  EXPECT_DEATH(engine.Handle(deposit, absl::FromUnixSeconds(1'800'000'000)),
               "5 in escrow, for open contracts of 0");
}

}  // namespace
}  // namespace nom::market
