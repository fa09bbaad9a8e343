// SPDX-License-Identifier: Apache-2.0
// What a bid book makes of the answer to a renewal: which of its writes stands, which never will,
// and what that settles.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "client/src/bid_book.h"

namespace nom::client {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr auto kHeld = BidBook::LeasedState::kHeld;
constexpr auto kNone = BidBook::LeasedState::kNone;
constexpr auto kTakenOver = BidBook::LeasedState::kTakenOver;

class BidRenewalTest : public ::testing::Test {
 protected:
  BidRenewalTest() : book_({.budget_per_round_microcredits = 1'000}) {
    book_.OnLedger("a");
    book_.OnRound(5);
    book_.OnGuests({3}, {});
    book_.OnLease(100, 64);
  }
  static Bid MemoryBid(int64_t budget, uint32_t rounds = 0) {
    return {.guest_id = 3,
            .resource = Resource::kMemory,
            .ranges = {{1, 4, 1'000, 1'000}},
            .budget_microcredits = budget,
            .rounds = rounds};
  }
  static Bid SeveralBid() {
    return {.guest_id = 3,
            .budget_microcredits = 10,
            .valuation = Valuation{
                .bundles = {{.units = {{Resource::kCpu, 1}}, .value_microcredits = 1'000}}}};
  }
  static Bid Nothing() { return {.guest_id = 3, .resource = Resource::kMemory}; }

  void Want(Bid bid) {
    const absl::Status status = book_.Want(std::move(bid), true).status();
    ASSERT_TRUE(status.ok()) << status;
  }
  // Sends what is to be sent; whether the market takes it, or its answer is lost.
  void Write(bool is_lost = false) {
    const auto write = book_.NextWrite(true);
    ASSERT_TRUE(write.has_value());
    book_.OnWritten(*write, is_lost ? absl::UnavailableError("lost") : absl::OkStatus(),
                    std::vector<BidBook::Placed>(write->items.size(), {.round_id = 5}));
  }
  void Place(Bid bid) {
    Want(std::move(bid));
    Write();
    EXPECT_THAT(book_.TakeAnswers(), SizeIs(1));
  }
  void WriteInVain() { Write(/*is_lost=*/true); }
  // As a session that takes its bids over, or whose lease the market has forgotten.
  void BeginAnotherLease() {
    book_.TakeOver();
    book_.OnLease(101, 64);
  }
  void Renew(const std::vector<BidBook::Leased>& leased) {
    const auto renewal = book_.NextRenewal();
    ASSERT_TRUE(renewal.has_value());
    ASSERT_EQ(renewal->keys.size(), leased.size());
    book_.OnRenewed(*renewal, leased);
  }

  BidBook book_;
};

TEST_F(BidRenewalTest, ABidTakesPartFromTheRoundInWhichItIsFirstSeenToStand) {
  Want(MemoryBid(600));
  WriteInVain();
  const auto write = book_.NextWrite(true);  // The same again, on its way meanwhile.
  for (uint64_t round_id = 6; round_id <= 7; ++round_id) {
    book_.OnRound(round_id);
    Renew({{kHeld, 9, 1}});
    EXPECT_THAT(book_.TakeAnswers(), IsEmpty()) << "what is on its way will tell";
  }
  book_.OnWritten(*write, absl::UnavailableError("lost"), {});
  Renew({{kHeld, 9, 1}});
  const std::vector<BidBook::Answer> answers = book_.TakeAnswers();
  ASSERT_THAT(answers, SizeIs(1));
  EXPECT_EQ(answers[0].round_id.value(), 6u);
}

TEST_F(BidRenewalTest, TheSameBidAgainIsAnsweredWhenItIsWritten) {
  Place(MemoryBid(600));
  Want(MemoryBid(600));
  const auto write = book_.NextWrite(true);
  Renew({{kHeld, 9, 1}});
  EXPECT_THAT(book_.TakeAnswers(), IsEmpty()) << "it is on its way";
  book_.OnWritten(*write, absl::OkStatus(), {{.round_id = 5}});
  EXPECT_THAT(book_.TakeAnswers(), SizeIs(1));
}

TEST_F(BidRenewalTest, OnceALeaseHasWrittenNothingOfTheOneBeforeCanStand) {
  Want(MemoryBid(600));
  WriteInVain();
  BeginAnotherLease();
  Want(Nothing());
  book_.TakeAnswers();  // Of the bid.
  WriteInVain();
  Renew({{kNone, 0, 2}});
  const std::vector<BidBook::Answer> answers = book_.TakeAnswers();
  ASSERT_THAT(answers, SizeIs(1));
  EXPECT_TRUE(answers[0].round_id.ok());
  EXPECT_EQ(book_.ReservedMicrocredits(), 0);
  EXPECT_TRUE(book_.Settled());
}

// The lease has written nothing yet, so that what the market does not know of it says nothing of
// what stands: a bid of the lease before, known or in doubt.
TEST_F(BidRenewalTest, UntilALeaseHasWrittenWhatWasOfTheOneBeforeIsWithdrawnAllTheSame) {
  for (const bool is_in_doubt : {false, true}) {
    SCOPED_TRACE(is_in_doubt);
    BidBook book({});
    book.OnLedger("a");
    book.OnRound(5);
    book.OnLease(100, 64);
    ASSERT_TRUE(book.Want(MemoryBid(600), true).ok());
    book.OnWritten(*book.NextWrite(true),
                   is_in_doubt ? absl::UnavailableError("lost") : absl::OkStatus(),
                   {{.round_id = 5}});
    book.TakeOver();
    book.OnLease(101, 64);
    ASSERT_TRUE(book.Want(Nothing(), true).ok());
    book.TakeAnswers();  // Of the bid.
    book.OnRenewed(*book.NextRenewal(), {{kNone, 0, 0}});
    EXPECT_THAT(book.TakeAnswers(), IsEmpty());
    const auto write = book.NextWrite(true);
    ASSERT_TRUE(write.has_value());
    EXPECT_EQ(write->items[0].bid, std::nullopt);
  }
}

TEST_F(BidRenewalTest, WhatStandsOfALeaseBeforeIsWrittenUnderTheNewOne) {
  Place(MemoryBid(600));
  BeginAnotherLease();
  Renew({{kNone, 0, 0}});
  EXPECT_EQ(book_.ReservedMicrocredits(), 600);
  const auto write = book_.NextWrite(true);
  ASSERT_TRUE(write.has_value());
  EXPECT_EQ(write->items[0].bid, MemoryBid(600));
  EXPECT_THAT(book_.TakeEvents(), IsEmpty());
}

TEST_F(BidRenewalTest, ABidThatIsSeenToHaveReplacedOthersLeavesNoneToComeBack) {
  Place(MemoryBid(600));
  Want(SeveralBid());
  WriteInVain();
  Renew({{kHeld, 9, 2}, {kNone, 0, 1}});
  EXPECT_EQ(book_.ReservedMicrocredits(), 10);
  Renew({{kTakenOver}});
  EXPECT_THAT(book_.standing_bids(), IsEmpty());
  EXPECT_EQ(book_.NextWrite(true), std::nullopt);
}

// The market looked before it took what was written since.
TEST_F(BidRenewalTest, AnAnswerThatIsLateSaysNothingOfWhatWasWrittenSince) {
  for (const BidBook::LeasedState state : {kHeld, kNone}) {
    SCOPED_TRACE(static_cast<int>(state));
    Place(MemoryBid(600));
    const BidBook::Renewal renewal = *book_.NextRenewal();
    Place(MemoryBid(500, /*rounds=*/2));
    book_.OnRenewed(renewal, {{state, 50, renewal.sequence}});
    ASSERT_THAT(book_.standing_bids(), SizeIs(1));
    EXPECT_TRUE(book_.standing_bids()[0].confirmed);
    EXPECT_EQ(book_.NextWrite(true), std::nullopt);
    book_.OnRound(7);
    EXPECT_THAT(book_.standing_bids(), IsEmpty()) << "it was for rounds 5 and 6";
    book_.OnRound(5);
  }
}

TEST_F(BidRenewalTest, ABidThatOthersAreToReplaceDoesNotLapse) {
  Place(MemoryBid(600));
  Want(SeveralBid());
  WriteInVain();
  Renew({{kNone, 0, 0}, {kNone, 0, 1}});
  EXPECT_THAT(book_.TakeEvents(), IsEmpty());
}

TEST_F(BidRenewalTest, ABidWithRoundsOfItsOwnIsNotPlacedAgainWhenItIsGone) {
  Place(MemoryBid(600, /*rounds=*/9));
  Renew({{kNone, 0, 1}});
  EXPECT_THAT(book_.standing_bids(), IsEmpty());
  EXPECT_EQ(book_.NextWrite(true), std::nullopt);
  EXPECT_THAT(book_.TakeEvents(), IsEmpty());
}

}  // namespace
}  // namespace nom::client
