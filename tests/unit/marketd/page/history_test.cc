// SPDX-License-Identifier: Apache-2.0
// What is kept over time: sampled from views, and read from the ledger behind them.

#include "marketd/page/history.h"

#include <memory>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/marketd/page/fake_reader.h"

namespace nom::marketd {
namespace {

market::Round OldRound(market::RoundId id) {
  market::Round out;
  out.host_id = "h";
  out.round_id = id;
  out.close_time = absl::FromUnixSeconds(static_cast<int64_t>(id));
  out.prices = {{.kind = market::ResourceKind::kMemory, .unit_price_microcredits = 7}};
  return out;
}

std::shared_ptr<const market::View> ViewAt(market::RoundId priced, uint64_t work) {
  auto host = std::make_shared<market::HostView>();
  host->host_id = "h";
  host->priced_round_id = priced;
  host->in_force_round_id = priced;
  host->last_decided_time = absl::FromUnixSeconds(static_cast<int64_t>(priced));
  host->prices = {{.kind = market::ResourceKind::kMemory, .unit_price_microcredits = 9}};
  auto guest = std::make_shared<market::GuestView>();
  guest->guest.guest_id = 3;
  guest->guest.host_id = "h";
  guest->report.work_done = work;
  auto view = std::make_shared<market::View>();
  view->hosts = {host};
  view->guests = {guest};
  return view;
}

// What must come, comes; a hang is ended by the test's time limit.
History::Rounds WaitFor(const History& history, size_t rounds) {
  for (;;) {
    History::Rounds out = history.RoundsOf("h", 0, 10'000);
    if (out.complete && out.rounds.size() >= rounds) return out;
    std::this_thread::yield();
  }
}

TEST(HistoryTest, OldRoundsAreReadBehindTheNewest) {
  FakeReader reader;
  for (market::RoundId id = 1; id <= 100; ++id) reader.rounds.push_back(OldRound(id));
  History history(reader);
  history.OnView(ViewAt(101, 5));
  const History::Rounds all = WaitFor(history, 101);
  ASSERT_EQ(all.rounds.size(), 101u);
  for (size_t i = 0; i < all.rounds.size(); ++i) EXPECT_EQ(all.rounds[i].round_id, i + 1);
  EXPECT_EQ(all.rounds[99].prices[0].unit_price_microcredits, 7);
  EXPECT_EQ(all.rounds[100].prices[0].unit_price_microcredits, 9);
  EXPECT_FALSE(all.more);

  const History::Rounds page = history.RoundsOf("h", 51, 10);
  ASSERT_EQ(page.rounds.size(), 10u);
  EXPECT_EQ(page.rounds.front().round_id, 41u);
  EXPECT_EQ(page.rounds.back().round_id, 50u);
  EXPECT_TRUE(page.more);
  EXPECT_TRUE(history.RoundsOf("nowhere", 0, 10).rounds.empty());
  EXPECT_TRUE(history.RoundsOf("h", 1, 10).rounds.empty());
}

TEST(HistoryTest, ARoundIsKeptOnceAndMemoryIsBounded) {
  FakeReader reader;
  History history(reader);
  history.OnView(ViewAt(1, 1));
  WaitFor(history, 1);
  history.OnView(ViewAt(1, 2));
  for (market::RoundId id = 2; id <= History::kRoundsKept + 10; ++id) {
    history.OnView(ViewAt(id, id));
    // Each is taken in before the next: a view that is overtaken would rightly be skipped.
    while (history.RoundsOf("h", 0, 1).rounds.back().round_id < id) std::this_thread::yield();
  }
  const History::Rounds all = history.RoundsOf("h", 0, 10'000);
  ASSERT_EQ(all.rounds.size(), History::kRoundsKept);
  EXPECT_EQ(all.rounds.front().round_id, 11u);
  const std::vector<WorkSample> work = history.WorkOf(3);
  ASSERT_EQ(work.size(), History::kSamplesKept);
  EXPECT_EQ(work.back().work_done, History::kRoundsKept + 10);
  EXPECT_TRUE(history.WorkOf(4).empty());
}

TEST(HistoryTest, NoMoreIsReadThanIsKept) {
  FakeReader reader;
  for (market::RoundId id = 1; id <= History::kRoundsKept + 500; ++id) {
    reader.rounds.push_back(OldRound(id));
  }
  History history(reader);
  history.OnView(ViewAt(History::kRoundsKept + 501, 5));
  const History::Rounds all = WaitFor(history, History::kRoundsKept);
  EXPECT_EQ(all.rounds.size(), History::kRoundsKept);
  EXPECT_EQ(all.rounds.back().round_id, History::kRoundsKept + 501);
}

TEST(HistoryTest, ALedgerThatCantBeReadEndsTheReadingAlone) {
  FakeReader reader;
  reader.error = absl::UnavailableError("gone");
  History history(reader);
  history.OnView(ViewAt(9, 5));
  EXPECT_EQ(WaitFor(history, 1).rounds[0].round_id, 9u);
}

}  // namespace
}  // namespace nom::marketd
