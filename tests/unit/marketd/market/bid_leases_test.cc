// SPDX-License-Identifier: Apache-2.0
// Whose a bid is, and what a guest was told, each alone: a state and no market around it.

#include "marketd/market/bid_leases.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "marketd/market/notices.h"

namespace nom::market {
namespace {

using testing::HasSubstr;
using Kind = BidLeases::Verdict::Kind;
constexpr auto kMemory = ResourceKind::kMemory;
const BidKey kKey{1, kMemory};

// What stands was written by a lease, and holds for three rounds.
class BidLeasesTest : public testing::Test {
 protected:
  BidLeasesTest() {
    state_.ledger = {.id = "this", .openings = 3};
    state_.guests[1] = {.guest_id = 1, .host_id = "h", .state = GuestState::kRunning};
    state_.hosts["h"] = {.host_id = "h", .last_decided_round_id = 10};
  }
  void Stand(BidKey key, BidFence fence) {
    state_.bids[key] = {.guest_id = key.first,
                        .kind = key.second,
                        .first_round_id = 11,
                        .last_round_id = 13,
                        .fence = fence,
                        .lease_rounds = 3};
    state_.bid_fences[key] = fence;
  }

  State state_;
};

TEST_F(BidLeasesTest, FencesRiseOverProcessesAndOverWhatStands) {
  BidLeases leases(state_);
  const uint64_t first = leases.Open();
  EXPECT_GT(first, uint64_t{3} << 40);
  EXPECT_GT(leases.NextFence().fence, first);
  Stand(kKey, {.fence = uint64_t{9} << 40});
  EXPECT_GT(BidLeases(state_).Open(), uint64_t{9} << 40);
}

TEST_F(BidLeasesTest, AFenceThatWasNeverGivenOutIsRefused) {
  BidLeases leases(state_);
  const uint64_t fence = leases.Open();
  EXPECT_TRUE(leases.Check("", fence).ok());
  EXPECT_TRUE(leases.Check("this", fence).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(leases.Check("another", fence)));
  EXPECT_TRUE(absl::IsInvalidArgument(leases.Check("", 0)));
  EXPECT_TRUE(absl::IsInvalidArgument(leases.Check("", fence + 1)));
}

TEST_F(BidLeasesTest, TheHigherFenceWinsAndWithinItTheHigherSequence) {
  BidLeases leases(state_);
  EXPECT_EQ(leases.Judge(kKey, {5, 1}).kind, Kind::kMayWrite);
  Stand(kKey, {5, 2});
  EXPECT_EQ(leases.Judge(kKey, {6, 1}).kind, Kind::kMayWrite);
  EXPECT_EQ(leases.Judge(kKey, {5, 3}).kind, Kind::kMayWrite);
  EXPECT_EQ(leases.Judge(kKey, {5, 2}).kind, Kind::kWasWritten);
  const BidLeases::Verdict late = leases.Judge(kKey, {5, 1});
  EXPECT_EQ(late.kind, Kind::kRefused);
  EXPECT_TRUE(absl::IsAborted(late.status));
  EXPECT_EQ(late.lost_to, std::nullopt) << "to itself";
  EXPECT_EQ(leases.Judge(kKey, {4, 9}).lost_to, LeasedBidState::kTakenOver);
  state_.bids.erase(kKey);
  EXPECT_EQ(leases.Judge(kKey, {4, 9}).lost_to, LeasedBidState::kWithdrawn);
}

TEST_F(BidLeasesTest, ABidForSeveralKindsAndOneForASingleKindAreTheSameQuestion) {
  BidLeases leases(state_);
  Stand({1, kSeveralKinds}, {5, 2});
  EXPECT_EQ(leases.Judge(kKey, {4, 1}).lost_to, LeasedBidState::kTakenOver);
  EXPECT_EQ(leases.Judge(kKey, {5, 1}).kind, Kind::kRefused);
  EXPECT_EQ(leases.Judge(kKey, {5, 3}).kind, Kind::kMayWrite);
}

TEST_F(BidLeasesTest, ARenewalHoldsABidOnAndWritesNothing) {
  BidLeases leases(state_);
  Stand(kKey, {5, 2});
  const State before = state_;
  EXPECT_EQ(leases.LastRound(state_.bids[kKey]), 13u);
  LeasedBid held = leases.Renew(kKey, {5, 0}, 14);
  EXPECT_EQ(held.state, LeasedBidState::kHeld);
  EXPECT_EQ(held.last_round_id, 16u);
  EXPECT_EQ(held.sequence, 2u);
  held = leases.Renew(kKey, {5, 0}, 12);
  EXPECT_EQ(held.last_round_id, 16u) << "never less than it had";
  EXPECT_TRUE(before == state_);
  leases.GiveRoundBack(kKey);
  EXPECT_EQ(leases.LastRound(state_.bids[kKey]), 17u) << "a round that was released";
  leases.Forget(kKey);
  EXPECT_EQ(leases.LastRound(state_.bids[kKey]), 13u) << "written anew";
}

TEST_F(BidLeasesTest, WhoLostABidIsToldHow) {
  BidLeases leases(state_);
  EXPECT_EQ(leases.Renew(kKey, {5, 0}, 11).state, LeasedBidState::kNone);
  Stand(kKey, {6, 1});
  EXPECT_EQ(leases.Renew(kKey, {5, 0}, 11).state, LeasedBidState::kTakenOver);
  EXPECT_EQ(leases.Renew(kKey, {7, 0}, 11).state, LeasedBidState::kNone);
  state_.bids.erase(kKey);
  EXPECT_EQ(leases.Renew(kKey, {5, 0}, 11).state, LeasedBidState::kWithdrawn);
  EXPECT_EQ(leases.Renew(kKey, {6, 0}, 11).state, LeasedBidState::kNone) << "it has lapsed";
}

TEST_F(BidLeasesTest, WhatWasGivenUpNeverComes) {
  BidLeases leases(state_);
  Stand(kKey, {5, 1});
  leases.Renew(kKey, {5, 3}, 11);
  EXPECT_THAT(leases.Judge(kKey, {5, 2}).status.message(), HasSubstr("given up"));
  EXPECT_EQ(leases.Judge(kKey, {5, 3}).kind, Kind::kRefused);
  leases.Renew(kKey, {5, 2}, 11);
  EXPECT_EQ(leases.Judge(kKey, {5, 3}).kind, Kind::kRefused) << "also if an older one comes late";
  EXPECT_EQ(leases.Judge(kKey, {5, 4}).kind, Kind::kMayWrite);
  leases.ForgetGuest(1);
  EXPECT_EQ(leases.Judge(kKey, {5, 3}).kind, Kind::kMayWrite);
}

TEST_F(BidLeasesTest, AfterAStartAllCountAsRenewedJustThen) {
  Stand(kKey, {5, 1});
  state_.hosts["h"].last_decided_round_id = 40;
  EXPECT_EQ(BidLeases(state_).LastRound(state_.bids[kKey]), 43u);
}

TEST(NoticesTest, WhatChangesIsToldAndWithdrawnUnderRisingSequences) {
  Notices notices;
  const Guest guest{.guest_id = 1, .host_id = "h"};
  const std::vector<Holding> now = {{.kind = ResourceKind::kCpu, .seed_units = 4},
                                    {.kind = kMemory, .seed_units = 8, .award_units = 2}};
  std::vector<Holding> next = now;
  next[1].award_units = 7;
  next[1].charge_microcredits = 30;
  notices.Tell(guest, 5, absl::FromUnixSeconds(9), now, next);
  ASSERT_EQ(notices.size(), 1u) << "of cpu nothing changes";
  const SharedList<Notice> told = notices.list();
  EXPECT_EQ(told[0].units_now, 10);
  EXPECT_EQ(told[0].units_next, 15);
  EXPECT_EQ(told[0].charge_microcredits, 30);
  EXPECT_FALSE(told[0].withdrawn);
  EXPECT_EQ(notices.list().pointers()[0], told.pointers()[0]) << "nothing has changed: the same";
  notices.Withdraw(1, 4, now);
  EXPECT_FALSE(notices.list()[0].withdrawn) << "that was another round";
  notices.Withdraw(1, 5, now);
  EXPECT_TRUE(notices.list()[0].withdrawn);
  EXPECT_EQ(notices.list()[0].units_next, 10);
  EXPECT_GT(notices.list()[0].sequence, told[0].sequence);
  EXPECT_FALSE(told[0].withdrawn) << "what a reader has does not change";
  notices.Tell({.guest_id = 2, .host_id = "h"}, 6, absl::FromUnixSeconds(19), now, next);
  EXPECT_EQ(notices.list().back().guest_id, 2u) << "by rising sequence";
  notices.ForgetGuest(1);
  EXPECT_EQ(notices.list().size(), 1u);
}

}  // namespace
}  // namespace nom::market
