// SPDX-License-Identifier: Apache-2.0
// What decides, alone: rounds, guests' lives and attaching, on a book and a link that the test
// holds in its hands; no engine, no machine, no ledger.

#include "marketd/market/rounds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "marketd/market/money.h"
#include "marketd/market/reconciler.h"

namespace nom::market {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
constexpr auto kMemory = ResourceKind::kMemory;
constexpr GuestId kGuest = 1;

absl::Time At(double seconds) { return absl::FromUnixSeconds(1'000) + absl::Seconds(seconds); }

// Guest 1 of ann, who has 1,000, with a seed of 10 of 100 units; rounds of 10 s, which close after
// 7.
class RoundsTest : public testing::Test {
 protected:
  explicit RoundsTest(bool beside = false) {
    config_.hosts = {{.host_id = "h",
                      .resources = {{.kind = kMemory,
                                     .capacity_units = 100,
                                     .rule = "uniform_price/1",
                                     .reserve_unit_price_microcredits = 2}}}};
    config_.hosts[0].SetPeriod(absl::Seconds(10));
    hosts_.emplace(config_, [this](HostCommand command) { book_.Send(std::move(command)); });
    products_.emplace(book_, *hosts_, notices_, /*market_seed=*/0);
    tiers_.emplace(book_, *hosts_, leases_, /*market_seed=*/0);
    rounds_.emplace(Rounds::Options{.beside = beside}, book_, leases_, notices_, notes_, lives_,
                    desk(), *products_, *tiers_);
    reconciler_.emplace(book_, lives_, *rounds_);
    book_.SetNow(At(0));
    Scribe scribe = book_.Begin("begun");
    scribe.Write(PutTenant{{.tenant_id = "ann"}});
    PostDeposit(scribe, "ann", 1'000);
    scribe.Write(PutGuest{{.guest_id = kGuest,
                           .host_id = "h",
                           .tenant_id = "ann",
                           .seeds = {{.kind = kMemory, .seed_units = 10}},
                           .state = GuestState::kRunning,
                           .has_run = true,
                           .metered = {.guest_id = kGuest}}});
    scribe.Write(PutHost{"h", 7, 0});
    book_.Commit(std::move(scribe));
    Out();
  }

  BidDesk& desk() {
    if (!desk_) desk_.emplace(book_, *hosts_, leases_, notes_);
    return *desk_;
  }
  HostMarket& host() { return *hosts_->Find("h"); }
  // All that was committed is durable, and what rested on it comes out.
  Effects Out() {
    book_.BecameDurable(~uint64_t{0});
    book_.Release();
    return book_.TakeEffects();
  }
  static std::vector<std::string> KindsOf(const Effects& effects) {
    std::vector<std::string> kinds;
    for (const Transaction& transaction : effects.transactions) kinds.push_back(transaction.kind);
    return kinds;
  }
  template <typename T>
  static const T* Find(const Effects& effects) {
    for (const HostCommand& command : effects.commands) {
      if (const T* found = std::get_if<T>(&command.command)) return found;
    }
    return nullptr;
  }
  // What the machine says when it is attached.
  HostFacts Facts(int64_t units = 10) const {
    return {
        .boot_id = 7,
        .capacities = {{kMemory, 100}},
        .guests = {{.guest_id = kGuest,
                    .holdings = {{.kind = kMemory, .seed_units = 10, .award_units = units - 10}}}}};
  }
  void Attach(const HostFacts& facts) {
    reconciler_->OnAttached(host(), {.host_id = "h", .facts = facts});
  }
  void Bid(int64_t units, Microcredits price) {
    PlaceBid bid{.guest_id = kGuest, .kind = kMemory, .ranges = {{0, units, 0, price}}};
    Request request{.key = {"ann", absl::StrCat("r", ++ids_)}, .bid_guest_id = kGuest};
    ASSERT_TRUE(desk().Place(bid, {.tenant_id = "ann"}, request).status.ok());
  }
  void AdvanceTo(double seconds) {
    book_.SetNow(At(seconds));
    rounds_->Advance(host());
  }
  static HostCommandDone Applied(absl::Status status = absl::OkStatus()) {
    HostCommandDone done{.host_id = "h", .status = std::move(status)};
    done.report.meters = {{.guest_id = kGuest, .age_us = 1, .alive_us = 1}};
    return done;
  }
  int64_t Held() { return host().link.holdings().Units(kGuest, kMemory); }

  MarketConfig config_;
  LiveBook book_{State{}};
  std::optional<HostMarkets> hosts_;
  BidLeases leases_{book_.state()};
  Notices notices_;
  NotesOfGuests notes_;
  WaitingCalls waiting_{book_};
  GuestLives lives_{book_, leases_, notices_, notes_, waiting_};
  std::optional<BidDesk> desk_;
  std::optional<ProductDesk> products_;
  std::optional<TierDesk> tiers_;
  std::optional<Rounds> rounds_;
  std::optional<Reconciler> reconciler_;
  int ids_ = 0;
};

TEST_F(RoundsTest, ARoundInItsStages) {
  Attach(Facts());
  EXPECT_TRUE(host().clock.runs());
  EXPECT_NE(Find<PublishCommand>(Out()), nullptr) << "guests see prices from the start";
  Bid(40, 5);
  Out();
  AdvanceTo(6.9);
  EXPECT_THAT(KindsOf(Out()), IsEmpty());
  AdvanceTo(7);
  book_.Release();
  const Effects decided = book_.TakeEffects();
  EXPECT_THAT(KindsOf(decided), ElementsAre("round decided"));
  EXPECT_THAT(decided.commands, IsEmpty()) << "it is not durable";
  const Effects told = Out();
  ASSERT_NE(Find<PrepareCommand>(told), nullptr);
  EXPECT_EQ(Find<PrepareCommand>(told)->effective_time, At(10));
  EXPECT_EQ(notices_.list().size(), 1u);
  EXPECT_EQ(notices_.list()[0].units_next, 50);
  EXPECT_EQ(Held(), 10);
  AdvanceTo(10);
  const Effects apply = Out();
  ASSERT_NE(Find<ApplyCommand>(apply), nullptr);
  EXPECT_EQ(Find<ApplyCommand>(apply)->grants.grants.at(0).next.at(0).units(), 50);
  rounds_->OnApplied(host(), Applied());
  EXPECT_THAT(KindsOf(Out()), ElementsAre("round settled"));
  EXPECT_EQ(Held(), 50);
  EXPECT_EQ(host().clock.round_id(), 2u);
  EXPECT_EQ(host().Book(book_.state()).in_force_round_id, 1u);
}

TEST_F(RoundsTest, ARefusedRoundIsReleasedAndTheHostIsAttachedAnew) {
  Attach(Facts());
  Bid(40, 5);
  AdvanceTo(7);
  AdvanceTo(10);
  Out();
  rounds_->OnApplied(host(), Applied(absl::FailedPreconditionError("no room")));
  EXPECT_THAT(KindsOf(Out()), ElementsAre("round released"));
  EXPECT_FALSE(host().link.is_running());
  EXPECT_FALSE(host().clock.runs());
  EXPECT_EQ(book_.state().PurseOf("ann").escrow, 0);
  EXPECT_TRUE(notices_.list()[0].withdrawn);
  EXPECT_EQ(host().counters.applies_refused, 1u);
  EXPECT_EQ(Held(), 10);
}

TEST_F(RoundsTest, WhatAMachineAppliedAndNobodyNotedTakesEffectWhenItIsAttached) {
  Attach(Facts());
  Bid(40, 5);
  AdvanceTo(7);
  LetGo(book_, host(), "the answer was lost", /*counts=*/true);
  Out();
  HostFacts facts = Facts(50);
  facts.applied_round_id = 1;
  facts.applied_meters = Applied().report.meters;
  book_.SetNow(At(11));
  Attach(facts);
  EXPECT_EQ(host().Book(book_.state()).in_force_round_id, 1u);
  EXPECT_EQ(Held(), 50);
  EXPECT_EQ(host().counters.differences, 0u);
}

TEST_F(RoundsTest, WhatAMachineHoldsIsLeftAndTheDifferenceCounted) {
  Attach(Facts(30));
  EXPECT_EQ(Held(), 30);
  EXPECT_EQ(host().counters.differences, 1u);
  EXPECT_EQ(Find<ApplyCommand>(Out()), nullptr) << "nothing is put in force by attaching";
}

TEST_F(RoundsTest, AGuestThatTheMachineDoesNotHaveIsCreatedAnew) {
  HostFacts facts = Facts();
  facts.guests.clear();
  Attach(facts);
  EXPECT_EQ(book_.state().guests.at(kGuest).state, GuestState::kAdmitted);
  const Effects effects = Out();
  ASSERT_NE(Find<CreateCommand>(effects), nullptr);
  lives_.OnCreated(host(), kGuest, absl::OkStatus());
  EXPECT_EQ(book_.state().guests.at(kGuest).state, GuestState::kRunning);
  EXPECT_EQ(Held(), 10);
}

class BesideRoundsTest : public RoundsTest {
 protected:
  BesideRoundsTest() : RoundsTest(/*beside=*/true) {}
};

TEST_F(BesideRoundsTest, WhatIsClearedBesideIsDecidedWhenItComes) {
  Attach(Facts());
  Bid(40, 5);
  Out();
  AdvanceTo(7);
  const Effects closed = Out();
  ASSERT_THAT(closed.clearings, SizeIs(1));
  EXPECT_THAT(KindsOf(closed), IsEmpty());
  EXPECT_EQ(RoundOfNewBids(book_.state(), host()), 2u) << "close is close";
  const Decision decision = Decide(*closed.clearings[0].snapshot, {});
  rounds_->OnCleared(host(), {"h", closed.clearings[0].clear_id + 1, decision});
  EXPECT_THAT(KindsOf(Out()), IsEmpty()) << "that is another's";
  rounds_->OnCleared(host(), {"h", closed.clearings[0].clear_id, decision});
  EXPECT_THAT(KindsOf(Out()), ElementsAre("round decided"));
  EXPECT_EQ(host().counters.clearings_again, 0u);
  EXPECT_GT(book_.state().PurseOf("ann").escrow, 0);
}

TEST_F(BesideRoundsTest, WhatCanNotBePaidAnyMoreIsClearedAgain) {
  Attach(Facts());
  Bid(40, 5);
  AdvanceTo(7);
  const Effects closed = Out();
  Scribe scribe = book_.Begin("deposit");
  PostDeposit(scribe, "ann", -990);
  book_.Commit(std::move(scribe));
  rounds_->OnCleared(
      host(), {"h", closed.clearings.at(0).clear_id, Decide(*closed.clearings[0].snapshot, {})});
  EXPECT_EQ(host().counters.clearings_again, 1u);
  EXPECT_LE(book_.state().PurseOf("ann").escrow, 10);
}

TEST_F(BesideRoundsTest, WhatComesTooLateIsSkipped) {
  Attach(Facts());
  Bid(40, 5);
  AdvanceTo(7);
  const Effects closed = Out();
  AdvanceTo(9.5);
  rounds_->OnCleared(
      host(), {"h", closed.clearings.at(0).clear_id, Decide(*closed.clearings[0].snapshot, {})});
  EXPECT_EQ(host().counters.rounds_skipped, 1u);
  EXPECT_EQ(book_.state().PurseOf("ann").escrow, 0);
}

}  // namespace
}  // namespace nom::market
