// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/shares.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "marketd/base/random.h"
#include "marketd/market/transaction.h"

namespace nom::market {
namespace {

constexpr auto kCpu = ResourceKind::kCpu;
constexpr auto kMemory = ResourceKind::kMemory;

// A host of 10 cpu and 100 memory; guest 1 of ann runs with a seed of 2 and 8, guest 2 of bob too.
class SharesTest : public testing::Test {
 protected:
  SharesTest() {
    for (const GuestId id : {1u, 2u}) {
      state_.guests[id] = {
          .guest_id = id,
          .host_id = host_id_,
          .tenant_id = id == 1 ? "ann" : "bob",
          .seeds = {{.kind = kCpu, .seed_units = 2}, {.kind = kMemory, .seed_units = 8}},
          .state = GuestState::kRunning};
    }
    state_.RebuildIndexes();
    HostBook& book = state_.hosts[host_id_];
    book.in_force_round_id = 4;
    book.open_rounds[4] = {.host_id = host_id_, .round_id = 4, .phase = RoundPhase::kEffective};
    book.open_rounds[5] = {.host_id = host_id_, .round_id = 5, .phase = RoundPhase::kGrace};
  }
  ContractId Open(GuestId guest_id, int64_t memory_units, RoundId from, RoundId until) {
    const ContractId id = ++state_.last_contract_id;
    state_.PutContract({.contract_id = id,
                        .guest_id = guest_id,
                        .tenant_id = state_.guests.at(guest_id).tenant_id,
                        .lots = {{kMemory, memory_units, 10 * memory_units}},
                        .from_round_id = from,
                        .until_round_id = until,
                        .period = absl::Seconds(1)});
    return id;
  }
  HostShares Shares() const { return {state_, host_id_, resources_, unmanaged_, holdings_}; }
  int64_t Held(GuestId guest_id, const Round* round) const {
    return HoldingsIn(Shares(), state_.guests.at(guest_id), round)[1].award_units;
  }
  const HostBook& book() const { return state_.hosts.at(host_id_); }

