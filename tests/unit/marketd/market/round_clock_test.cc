// SPDX-License-Identifier: Apache-2.0
// Where a round is and what is due, alone; beside it the pages that wait for a close.

#include "marketd/market/round_clock.h"

#include <gtest/gtest.h>

#include "marketd/market/bid_pages.h"

namespace nom::market {
namespace {

using Due = RoundClock::Due;

absl::Time At(double seconds) { return absl::FromUnixSeconds(1'000) + absl::Seconds(seconds); }

// Rounds of 10 s: close after 7, clearing 1, grace 2.
class RoundClockTest : public testing::Test {
 protected:
  RoundClockTest() {
    config_.SetPeriod(absl::Seconds(10));
    clock_.emplace(config_);
  }
  HostConfig config_;
  std::optional<RoundClock> clock_;
};

TEST_F(RoundClockTest, ARoundInItsOrder) {
  EXPECT_FALSE(clock_->runs());
  EXPECT_EQ(clock_->WhatIsDue(At(100)), Due::kNothing) << "none runs";
  EXPECT_EQ(clock_->next(), absl::InfiniteFuture());
  clock_->BeginCollecting(4, At(0));
  EXPECT_EQ(clock_->round_id(), 4u);
  EXPECT_EQ(clock_->next(), At(7));
  EXPECT_EQ(clock_->WhatIsDue(At(6.999)), Due::kNothing);
  EXPECT_EQ(clock_->WhatIsDue(At(7)), Due::kDecide);
  EXPECT_EQ(clock_->WhatIsDue(At(9)), Due::kDecide) << "late, but half of the grace is left";
  clock_->Decided();
  EXPECT_EQ(clock_->next(), At(10));
  EXPECT_EQ(clock_->WhatIsDue(At(9.999)), Due::kNothing);
  EXPECT_EQ(clock_->WhatIsDue(At(10)), Due::kApply);
  clock_->BeginApplying({.round_id = 4});
  EXPECT_EQ(clock_->WhatIsDue(At(15)), Due::kNothing) << "the machine has it in hand";
  EXPECT_EQ(clock_->next(), absl::InfiniteFuture());
  EXPECT_EQ(clock_->EndApplying().round_id, 4u);
  EXPECT_EQ(clock_->Next(5, At(10)), 0);
  EXPECT_EQ(clock_->round_id(), 5u);
  EXPECT_FALSE(clock_->is_decided());
  EXPECT_EQ(clock_->next(), At(17));
}

TEST_F(RoundClockTest, WhatIsTooLateIsSkippedOrReleased) {
  clock_->BeginCollecting(1, At(0));
  EXPECT_EQ(clock_->WhatIsDue(At(9.01)), Due::kSkip) << "less than half of the grace would be left";
  EXPECT_EQ(clock_->SkipPast(At(9.01)), 1);
  EXPECT_EQ(clock_->next(), At(17));
  EXPECT_EQ(clock_->SkipPast(At(52)), 4) << "by whole periods";
  clock_->Decided();
  EXPECT_EQ(clock_->WhatIsDue(At(69.9)), Due::kApply) << "late, but in its own period";
  EXPECT_EQ(clock_->WhatIsDue(At(70)), Due::kRelease);
}

TEST_F(RoundClockTest, AClearingBesideIsWaitedForUntilItIsTooLate) {
  clock_->BeginCollecting(1, At(0));
  const auto snapshot = std::make_shared<const RoundSnapshot>();
  clock_->BeginClearing(11, snapshot);
  EXPECT_TRUE(clock_->is_clearing());
  EXPECT_EQ(clock_->WhatIsDue(At(8)), Due::kNothing);
  EXPECT_EQ(clock_->next(), At(9) + absl::Microseconds(1));
  EXPECT_EQ(clock_->EndClearing(10), nullptr) << "of another round";
  EXPECT_EQ(clock_->EndClearing(11), snapshot);
  EXPECT_EQ(clock_->EndClearing(11), nullptr);
  clock_->BeginClearing(12, snapshot);
  EXPECT_EQ(clock_->WhatIsDue(At(9.5)), Due::kSkip);
  clock_->SkipPast(At(9.5));
  EXPECT_EQ(clock_->EndClearing(12), nullptr) << "it took too long, and is passed over";
}

TEST_F(RoundClockTest, ARoundThatWasDecidedBeforeHasItsTimeAndAWholeGrace) {
  clock_->BeginDecided(3, At(8), At(0));
  EXPECT_EQ(clock_->schedule().effective(), At(8));
  EXPECT_EQ(clock_->WhatIsDue(At(8)), Due::kApply);
  clock_->BeginDecided(3, At(-5), At(0));
  EXPECT_EQ(clock_->schedule().effective(), At(2)) << "nobody knows whether guests were told";
  clock_->BeginDecided(3, At(3'600), At(0));
  EXPECT_EQ(clock_->schedule().effective(), At(10)) << "told by a clock that was wrong";
}

TEST_F(RoundClockTest, StoppedNothingIsDueAndTheRoundIsRemembered) {
  clock_->BeginCollecting(9, At(0));
  clock_->BeginClearing(1, std::make_shared<const RoundSnapshot>());
  clock_->Decided();
  clock_->Stop();
  EXPECT_FALSE(clock_->runs());
  EXPECT_FALSE(clock_->is_decided());
  EXPECT_FALSE(clock_->is_clearing());
  EXPECT_EQ(clock_->WhatIsDue(At(50)), Due::kNothing);
  EXPECT_EQ(clock_->round_id(), 9u);
}

TEST_F(RoundClockTest, AClockThatIsSetMovesTheRound) {
  clock_->Shift(absl::Hours(1));
  clock_->BeginCollecting(1, At(0));
  clock_->Shift(-absl::Hours(1));
  EXPECT_EQ(clock_->next(), At(7) - absl::Hours(1));
}

GuestBids Page(GuestId guest_id, Microcredits budget) {
  return {.guest_id = guest_id,
          .bids = {{.kind = ResourceKind::kMemory, .budget_microcredits = budget}}};
}
Microcredits BudgetOf(const std::optional<GuestBids>& page) {
  return page ? page->bids.at(0).budget_microcredits : -1;
}

TEST(BidPagesTest, OnePageASecondAndTheLastOneCounts) {
  BidPages pages;
  EXPECT_EQ(pages.next(), absl::InfiniteFuture());
  pages.Put(Page(1, 10));
  EXPECT_EQ(BudgetOf(pages.Take(At(0), false)), 10) << "the first at once";
  pages.Put(Page(1, 20));
  pages.Put(Page(1, 30));
  EXPECT_EQ(pages.Take(At(0.9), false), std::nullopt);
  EXPECT_EQ(pages.next(), At(1));
  pages.Put(Page(2, 40));
  EXPECT_EQ(BudgetOf(pages.Take(At(0.9), false)), 40) << "nobody waits for another";
  EXPECT_EQ(BudgetOf(pages.Take(At(1), false)), 30);
  EXPECT_EQ(pages.Take(At(100), false), std::nullopt);
}

TEST(BidPagesTest, AtCloseAllAreTaken) {
  BidPages pages;
  for (const GuestId guest_id : {GuestId{1}, GuestId{2}}) {
    pages.Put(Page(guest_id, 1));
    EXPECT_TRUE(pages.Take(At(0), false).has_value());
    pages.Put(Page(guest_id, 2));
  }
  EXPECT_EQ(BudgetOf(pages.Take(At(0.1), true)), 2);
  EXPECT_EQ(BudgetOf(pages.Take(At(0.1), true)), 2);
  EXPECT_EQ(pages.Take(At(0.1), true), std::nullopt);
}

TEST(BidPagesTest, OfAGuestThatIsGoneNothingIsLeft) {
  BidPages pages;
  pages.Put(Page(1, 10));
  pages.ForgetGuest(1);
  EXPECT_EQ(pages.Take(At(0), true), std::nullopt);
  pages.ForgetGuest(1);
}

}  // namespace
}  // namespace nom::market
