// SPDX-License-Identifier: Apache-2.0
// Money at the turns of a host's market, alone: a state, no engine, no machine, no clock.

#include "marketd/market/settlement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <variant>

#include "marketd/market/money.h"
#include "marketd/market/promises.h"
#include "marketd/market/shares.h"

namespace nom::market {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
constexpr auto kMemory = ResourceKind::kMemory;
constexpr absl::Duration kPeriod = absl::Seconds(10);

// Guest 1 of ann and guest 2 of bob, with a seed of 10 each that costs nothing; each tenant has
// 1,000.
class SettlementTest : public testing::Test {
 protected:
  SettlementTest() : money_(state_) {
    Commit("begun", [](Scribe& s) {
      for (const auto& [guest_id, tenant_id] :
           std::map<GuestId, TenantId>{{1, "ann"}, {2, "bob"}}) {
        s.Write(PutTenant{{.tenant_id = tenant_id}});
        PostDeposit(s, tenant_id, 1'000);
        s.Write(PutGuest{{.guest_id = guest_id,
                          .host_id = "h",
                          .tenant_id = tenant_id,
                          .seeds = {{.kind = kMemory, .seed_units = 10}},
                          .state = GuestState::kRunning,
                          .has_run = true,
                          .metered = {.guest_id = guest_id}}});
      }
      s.Write(PutHost{"h", 7, 0});
    });
  }

  // Every promise about money is looked at after each transaction, as the engine does.
  void Commit(const std::string& kind, const std::function<void(Scribe&)>& write) {
    Scribe scribe(state_, absl::FromUnixSeconds(50), kind);
    write(scribe);
    last_ = std::move(scribe).Finish();
    ASSERT_EQ(money_.FirstBroken(last_, state_), "") << kind;
    ASSERT_EQ(FirstBrokenPromise(state_), "") << kind;
  }
  // A round in which both guests won so many units for so much.
  void Decide(RoundId round_id, int64_t units, Microcredits charge) {
    Commit("round decided", [&](Scribe& s) {
      CoverContracts(s, "h", round_id);
      PutRound put{.round = {.host_id = "h", .round_id = round_id, .period = kPeriod}};
      put.round.prices = {{.kind = kMemory, .supply_units = 2 * units, .sold_units = 2 * units}};
      for (const GuestId guest_id : {GuestId{1}, GuestId{2}}) {
        const TenantId tenant_id = state_.guests.at(guest_id).tenant_id;
        put.round.outcomes.push_back({.guest_id = guest_id,
                                      .kind = kMemory,
                                      .tenant_id = tenant_id,
                                      .seed_units = 10,
                                      .award_units = units,
                                      .charge_microcredits = charge});
        if (units == 0) continue;
        OpenAward(s, {.contract_id = state_.last_contract_id + 1,
                      .guest_id = guest_id,
                      .tenant_id = tenant_id,
                      .lots = {{kMemory, units, charge}},
                      .from_round_id = round_id,
                      .until_round_id = round_id + 1,
                      .period = kPeriod});
      }
      s.Write(std::move(put));
    });
  }
  // Readings after so many seconds in all, in which `units` beyond the seeds were offered.
  static std::vector<GuestMeters> Readings(int64_t seconds, int64_t unit_seconds) {
    std::vector<GuestMeters> out;
    for (const GuestId guest_id : {GuestId{1}, GuestId{2}})
      out.push_back(Reading(guest_id, seconds, unit_seconds));
    return out;
  }
  static GuestMeters Reading(GuestId guest_id, int64_t seconds, int64_t unit_seconds) {
    return {.guest_id = guest_id,
            .age_us = seconds * 1'000'000,
            .alive_us = seconds * 1'000'000,
            .amounts = {{.kind = kMemory,
                         .offered_unit_us =
                             static_cast<uint64_t>((10 * seconds + unit_seconds) * 1'000'000)}}};
  }
  TookEffect TakeEffect(const std::vector<GuestMeters>& meters) {
    TookEffect took;
    Commit("round settled",
           [&](Scribe& s) { took = SettleAndPutInForce(s, "h", resources_, meters); });
    return took;
  }
  const Purse& ann() const { return state_.PurseOf("ann"); }
  const Purse& bob() const { return state_.PurseOf("bob"); }
  Microcredits Revenue() const { return state_.PurseOf(kOperator).revenue; }
  const HostBook& book() const { return BookOf(state_, "h"); }

  const std::vector<Resource> resources_ = {{.kind = kMemory, .capacity_units = 100}};
  State state_;
  Transaction last_;
  MoneyPromises money_;
};

TEST_F(SettlementTest, WhatIsWonIsSetAsideHeldAndPaid) {
  Decide(1, 20, 300);
  EXPECT_EQ(ann().available, 700);
  EXPECT_EQ(ann().escrow, 300);
  TookEffect took = TakeEffect(Readings(3, 0));
  EXPECT_EQ(took.settled_round_id, 0u) << "the first: none was before it";
  EXPECT_EQ(ann().escrow, 300) << "nothing was held yet";
  EXPECT_EQ(book().in_force_round_id, 1u);
  Decide(2, 0, 0);
  took = TakeEffect(Readings(13, 20 * 10));
  EXPECT_EQ(took.settled_round_id, 1u);
  EXPECT_THAT(took.settled, SizeIs(2));
  EXPECT_EQ(Revenue(), 600);
  EXPECT_EQ(ann().escrow, 0);
  EXPECT_EQ(ann().spent, 300);
  EXPECT_THAT(state_.contracts.Of(1), IsEmpty()) << "its round is over";
  EXPECT_EQ(book().open_rounds.size(), 1u);
}

TEST_F(SettlementTest, WhoGotLessPaysLessAndTheRestGoesBack) {
  Decide(1, 20, 300);
  TakeEffect(Readings(3, 0));
  Decide(2, 0, 0);
  TakeEffect(Readings(13, 20 * 5));  // Half of what was sold.
  EXPECT_EQ(ann().spent, 150);
  EXPECT_EQ(ann().available, 850);
}

TEST_F(SettlementTest, AReleasedRoundCostsNothingAndLeavesWhatIsInForce) {
  Decide(1, 20, 300);
  TakeEffect(Readings(0, 0));
  Decide(2, 30, 500);
  EXPECT_EQ(ann().escrow, 800);
  Commit("round released", [&](Scribe& s) { ReleaseRound(s, *RoundDecided(book()), "refused"); });
  EXPECT_EQ(ann().escrow, 300) << "of the round that is in force";
  EXPECT_EQ(RoundDecided(book()), nullptr);
  EXPECT_EQ(RoundInForce(book())->round_id, 1u);
  // It is told as what it came to be: nothing of it is open any more.
  const auto released = std::find_if(
      last_.changes.begin(), last_.changes.end(),
      [](const Change& change) { return std::holds_alternative<UpdateRound>(change); });
  ASSERT_NE(released, last_.changes.end());
  const Round& round = std::get<UpdateRound>(*released).round;
  EXPECT_EQ(round.phase, RoundPhase::kReleased);
  EXPECT_EQ(round.reason, "refused");
  ASSERT_THAT(round.outcomes, SizeIs(2));
  for (const Outcome& outcome : round.outcomes) EXPECT_TRUE(outcome.settled) << outcome.guest_id;
  Decide(3, 0, 0);
  TakeEffect(Readings(20, 20 * 20));
  EXPECT_EQ(ann().spent, 600) << "held for two periods, and paid for both";
  EXPECT_EQ(ann().available, 400);
}

TEST_F(SettlementTest, AGuestThatGoesPaysToItsLastReading) {
  Decide(1, 20, 300);
  TakeEffect(Readings(0, 0));
  const GuestMeters last = Reading(1, 4, 20 * 4);
  Commit("guest evicted", [&](Scribe& s) { BillGone(s, 1, &last, resources_, "evicted"); });
  EXPECT_EQ(ann().spent, 120);
  EXPECT_EQ(ann().available, 880);
  EXPECT_THAT(state_.contracts.Of(1), IsEmpty());
  EXPECT_THAT(state_.contracts.Of(2), SizeIs(1));
  EXPECT_EQ(bob().escrow, 300);
}

TEST_F(SettlementTest, WithoutALastReadingNothingIsChargedAndItIsCounted) {
  Decide(1, 20, 300);
  TakeEffect(Readings(0, 0));
  Uncharged uncharged;
  Commit("guest evicted",
         [&](Scribe& s) { uncharged = BillGone(s, 1, nullptr, resources_, "evicted"); });
  EXPECT_EQ(uncharged.meters_lost, 1u);
  EXPECT_EQ(ann().available, 1'000);
}

TEST_F(SettlementTest, AMachineThatRestartedEndsAwardsUnbilled) {
  Decide(1, 20, 300);
  TakeEffect(Readings(0, 0));
  Decide(2, 30, 100);
  Uncharged uncharged;
  Commit("host booted", [&](Scribe& s) { uncharged = BillRestart(s, "h", resources_); });
  EXPECT_EQ(uncharged.meters_lost, 2u);
  EXPECT_EQ(Revenue(), 0);
  EXPECT_EQ(ann().escrow, 100) << "what was decided stands";
  // Of a guest that is then missing nothing more is to be said.
  Commit("guest to be created anew", [&](Scribe& s) {
    const Uncharged again = BillLost(s, 1, resources_);
    EXPECT_EQ(again.meters_lost, 0u);
    s.Write(PutHost{"h", 8, 1});
  });
  TakeEffect({Reading(1, 1, 0), Reading(2, 1, 0)});
  EXPECT_EQ(Revenue(), 0) << "the first reading only begins an interval";
}

TEST_F(SettlementTest, AGuestThatTheMachineLostLosesItsAwardAlone) {
  Decide(1, 20, 300);
  TakeEffect(Readings(0, 0));
  Uncharged uncharged;
  Commit("guest to be created anew", [&](Scribe& s) { uncharged = BillLost(s, 1, resources_); });
  EXPECT_EQ(uncharged.meters_lost, 1u);
  EXPECT_EQ(ann().available, 1'000);
  EXPECT_EQ(bob().escrow, 300);
}

TEST_F(SettlementTest, AClosedHostGivesAllEscrowBack) {
  Decide(1, 20, 300);
  TakeEffect(Readings(0, 0));
  Decide(2, 30, 500);
  Commit("host closed", [&](Scribe& s) { CloseHost(s, "h", "gone"); });
  EXPECT_EQ(ann().available, 1'000);
  EXPECT_EQ(bob().available, 1'000);
  EXPECT_TRUE(book().open_rounds.empty());
  EXPECT_EQ(book().boot_id, 7u);
}

TEST_F(SettlementTest, AContractThatIsAliveIsCoveredOrEnds) {
  Commit("contract", [&](Scribe& s) {
    for (const GuestId guest_id : {GuestId{1}, GuestId{2}}) {
      s.Write(OpenContract{{.contract_id = state_.last_contract_id + 1,
                            .guest_id = guest_id,
                            .tenant_id = state_.guests.at(guest_id).tenant_id,
                            .lots = {{kMemory, 5, guest_id == 1 ? 400 : 1'001}},
                            .from_round_id = 2,
                            .until_round_id = 9,
                            .period = kPeriod}});
    }
  });
  Commit("round decided", [&](Scribe& s) { CoverContracts(s, "h", 2); });
  EXPECT_EQ(ann().escrow, 400);
  EXPECT_THAT(state_.contracts.Of(1), SizeIs(1));
  EXPECT_EQ(bob().available, 1'000) << "it could not be paid, and has ended";
  EXPECT_THAT(state_.contracts.Of(2), IsEmpty());
}

TEST_F(SettlementTest, ArrearsAreCountedByRoundAndForgottenWhenPaid) {
  EXPECT_THAT(GuestsInArrears(state_, "h", 1), IsEmpty());
  Commit("owed", [&](Scribe& s) {
    s.Move({"ann", AccountKind::kArrears}, {kOperator, AccountKind::kRevenue}, 1, 50);
  });
  for (RoundId round_id = 1; round_id <= 3; ++round_id) {
    Decide(round_id, 0, 0);
    TakeEffect(Readings(0, 0));
  }
  EXPECT_THAT(GuestsInArrears(state_, "h", 2), ElementsAre(1));
  EXPECT_THAT(GuestsInArrears(state_, "h", 3), IsEmpty());
  EXPECT_THAT(GuestsInArrears(state_, "h", 0), IsEmpty()) << "no end was set";
  Commit("deposit", [&](Scribe& s) { PostDeposit(s, "ann", 10); });
  Decide(4, 0, 0);
  TakeEffect(Readings(0, 0));
  EXPECT_THAT(GuestsInArrears(state_, "h", 1), IsEmpty());
}

TEST_F(SettlementTest, WhatCouldNotBeChargedAddsUpWithoutOverflow) {
  Uncharged sum{.meters_lost = 1, .forgiven = std::numeric_limits<Microcredits>::max() - 1};
  sum.Add(Billed{.meters_lost = true, .forgiven = 5});
  EXPECT_EQ(sum.meters_lost, 2u);
  EXPECT_EQ(sum.forgiven, std::numeric_limits<Microcredits>::max());
}

TEST_F(SettlementTest, ARoundThatNobodyDecidedDoesNotTakeEffect) {
  Scribe scribe(state_, absl::UnixEpoch(), "x");
  EXPECT_DEATH(SettleAndPutInForce(scribe, "h", resources_, {}), "nobody decided");
  scribe.Write(PutHost{"h", 7, 0});
  (void)std::move(scribe).Finish();
}

}  // namespace
}  // namespace nom::market