  const HostId host_id_ = "h";
  std::vector<Resource> resources_ = {{.kind = kCpu, .capacity_units = 10},
                                      {.kind = kMemory, .capacity_units = 100}};
  State state_;
  std::vector<HostGuest> unmanaged_;
  HostHoldings holdings_;
};

TEST_F(SharesTest, SupplyIsWhatNobodyHasOrWasPromised) {
  EXPECT_EQ(SupplyOf(Shares(), 4), (Units{{kCpu, 6}, {kMemory, 84}}));
  Open(1, 20, 4, 5);
  Open(2, 30, 6, 9);
  EXPECT_EQ(SupplyOf(Shares(), 4).at(kMemory), 64);
  EXPECT_EQ(SupplyOf(Shares(), 5).at(kMemory), 84);
  EXPECT_EQ(SupplyOf(Shares(), 6).at(kMemory), 54);
  EXPECT_EQ(SupplyFrom(Shares(), 5).at(kMemory), 54) << "a future counts for whoever stays";
  EXPECT_EQ(SupplyFrom(Shares(), 9).at(kMemory), 84);
  unmanaged_ = {{.guest_id = 77, .holdings = {{.kind = kMemory, .seed_units = 4}}},
                {.guest_id = 78, .ended = true, .holdings = {{.kind = kMemory, .seed_units = 9}}}};
  EXPECT_EQ(SupplyOf(Shares(), 5).at(kMemory), 80);
  resources_[1].capacity_units = 10;  // The machine came back with less.
  EXPECT_EQ(SupplyOf(Shares(), 5).at(kMemory), 0);
}

// Guests and contracts that come, pass on, change and go at random: what the index has is what one
// that is made anew would have, and what a count of all guests and contracts gives.
TEST_F(SharesTest, TheIndexOfAHostIsWhatACountGives) {
  const uint64_t seed = 20261130;
  Random random(seed);
  SCOPED_TRACE(seed);
  GuestId last = 2;
  for (int step = 0; step < 2'000; ++step) {
    const auto any_guest = [&] {
      auto it = state_.guests.begin();
      std::advance(it, random.Uniform(0, static_cast<int64_t>(state_.guests.size()) - 1));
      return it->second;
    };
    Scribe scribe(state_, absl::UnixEpoch(), "step");
    const int64_t what = random.Uniform(0, 5);
    if (what == 0 || state_.guests.size() < 2) {
      scribe.Write(PutGuest{{.guest_id = ++last,
                             .host_id = host_id_,
                             .tenant_id = "ann",
                             .name = absl::StrCat("g-", last),
                             .seeds = {{.kind = kMemory, .seed_units = random.Uniform(0, 3)}}}});
    } else if (what == 1) {
      Guest guest = any_guest();
      guest.state = static_cast<GuestState>(random.Uniform(1, 3));
      scribe.Write(PutGuest{guest});
    } else if (what == 2 && state_.guests.size() > 5) {
      Guest guest = any_guest();
      for (const Contract* contract : state_.contracts.Of(guest.guest_id)) {
        Contract ended = *contract;
        ended.ended = "evicted";
        scribe.Write(UpdateContract{ended});
      }
      guest.state = GuestState::kEvicted;
      scribe.Write(PutGuest{guest});
    } else if (what == 3 && !state_.contracts.all().empty()) {
      Contract contract = state_.contracts.all().begin()->second;
      if (random.OneIn(2)) contract.ended = "over";
      scribe.Write(UpdateContract{contract});
    } else {
      const Guest guest = any_guest();
      Contract contract{.contract_id = state_.last_contract_id + 1,
                        .guest_id = guest.guest_id,
                        .tenant_id = guest.tenant_id,
                        .lots = {{kMemory, random.Uniform(1, 5), 10}},
                        .from_round_id = static_cast<RoundId>(random.Uniform(1, 9)),
                        .period = absl::Seconds(1)};
      contract.until_round_id = contract.from_round_id + static_cast<RoundId>(random.Uniform(1, 5));
      if (!state_.contracts.all().empty() && random.OneIn(2)) {
        contract.part_of = state_.contracts.all().rbegin()->first;
      }
      scribe.Write(OpenContract{contract});
    }
    State anew = state_;
    anew.RebuildIndexes();
    ASSERT_EQ(state_.host_index, anew.host_index) << step;
    const HostIndex& index = state_.Host(host_id_);
    int64_t most = 0;
    for (RoundId round = 15; round > 0; --round) {
      int64_t promised = 0;
      for (const auto& [guest_id, guest] : state_.guests) {
        promised += state_.contracts.PromisedUnits(guest_id, kMemory, round);
      }
      most = std::max(most, promised);
      ASSERT_EQ(index.PromisedUnits(kMemory, round), promised) << step << ", round " << round;
      ASSERT_EQ(index.PromisedUnitsFrom(kMemory, round), most) << step << ", round " << round;
    }
  }
}

TEST_F(SharesTest, OnlyWhatEndsWithTheRoundIsAuctionedAgain) {
  Open(1, 20, 4, 5);
  Open(1, 5, 3, 8);
  EXPECT_EQ(HeldByAwards(Shares(), 5), (std::map<BidKey, int64_t>{{{1, kMemory}, 20}}));
  state_.hosts[host_id_].open_rounds.clear();
  EXPECT_TRUE(HeldByAwards(Shares(), 5).empty());
}

TEST_F(SharesTest, AGuestHoldsItsSeedAndWhatItsContractsGive) {
  Open(1, 20, 4, 5);
  Open(1, 7, 5, 6);
  EXPECT_EQ(Held(1, RoundInForce(book())), 20);
  EXPECT_EQ(Held(1, RoundDecided(book())), 7);
  EXPECT_EQ(Held(1, nullptr), 0);
  EXPECT_EQ(HoldingsIn(Shares(), state_.guests.at(1), RoundInForce(book()))[1].charge_microcredits,
            200);
  state_.guests[1].state = GuestState::kEnded;
  EXPECT_EQ(Held(1, RoundInForce(book())), 0);
}

TEST_F(SharesTest, WhatTheMachineSaysIsWhatIsHeldNow) {
  Open(1, 20, 4, 5);
  Open(1, 7, 5, 6);
  holdings_.Set(1, {{.kind = kMemory, .seed_units = 8, .award_units = 3}});
  EXPECT_EQ(HoldingsNow(Shares(), state_.guests.at(1))[1].award_units, 3);
  const GrantSet told = GrantsUntil(Shares(), RoundDecided(book()));
  ASSERT_EQ(told.grants.size(), 2u);
  EXPECT_EQ(told.round_id, 5u);
  EXPECT_EQ(told.grants[0].now[1].units(), 11);
  EXPECT_EQ(told.grants[0].next[1].units(), 15);
  const GrantSet applied = GrantsIn(Shares(), *RoundDecided(book()));
  EXPECT_EQ(applied.grants[0].now, applied.grants[0].next);
  state_.guests[2].state = GuestState::kEvicting;
  EXPECT_EQ(GrantsUntil(Shares(), nullptr).grants.size(), 1u);
}

TEST_F(SharesTest, AHostThatNobodyKnowsHasAnEmptyBook) {
  EXPECT_EQ(RoundInForce(BookOf(state_, "nowhere")), nullptr);
  EXPECT_EQ(RoundDecided(BookOf(state_, "nowhere")), nullptr);
}

}  // namespace
}  // namespace nom::market
