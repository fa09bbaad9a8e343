// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/marketd/figures.h"
#include "marketd/base/status.h"
#include "marketd/market/transaction.h"
#include "policies/cases/case_file.h"

namespace nom::market {
namespace {

using Stopwatch = std::chrono::steady_clock;

constexpr int kPage = 1'000;
constexpr int kGuests = 20;
constexpr ResourceKind kKinds[] = {ResourceKind::kCpu, ResourceKind::kMemory};

// Rounds as a busy host leaves them: two kinds, an auction's text and outcomes of twenty guests.
void Fill(Ledger& ledger, int rounds) {
  State state = *ledger.Load(Lead{});
  absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  std::vector<Transaction> group;
  {
    Scribe scribe(state, now, "host");
    scribe.Write(PutTenant{{.tenant_id = "t"}});
    scribe.Write(PutHost{"h", 1, 0});
    for (int g = 1; g <= kGuests; ++g) {
      scribe.Write(PutGuest{{.guest_id = static_cast<GuestId>(g),
                             .host_id = "h",
                             .tenant_id = "t",
                             .name = absl::StrCat("g", g),
                             .image = "image",
                             .state = GuestState::kRunning,
                             .has_run = true}});
    }
    group.push_back(std::move(scribe).Finish());
  }
  policies::Auction auction;
  auction.capacity_units = 100;
  for (int g = 1; g <= kGuests; ++g) {
    auction.bids.push_back(
        {.guest_id = static_cast<policies::GuestId>(g), .ranges = {{0, 4, 0, 600 + g}}});
  }
  const std::string text = policies::ToText(auction);
  for (int i = 1; i <= rounds; ++i) {
    now += absl::Seconds(60);
    const auto round_id = static_cast<RoundId>(i);
    PutRound put;
    // Released: nothing of it is left in memory, and what a page reads of it is the same.
    put.round = {.host_id = "h", .round_id = round_id, .phase = RoundPhase::kReleased};
    put.round.start_time = put.round.close_time = put.round.decided_time = now;
    put.round.effective_time = now + absl::Seconds(30);
    put.round.applied_time = absl::UnixEpoch();
    put.round.period = absl::Seconds(60);
    for (const ResourceKind kind : kKinds) {
      put.round.prices.push_back({.kind = kind,
                                  .unit_price_microcredits = 600 + i % 97,
                                  .supply_units = 100,
                                  .sold_units = 80,
                                  .rule = "mpsp/1"});
      put.auctions.push_back({.host_id = "h",
                              .round_id = round_id,
                              .kind = kind,
                              .rule = "mpsp/1",
                              .auction = text,
                              .work_max = 1'000});
    }
    for (int g = 1; g <= kGuests; ++g) {
      for (const ResourceKind kind : kKinds) {
        put.round.outcomes.push_back(
            {.guest_id = static_cast<GuestId>(g), .kind = kind, .tenant_id = "t"});
      }
    }
    Scribe scribe(state, now, "round decided");
    scribe.Write(std::move(put));
    group.push_back(std::move(scribe).Finish());
    if (group.size() < 500 && i != rounds) continue;
    const absl::Status status = ledger.Commit(Lead{}, group);
    NOM_CHECK(status.ok(), status.ToString());
    group.clear();
  }
}

// What a page takes by one way of reading it, over all pages of the history.
template <typename Read>
std::vector<absl::Duration> TimePages(int rounds, const Read& read) {
  std::vector<absl::Duration> times;
  RoundId before = 0;
  int seen = 0;
  for (;;) {
    const auto begin = Stopwatch::now();
    const absl::StatusOr<std::vector<Round>> page = read(before);
    times.push_back(absl::FromChrono(Stopwatch::now() - begin));
    NOM_CHECK(page.ok(), page.status().ToString());
    if (page->empty()) break;
    seen += static_cast<int>(page->size());
    before = page->back().round_id;
  }
  NOM_CHECK(seen == rounds, "pages do not add up");
  times.pop_back();  // The empty one.
  return times;
}

}  // namespace

void MeasurePrices(int rounds) {
  const BenchDirectory directory;
  const std::unique_ptr<Ledger> ledger = OpenBenchLedger(directory.File("ledger"), Sync::kNone);
  Fill(*ledger, rounds);
  LedgerReader& reader = ledger->reader();
  const std::vector<absl::Duration> prices = TimePages(rounds, [&](RoundId before) {
    return reader.ListPrices({.host_id = "h", .before_round_id = before, .rounds_max = kPage});
  });
  // By time: the bisection comes on top, in the middle of the history where nothing is in a cache.
  const absl::Time begin = absl::FromUnixSeconds(1'800'000'000);
  std::vector<absl::Duration> by_time;
  for (int i = 1; i < 50; ++i) {
    const auto start = Stopwatch::now();
    const auto page = reader.ListPrices({.host_id = "h",
                                         .since = begin + absl::Minutes(rounds / 50 * i),
                                         .until = begin + absl::Minutes(rounds / 50 * i + kPage),
                                         .rounds_max = kPage});
    by_time.push_back(absl::FromChrono(Stopwatch::now() - start));
    NOM_CHECK(page.ok() && !page->empty(), page.status().ToString());
  }
  // The peer: whole rounds, as ListRounds reads them, of the newest pages.
  std::vector<absl::Duration> whole;
  RoundId before = 0;
  for (int i = 0; i < 5; ++i) {
    const auto start = Stopwatch::now();
    const auto page = reader.ListRounds("h", before, kPage);
    whole.push_back(absl::FromChrono(Stopwatch::now() - start));
    NOM_CHECK(page.ok() && !page->empty(), page.status().ToString());
    before = page->back().round_id;
  }
  const auto ms = [](absl::Duration time) { return absl::ToDoubleMilliseconds(time); };
  Print(
      absl::StrCat("prices of ", rounds, " rounds, a page of ", kPage),
      absl::StrFormat("median %.1f ms, slowest %.1f ms; by time, slowest %.1f ms",
                      ms(Median(prices)), ms(Quantile(prices, 1000)), ms(Quantile(by_time, 1000))),
      absl::StrFormat("whole rounds: %.0f ms", ms(Median(whole))), "50 ms a page");
}

}  // namespace nom::market
