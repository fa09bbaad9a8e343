// SPDX-License-Identifier: Apache-2.0
// Sessions of programs that are guests of a Linux host: prices from the board, the rest by the
// line.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "marketd/host/linux/board_file.h"
#include "marketd/host/linux/machine.h"
#include "tests/unit/client/session_life_fixture.h"

namespace nom {
namespace {

class SessionBoardTest : public SessionLifeTest {
 protected:
  SessionBoardTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "nom-board-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    path_ = folder_ + "/board";
    file_ = market::BoardFile::Open(path_, guest_).value();
    // Whose board it would have to be is learnt as any program could.
    SessionOptions options = Options();
    options.board = "none";
    const auto session = Connect(options);
    ledger_id_ = session->market().ledger_id;
    host_id_ = session->market().host_id;
  }
  ~SessionBoardTest() override {
    unsetenv("NOM_BOARD");
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  std::unique_ptr<Session> ConnectWithBoard() {
    SessionOptions options = Options();
    options.board = path_;
    return Connect(options);
  }
  // A price that no round of the market has.
  market::BoardContents Contents(uint64_t round_id, int64_t price) {
    market::BoardContents contents{.round_id = round_id + 1, .priced_round_id = round_id};
    contents.valid_for = absl::Hours(1);
    contents.prices.push_back(
        {.kind = market::ResourceKind::kMemory, .unit_price_microcredits = price});
    contents.ledger_id = ledger_id_;
    contents.host_id = host_id_;
    return contents;
  }
  void Write(const market::BoardContents& contents) {
    file_->WriteMachine(contents, market::BootTimeUs());
  }

  std::string folder_;
  std::string path_;
  std::unique_ptr<market::BoardFile> file_;
  std::string ledger_id_;
  std::string host_id_;
};

TEST_F(SessionBoardTest, PricesAreSeenAsSoonAsTheyAreWritten) {
  market_.Decide();
  const auto session = ConnectWithBoard();
  ASSERT_NE(session, nullptr);
  EXPECT_EQ(session->counters().prices_from_board, 0u);
  const uint64_t round_id = session->prices().round_id;
  Write(Contents(round_id + 1, 4711));
  // Nothing was told over the line, and nobody was waited for.
  EXPECT_EQ(session->prices().round_id, round_id + 1);
  EXPECT_FALSE(session->prices().stale);
  EXPECT_EQ(session->UnitPrice(Resource::kMemory), 4711);
  EXPECT_EQ(session->UnitPrice(Resource::kCpu), std::nullopt);
  EXPECT_EQ(session->counters().prices_from_board, 1u);
  Write(Contents(round_id + 2, 4712));
  EXPECT_EQ(session->UnitPrice(Resource::kMemory), 4712);
  EXPECT_TRUE(session->Bid(MemoryBid(3)).ok());  // The rest goes over the line.
}

TEST_F(SessionBoardTest, ABoardThatIsBehindTheLineOrStaleIsNotBelieved) {
  market_.Decide();
  market_.Decide();
  const auto session = ConnectWithBoard();
  ASSERT_NE(session, nullptr);
  const uint64_t round_id = session->prices().round_id;
  ASSERT_GT(round_id, 1u);
  Write(Contents(round_id - 1, 4711));
  EXPECT_EQ(session->prices().round_id, round_id);
  EXPECT_NE(session->UnitPrice(Resource::kMemory), 4711);
  Write(Contents(round_id, 4711));
  EXPECT_EQ(session->UnitPrice(Resource::kMemory), 4711);
  market::BoardContents old = Contents(round_id + 1, 4712);
  old.valid_for = absl::Seconds(1);
  file_->WriteMachine(old, market::BootTimeUs() - 2'000'000);
  EXPECT_EQ(session->prices().round_id, round_id);
  EXPECT_NE(session->UnitPrice(Resource::kMemory), 4712);
  EXPECT_EQ(session->counters().prices_from_board, 0u);
}

TEST_F(SessionBoardTest, ABoardOfAnotherMarketIsLeftAlone) {
  const auto session = ConnectWithBoard();
  ASSERT_NE(session, nullptr);
  for (const auto& [ledger_id, host_id] :
       {std::pair(ledger_id_ + "0", host_id_), std::pair(ledger_id_, host_id_ + "0"),
        std::pair(std::string(), host_id_)}) {
    market::BoardContents contents = Contents(90, 4711);
    contents.ledger_id = ledger_id;
    contents.host_id = host_id;
    Write(contents);
    EXPECT_NE(session->prices().round_id, 90u) << ledger_id << " " << host_id;
    EXPECT_NE(session->UnitPrice(Resource::kMemory), 4711);
  }
  Write(Contents(90, 4711));
  EXPECT_EQ(session->prices().round_id, 90u);
  // Another ledger under the same address: the board is of the one before.
  market_.BeginAnotherLedger();
  market_.Decide();
  Until([&] { return session->market().ledger_id != ledger_id_; });
  Until([&] { return session->prices().round_id != 90u; });
}

TEST_F(SessionBoardTest, WhileTheLineIsLostTheBoardGoesOnAndNothingIsBid) {
  market_.Decide();
  market_.Decide();
  const auto session = ConnectWithBoard();
  ASSERT_NE(session, nullptr);
  const uint64_t round_id = session->prices().round_id;
  market_.Stop();
  Until([&] { return session->stale(); });
  EXPECT_TRUE(session->prices().stale);
  // Also of a market that was restarted with fewer rounds: what is stale hides nothing.
  Write(Contents(round_id - 1, 4710));
  EXPECT_FALSE(session->prices().stale);
  EXPECT_EQ(session->UnitPrice(Resource::kMemory), 4710);
  Write(Contents(round_id + 5, 4711));
  EXPECT_FALSE(session->prices().stale);
  EXPECT_EQ(session->prices().round_id, round_id + 5);
  EXPECT_EQ(session->Bid(MemoryBid(3)).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(session->Close().ok());
  EXPECT_TRUE(session->prices().stale);
}

TEST_F(SessionBoardTest, TheEnvironmentNamesItAndMayBeWrong) {
  Write(Contents(90, 4711));
  const int fd = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  setenv("NOM_BOARD", absl::StrCat("fd:", fd).c_str(), 1);
  EXPECT_EQ(Connect()->prices().round_id, 90u);
  EXPECT_EQ(close(fd), 0);
  // Handed on to a program without the descriptor.
  EXPECT_NE(Connect()->prices().round_id, 90u);
  unsetenv("NOM_BOARD");
  SessionOptions options = Options();
  options.board = folder_ + "/none";
  EXPECT_EQ(Session::Connect(options).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace nom
