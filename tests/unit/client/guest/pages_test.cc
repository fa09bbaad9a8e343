// SPDX-License-Identifier: Apache-2.0
// Boards, the bid page and notices.

#include <cstring>
#include <vector>

#include "client/guest/bid_page.h"
#include "client/guest/board.h"
#include "client/guest/notice.h"
#include "gtest/gtest.h"

namespace nom::guest {
namespace {

TEST(BoardTest, GivesUpOnABoardThatIsAlwaysBeingWritten) {
  NomMachineBoard page{};
  NomMachineBoard copy{};
  page.sequence = 7;
  EXPECT_FALSE(CopyBoard(&page, &copy, /*tries=*/3));
  page.sequence = 8;
  page.round_id = 42;
  EXPECT_TRUE(CopyBoard(&page, &copy, /*tries=*/1));
  EXPECT_EQ(copy.round_id, 42u);
}

TEST(BoardTest, StaleBoardsAreSeen) {
  NomMachineBoard board{};
  board.magic = NOM_MACHINE_BOARD_MAGIC;
  board.abi_version = NOM_ABI_VERSION;
  board.valid_until_tsc = 100;
  EXPECT_FALSE(Stale(board, 100));
  EXPECT_TRUE(Stale(board, 101));
  NomMachineBoard wrong = board;
  wrong.magic = 0;
  EXPECT_TRUE(Stale(wrong, 0));
  wrong = board;
  wrong.abi_version += 1 << 16;
  EXPECT_TRUE(Stale(wrong, 0));
  wrong = board;
  wrong.resource_count = NOM_RESOURCES_MAX + 1;
  EXPECT_TRUE(Stale(wrong, 0));
}

TEST(BoardTest, FindsRows) {
  NomMachineBoard board{};
  board.resource_count = 2;
  board.prices[0].kind = NOM_RESOURCE_CPU;
  board.prices[1].kind = NOM_RESOURCE_MEMORY;
  board.prices[2].kind = NOM_RESOURCE_DISK;
  EXPECT_EQ(FindPrice(board, NOM_RESOURCE_MEMORY), &board.prices[1]);
  EXPECT_EQ(FindPrice(board, NOM_RESOURCE_DISK), nullptr);  // Beyond the count.
  NomGuestBoard guest{};
  guest.resource_count = 1;
  guest.holdings[0].kind = NOM_RESOURCE_CPU;
  EXPECT_EQ(FindHolding(guest, NOM_RESOURCE_CPU), &guest.holdings[0]);
  EXPECT_EQ(FindHolding(guest, NOM_RESOURCE_MEMORY), nullptr);
}

TEST(NoticeTest, EachIsToldOnce) {
  NoticeReader reader;
  NomGuestBoard board{};
  board.magic = NOM_GUEST_BOARD_MAGIC;
  EXPECT_FALSE(reader.Look(board).has_value());
  board.notice_sequence = 3;
  board.deadline_tsc = 500;
  board.frames_next = 9;
  const std::optional<Notice> notice = reader.Look(board);
  ASSERT_TRUE(notice.has_value());
  EXPECT_EQ(notice->sequence, 3u);
  EXPECT_EQ(notice->frames_next, 9u);
  EXPECT_FALSE(reader.Look(board).has_value());
  board.notice_sequence = 4;
  EXPECT_TRUE(reader.Look(board).has_value());
}

class BidPageTest : public testing::Test {
 protected:
  std::vector<NomRange> Ranges(int count) const {
    std::vector<NomRange> ranges;
    ranges.reserve(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) ranges.push_back({i * 10, i * 10 + 10, i * 100, 10});
    return ranges;
  }
  NomBidPage page_{};
};

TEST_F(BidPageTest, BidsReplaceBids) {
  page_.sequence = 5;  // Left odd by whatever was there before.
  BidPage bids(&page_);
  EXPECT_EQ(page_.sequence % 2, 0u);
  EXPECT_EQ(page_.magic, NOM_BID_PAGE_MAGIC);
  ASSERT_TRUE(bids.Bid(NOM_RESOURCE_MEMORY, Ranges(2), 77));
  ASSERT_TRUE(bids.Bid(NOM_RESOURCE_CPU, Ranges(1), 0));
  ASSERT_TRUE(bids.Bid(NOM_RESOURCE_MEMORY, Ranges(1), 78));
  EXPECT_EQ(page_.bid_count, 2u);
  EXPECT_EQ(page_.bids[0].kind, static_cast<uint32_t>(NOM_RESOURCE_MEMORY));
  EXPECT_EQ(page_.bids[0].range_count, 1u);
  EXPECT_EQ(page_.bids[0].budget_microcredits, 78);
  EXPECT_EQ(page_.bids[0].ranges[1].max_units, 0);  // No trace of the longer bid.
  bids.Withdraw(NOM_RESOURCE_MEMORY);
  EXPECT_EQ(page_.bids[0].kind, static_cast<uint32_t>(NOM_RESOURCE_MEMORY));
  EXPECT_EQ(page_.bids[0].range_count, 0u);
  EXPECT_EQ(page_.bids[1].range_count, 1u);
}

TEST_F(BidPageTest, TheSameAgainWritesNothing) {
  BidPage bids(&page_);
  ASSERT_TRUE(bids.Bid(NOM_RESOURCE_CPU, Ranges(3), 5));
  bids.Say({.work_done = 3, .work_unit = "hits", .value_microcredits = 30, .activity = "busy"});
  const uint32_t sequence = page_.sequence;
  ASSERT_TRUE(bids.Bid(NOM_RESOURCE_CPU, Ranges(3), 5));
  bids.Say({.work_done = 3, .work_unit = "hits", .value_microcredits = 30, .activity = "busy"});
  bids.Withdraw(NOM_RESOURCE_MEMORY);
  EXPECT_EQ(page_.sequence, sequence);
  ASSERT_TRUE(bids.Bid(NOM_RESOURCE_CPU, Ranges(3), 6));
  EXPECT_EQ(page_.sequence, sequence + 2);
}

TEST_F(BidPageTest, BundlesAndBidsForSingleResourcesReplaceEachOther) {
  BidPage bids(&page_);
  const NomRange ranges[] = {{0, 4, 0, 9}};
  ASSERT_TRUE(bids.Bid(NOM_RESOURCE_MEMORY, ranges, 5));
  const NomBundle bundles[] = {{.units = {2, 8}, .value_microcredits = 70},
                               {.units = {3, 9}, .value_microcredits = 90}};
  ASSERT_TRUE(bids.BidTogether(bundles, 60));
  EXPECT_EQ(page_.bid_form, static_cast<uint32_t>(NOM_BID_FORM_BUNDLES));
  EXPECT_EQ(page_.bid_count, 0u);
  EXPECT_EQ(page_.bundle_count, 2u);
  EXPECT_EQ(page_.budget_microcredits, 60);
  EXPECT_EQ(page_.bundles[1].units[1], 9);
  EXPECT_EQ(page_.bundles[1].value_microcredits, 90);
  const uint32_t sequence = page_.sequence;
  EXPECT_TRUE(bids.BidTogether(bundles, 60));
  EXPECT_EQ(page_.sequence, sequence) << "the same again writes nothing";
  EXPECT_FALSE(bids.BidTogether({}, 60));
  EXPECT_FALSE(bids.BidTogether(std::vector<NomBundle>(NOM_BUNDLES_MAX + 1), 60));
  EXPECT_EQ(page_.sequence, sequence);
  bids.WithdrawAll();
  EXPECT_EQ(page_.bid_form, static_cast<uint32_t>(NOM_BID_FORM_BUNDLES));
  EXPECT_EQ(page_.bundle_count, 0u);
  ASSERT_TRUE(bids.Bid(NOM_RESOURCE_MEMORY, ranges, 5));
  EXPECT_EQ(page_.bid_form, static_cast<uint32_t>(NOM_BID_FORM_SINGLE));
  EXPECT_EQ(page_.bid_count, 1u);
  EXPECT_EQ(page_.budget_microcredits, 0);
  EXPECT_EQ(page_.bids[0].ranges[0].max_units, 4);
}

TEST_F(BidPageTest, RefusesWhatDoesNotFit) {
  BidPage bids(&page_);
  EXPECT_FALSE(bids.Bid(NOM_RESOURCE_CPU, Ranges(NOM_RANGES_MAX + 1), 0));
  EXPECT_FALSE(bids.Bid(NOM_RESOURCE_NONE, Ranges(1), 0));
  for (uint32_t kind = 1; kind <= NOM_BIDS_MAX; ++kind) {
    EXPECT_TRUE(bids.Bid(static_cast<NomResource>(kind), Ranges(1), 0));
  }
  EXPECT_FALSE(bids.Bid(static_cast<NomResource>(7), Ranges(1), 0));
  EXPECT_EQ(page_.bid_count, NOM_BIDS_MAX);
}

TEST_F(BidPageTest, TextsAreCutAndTerminated) {
  BidPage bids(&page_);
  bids.Say({.work_unit = "a unit of work that is long",
            .activity = "an activity that is rather longer than its place"});
  EXPECT_EQ(std::strlen(page_.work_unit), sizeof(page_.work_unit) - 1);
  EXPECT_EQ(std::strlen(page_.activity), sizeof(page_.activity) - 1);
  bids.Say({.work_unit = "x", .activity = ""});
  EXPECT_STREQ(page_.work_unit, "x");
  EXPECT_EQ(page_.work_unit[3], '\0');
}

}  // namespace
}  // namespace nom::guest
