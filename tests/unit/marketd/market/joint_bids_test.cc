// SPDX-License-Identifier: Apache-2.0
// Bids for several kinds at the door of a host that clears them in one auction.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/marketd/market/joint_fixture.h"

namespace nom::market {
namespace {

using policies::Combination;
using policies::Range;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class JointBidsTest : public JointTest {
 protected:
  uint64_t Open() { return world_->Ask(Caller{.tenant_id = "ann"}, OpenLease{}).fence; }
  Reply Ask(PlaceBids call) {
    for (PlaceBid& bid : call.bids) bid.request_id.clear();
    return world_->Ask(Caller{.tenant_id = "ann"}, std::move(call));
  }
  PlacedBid Place(BidFence fence, PlaceBid bid) {
    const Reply reply = Ask({.ledger_id = "", .fence = fence, .bids = {std::move(bid)}});
    EXPECT_TRUE(reply.status.ok()) << reply.status;
    return reply.placed_bids.at(0);
  }
  static Valuation Bundles() { return {.bundles = {CpuAndMemory(20, 15, 90'000)}}; }
  PlaceBid CpuBid(GuestId guest_id) {
    PlaceBid bid = MemoryBid(guest_id, 5, 1'000);
    bid.kind = ResourceKind::kCpu;
    return bid;
  }
  static PlaceBid Nothing(GuestId guest_id, ResourceKind kind) {
    return {.guest_id = guest_id, .kind = kind};
  }
};

TEST_F(JointBidsTest, ABidForSeveralKindsAndBidsForSingleOnesReplaceEachOther) {
  const GuestId guest = Admit("ann", "one");
  const Reply memory = Bid("ann", MemoryBid(guest, 40, 5'000));
  ASSERT_TRUE(memory.status.ok()) << memory.status;
  PlaceBid several = ValuationBid(guest, {.bundles = {CpuAndMemory(10, 10, 100'000)}});
  const Reply first = Bid("ann", several);
  ASSERT_TRUE(first.status.ok()) << first.status;
  ASSERT_EQ(world_->state().bids.size(), 1u);
  EXPECT_EQ(world_->state().bids.begin()->first, BidKey(guest, kSeveralKinds));
  // The same again is answered the same; another content under the id is refused.
  const uint64_t transactions = world_->state().last_transaction_id;
  EXPECT_EQ(Bid("ann", several), first);
  EXPECT_EQ(world_->state().last_transaction_id, transactions);
  several.valuation =
      std::make_shared<const Valuation>(Valuation{.bundles = {CpuAndMemory(10, 10, 100'001)}});
  EXPECT_TRUE(absl::IsAlreadyExists(Bid("ann", several).status));
  // It survives the process.
  const State before = world_->state();
  world_->Restart();
  EXPECT_EQ(world_->state().bids, before.bids);
  ASSERT_TRUE(Bid("ann", MemoryBid(guest, 40, 5'000)).status.ok());
  ASSERT_EQ(world_->state().bids.size(), 1u);
  EXPECT_EQ(world_->state().bids.begin()->first, BidKey(guest, ResourceKind::kMemory));
  const Reply gone =
      world_->Ask(Caller{.tenant_id = "ann"}, WithdrawBid{NewId(), guest, kSeveralKinds});
  EXPECT_TRUE(gone.status.ok()) << gone.status;
  EXPECT_FALSE(gone.removed);
}

TEST_F(JointBidsTest, ABidForSeveralKindsLapses) {
  const GuestId guest = Admit("ann", "one");
  PlaceBid bid = ValuationBid(guest, {.bundles = {CpuAndMemory(10, 10, 100'000)}});
  bid.expires_after_rounds = 2;
  ASSERT_TRUE(Bid("ann", bid).status.ok());
  ASSERT_TRUE(RunUntilInForce(2));
  EXPECT_THAT(world_->state().bids, IsEmpty());
  EXPECT_EQ(Held(guest), 26);
  ASSERT_TRUE(RunUntilInForce(3));
  EXPECT_EQ(Held(guest), 16);
}

TEST_F(JointBidsTest, HostileBidsAreRefusedByTheNameOfTheirField) {
  const GuestId guest = Admit("ann", "one");
  const auto refusal = [&](Valuation valuation) {
    const absl::Status status = Refusal(guest, std::move(valuation));
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(refusal({}), HasSubstr("valuation: there is nothing in it"));
  EXPECT_THAT(refusal({.bundles = {{}}}),
              HasSubstr("valuation.bundles[0].units: the empty bundle"));
  EXPECT_THAT(refusal({.bundles = {CpuAndMemory(1, 1, 5), CpuAndMemory(1, 1, 7)}}),
              HasSubstr("valuation.bundles[1].units: the same as in"));
  EXPECT_THAT(refusal({.bundles = {CpuAndMemory(-1, 1, 5)}}),
              HasSubstr("valuation.bundles[0].units[cpu]: -1"));
  EXPECT_THAT(refusal({.bundles = {CpuAndMemory(1, INT64_MAX, 5)}}),
              HasSubstr("valuation.bundles[0].units[memory]"));
  EXPECT_THAT(refusal({.bundles = {CpuAndMemory(1, 1, -5)}}),
              HasSubstr("valuation.bundles[0].value_microcredits: -5"));
  EXPECT_THAT(refusal({.bundles = {CpuAndMemory(1, 1, INT64_MAX)}}),
              HasSubstr("valuation.bundles[0].value_microcredits"));
  policies::Bundle disk = CpuAndMemory(1, 1, 5);
  disk.units[4] = 1;
  EXPECT_THAT(refusal({.bundles = {disk}}),
              HasSubstr("valuation.bundles[0].units[disk]: is not sold on this host"));
  EXPECT_THAT(refusal(Curves(Combination::kMin, {{5, 4, 0, 1}}, {})),
              HasSubstr("valuation.curves[cpu].ranges[0]"));
  EXPECT_THAT(refusal(Curves(Combination::kMin, {}, std::vector<Range>(17, Range{1, 1, 1, 0}))),
              HasSubstr("valuation.curves[memory].ranges"));
  EXPECT_THAT(refusal(Curves(Combination::kSum, {{0, 4, 0, 1}}, {}, 7)),
              HasSubstr("valuation.whole_value_microcredits"));
  EXPECT_THAT(refusal(Curves(Combination::kProduct, {{0, 2, 0, 1 << 20}}, {{0, 1, 0, 1}}, 7)),
              HasSubstr("valuation.curves[cpu].ranges[0]"));
  Valuation both = Curves(Combination::kSum, {{0, 4, 0, 1}}, {});
  both.bundles = {CpuAndMemory(1, 1, 5)};
  EXPECT_THAT(refusal(both), HasSubstr("do not go together"));
  // More than a guest's share of the reading: the others' bids are read as well.
  Valuation large;
  for (int64_t i = 1; i <= 5'000; ++i) large.bundles.push_back(CpuAndMemory(i, 1, i));
  EXPECT_THAT(refusal(large), HasSubstr("valuation.bundles: 5000 are more than 4096"));

  PlaceBid torn = ValuationBid(guest, {.bundles = {CpuAndMemory(1, 1, 5'000)}});
  torn.ranges = {{0, 1, 0, 5'000}};
  EXPECT_TRUE(absl::IsInvalidArgument(Bid("ann", torn).status));
  PlaceBid empty = ValuationBid(guest, {});
  empty.valuation = nullptr;
  EXPECT_TRUE(absl::IsInvalidArgument(Bid("ann", empty).status));
  PlaceBid poor = ValuationBid(guest, {.bundles = {CpuAndMemory(2, 2, 50'000)}});
  poor.budget_microcredits = 2'999;  // The reserves of 2 of each are 3,000.
  EXPECT_TRUE(absl::IsFailedPrecondition(Bid("ann", poor).status));
  poor.budget_microcredits = -1;
  EXPECT_TRUE(absl::IsInvalidArgument(Bid("ann", poor).status));
  EXPECT_TRUE(absl::IsNotFound(
      Bid("bob", ValuationBid(guest, {.bundles = {CpuAndMemory(1, 1, 5'000)}})).status));
  EXPECT_THAT(world_->state().bids, IsEmpty());
  ASSERT_TRUE(RunUntilDecided(1));
  EXPECT_GT(host_view().counters.bids_refused, 10u);
}

TEST_F(JointBidsTest, AHostThatClearsByKindTakesBidsForOneKindOnly) {
  AdmitGuest admission = Admission("ann", "one");
  admission.host_id = "kinds";
  const Reply admitted = world_->AskAsOperator(admission);
  ASSERT_TRUE(admitted.status.ok()) << admitted.status;
  const absl::Status status = Refusal(admitted.guest_id, {.bundles = {CpuAndMemory(1, 1, 5'000)}});
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("clears each resource by itself"));
}

TEST_F(JointBidsTest, ABidForSeveralKindsTakesOverThoseOfAnOlderLease) {
  const GuestId guest = Admit("ann", "one");
  const uint64_t older = Open();
  const uint64_t newer = Open();
  ASSERT_TRUE(Place({older, 1}, MemoryBid(guest, 5, 1'000)).status.ok());
  ASSERT_TRUE(Place({newer, 1}, ValuationBid(guest, Bundles())).status.ok());
  EXPECT_THAT(world_->state().BidsOf(guest), ElementsAre(BidKey(guest, kSeveralKinds)));
  // What it had placed, and what it had not.
  const PlacedBid again = Place({older, 2}, MemoryBid(guest, 5, 1'000));
  EXPECT_EQ(again.status.code(), absl::StatusCode::kAborted);
  const PlacedBid refused = Place({older, 3}, CpuBid(guest));
  EXPECT_EQ(refused.status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(refused.lost_to, LeasedBidState::kTakenOver);
  // The newer one may change its mind.
  EXPECT_TRUE(Place({newer, 2}, CpuBid(guest)).status.ok());
  EXPECT_THAT(world_->state().BidsOf(guest), ElementsAre(BidKey(guest, ResourceKind::kCpu)));
}

TEST_F(JointBidsTest, AWriteThatIsLateDoesNotReplaceWhatTheSameLeaseBidSince) {
  const GuestId guest = Admit("ann", "one");
  const uint64_t lease = Open();
  ASSERT_TRUE(Place({lease, 2}, ValuationBid(guest, Bundles())).status.ok());
  // Sent before, and given up by its sender.
  const PlacedBid late = Place({lease, 1}, MemoryBid(guest, 5, 1'000));
  EXPECT_EQ(late.status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(late.lost_to, std::nullopt) << "it is still the lease's own";
  EXPECT_THAT(world_->state().BidsOf(guest), ElementsAre(BidKey(guest, kSeveralKinds)));
  // And the other way round.
  ASSERT_TRUE(Place({lease, 4}, MemoryBid(guest, 5, 1'000)).status.ok());
  const PlacedBid several = Place({lease, 3}, ValuationBid(guest, Bundles()));
  EXPECT_EQ(several.status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(world_->state().BidsOf(guest), ElementsAre(BidKey(guest, ResourceKind::kMemory)));
}

TEST_F(JointBidsTest, AWriteThatIsLateDoesNotComeOnceWhatReplacedItIsGoneEither) {
  const GuestId guest = Admit("ann", "one");
  const uint64_t lease = Open();
  // None for a single kind ever stood.
  ASSERT_TRUE(Place({lease, 2}, ValuationBid(guest, Bundles())).status.ok());
  ASSERT_TRUE(Place({lease, 3}, Nothing(guest, kSeveralKinds)).removed);
  EXPECT_TRUE(absl::IsAborted(Place({lease, 1}, MemoryBid(guest, 5, 1'000)).status));
  EXPECT_TRUE(absl::IsAborted(Place({lease, 1}, CpuBid(guest)).status));
  EXPECT_THAT(world_->state().bids, IsEmpty());
  // What the lease bids after that is meant, and replaces in its turn.
  ASSERT_TRUE(Place({lease, 6}, MemoryBid(guest, 5, 1'000)).status.ok());
  ASSERT_TRUE(Place({lease, 7}, Nothing(guest, ResourceKind::kMemory)).removed);
  EXPECT_TRUE(absl::IsAborted(Place({lease, 5}, ValuationBid(guest, Bundles())).status));
  // Also where it has lapsed, and after a start.
  PlaceBid once = ValuationBid(guest, Bundles());
  once.expires_after_rounds = 1;
  ASSERT_TRUE(Place({lease, 9}, once).status.ok());
  ASSERT_TRUE(RunUntilInForce(2));
  ASSERT_THAT(world_->state().bids, IsEmpty());
  world_->Restart();
  EXPECT_TRUE(absl::IsAborted(Place({lease, 8}, CpuBid(guest)).status));
  EXPECT_TRUE(Place({lease, 10}, CpuBid(guest)).status.ok());
}

TEST_F(JointBidsTest, WhatANewerLeaseReplacedStaysItsOwnOnceItHasGone) {
  const GuestId guest = Admit("ann", "one");
  const uint64_t older = Open();
  const uint64_t newer = Open();
  ASSERT_TRUE(Place({newer, 1}, ValuationBid(guest, Bundles())).status.ok());
  ASSERT_TRUE(Place({newer, 2}, Nothing(guest, kSeveralKinds)).removed);
  const PlacedBid refused = Place({older, 1}, CpuBid(guest));
  EXPECT_TRUE(absl::IsAborted(refused.status)) << refused.status;
  EXPECT_NE(refused.lost_to, std::nullopt);
}

TEST_F(JointBidsTest, AWithdrawalReplacesNothing) {
  const GuestId guest = Admit("ann", "one");
  const uint64_t lease = Open();
  ASSERT_TRUE(Place({lease, 5}, Nothing(guest, kSeveralKinds)).status.ok());
  ASSERT_TRUE(Place({lease, 1}, MemoryBid(guest, 5, 1'000)).status.ok());
  EXPECT_THAT(world_->state().BidsOf(guest), ElementsAre(BidKey(guest, ResourceKind::kMemory)));
  // And what was placed did not make it an earlier one.
  EXPECT_TRUE(absl::IsAborted(Place({lease, 4}, ValuationBid(guest, Bundles())).status));
}

TEST_F(JointBidsTest, OneCallHasNoBidsThatReplaceEachOther) {
  const GuestId guest = Admit("ann", "one");
  const GuestId other = Admit("ann", "two");
  const uint64_t lease = Open();
  const Reply refused = Ask({.ledger_id = "",
                             .fence = {lease, 1},
                             .bids = {ValuationBid(guest, Bundles()), CpuBid(guest)}});
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status)) << refused.status;
  EXPECT_THAT(refused.status.message(), HasSubstr("bids[1]"));
  EXPECT_THAT(world_->state().bids, IsEmpty());
  const Reply taken = Ask({.ledger_id = "",
                           .fence = {lease, 2},
                           .bids = {ValuationBid(guest, Bundles()), CpuBid(other),
                                    Nothing(guest, ResourceKind::kMemory)}});
  ASSERT_TRUE(taken.status.ok()) << taken.status;
  for (const PlacedBid& bid : taken.placed_bids) EXPECT_TRUE(bid.status.ok()) << bid.status;
  EXPECT_EQ(world_->state().bids.size(), 2u);
}

TEST_F(JointBidsTest, BidPagesBidForSeveralKinds) {
  const GuestId guest = Admit("ann", "one");
  GuestBids page{.guest_id = guest};
  page.bids.push_back({.kind = kSeveralKinds,
                       .valuation = std::make_shared<const Valuation>(
                           Valuation{.bundles = {CpuAndMemory(10, 10, 100'000)}})});
  page.bids.push_back({.kind = ResourceKind::kMemory});  // Withdrawn.
  world_->Tell("h", page);
  world_->Settle();
  ASSERT_EQ(world_->state().bids.size(), 1u);
  EXPECT_EQ(world_->state().bids.begin()->first.second, kSeveralKinds);
  page.bids[1].ranges = {{0, 5, 0, 1'000}};
  world_->Tell("h", page);
  world_->Settle();
  EXPECT_THAT(world_->view().FindGuest(guest)->bid_page_error,
              HasSubstr("does not go together with a bid for several kinds"));
}

}  // namespace
}  // namespace nom::market
