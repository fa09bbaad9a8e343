// SPDX-License-Identifier: Apache-2.0
// What a session wants to bid, what stands and what may stand.

#include "client/src/bid_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nom::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class BidBookTest : public ::testing::Test {
 protected:
  static BidBook Open(BidBook::Limits limits = {}) {
    BidBook book(std::move(limits));
    book.OnLedger("a");
    book.OnRound(5);
    book.OnGuests({3, 9}, {});
    book.OnLease(100, 64);
    return book;
  }
  static Bid BidOf(Resource resource, int64_t units, std::optional<int64_t> budget = std::nullopt) {
    return {.guest_id = 3,
            .resource = resource,
            .ranges = {{1, units, 100, 100}},
            .budget_microcredits = budget};
  }
  static Bid SeveralBid(int64_t units, std::optional<int64_t> budget = std::nullopt) {
    Bid bid{.guest_id = 3, .budget_microcredits = budget};
    if (units == 0) {
      bid.valuation.emplace();
    } else {
      bid.valuation = {.bundles = {{.units = {{Resource::kCpu, units}, {Resource::kMemory, units}},
                                    .value_microcredits = 1'000}}};
    }
    return bid;
  }
  static Bid MemoryBid(int64_t units) { return BidOf(Resource::kMemory, units); }
  static BidBook::Placed Taken(uint64_t round_id) {
    return {.status = {}, .round_id = round_id, .removed = false};
  }
  static absl::Status Lost() { return absl::UnavailableError("the answer is lost"); }
  // Wants it, and the market takes it.
  static uint64_t Place(BidBook& book, Bid bid, uint64_t round_id = 5) {
    EXPECT_TRUE(book.Want(std::move(bid), true).ok());
    const auto write = book.NextWrite(true);
    EXPECT_TRUE(write.has_value());
    if (!write) return 0;
    book.OnWritten(*write, absl::OkStatus(),
                   std::vector<BidBook::Placed>(write->items.size(), Taken(round_id)));
    EXPECT_THAT(book.TakeAnswers(), SizeIs(write->items.size()));
    return write->sequence;
  }
  static std::vector<BidChange> Changes(BidBook& book) {
    std::vector<BidChange> changes;
    for (const BidEvent& event : book.TakeEvents()) changes.push_back(event.change);
    return changes;
  }
  static absl::Status OnlyAnswer(BidBook& book) {
    const auto answers = book.TakeAnswers();
    EXPECT_THAT(answers, SizeIs(1));
    return answers.empty() ? absl::OkStatus() : answers[0].round_id.status();
  }
};

TEST_F(BidBookTest, ABidIsPlacedOnceAndThenRenewed) {
  BidBook book = Open();
  Place(book, MemoryBid(4));
  EXPECT_EQ(book.NextWrite(true), std::nullopt);
  ASSERT_THAT(book.standing_bids(), SizeIs(1));
  EXPECT_TRUE(book.standing_bids()[0].confirmed);
  EXPECT_EQ(book.standing_bids()[0].confirmed_through_round_id, 7u);
  const auto renewal = book.NextRenewal();
  ASSERT_TRUE(renewal.has_value());
  EXPECT_THAT(renewal->keys, ElementsAre(BidKey(3, Resource::kMemory)));
  book.OnRenewed(*renewal, {{BidBook::LeasedState::kHeld, 9, 1}});
  EXPECT_EQ(book.standing_bids()[0].confirmed_through_round_id, 9u);
  EXPECT_THAT(Changes(book), IsEmpty());
}

TEST_F(BidBookTest, ManyBidsTravelInAsFewCallsAsTheMarketTakes) {
  BidBook book = Open();
  book.OnLease(101, 2);
  for (Resource resource : {Resource::kCpu, Resource::kMemory, Resource::kDisk}) {
    ASSERT_TRUE(book.Want(BidOf(resource, 4), true).ok());
  }
  const auto write = book.NextWrite(true);
  EXPECT_THAT(write->items, SizeIs(2));
  EXPECT_EQ(book.NextWrite(true), std::nullopt) << "one at a time";
  book.OnWritten(*write, absl::OkStatus(), {Taken(5), Taken(5)});
  EXPECT_THAT(book.NextWrite(true)->items, SizeIs(1));
}

TEST_F(BidBookTest, NoMoreBidsAreKeptThanOneRenewalCarries) {
  BidBook book = Open();
  book.OnLease(101, 10'000);
  const auto wanted = [&](uint64_t guest_id) {
    Bid bid = MemoryBid(4);
    bid.guest_id = guest_id;
    return book.Want(std::move(bid), true).status();
  };
  for (uint64_t guest_id = 1; guest_id <= 4'096; ++guest_id) ASSERT_TRUE(wanted(guest_id).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(wanted(4'097)));
  EXPECT_TRUE(wanted(1).ok()) << "in place of another";
  const auto write = book.NextWrite(true);
  book.OnWritten(*write, absl::OkStatus(), std::vector<BidBook::Placed>(4'096, Taken(5)));
  EXPECT_THAT(book.NextRenewal()->keys, SizeIs(4'096));
}

TEST_F(BidBookTest, AnAnswerThatIsLostIsTriedAgainAndBothMayStandUntilThen) {
  BidBook book = Open({.budget_per_round_microcredits = 1'000});
  ASSERT_TRUE(book.Want(BidOf(Resource::kMemory, 4, 1'000), true).ok());
  book.OnWritten(*book.NextWrite(true), Lost(), {});
  EXPECT_TRUE(book.AnyInDoubt());
  ASSERT_TRUE(book.Want(BidOf(Resource::kMemory, 4, 10), true).ok());
  EXPECT_EQ(OnlyAnswer(book).code(), absl::StatusCode::kUnavailable) << "of the one before";
  EXPECT_EQ(book.ReservedMicrocredits(), 1'000);
  EXPECT_EQ(book.Want(BidOf(Resource::kCpu, 4, 800), true).status().code(),
            absl::StatusCode::kResourceExhausted);
  const auto write = book.NextWrite(true);
  EXPECT_EQ(write->sequence, 2u);
  book.OnWritten(*write, absl::OkStatus(), {Taken(5)});
  EXPECT_EQ(book.ReservedMicrocredits(), 10) << "the first can no longer come";
  EXPECT_TRUE(book.Want(BidOf(Resource::kCpu, 4, 800), true).ok());
}

TEST_F(BidBookTest, ARefusedRetryDoesNotHideThatTheFirstAttemptMayStand) {
  BidBook book = Open({.budget_per_round_microcredits = 1'000});
  ASSERT_TRUE(book.Want(BidOf(Resource::kMemory, 4, 1'000), true).ok());
  book.OnWritten(*book.NextWrite(true), Lost(), {});
  book.OnWritten(*book.NextWrite(true), absl::PermissionDeniedError("the token has run out"), {});
  EXPECT_EQ(OnlyAnswer(book).code(), absl::StatusCode::kPermissionDenied);
  for (uint64_t round = 6; round < 50; ++round) book.OnRound(round);
  EXPECT_EQ(book.ReservedMicrocredits(), 1'000) << "until the market has said";
  const auto renewal = book.NextRenewal();
  EXPECT_EQ(renewal->sequence, 2u);
  book.OnRenewed(*renewal, {{BidBook::LeasedState::kHeld, 60, 1}});
  EXPECT_TRUE(book.standing_bids()[0].confirmed);
  EXPECT_FALSE(book.AnyInDoubt());
}

TEST_F(BidBookTest, WhatARenewalDoesNotKnowIsForgottenAndPlacedAnew) {
  BidBook book = Open();
  ASSERT_TRUE(book.Want(MemoryBid(4), true).ok());
  book.OnWritten(*book.NextWrite(true), Lost(), {});
  book.OnRenewed(*book.NextRenewal(), {{BidBook::LeasedState::kNone, 0, 0}});
  EXPECT_FALSE(book.AnyInDoubt());
  const auto write = book.NextWrite(true);
  ASSERT_TRUE(write.has_value());
  book.OnWritten(*write, absl::OkStatus(), {Taken(6)});
  EXPECT_TRUE(OnlyAnswer(book).ok());
}

TEST_F(BidBookTest, ARefusedBidLeavesWhatStoodBefore) {
  BidBook book = Open();
  Place(book, MemoryBid(4));
  ASSERT_TRUE(book.Want(MemoryBid(400), true).ok());
  const auto write = book.NextWrite(true);
  book.OnWritten(*write, absl::OkStatus(), {{.status = absl::FailedPreconditionError("no money")}});
  EXPECT_EQ(OnlyAnswer(book).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_THAT(book.standing_bids(), SizeIs(1));
  EXPECT_EQ(book.standing_bids()[0].bid.ranges[0].max_units, 4);
  EXPECT_EQ(book.NextWrite(true), std::nullopt);
}

TEST_F(BidBookTest, AFailedBidDoesNotDropTheOneThatStood) {
  BidBook book = Open();
  Place(book, MemoryBid(4));
  const absl::StatusOr<uint64_t> wish = book.Want(MemoryBid(7), true);
  book.OnWritten(*book.NextWrite(true), Lost(), {});
  book.GiveUp(*wish, absl::DeadlineExceededError("time is over"));
  EXPECT_EQ(OnlyAnswer(book).message(), "the answer is lost");
  const auto write = book.NextWrite(true);
  ASSERT_TRUE(write.has_value()) << "tried until replaced or withdrawn";
  EXPECT_EQ(write->items[0].bid->ranges[0].max_units, 7);
  book.OnWritten(*write, absl::OkStatus(), {Taken(6)});
  EXPECT_THAT(Changes(book), ElementsAre(BidChange::kPlaced));
}

TEST_F(BidBookTest, WhatWasNeverSentIsAsIfItHadNotBeenAskedFor) {
  BidBook book = Open();
  Place(book, MemoryBid(4));
  const absl::StatusOr<uint64_t> wish = book.Want(MemoryBid(7), true);
  book.GiveUp(*wish, absl::CancelledError("cancelled"));
  EXPECT_EQ(OnlyAnswer(book).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(book.NextWrite(true), std::nullopt);
  EXPECT_EQ(book.standing_bids()[0].bid.ranges[0].max_units, 4);
}

TEST_F(BidBookTest, ALaterBidTakesThePlaceOfOneThatWaits) {
  BidBook book = Open();
  ASSERT_TRUE(book.Want(MemoryBid(4), true).ok());
  ASSERT_TRUE(book.Want(MemoryBid(5), true).ok());
  EXPECT_EQ(OnlyAnswer(book).code(), absl::StatusCode::kAborted);
  const auto write = book.NextWrite(true);
  ASSERT_THAT(write->items, SizeIs(1));
  EXPECT_EQ(write->items[0].bid->ranges[0].max_units, 5);
  // While that one is on its way, a third.
  ASSERT_TRUE(book.Want(MemoryBid(6), true).ok());
  book.OnWritten(*write, absl::OkStatus(), {Taken(5)});
  EXPECT_TRUE(OnlyAnswer(book).ok()) << "each has its own answer";
  EXPECT_EQ(book.NextWrite(true)->items[0].bid->ranges[0].max_units, 6);
}

TEST_F(BidBookTest, NothingButWithdrawalsIsSentWhileStale) {
  BidBook book = Open();
  Place(book, MemoryBid(4));
  const absl::StatusOr<uint64_t> cpu = book.Want(BidOf(Resource::kCpu, 4), true);
  EXPECT_EQ(book.NextWrite(false), std::nullopt);
  EXPECT_EQ(book.Want(BidOf(Resource::kDisk, 4), false).status().code(),
            absl::StatusCode::kFailedPrecondition);
  book.GiveUpUnsent(absl::FailedPreconditionError("stale"));
  EXPECT_EQ(OnlyAnswer(book).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(book.Want({.guest_id = 3, .resource = Resource::kMemory}, false).ok());
  const auto write = book.NextWrite(false);
  ASSERT_TRUE(write.has_value());
  EXPECT_EQ(write->items[0].bid, std::nullopt);
}

TEST_F(BidBookTest, WithdrawnMoneyIsFreeOnlyWhenTheMarketHasSaidSo) {
  BidBook book = Open({.budget_per_round_microcredits = 400});
  Place(book, MemoryBid(4));
  ASSERT_TRUE(book.Want({.guest_id = 3, .resource = Resource::kMemory}, true).ok());
  EXPECT_FALSE(book.Want(BidOf(Resource::kCpu, 4), true).ok());
  book.OnWritten(*book.NextWrite(true), Lost(), {});
  EXPECT_FALSE(book.Want(BidOf(Resource::kCpu, 4), true).ok());
  EXPECT_FALSE(book.Settled());
  book.OnWritten(*book.NextWrite(true), absl::OkStatus(), {Taken(5)});
  EXPECT_TRUE(book.Want(BidOf(Resource::kCpu, 4), true).ok());
}

TEST_F(BidBookTest, WhatWasSentBeforeABidWasLostCountsUntilTheMarketHasSaid) {
  BidBook book = Open({.budget_per_round_microcredits = 1'000});
  ASSERT_TRUE(book.Want(BidOf(Resource::kMemory, 4, 600), true).ok());
  book.OnWritten(*book.NextWrite(true), Lost(), {});
  // Somebody's bid for several stands. Once that is gone, the first attempt may come after all.
  book.OnWritten(
      *book.NextWrite(true), absl::OkStatus(),
      {{.status = absl::AbortedError("excluded"), .lost_to = BidBook::LeasedState::kTakenOver}});
  EXPECT_THAT(book.standing_bids(), IsEmpty());
  EXPECT_EQ(book.ReservedMicrocredits(), 600);
  EXPECT_EQ(book.Want(BidOf(Resource::kCpu, 4, 800), true).status().code(),
            absl::StatusCode::kResourceExhausted);
  const auto renewal = book.NextRenewal();
  ASSERT_TRUE(renewal.has_value());
  EXPECT_THAT(renewal->keys, ElementsAre(BidKey(3, Resource::kMemory)));
  book.OnRenewed(*renewal, {{BidBook::LeasedState::kNone}});
  EXPECT_EQ(book.ReservedMicrocredits(), 0);
}

TEST_F(BidBookTest, ARefusalAfterTakingOverHidesNoEarlierAttempt) {
  BidBook book = Open({.budget_per_round_microcredits = 1'000});
  ASSERT_TRUE(book.Want(BidOf(Resource::kMemory, 4, 600), true).ok());
  book.OnWritten(*book.NextWrite(true), Lost(), {});
  const auto write = book.NextWrite(true);
  book.TakeOver();
  book.OnWritten(*write, absl::OkStatus(), {{.status = absl::FailedPreconditionError("no")}});
  EXPECT_EQ(book.ReservedMicrocredits(), 600) << "the first may stand";
  EXPECT_EQ(book.Want(BidOf(Resource::kCpu, 4, 800), true).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST_F(BidBookTest, AWriteThatComesAfterWhatReplacedItIsGoneIsSeenToStand) {
  BidBook book = Open({.budget_per_round_microcredits = 1'000});
  ASSERT_TRUE(book.Want(BidOf(Resource::kMemory, 4, 600), true).ok());
  book.OnWritten(*book.NextWrite(true), Lost(), {});  // On its way still.
  ASSERT_TRUE(book.Want(SeveralBid(2, 10), true).ok());
  book.OnWritten(*book.NextWrite(true), absl::OkStatus(), {Taken(5)});
  EXPECT_THAT(book.TakeAnswers(), SizeIs(2));
  Place(book, BidOf(Resource::kCpu, 4, 300));
  const auto renewal = book.NextRenewal();
  ASSERT_THAT(renewal->keys, SizeIs(2));
  book.OnRenewed(*renewal,
                 {{BidBook::LeasedState::kHeld, 9, 3}, {BidBook::LeasedState::kHeld, 9, 1}});
  EXPECT_EQ(book.ReservedMicrocredits(), 900);
  const auto write = book.NextWrite(true);
  ASSERT_TRUE(write.has_value());
  ASSERT_THAT(write->items, SizeIs(1));
  EXPECT_EQ(write->items[0].key, BidKey(3, Resource::kMemory));
  EXPECT_EQ(write->items[0].bid, std::nullopt) << "it is withdrawn";
}

TEST_F(BidBookTest, AnAnswerToABidThatIsWishedForAgainSettlesIt) {
  BidBook book = Open();
  ASSERT_TRUE(book.Want(MemoryBid(4), true).ok());
  const auto write = book.NextWrite(true);
  const absl::StatusOr<uint64_t> later = book.Want(MemoryBid(6), true);
  ASSERT_TRUE(later.ok());
  book.GiveUp(*later, absl::DeadlineExceededError("time is over"));
  book.OnWritten(*write, absl::OkStatus(), {Taken(5)});
  ASSERT_THAT(book.standing_bids(), SizeIs(1));
  EXPECT_EQ(book.standing_bids()[0].bid, MemoryBid(4));
  EXPECT_TRUE(book.standing_bids()[0].confirmed);
  EXPECT_EQ(book.NextWrite(true), std::nullopt) << "it stands already";
}

TEST_F(BidBookTest, ATakenOverBidIsToldAndLetGo) {
  for (const bool by_watch : {true, false}) {
    BidBook book = Open({.budget_per_round_microcredits = 400});
    Place(book, MemoryBid(4));
    if (by_watch) {
      book.OnGuests({3, 9}, {{BidKey(3, Resource::kMemory), 101}});
    } else {
      book.OnRenewed(*book.NextRenewal(), {{BidBook::LeasedState::kTakenOver, 0, 0}});
    }
    EXPECT_THAT(Changes(book), ElementsAre(BidChange::kTakenOver));
    EXPECT_THAT(book.standing_bids(), IsEmpty());
    EXPECT_EQ(book.NextWrite(true), std::nullopt) << "it stops";
    EXPECT_EQ(book.NextRenewal(), std::nullopt);
    EXPECT_EQ(book.ReservedMicrocredits(), 0);
    EXPECT_EQ(book.counters().lost, 1u);
  }
}

TEST_F(BidBookTest, AWithdrawalBySomebodyElseStands) {
  BidBook book = Open();
  Place(book, MemoryBid(4));
  book.OnRenewed(*book.NextRenewal(), {{BidBook::LeasedState::kWithdrawn, 0, 0}});
  EXPECT_THAT(Changes(book), ElementsAre(BidChange::kWithdrawn));
  EXPECT_EQ(book.NextWrite(true), std::nullopt);
  // The program bids all the same, and learns why not.
  ASSERT_TRUE(book.Want(MemoryBid(4), true).ok());
  book.OnWritten(
      *book.NextWrite(true), absl::OkStatus(),
      {{.status = absl::AbortedError("withdrawn"), .lost_to = BidBook::LeasedState::kWithdrawn}});
  EXPECT_EQ(OnlyAnswer(book).code(), absl::StatusCode::kAborted);
  book.TakeOver();
  EXPECT_FALSE(book.NeedsLease(true));
  ASSERT_TRUE(book.Want(MemoryBid(4), true).ok());
  EXPECT_TRUE(book.NeedsLease(true));
  book.OnLease(200, 64);
  EXPECT_EQ(book.NextWrite(true)->fence, 200u);
}

TEST_F(BidBookTest, TakingOverKeepsWhatStoodCountedUntilItIsReplaced) {
  BidBook book = Open({.budget_per_round_microcredits = 1'000});
  Place(book, BidOf(Resource::kMemory, 4, 900));
  ASSERT_TRUE(book.Want(BidOf(Resource::kMemory, 4, 100), true).ok());
  book.TakeOver();
  book.OnLease(200, 64);
  // The new lease's renewal does not know what the old one placed.
  book.OnRenewed(*book.NextRenewal(), {{BidBook::LeasedState::kNone, 0, 0}});
  EXPECT_EQ(book.ReservedMicrocredits(), 900);
  book.OnWritten(*book.NextWrite(true), absl::OkStatus(), {Taken(6)});
  EXPECT_EQ(book.ReservedMicrocredits(), 100);
}

TEST_F(BidBookTest, ALapsedBidIsPlacedAgainAndTold) {
  BidBook book = Open();
  Place(book, MemoryBid(4));
  book.OnRound(50);
  book.OnRenewed(*book.NextRenewal(), {{BidBook::LeasedState::kNone, 0, 1}});
  EXPECT_FALSE(book.standing_bids()[0].confirmed);
  book.OnWritten(*book.NextWrite(true), absl::OkStatus(), {Taken(50)});
  EXPECT_THAT(Changes(book), ElementsAre(BidChange::kLapsed, BidChange::kPlaced));
}

TEST_F(BidBookTest, AGuestThatIsGoneFreesItsBudget) {
  BidBook book = Open({.budget_per_round_microcredits = 1'000});
  Place(book, BidOf(Resource::kMemory, 4, 1'000));
  book.OnGuests({9}, {});
  EXPECT_THAT(Changes(book), ElementsAre(BidChange::kGuestGone));
  Bid other = BidOf(Resource::kMemory, 4, 1'000);
  other.guest_id = 9;
  EXPECT_TRUE(book.Want(other, true).ok());
}

TEST_F(BidBookTest, ABidForSomeRoundsHoldsItsBudgetUntilTheyAreOver) {
  BidBook book = Open({.budget_per_round_microcredits = 400});
  Bid memory = MemoryBid(4);
  memory.rounds = 2;
  Place(book, memory);  // Takes part in 5 and 6.
  book.OnRound(6);
  EXPECT_THAT(book.standing_bids(), SizeIs(1));
  EXPECT_FALSE(book.Want(BidOf(Resource::kCpu, 4), true).ok());
  book.OnRound(7);
  EXPECT_THAT(book.standing_bids(), IsEmpty());
  EXPECT_EQ(book.NextWrite(true), std::nullopt);
  EXPECT_TRUE(book.Want(BidOf(Resource::kCpu, 4), true).ok());
}

TEST_F(BidBookTest, ARefusalOfAKeptBidIsToldOnceForEachReason) {
  BidBook book = Open();
  Place(book, MemoryBid(4));
  book.OnRenewed(*book.NextRenewal(), {{BidBook::LeasedState::kNone, 0, 1}});
  (void)Changes(book);
  for (uint64_t round = 6; round < 9; ++round) {
    book.OnRound(round);
    const auto write = book.NextWrite(true);
    ASSERT_TRUE(write.has_value()) << round;
    book.OnWritten(*write, absl::OkStatus(),
                   {{.status = absl::FailedPreconditionError("no money")}});
    EXPECT_EQ(book.NextWrite(true), std::nullopt) << "not again in the same round";
    if (round == 6) {
      EXPECT_THAT(Changes(book), ElementsAre(BidChange::kRefused));
    } else {
      EXPECT_THAT(Changes(book), IsEmpty());
    }
  }
}

TEST_F(BidBookTest, ACallThatTheMarketPutsOffRefusesNothing) {
  BidBook book = Open();
  ASSERT_TRUE(book.Want(MemoryBid(4), true).ok());
  book.OnWritten(*book.NextWrite(true), absl::ResourceExhaustedError("too many calls"), {});
  EXPECT_THAT(book.TakeAnswers(), IsEmpty());
  EXPECT_FALSE(book.AnyInDoubt());
  EXPECT_TRUE(book.NextWrite(true).has_value());
}

TEST_F(BidBookTest, AFenceThatTheMarketDoesNotKnowIsReplaced) {
  BidBook book = Open();
  ASSERT_TRUE(book.Want(MemoryBid(4), true).ok());
  book.OnWritten(*book.NextWrite(true), absl::InvalidArgumentError("fence: no lease has it"), {});
  EXPECT_EQ(OnlyAnswer(book).code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(book.Want(MemoryBid(4), true).ok());
  EXPECT_TRUE(book.NeedsLease(true));
}

TEST_F(BidBookTest, CeilingCutsWhatABidSaysAUnitIsWorth) {
  BidBook book = Open({.unit_price_ceilings_microcredits = {{Resource::kMemory, 60}}});
  ASSERT_TRUE(book.Want(MemoryBid(4), true).ok());
  ASSERT_TRUE(book.Want(BidOf(Resource::kCpu, 4), true).ok());
  const auto write = book.NextWrite(true);
  ASSERT_THAT(write->items, SizeIs(2));
  EXPECT_EQ(write->items[0].bid->ranges, BidOf(Resource::kCpu, 4).ranges) << "has no ceiling";
  EXPECT_THAT(write->items[1].bid->ranges, ElementsAre(BidRange{1, 4, 60, 60}));
  BidBook none = Open({.unit_price_ceilings_microcredits = {{Resource::kMemory, 0}}});
  EXPECT_EQ(none.Want(MemoryBid(4), true).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(BidBookTest, BudgetHoldsOverAllBidsOfTheSession) {
  BidBook book = Open({.budget_per_round_microcredits = 1'000});
  Place(book, MemoryBid(4));
  EXPECT_EQ(book.standing_bids()[0].bid.budget_microcredits, 400) << "what the curve can ever cost";
  EXPECT_EQ(book.Want(BidOf(Resource::kCpu, 50, 601), true).status().code(),
            absl::StatusCode::kResourceExhausted);
  Place(book, BidOf(Resource::kCpu, 50));
  EXPECT_EQ(book.ReservedMicrocredits(), 1'000) << "the rest";
  EXPECT_EQ(book.Want(BidOf(Resource::kDisk, 1), true).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST_F(BidBookTest, WhatWasRefusedIsTriedInRoundsThatBeginAgain) {
  BidBook book = Open();
  Place(book, MemoryBid(4));
  ASSERT_TRUE(book.Want(MemoryBid(5), true).ok());
  const auto write = book.NextWrite(true);
  // It may stand by an answer that was lost, so that it is kept.
  book.OnWritten(*write, Lost(), {});
  const auto again = book.NextWrite(true);
  ASSERT_TRUE(again.has_value());
  book.OnWritten(*again, absl::OkStatus(), {{.status = absl::FailedPreconditionError("no money")}});
  EXPECT_EQ(book.NextWrite(true), std::nullopt) << "not in this round";
  book.OnRoundsUndone(2);
  book.OnRound(2);
  EXPECT_TRUE(book.NextWrite(true).has_value()) << "before round 5 comes again";
}

TEST_F(BidBookTest, ABidForSeveralResourcesReplacesThoseForSingleOnesAndTheOtherWayRound) {
  BidBook book = Open({.budget_per_round_microcredits = 1'000});
  Place(book, BidOf(Resource::kCpu, 4, 400));
  Place(book, BidOf(Resource::kMemory, 4, 600));
  EXPECT_EQ(book.ReservedMicrocredits(), 1'000);
  Place(book, SeveralBid(5, 900));
  ASSERT_THAT(book.standing_bids(), SizeIs(1));
  EXPECT_TRUE(book.standing_bids()[0].bid.valuation.has_value());
  EXPECT_EQ(book.ReservedMicrocredits(), 900);
  EXPECT_THAT(book.NextRenewal()->keys, ElementsAre(BidKey(3, kSeveralResources)));
  Place(book, BidOf(Resource::kMemory, 4, 1'000));
  ASSERT_THAT(book.standing_bids(), SizeIs(1));
  EXPECT_EQ(book.standing_bids()[0].bid.resource, Resource::kMemory);
  EXPECT_EQ(book.ReservedMicrocredits(), 1'000);
  EXPECT_THAT(Changes(book), IsEmpty());
}

TEST_F(BidBookTest, OfBothSidesInDoubtTheDearerCounts) {
  BidBook book = Open({.budget_per_round_microcredits = 1'000});
  ASSERT_TRUE(book.Want(BidOf(Resource::kMemory, 4, 700), true).ok());
  book.OnWritten(*book.NextWrite(true), Lost(), {});
  ASSERT_TRUE(book.Want(SeveralBid(5, 1'000), true).ok());
  EXPECT_EQ(OnlyAnswer(book).code(), absl::StatusCode::kUnavailable) << "of the one before";
  book.OnWritten(*book.NextWrite(true), Lost(), {});
  EXPECT_EQ(book.ReservedMicrocredits(), 1'000);
  // The first came, the second did not: it is tried again.
  const auto renewal = book.NextRenewal();
  EXPECT_THAT(renewal->keys,
              ElementsAre(BidKey(3, kSeveralResources), BidKey(3, Resource::kMemory)));
  book.OnRenewed(*renewal,
                 {{BidBook::LeasedState::kNone, 0, 0}, {BidBook::LeasedState::kHeld, 7, 1}});
  const auto write = book.NextWrite(true);
  ASSERT_TRUE(write.has_value());
  ASSERT_THAT(write->items, SizeIs(1));
  EXPECT_EQ(write->items[0].key, BidKey(3, kSeveralResources));
  book.OnWritten(*write, absl::OkStatus(), {Taken(5)});
  EXPECT_TRUE(book.Settled());
  EXPECT_THAT(book.standing_bids(), SizeIs(1));
}

TEST_F(BidBookTest, IfTheOtherSideIsRefusedWhatStoodStillDoes) {
  BidBook book = Open();
  Place(book, BidOf(Resource::kCpu, 4));
  Place(book, MemoryBid(4));
  ASSERT_TRUE(book.Want(SeveralBid(5), true).ok());
  EXPECT_THAT(book.standing_bids(), SizeIs(1)) << "what is being tried";
  const auto write = book.NextWrite(true);
  book.OnWritten(*write, absl::OkStatus(),
                 {{.status = absl::InvalidArgumentError("clears each resource by itself")}});
  EXPECT_EQ(OnlyAnswer(book).code(), absl::StatusCode::kInvalidArgument);
  ASSERT_THAT(book.standing_bids(), SizeIs(2));
  EXPECT_TRUE(book.standing_bids()[0].confirmed);
  EXPECT_EQ(book.NextWrite(true), std::nullopt) << "they stand as they did";
}

TEST_F(BidBookTest, WithdrawingOneSideLeavesTheOtherAlone) {
  BidBook book = Open();
  Place(book, MemoryBid(4));
  Place(book, SeveralBid(0));
  ASSERT_THAT(book.standing_bids(), SizeIs(1));
  Place(book, SeveralBid(5));
  Place(book, SeveralBid(0));
  EXPECT_THAT(book.standing_bids(), IsEmpty());
  EXPECT_TRUE(book.Settled());
}

TEST_F(BidBookTest, ANewerSessionsBidForSeveralTakesOverThoseForSingleOnes) {
  BidBook book = Open();
  Place(book, MemoryBid(4));
  book.OnGuests({3, 9}, {{BidKey(3, kSeveralResources), 101}});
  EXPECT_THAT(Changes(book), ElementsAre(BidChange::kTakenOver));
  EXPECT_THAT(book.standing_bids(), IsEmpty());
  // It asks for certainty once; refused, it leaves it at that.
  const auto write = book.NextWrite(true);
  ASSERT_TRUE(write.has_value());
  EXPECT_EQ(write->items[0].bid, std::nullopt);
  book.OnWritten(
      *write, absl::OkStatus(),
      {{.status = absl::AbortedError("taken over"), .lost_to = BidBook::LeasedState::kTakenOver}});
  EXPECT_TRUE(book.Settled());
  EXPECT_EQ(book.NextWrite(true), std::nullopt);
  EXPECT_THAT(Changes(book), IsEmpty());
}

TEST_F(BidBookTest, ARefusalDoesNotBringBackWhatTheOtherSideReplaced) {
  BidBook book = Open();
  Place(book, MemoryBid(4));
  ASSERT_TRUE(book.Want(SeveralBid(2), true).ok());
  const auto write = book.NextWrite(true);
  ASSERT_TRUE(book.Want(MemoryBid(6), true).ok());
  book.OnWritten(*write, absl::OkStatus(), {Taken(5)});
  book.OnWritten(*book.NextWrite(true), absl::OkStatus(),
                 {{.status = absl::FailedPreconditionError("no money")}});
  ASSERT_THAT(book.standing_bids(), SizeIs(1));
  EXPECT_TRUE(book.standing_bids()[0].bid.valuation.has_value()) << "what stood still does";
  EXPECT_EQ(book.NextWrite(true), std::nullopt);
}

// Three ways in which a bid that may stand was left, with another of its side given up after it.
TEST_F(BidBookTest, WhatWasDisplacedStaysGoneIfItMayHaveBeenReplaced) {
  const absl::Status why = absl::DeadlineExceededError("time is over");
  {
    BidBook book = Open();
    Place(book, SeveralBid(2));
    Bid bid = MemoryBid(4);
    bid.rounds = 2;
    const uint64_t given_up = *book.Want(bid, true);
    ASSERT_TRUE(book.NextWrite(true).has_value());
    const uint64_t unsent = *book.Want(BidOf(Resource::kCpu, 4), true);
    book.GiveUp(given_up, why);
    book.GiveUp(unsent, why);
    EXPECT_THAT(book.standing_bids(), IsEmpty()) << "the one for memory may stand";
  }
  {
    BidBook book = Open();
    Place(book, SeveralBid(2));
    ASSERT_TRUE(book.Want(MemoryBid(4), true).ok());
    ASSERT_TRUE(book.NextWrite(true).has_value());
    const uint64_t unsent = *book.Want(BidOf(Resource::kCpu, 4), true);
    ASSERT_TRUE(book.Want({.guest_id = 3, .resource = Resource::kMemory}, true).ok());
    book.GiveUp(unsent, why);
    EXPECT_THAT(book.standing_bids(), IsEmpty()) << "the one for memory may have stood";
  }
  {
    BidBook book = Open();
    Place(book, MemoryBid(4));
    ASSERT_TRUE(book.Want({.guest_id = 3, .resource = Resource::kMemory}, true).ok());
    ASSERT_TRUE(book.Want(SeveralBid(2), true).ok());
    book.OnLease(101, 1);
    book.OnWritten(*book.NextWrite(true), Lost(), {});  // Before the withdrawal.
    book.GiveUp(*book.Want(MemoryBid(6), true), why);
    ASSERT_THAT(book.standing_bids(), SizeIs(1));
    EXPECT_TRUE(book.standing_bids()[0].bid.valuation.has_value()) << "the other was withdrawn";
  }
}

TEST_F(BidBookTest, AGuestThatIsGoneIsNotBidForForEver) {
  BidBook book = Open();
  Bid bid = MemoryBid(4);
  bid.guest_id = 77;  // Came and went between two lists of guests.
  Place(book, bid);
  book.OnRenewed(*book.NextRenewal(), {{BidBook::LeasedState::kNone, 0, 0}});
  EXPECT_THAT(Changes(book), ElementsAre(BidChange::kLapsed));
  book.OnWritten(*book.NextWrite(true), absl::OkStatus(),
                 {{.status = absl::NotFoundError("no guest 77")}});
  EXPECT_THAT(Changes(book), ElementsAre(BidChange::kGuestGone));
  EXPECT_THAT(book.standing_bids(), IsEmpty());
}

TEST_F(BidBookTest, CeilingsAndBudgetsHoldForBidsForSeveralResources) {
  BidBook book =
      Open({.budget_per_round_microcredits = 700,
            .unit_price_ceilings_microcredits = {{Resource::kMemory, 50}, {Resource::kCpu, 10}}});
  ASSERT_TRUE(book.Want(SeveralBid(5), true).ok());
  const Bid bid = book.standing_bids()[0].bid;
  EXPECT_EQ(bid.valuation->bundles[0].value_microcredits, 5 * 60);
  EXPECT_EQ(bid.budget_microcredits, 300) << "the most that it can be charged";
  Bid product{.guest_id = 3};
  product.valuation = {.combination = Combination::kProduct,
                       .curves = {{Resource::kMemory, {{0, 4, 0, kLevelOne / 4}}}},
                       .whole_value_microcredits = 900};
  EXPECT_THAT(book.Want(product, true).status().message(), HasSubstr("bid bundles"));
  Bid sum{.guest_id = 3};
  sum.valuation = {
      .curves = {{Resource::kMemory, {{0, 4, 0, 80}}}, {Resource::kDisk, {{0, 4, 0, 80}}}}};
  ASSERT_TRUE(book.Want(sum, true).ok());
  const Bid cut = book.standing_bids()[0].bid;
  EXPECT_EQ(cut.valuation->curves.at(Resource::kMemory)[0].unit_price_microcredits, 50);
  EXPECT_EQ(cut.valuation->curves.at(Resource::kDisk)[0].unit_price_microcredits, 80);
  EXPECT_EQ(cut.budget_microcredits, 4 * 50 + 4 * 80);
}

TEST_F(BidBookTest, NamesWhatIsWrongWithABidForSeveralResources) {
  BidBook book = Open();
  const auto refusal = [&](const Bid& bid) {
    return std::string(book.Want(bid, true).status().message());
  };
  Bid bid = SeveralBid(5);
  bid.ranges = {{1, 4, 100, 100}};
  EXPECT_THAT(refusal(bid), HasSubstr("ranges: none go together"));
  bid = SeveralBid(-5);
  EXPECT_THAT(refusal(bid), HasSubstr("valuation.bundles[0].units[cpu]: -5"));
  bid = SeveralBid(5);
  bid.valuation->bundles.push_back(bid.valuation->bundles[0]);
  EXPECT_THAT(refusal(bid), HasSubstr("valuation.bundles[1].units: another has the same"));
  bid.valuation->bundles.assign(kBundlesMax + 1, {});
  EXPECT_THAT(refusal(bid), HasSubstr("valuation.bundles: 4097 are more than 4096"));
  bid.valuation->bundles = {{}};
  EXPECT_THAT(refusal(bid), HasSubstr("valuation.bundles[0].units: there are none"));
  bid.valuation->bundles = {{.units = {{Resource::kCpu, 1}}, .value_microcredits = -1}};
  EXPECT_THAT(refusal(bid), HasSubstr("valuation.bundles[0].value_microcredits: -1"));
  bid.valuation->curves[Resource::kCpu] = {{0, 4, 0, 1}};
  EXPECT_THAT(refusal(bid), HasSubstr("valuation.bundles and curves do not go together"));
  bid.valuation->bundles.clear();
  bid.valuation->whole_value_microcredits = 7;
  EXPECT_THAT(refusal(bid), HasSubstr("valuation.whole_value_microcredits"));
  bid.valuation->combination = Combination::kProduct;
  bid.valuation->curves[Resource::kCpu] = {{1, 1, kLevelOne + 1, 0}};
  EXPECT_THAT(refusal(bid), HasSubstr("valuation.curves[cpu].ranges: a level above"));
  bid.valuation->curves[Resource::kCpu] = {};
  EXPECT_THAT(refusal(bid), HasSubstr("valuation.curves[cpu].ranges: at least one"));
  bid.valuation->combination = static_cast<Combination>(9);
  bid.valuation->whole_value_microcredits = 0;
  EXPECT_THAT(refusal(bid), HasSubstr("valuation.combination: 9"));
  EXPECT_THAT(CheckTogether({SeveralBid(5), MemoryBid(4)}).message(),
              HasSubstr("replace each other"));
  EXPECT_THAT(CheckTogether({SeveralBid(5), SeveralBid(5)}).message(), HasSubstr("there twice"));
  EXPECT_TRUE(CheckTogether({SeveralBid(0), MemoryBid(4)}).ok()) << "one withdraws";
}

TEST_F(BidBookTest, NamesWhatIsWrongWithABid) {
  BidBook book = Open();
  Bid bid = MemoryBid(4);
  bid.budget_microcredits = -1;
  EXPECT_THAT(book.Want(bid, true).status().message(), HasSubstr("budget_microcredits"));
  bid = MemoryBid(4);
  bid.ranges[0].max_units = 0;
  EXPECT_THAT(book.Want(bid, true).status().message(), HasSubstr("ranges[0].max_units"));
  bid = MemoryBid(4);
  bid.resource = static_cast<Resource>(77);
  EXPECT_THAT(book.Want(bid, true).status().message(), HasSubstr("resource"));
}

}  // namespace
}  // namespace nom::client
