// SPDX-License-Identifier: Apache-2.0
// Whose a bid is, and how long it stands without being written again.

#include <gmock/gmock.h>

#include "tests/unit/marketd/market/market_fixture.h"

namespace nom::market {
namespace {

using testing::HasSubstr;

class LeasesTest : public MarketTest {
 protected:
  void SetUp() override {
    Open();
    guest_ = Admit("ann", "cache");
    ASSERT_TRUE(RunUntilInForce(1));
    world_->on_transaction = [this](const Transaction& transaction) {
      ++transactions_[transaction.kind];
    };
  }
  Reply Ask(Call call, const TenantId& tenant_id = "ann") {
    return world_->Ask(Caller{.tenant_id = tenant_id}, std::move(call));
  }
  uint64_t OpenLeaseOf(const TenantId& tenant_id = "ann") {
    return Ask(OpenLease{}, tenant_id).fence;
  }
  PlacedBid Place(uint64_t fence, uint64_t sequence, int64_t units, uint32_t rounds = 3) {
    PlaceBid bid = MemoryBid(guest_, units, 1'000);
    bid.request_id.clear();
    bid.renewed = true;
    bid.expires_after_rounds = rounds;
    if (units == 0) bid.ranges.clear();
    const Reply reply = Ask(PlaceBids{.ledger_id = "", .fence = {fence, sequence}, .bids = {bid}});
    EXPECT_TRUE(reply.status.ok()) << reply.status;
    return reply.placed_bids.empty() ? PlacedBid{} : reply.placed_bids[0];
  }
  LeasedBid Renew(uint64_t fence, uint64_t sequence = 0) {
    const Reply reply = Ask(RenewLease{
        .ledger_id = "", .fence = {fence, sequence}, .bids = {{guest_, ResourceKind::kMemory}}});
    EXPECT_TRUE(reply.status.ok()) << reply.status;
    return reply.leased_bids.empty() ? LeasedBid{} : reply.leased_bids[0];
  }
  bool Stands() const { return world_->state().bids.contains({guest_, ResourceKind::kMemory}); }
  void Rounds(RoundId count) { ASSERT_TRUE(RunUntilInForce(book().in_force_round_id + count)); }

  GuestId guest_ = 0;
  std::map<std::string, int> transactions_;
};

TEST_F(LeasesTest, TheNewerLeaseTakesOverAndTheOlderIsRefusedFromThenOn) {
  const uint64_t older = OpenLeaseOf();
  const uint64_t newer = OpenLeaseOf();
  EXPECT_GT(newer, older);
  EXPECT_TRUE(Place(older, 1, 5).status.ok());
  EXPECT_EQ(Renew(older).state, LeasedBidState::kHeld);
  EXPECT_TRUE(Place(newer, 1, 50).status.ok());
  EXPECT_EQ(Renew(older).state, LeasedBidState::kTakenOver);
  const PlacedBid refused = Place(older, 2, 5);
  EXPECT_EQ(refused.status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(refused.status.message(), HasSubstr("taken over"));
  EXPECT_TRUE(Place(newer, 2, 0).removed);
  EXPECT_EQ(Place(older, 3, 5).status.code(), absl::StatusCode::kAborted) << "also when it is gone";
  EXPECT_FALSE(Stands());
}

TEST_F(LeasesTest, AWithdrawalByTheOwnerStands) {
  const uint64_t fence = OpenLeaseOf();
  EXPECT_TRUE(Place(fence, 1, 5).status.ok());
  EXPECT_TRUE(Ask(WithdrawBid{NewId(), guest_, ResourceKind::kMemory}).removed);
  EXPECT_EQ(Renew(fence).state, LeasedBidState::kWithdrawn);
  const PlacedBid refused = Place(fence, 2, 5);
  EXPECT_EQ(refused.status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(refused.status.message(), HasSubstr("withdrawn"));
  EXPECT_TRUE(Place(OpenLeaseOf(), 1, 5).status.ok()) << "a lease opened since may";
}

TEST_F(LeasesTest, AWithdrawalOfWhatIsOnItsWayStandsToo) {
  const uint64_t fence = OpenLeaseOf();
  EXPECT_FALSE(Ask(WithdrawBid{NewId(), guest_, ResourceKind::kMemory}).removed);
  EXPECT_EQ(Place(fence, 1, 5).lost_to, LeasedBidState::kWithdrawn);
  EXPECT_FALSE(Stands());
}

TEST_F(LeasesTest, AWriteThatWasOvertakenUndoesNothing) {
  const uint64_t fence = OpenLeaseOf();
  const PlacedBid placed = Place(fence, 2, 7);
  EXPECT_TRUE(placed.status.ok());
  EXPECT_EQ(Place(fence, 1, 9).status.code(), absl::StatusCode::kAborted) << "late";
  const PlacedBid again = Place(fence, 2, 7);
  EXPECT_TRUE(again.status.ok()) << "the same again, as its answer was lost";
  EXPECT_EQ(again.round_id, placed.round_id);
  EXPECT_EQ(transactions_["bids placed"], 1);
  EXPECT_TRUE(Place(fence, 3, 0).removed);
  EXPECT_FALSE(Place(fence, 3, 0).removed);
  EXPECT_EQ(Place(fence, 2, 7).status.code(), absl::StatusCode::kAborted);
  EXPECT_FALSE(Stands());
}

TEST_F(LeasesTest, ABidThatIsRenewedStandsWithoutATransactionAndLapsesWhenItIsNot) {
  const uint64_t fence = OpenLeaseOf();
  ASSERT_TRUE(Place(fence, 1, 5).status.ok());
  transactions_.clear();
  for (int round = 0; round < 20; ++round) {
    const LeasedBid leased = Renew(fence);
    EXPECT_EQ(leased.state, LeasedBidState::kHeld);
    EXPECT_EQ(leased.last_round_id, book().last_decided_round_id + 3);
    EXPECT_EQ(leased.sequence, 1u);
    Rounds(1);
    EXPECT_GT(Held(guest_), 16) << "beyond its seed";
  }
  EXPECT_EQ(transactions_.size(), 2u) << "rounds are decided and settled, and that is all";
  const RoundId last = Renew(fence).last_round_id;
  Rounds(last - book().in_force_round_id - 1);
  EXPECT_TRUE(Stands());
  Rounds(1);
  EXPECT_FALSE(Stands());
  EXPECT_EQ(Renew(fence).state, LeasedBidState::kNone);
  EXPECT_EQ(Place(fence, 1, 5).status.code(), absl::StatusCode::kAborted) << "it was, and lapsed";
  EXPECT_TRUE(Place(fence, 2, 5).status.ok());
}

TEST_F(LeasesTest, ABidThatReplacesAnotherStandsForItsOwnRounds) {
  const uint64_t fence = OpenLeaseOf();
  ASSERT_TRUE(Place(fence, 1, 5, /*rounds=*/9).status.ok());
  EXPECT_EQ(Renew(fence).last_round_id, book().last_decided_round_id + 9);
  ASSERT_TRUE(Place(fence, 2, 5, /*rounds=*/3).status.ok());
  EXPECT_EQ(Renew(fence).last_round_id, book().last_decided_round_id + 3);
}

TEST_F(LeasesTest, ARestartStripsNobodyAndGivesOutHigherFences) {
  const uint64_t fence = OpenLeaseOf();
  ASSERT_TRUE(Place(fence, 1, 5).status.ok());
  for (int round = 0; round < 6; ++round) {
    Renew(fence);
    Rounds(1);
  }
  const uint64_t idle = OpenLeaseOf();  // Holds nothing, so nothing durable knows of it.
  world_->Restart(3 * kPeriod);
  world_->Settle();
  ASSERT_TRUE(RunUntilInForce(book().in_force_round_id + 1));
  EXPECT_TRUE(Stands());
  EXPECT_EQ(Renew(fence).state, LeasedBidState::kHeld);
  EXPECT_GT(OpenLeaseOf(), idle);
  Rounds(4);
  EXPECT_FALSE(Stands()) << "but a lease that nobody renews ends";
}

TEST_F(LeasesTest, AWriteThatItsLeaseGaveUpNeverComes) {
  const uint64_t fence = OpenLeaseOf();
  ASSERT_TRUE(Place(fence, 1, 5).status.ok());
  EXPECT_EQ(Renew(fence, 2).sequence, 1u) << "the second has not come";
  EXPECT_EQ(Place(fence, 2, 50).status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Renew(fence, 2).sequence, 1u);
  EXPECT_TRUE(Place(fence, 1, 5).status.ok()) << "what had come is answered as ever";
  EXPECT_TRUE(Place(fence, 3, 50).status.ok());
}

TEST_F(LeasesTest, OneCallTakesWhatIsGoodAndSaysWhatIsNot) {
  const uint64_t fence = OpenLeaseOf();
  PlaceBid cpu = MemoryBid(guest_, 4, 100);
  cpu.kind = ResourceKind::kCpu;
  PlaceBid poor = MemoryBid(guest_, 4, 100);
  poor.budget_microcredits = -1;
  PlaceBid stranger = MemoryBid(999, 4, 100);
  PlaceBids call{.ledger_id = "", .fence = {fence, 1}, .bids = {cpu, poor, stranger}};
  const Reply reply = Ask(call);
  ASSERT_EQ(reply.placed_bids.size(), 3u);
  EXPECT_TRUE(reply.placed_bids[0].status.ok());
  EXPECT_EQ(reply.placed_bids[0].round_id, book().last_decided_round_id + 1);
  EXPECT_EQ(reply.placed_bids[1].status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(reply.placed_bids[2].status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(transactions_["bids placed"], 1);
  EXPECT_EQ(Ask(call, "bob").placed_bids[0].status.code(), absl::StatusCode::kNotFound);
}

TEST_F(LeasesTest, NamesWhatIsWrongWithACall) {
  const uint64_t fence = OpenLeaseOf();
  const auto error = [&](Call call) { return std::string(Ask(std::move(call)).status.message()); };
  EXPECT_THAT(error(PlaceBids{}), HasSubstr("fence"));
  EXPECT_THAT(error(PlaceBids{.ledger_id = "", .fence = {fence + 1'000'000, 1}, .bids = {}}),
              HasSubstr("fence"));
  EXPECT_THAT(error(PlaceBids{.ledger_id = "", .fence = {fence, 0}, .bids = {}}),
              HasSubstr("sequence"));
  const PlaceBid bid = MemoryBid(guest_, 4, 100);
  EXPECT_THAT(error(PlaceBids{.ledger_id = "", .fence = {fence, 1}, .bids = {bid, bid}}),
              HasSubstr("bids[1]"));
  EXPECT_THAT(error(PlaceBids{.ledger_id = "",
                              .fence = {fence, 1},
                              .bids = std::vector<PlaceBid>(kBidsPerCallMax + 1, bid)}),
              HasSubstr("too many"));
  EXPECT_THAT(error(RenewLease{}), HasSubstr("fence"));
  EXPECT_THAT(Place(fence, 1, 5, 1).status.message(), HasSubstr("expires_after_rounds"));
}

TEST_F(LeasesTest, AGuestsEndEndsItsBids) {
  const uint64_t fence = OpenLeaseOf();
  ASSERT_TRUE(Place(fence, 1, 5).status.ok());
  ASSERT_TRUE(world_->AskAsOperator(EvictGuest{NewId(), guest_}).status.ok());
  EXPECT_EQ(Renew(fence).state, LeasedBidState::kGuestGone);
  EXPECT_TRUE(world_->state().bid_fences.empty());
}

TEST_F(LeasesTest, SaysWhatWasWonAndWhyNoMore) {
  const GuestId other = Admit("bob", "batch");
  const uint64_t fence = OpenLeaseOf();
  ASSERT_TRUE(Place(fence, 1, 5).status.ok());
  ASSERT_TRUE(RunUntilDecided(book().last_decided_round_id + 1));
  const auto reason = [&](GuestId guest_id) {
    const GuestView* const view = world_->view().FindGuest(guest_id);
    EXPECT_EQ(view->decided_round_id, book().last_decided_round_id);
    for (const Decided& decided : view->decided) {
      if (decided.kind == ResourceKind::kMemory) return decided.reason;
    }
    return AwardReason::kUnknown;
  };
  EXPECT_EQ(reason(guest_), AwardReason::kServed);
  EXPECT_EQ(reason(other), AwardReason::kNoBid);
  PlaceBid all = MemoryBid(other, 1'000, 2'000);
  ASSERT_TRUE(Bid("bob", all).status.ok());
  ASSERT_TRUE(RunUntilDecided(book().last_decided_round_id + 2));
  EXPECT_EQ(reason(guest_), AwardReason::kOutbid);
}

}  // namespace
}  // namespace nom::market
