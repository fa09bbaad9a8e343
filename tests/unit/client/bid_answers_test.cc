// SPDX-License-Identifier: Apache-2.0
// What a bid book makes of calls that were not carried out, and of answers that are none.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/src/bid_book.h"

namespace nom::client {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class BidAnswersTest : public ::testing::Test {
 protected:
  static BidBook Open() {
    BidBook book({});
    book.OnLedger("a");
    book.OnRound(5);
    book.OnGuests({3}, {});
    book.OnLease(100, 64);
    return book;
  }
  static Bid MemoryBid(int64_t units) {
    return {.guest_id = 3, .resource = Resource::kMemory, .ranges = {{1, units, 100, 100}}};
  }
  static std::vector<BidBook::Placed> Taken(size_t count) {
    return std::vector<BidBook::Placed>(count, {.status = {}, .round_id = 5});
  }
  static absl::Status OnlyAnswer(BidBook& book) {
    const auto answers = book.TakeAnswers();
    EXPECT_THAT(answers, SizeIs(1));
    return answers.empty() ? absl::OkStatus() : answers[0].round_id.status();
  }
};

// Whoever is told that it was refused must not find it placed later.
TEST_F(BidAnswersTest, WhatWasPutOffAndThenRefusedIsAsIfItHadNotBeenAskedFor) {
  for (const absl::Status& put_off : {absl::ResourceExhaustedError("too many calls"),
                                      absl::FailedPreconditionError("prices are stale")}) {
    BidBook book = Open();
    ASSERT_TRUE(book.Want(MemoryBid(4), true).ok());
    book.OnWritten(*book.NextWrite(true), absl::OkStatus(), Taken(1));
    ASSERT_TRUE(OnlyAnswer(book).ok());

    ASSERT_TRUE(book.Want(MemoryBid(7), true).ok());
    book.OnWritten(*book.NextWrite(true), put_off, {});
    book.GiveUpUnsent(absl::FailedPreconditionError("safe mode"));
    EXPECT_EQ(OnlyAnswer(book), absl::FailedPreconditionError("safe mode"));
    EXPECT_FALSE(book.NextWrite(true).has_value()) << "when prices are fresh again";
    EXPECT_EQ(book.standing_bids()[0].bid.ranges[0].max_units, 4);
    EXPECT_TRUE(book.standing_bids()[0].confirmed);

    // Nor one that gave up waiting; it is told what it waited for.
    absl::StatusOr<uint64_t> wish = book.Want(MemoryBid(7), true);
    book.OnWritten(*book.NextWrite(true), put_off, {});
    book.GiveUp(*wish, absl::DeadlineExceededError("too late"));
    EXPECT_EQ(OnlyAnswer(book), put_off);
    EXPECT_FALSE(book.NextWrite(true).has_value());

    // What was sent before it was put off may stand, and is tried on.
    wish = book.Want(MemoryBid(7), true);
    book.OnWritten(*book.NextWrite(true), absl::UnavailableError("the answer is lost"), {});
    book.OnWritten(*book.NextWrite(true), put_off, {});
    EXPECT_TRUE(book.AnyInDoubt());
    book.GiveUp(*wish, absl::CancelledError("cancelled"));
    EXPECT_EQ(OnlyAnswer(book), absl::CancelledError("cancelled"));
    const auto again = book.NextWrite(true);
    ASSERT_TRUE(again.has_value());
    EXPECT_EQ(again->items[0].bid->ranges[0].max_units, 7);
  }
}

// As where the token's file is gone for a moment: nothing was sent, and no guest has ended.
TEST_F(BidAnswersTest, ACallThatFindsNothingIsNoGuestThatIsGone) {
  const absl::Status no_token = absl::NotFoundError("token file");
  BidBook book = Open();
  ASSERT_TRUE(book.Want(MemoryBid(4), true).ok());
  book.OnWritten(*book.NextWrite(true), absl::OkStatus(), Taken(1));
  ASSERT_TRUE(OnlyAnswer(book).ok());
  // It has lapsed, and is to be placed again.
  book.OnRenewed(*book.NextRenewal(), std::vector<BidBook::Leased>(1));
  (void)book.TakeEvents();
  book.OnWritten(*book.NextWrite(true), no_token, {});
  const std::vector<BidEvent> events = book.TakeEvents();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].change, BidChange::kRefused);
  EXPECT_THAT(book.standing_bids(), SizeIs(1));
  book.OnRound(6);
  book.OnWritten(*book.NextWrite(true), absl::OkStatus(), Taken(1));
  EXPECT_TRUE(book.standing_bids()[0].confirmed);

  ASSERT_TRUE(book.Want({.guest_id = 3, .resource = Resource::kMemory}, true).ok());
  book.OnWritten(*book.NextWrite(true), no_token, {});
  EXPECT_EQ(OnlyAnswer(book), no_token) << "it was not withdrawn";
  book.OnRound(7);
  EXPECT_TRUE(book.NextWrite(true).has_value()) << "and is withdrawn as soon as that can be";
}

TEST_F(BidAnswersTest, AnAnswerForMoreOrFewerBidsThanWereAskedAboutSaysNothing) {
  BidBook book = Open();
  ASSERT_TRUE(book.Want(MemoryBid(4), true).ok());
  Bid cpu = MemoryBid(4);
  cpu.resource = Resource::kCpu;
  ASSERT_TRUE(book.Want(cpu, true).ok());
  for (const size_t answered : {size_t{0}, size_t{1}, size_t{3}}) {
    const auto write = book.NextWrite(true);
    ASSERT_TRUE(write.has_value());
    book.OnWritten(*write, absl::OkStatus(), Taken(answered));
    EXPECT_THAT(book.TakeAnswers(), IsEmpty());
    EXPECT_TRUE(book.AnyInDoubt());
  }
  book.OnWritten(*book.NextWrite(true), absl::OkStatus(), Taken(2));
  EXPECT_THAT(book.TakeAnswers(), SizeIs(2));

  const auto renewal = book.NextRenewal();
  for (const size_t answered : {size_t{0}, size_t{1}, size_t{3}}) {
    book.OnRenewed(*renewal, std::vector<BidBook::Leased>(answered));
    EXPECT_TRUE(book.standing_bids()[0].confirmed) << "and not that they are gone";
  }
  book.OnRenewed(*renewal, std::vector<BidBook::Leased>(2));
  std::vector<BidChange> changes;
  for (const BidEvent& event : book.TakeEvents()) changes.push_back(event.change);
  EXPECT_THAT(changes, ElementsAre(BidChange::kLapsed, BidChange::kLapsed));
}

}  // namespace
}  // namespace nom::client
