// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/simulated/simulated_host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policies/clearing/rules.h"
#include "tests/sim/world.h"

namespace nom::market {
namespace {

class SimulatedHostTest : public testing::Test {
 protected:
  SimulatedHostTest() : resources_(TestHostConfig("h", absl::Seconds(1)).resources) {
    SimulatedHostOptions options = TestHostOptions(1);
    options.clock = &clock_;
    host_ = std::make_unique<SimulatedHost>(options);
    host_->SetResources(resources_);
    EXPECT_TRUE(host_->Attach().ok());
  }
  absl::Status Create(GuestId id, int64_t memory) {
    return host_->CreateGuest(
        {.guest_id = id, .seeds = {{.kind = ResourceKind::kMemory, .seed_units = memory}}});
  }
  static GuestGrant Grant(GuestId id, int64_t seed, int64_t award) {
    const Holding holding{.kind = ResourceKind::kMemory, .seed_units = seed, .award_units = award};
    return {.guest_id = id, .now = {holding}, .next = {holding}};
  }

  SimulatedClock clock_;
  const std::vector<Resource> resources_;
  std::unique_ptr<SimulatedHost> host_;
};

TEST_F(SimulatedHostTest, RefusesWhatBreaksItsInvariants) {
  EXPECT_TRUE(absl::IsResourceExhausted(Create(1, 257)));
  ASSERT_TRUE(Create(1, 100).ok());
  ASSERT_TRUE(Create(2, 100).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(Create(2, 1)));
  EXPECT_TRUE(absl::IsNotFound(host_->DestroyGuest(3).status()));
  // Above the capacity of 256, and below a seed: nothing changes.
  EXPECT_TRUE(absl::IsFailedPrecondition(
      host_->Apply({1, {Grant(1, 100, 57), Grant(2, 100, 0)}}).status()));
  EXPECT_TRUE(
      absl::IsFailedPrecondition(host_->Apply({1, {Grant(1, 100, 5), Grant(2, 99, 0)}}).status()));
  EXPECT_EQ(host_->granted_units(ResourceKind::kMemory), 200);
  ASSERT_TRUE(host_->Apply({1, {Grant(1, 100, 56), Grant(2, 100, 0)}}).ok());
  EXPECT_EQ(host_->granted_units(ResourceKind::kMemory), 256);
  // One that is not named keeps what it holds.
  ASSERT_TRUE(host_->Apply({2, {Grant(2, 100, 0)}}).ok());
  EXPECT_EQ(host_->granted_units(ResourceKind::kMemory), 256);
}

TEST_F(SimulatedHostTest, MetersCountFromTheGuestsCreation) {
  ASSERT_TRUE(Create(1, 10).ok());
  clock_.Advance(absl::Seconds(1));
  ASSERT_TRUE(host_->Apply({1, {Grant(1, 10, 20)}}).ok());
  clock_.Advance(absl::Seconds(2));
  const auto second = host_->Apply({2, {Grant(1, 10, 5)}});
  ASSERT_TRUE(second.ok());
  ASSERT_EQ(second->meters.size(), 1u);
  EXPECT_EQ(second->meters[0].age_us, 3'000'000);
  ASSERT_EQ(second->meters[0].amounts.size(), 2u);
  EXPECT_EQ(second->meters[0].amounts[1].kind, ResourceKind::kMemory);
  EXPECT_EQ(second->meters[0].amounts[1].offered_unit_us, 10'000'000u + 60'000'000u);
  EXPECT_EQ(second->forced_units, 15);
  EXPECT_EQ(host_->unannounced_units(), 15) << "nobody told it";
  // Who attaches anew is told which round the machine applied last, and of the meters then.
  clock_.Advance(absl::Seconds(1));
  const auto facts = host_->Attach();
  ASSERT_TRUE(facts.ok());
  EXPECT_EQ(facts->applied_round_id, 2u);
  EXPECT_EQ(facts->applied_meters, second->meters);
  host_->EndGuest(1, "gone");
  clock_.Advance(absl::Seconds(3));
  const auto last = host_->DestroyGuest(1);
  ASSERT_TRUE(last.ok());
  EXPECT_EQ(last->age_us, 7'000'000);
  EXPECT_EQ(last->alive_us, 4'000'000);
  EXPECT_EQ(last->amounts[1].offered_unit_us, 85'000'000u);
}

TEST_F(SimulatedHostTest, WhatIsToldInTimeIsNoSurprise) {
  ASSERT_TRUE(Create(1, 10).ok());
  ASSERT_TRUE(host_->Apply({1, {Grant(1, 10, 20)}}).ok());
  ASSERT_TRUE(host_->Prepare({2, {Grant(1, 10, 5)}}, absl::Seconds(2)).ok());
  clock_.Advance(absl::Seconds(2));
  ASSERT_TRUE(host_->Apply({2, {Grant(1, 10, 5)}}).ok());
  EXPECT_EQ(host_->unannounced_units(), 0);
}

TEST_F(SimulatedHostTest, GuestsBidWhatTheRulesTake) {
  ASSERT_TRUE(Create(1, 10).ok());
  int bids = 0;
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(host_->Publish({}).ok());
    for (const HostNews& news : host_->Poll()) {
      const auto* page = std::get_if<GuestBids>(&news);
      if (page == nullptr) continue;
      for (size_t r = 0; r < page->bids.size(); ++r) {
        const absl::Status takes = policies::CheckBidForRule(
            resources_[r].rule, {.guest_id = 1, .ranges = page->bids[r].ranges});
        EXPECT_TRUE(takes.ok()) << takes;
        ++bids;
      }
    }
  }
  EXPECT_EQ(bids, 400);
  EXPECT_TRUE(host_->Poll().empty()) << "once for each round";
}

TEST_F(SimulatedHostTest, FailsWhenToldTo) {
  ASSERT_TRUE(Create(1, 10).ok());
  host_->faults().apply_refused = 1;
  EXPECT_TRUE(absl::IsFailedPrecondition(host_->Apply({1, {Grant(1, 10, 20)}}).status()));
  host_->faults() = {.answer_lost = 1};
  EXPECT_TRUE(absl::IsUnavailable(host_->Apply({1, {Grant(1, 10, 20)}}).status()));
  EXPECT_EQ(host_->granted_units(ResourceKind::kMemory), 30) << "it was done all the same";
  EXPECT_TRUE(absl::IsUnavailable(host_->Publish({}))) << "until it is attached again";
  host_->faults() = {};
  const auto facts = host_->Attach();
  ASSERT_TRUE(facts.ok());
  EXPECT_EQ(facts->guests.size(), 1u);
  const uint64_t boot_id = facts->boot_id;
  host_->Reboot();
  EXPECT_TRUE(std::holds_alternative<HostLost>(host_->Poll().at(0)));
  const auto again = host_->Attach();
  EXPECT_NE(again->boot_id, boot_id);
  EXPECT_TRUE(again->guests.empty());
}

}  // namespace
}  // namespace nom::market
