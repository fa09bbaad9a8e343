// SPDX-License-Identifier: Apache-2.0
// A bid book that spreads a budget over periods of rounds.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "client/src/bid_book.h"

namespace nom::client {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class PacedBidBookTest : public ::testing::Test {
 protected:
  static BidBook Open(BidBook::Limits limits) {
    BidBook book(std::move(limits));
    book.OnLedger("a");
    book.OnRound(5);
    book.OnGuests({3}, {});
    book.OnLease(100, 64);
    return book;
  }
  static Bid BidOf(Resource resource, int64_t units, std::optional<int64_t> budget = std::nullopt) {
    return {.guest_id = 3,
            .resource = resource,
            .ranges = {{1, units, 100, 100}},
            .budget_microcredits = budget};
  }
  static BidBook::Placed Taken(uint64_t round_id) {
    return {.status = {}, .round_id = round_id, .removed = false};
  }
  // Wants it, and the market takes it.
  static void Place(BidBook& book, Bid bid, uint64_t round_id) {
    const absl::Status status = book.Want(std::move(bid), true).status();
    ASSERT_TRUE(status.ok()) << status;
    const auto write = book.NextWrite(true);
    ASSERT_TRUE(write.has_value());
    book.OnWritten(*write, absl::OkStatus(), {Taken(round_id)});
  }
};

TEST_F(PacedBidBookTest, APacedSessionSpendsItsPeriodsBudgetAndNoMore) {
  constexpr int64_t kBudget = 60'000;
  constexpr uint64_t kPeriod = 8;
  BidBook book = Open(
      {.pacing = PacingOptions{.period_budget_microcredits = kBudget, .period_rounds = kPeriod}});
  std::map<uint64_t, int64_t> charged;  // By period.
  for (uint64_t round = kPeriod; round < 5 * kPeriod; ++round) {
    book.OnRound(round);
    int64_t charge = 0;
    if (round % 4 == 1) {
      // Worth a million: whatever it may be charged, it is.
      Bid bid = BidOf(Resource::kMemory, 10'000);
      ASSERT_TRUE(book.Want(bid, true).ok());
      const auto write = book.NextWrite(true);
      EXPECT_EQ(write->items[0].bid->rounds, 1u);
      book.OnWritten(*write, absl::OkStatus(), {Taken(round)});
      charge = *write->items[0].bid->budget_microcredits;
      charged[round / kPeriod] += charge;
    }
    Round decided{.round_id = round, .resources = {}, .awards = {}, .reason = ""};
    decided.awards.push_back({.guest_id = 3, .charge_microcredits = charge});
    book.OnDecided(decided);
  }
  ASSERT_THAT(charged, SizeIs(4));
  for (const auto& [period, sum] : charged) {
    EXPECT_LE(sum, kBudget) << period;
    EXPECT_GT(sum, kBudget / 2) << "a round of four is enough to spend most of it";
  }
}

// In the last round of a period all of its budget is left; the bid must not stand for longer than
// the pacer counts it in the next.
TEST_F(PacedBidBookTest, APacedBidThatWouldStandForLongerThanIsCountedIsRefused) {
  BidBook book = Open(
      {.pacing = PacingOptions{
           .period_budget_microcredits = 8'000, .period_rounds = 8, .bid_lifetime_rounds = 4}});
  book.OnRound(15);
  Bid bid = BidOf(Resource::kMemory, 10'000);
  for (const uint32_t rounds : {5U, 8U, 1'000U, UINT32_MAX}) {
    bid.rounds = rounds;
    const absl::Status status = book.Want(bid, true).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << rounds;
    EXPECT_THAT(status.message(), HasSubstr("pacing.bid_lifetime_rounds, 4"));
  }
  bid.rounds = 4;
  ASSERT_TRUE(book.Want(bid, true).ok());
  const auto write = book.NextWrite(true);
  ASSERT_TRUE(write.has_value());
  EXPECT_LE(3 * *write->items[0].bid->budget_microcredits, 8'000) << "in rounds 16, 17 and 18";
}

// Another ledger begins its rounds at 1; a pacer that went on counting from where it was would
// allow nothing for as many rounds.
TEST_F(PacedBidBookTest, APacedSessionBeginsAnewInAnotherLedger) {
  BidBook book =
      Open({.pacing = PacingOptions{.period_budget_microcredits = 8'000, .period_rounds = 8}});
  book.OnRound(1'000'007);
  Place(book, BidOf(Resource::kMemory, 10, 800), 1'000'007);
  book.OnLedger("b");
  book.OnRound(2);
  book.OnGuests({3}, {});
  book.OnLease(101, 64);
  Place(book, BidOf(Resource::kMemory, 10, 3'000), 2);
  EXPECT_EQ(book.ReservedMicrocredits(), 3'000);
}

}  // namespace
}  // namespace nom::client
