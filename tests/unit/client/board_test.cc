// SPDX-License-Identifier: Apache-2.0
// A guest's view of the board that marketd keeps on a Linux host.

#include "nom/board.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "marketd/host/linux/board_file.h"
#include "marketd/host/linux/machine.h"

namespace nom {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class BoardTest : public ::testing::Test {
 protected:
  BoardTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "nom-board-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    path_ = folder_ + "/board";
  }
  ~BoardTest() override {
    unsetenv("NOM_BOARD");
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  std::string folder_;
  std::string path_;
};

TEST_F(BoardTest, ReadsWhatMarketdWrites) {
  auto file = market::BoardFile::Open(path_, 17);
  ASSERT_TRUE(file.ok());
  auto board = Board::Open(path_);
  ASSERT_TRUE(board.ok()) << board.status();
  // Before the first round nothing is to be trusted.
  EXPECT_TRUE((*board)->prices().stale);
  EXPECT_FALSE((*board)->prices()[Resource::kMemory].offered);
  EXPECT_EQ((*board)->guest_id(), 17u);
  EXPECT_THAT((*board)->grants(), IsEmpty());

  market::BoardContents contents{.round_id = 5, .priced_round_id = 4};
  contents.valid_for = absl::Hours(1);
  contents.prices.push_back({.kind = market::ResourceKind::kMemory,
                             .bound_by = policies::BoundBy::kBids,
                             .unit_price_microcredits = 77,
                             .reserve_unit_price_microcredits = 5});
  EXPECT_EQ((*board)->ledger_head().transaction_id, 0u);
  contents.head = {.transaction_id = 8, .digest = std::string(64, 'c')};
  (*file)->WriteMachine(contents, market::BootTimeUs());
  EXPECT_EQ((*board)->ledger_head().transaction_id, 8u);
  EXPECT_EQ((*board)->ledger_head().digest, contents.head.digest);
  const Prices prices = (*board)->prices();
  EXPECT_FALSE(prices.stale);
  EXPECT_EQ(prices.round_id, 4u);
  EXPECT_EQ(prices.UnitPrice(Resource::kMemory), 77);
  EXPECT_EQ(prices[Resource::kMemory].bound_by, BoundBy::kBids);
  EXPECT_EQ(prices.UnitPrice(Resource::kCpu), std::nullopt);
  EXPECT_GT(prices.valid_until, absl::Now() + absl::Minutes(30));

  market::GuestGrant grant{.guest_id = 17};
  grant.now = {{.kind = market::ResourceKind::kMemory, .seed_units = 4, .award_units = 6}};
  grant.next = {{.kind = market::ResourceKind::kMemory, .seed_units = 4, .award_units = 1}};
  (*file)->WriteGuest(grant, 6, market::BootTimeUs() + 3'600'000'000);
  ASSERT_THAT((*board)->grants(), SizeIs(1));
  EXPECT_EQ((*board)->grants()[0].units(), 10);
  const std::vector<Notice> notices = (*board)->notices();
  ASSERT_THAT(notices, SizeIs(1));
  EXPECT_EQ(notices[0].units_now, 10);
  EXPECT_EQ(notices[0].units_next, 5);
  EXPECT_EQ(notices[0].round_id, 6u);
  EXPECT_GT(notices[0].effective_time, absl::Now() + absl::Minutes(30));
  grant.now = grant.next;
  (*file)->WriteGuest(grant, 6, 0);
  EXPECT_THAT((*board)->notices(), IsEmpty());
}

TEST_F(BoardTest, PricesThatNobodyRenewsAreStale) {
  auto file = market::BoardFile::Open(path_, 17);
  ASSERT_TRUE(file.ok());
  (*file)->WriteMachine({.round_id = 5, .valid_for = absl::Seconds(1)},
                        market::BootTimeUs() - 2'000'000);
  EXPECT_TRUE(Board::Open(path_).value()->prices().stale);
}

TEST_F(BoardTest, IsFoundByTheEnvironmentAsTheLauncherSetsIt) {
  EXPECT_TRUE(absl::IsNotFound(Board::FromEnvironment().status()));
  auto file = market::BoardFile::Open(path_, 17);
  ASSERT_TRUE(file.ok());
  const int fd = open(path_.c_str(), O_RDONLY);
  setenv("NOM_BOARD", absl::StrCat("fd:", fd).c_str(), 1);
  auto board = Board::FromEnvironment();
  ASSERT_TRUE(board.ok()) << board.status();
  EXPECT_EQ(close(fd), 0);  // It is the caller's all the same.
  EXPECT_EQ((*board)->guest_id(), 17u);
}

TEST_F(BoardTest, WhatIsNoBoardIsRefused) {
  EXPECT_TRUE(absl::IsNotFound(Board::Open(path_).status()));
  for (const char* where : {"fd:", "fd:x", "fd:-1"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Board::Open(where).status())) << where;
  }
  std::ofstream(path_) << "short";
  EXPECT_THAT(std::string(Board::Open(path_).status().message()), HasSubstr("is no board file"));
  std::ofstream(path_) << std::string(10'000, 'x');
  EXPECT_THAT(std::string(Board::Open(path_).status().message()), HasSubstr("of another ABI"));
  EXPECT_FALSE(Board::Open(folder_).ok());
}

}  // namespace
}  // namespace nom
