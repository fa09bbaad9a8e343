// SPDX-License-Identifier: Apache-2.0
// What the worst inputs cost: sizes of machines with their slowest of 100 random auctions, inputs
// that look like others and could take far longer, what a budget of work buys, and what a step of
// counted work takes. Under three minutes in all.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "bench/policies/auctions.h"
#include "bench/policies/bench_random.h"
#include "bench/policies/measure.h"
#include "policies/clearing/concave/columns.h"
#include "policies/clearing/fallback.h"
#include "policies/clearing/mpsp.h"
#include "policies/clearing/rules.h"
#include "policies/clearing/uniform_price.h"

namespace nom::policies {
namespace {

constexpr size_t kAuctions = 100;
// For one line. Auctions that take so long that fewer fit are counted in the line.
constexpr double kSeconds = 4;
// No input may take longer than this many times what one that hardly differs takes.
constexpr double kCliffMax = 4;

Clearing MustClear(absl::StatusOr<Clearing> clearing) {
  if (clearing.ok()) return *std::move(clearing);
  std::fprintf(stderr, "broken: %s\n", std::string(clearing.status().message()).c_str());
  std::exit(1);
}

void MustBeExact(const Clearing& clearing) {
  if (clearing.method == Method::kExact) return;
  std::fprintf(stderr, "broken: a large budget was used up\n");
  std::exit(1);
}

Clearing MustClear(const Auction& auction) { return MustClear(ClearMpsp(auction)); }

double MsOf(const Auction& auction) {
  return bench::MedianMs([&] { bench::DoNotOptimize(MustClear(auction)); }, 0.2);
}

// `make` gives an auction for each seed.
template <typename Make>
bench::Spread SpreadOfAuctions(const Make& make) {
  std::vector<Auction> auctions;
  for (uint64_t seed = 1; seed <= kAuctions; ++seed) auctions.push_back(make(seed));
  return bench::SpreadOf(
      kAuctions, [&](size_t i) { bench::DoNotOptimize(MustClear(auctions[i])); }, kSeconds);
}

void Sizes() {
  bench::PrintWork("mpsp, exact, all charges: median and slowest of 100 random auctions");
  struct Size {
    int64_t bids;
    int64_t units;
    int ranges;
    double goal_median_ms;
    double goal_slowest_ms;
  };
  const Size sizes[] = {{32, int64_t{1} << 24, 4, 1, 0},
                        {32, int64_t{1} << 20, 16, 5, 0},
                        {32, 32'768, 16, 0, 0},
                        {256, 16'384, 3, 0, 0},
                        {1'000, 65'536, 3, 0, 20}};
  for (const Size& size : sizes) {
    const std::string name = std::to_string(size.bids) + " bids x " + std::to_string(size.ranges) +
                             " ranges x " + std::to_string(size.units) + " units, ";
    bench::PrintSpread(name + "few winners", SpreadOfAuctions([&](uint64_t seed) {
                         return RangesAuction(size.bids, size.units, size.ranges, seed);
                       }),
                       size.goal_median_ms, size.goal_slowest_ms);
    bench::PrintSpread(name + "many", SpreadOfAuctions([&](uint64_t seed) {
                         return SmallRangesAuction(size.bids, size.units, size.ranges, 15, false,
                                                   seed);
                       }),
                       size.goal_median_ms, size.goal_slowest_ms);
    bench::PrintSpread(name + "alike", SpreadOfAuctions([&](uint64_t seed) {
                         return SmallRangesAuction(size.bids, size.units, size.ranges, 15, true,
                                                   seed);
                       }),
                       size.goal_median_ms, size.goal_slowest_ms);
  }
}

// Bids beyond what an auction can hold, so straight into columns; no reserve, so that every run
// counts and their number is the one that is meant.
double ColumnsMs(int64_t bids) {
  BenchRandom random(7);
  std::vector<GuestId> guest_ids;
  const std::vector<int64_t> held_units(static_cast<size_t>(bids), 0);
  std::vector<uint32_t> first_run = {0};
  std::vector<Microcredits> gain;
  std::vector<int32_t> run_units;
  for (int64_t i = 0; i < bids; ++i) {
    guest_ids.push_back(static_cast<GuestId>(i) + 1);
    int64_t price = random.Between(500'000, 2'000'000);
    for (int piece = 0; piece < 4; ++piece) {
      gain.push_back(price);
      run_units.push_back(static_cast<int32_t>(random.Between(1, 127)));
      price = price * random.Between(50, 95) / 100;
    }
    first_run.push_back(static_cast<uint32_t>(gain.size()));
  }
  const ConcaveColumns columns{64 * bids, 0, 1, guest_ids, held_units, first_run, gain, run_units};
  std::vector<int64_t> units(guest_ids.size());
  std::vector<Microcredits> charges(guest_ids.size());
  return bench::MedianMs([&] { ClearConcaveColumns(columns, units, charges); }, 0.4);
}

void SelectionAtRoundSizes() {
  bench::PrintWork("concave selection at powers of two and ten, beside one bid less or more");
  const std::pair<int64_t, int64_t> pairs[] = {
      {16'384, 16'385}, {65'536, 65'537}, {100'000, 99'999}, {1'000'000, 999'999}};
  for (const auto& [round_bids, other_bids] : pairs) {
    bench::PrintAtMostTimes(
        std::to_string(round_bids) + " bids x 4 pieces, beside " + std::to_string(other_bids),
        ColumnsMs(round_bids), ColumnsMs(other_bids), kCliffMax);
  }
}

Auction WithHoldings(Auction auction, Microcredits penalty, int64_t held_max) {
  BenchRandom random(11);
  auction.reclaim_penalty_microcredits = penalty;
  for (Bid& bid : auction.bids) bid.held_units = random.Between(0, held_max);
  return auction;
}

// Everybody's pieces have the same prices, so most bids are tied where the capacity ends.
Auction TiedAuction(int64_t bids, int64_t capacity_units, int pieces) {
  Auction auction = ConcaveAuction(bids, capacity_units, pieces);
  for (Bid& bid : auction.bids) {
    Microcredits price = 1'000'000;
    Microcredits value = 0;
    for (Range& range : bid.ranges) {
      range.value_at_min_microcredits = value;
      range.unit_price_microcredits = price;
      value += (range.max_units - range.min_units) * price;
      price -= 100'000;
    }
  }
  return auction;
}

// One guest has no use for a few units only.
Auction WithAGap(Auction auction) {
  auction.bids.front().ranges = {{7, 9, 7'000'000, 1'000'000}};
  return auction;
}

void Cliffs() {
  bench::PrintWork("inputs that look like others");
  const struct {
    const char* what;
    Auction plain;
  } penalised[] = {{"4,096 concave bids", ConcaveAuction(4'096, 65'536, 4)},
                   {"4,096 tied concave bids", TiedAuction(4'096, 65'536, 4)}};
  for (const auto& [what, plain] : penalised) {
    const Auction held = WithHoldings(plain, 300'000, 512);
    const double held_ms = MsOf(held);
    const double uniform_ms =
        bench::MedianMs([&] { bench::DoNotOptimize(MustClear(ClearUniformPrice(held))); }, 0.2);
    bench::PrintAtMostTimes(std::string(what) + " with a penalty, beside uniform_price", held_ms,
                            uniform_ms, kCliffMax);
    bench::PrintAtMostTimes("the same, beside no penalty", held_ms, MsOf(plain), kCliffMax);
  }
  for (const int64_t bids : {256, 4'096}) {
    const Auction plain = TiedAuction(bids, 16'384, 1);
    bench::PrintAtMostTimes(std::to_string(bids) + " tied bids, one with a gap, beside none",
                            MsOf(WithAGap(plain)), MsOf(plain), kCliffMax);
  }
  struct Size {
    int64_t bids;
    int64_t units;
    int64_t held_units;
  };
  for (const Size& size :
       {Size{256, 16'384, 16'384}, Size{1'000, 65'536, 1 << 24}, Size{32, 1 << 20, 1 << 24}}) {
    const Auction plain =
        WithHoldings(SmallRangesAuction(size.bids, size.units, 3, 15, false), 100'000, 64);
    Auction huge = plain;
    huge.bids.front().ranges = {{1, 1, kValueMaxMicrocredits, 0}};
    for (Bid& bid : huge.bids) bid.held_units = size.held_units;
    bench::PrintAtMostTimes(std::to_string(size.bids) + " x " + std::to_string(size.units) +
                                ", a bid of 10^15, large holdings, beside small",
                            MsOf(huge), MsOf(plain), kCliffMax);
  }
}

const char* NameOf(Method method) {
  switch (method) {
    case Method::kExact:
      return "exact";
    case Method::kCoarser:
      return "coarser";
    case Method::kGreedy:
      return "greedy";
    case Method::kRepeatLast:
      return "repeat_last";
    case Method::kBounded:
      return "bounded";
  }
  return "";
}

// What marketd gives an auction of a host with a period of one second: a tenth of it.
int64_t BudgetOf(int64_t resources) { return kWorkASecond / 10 / resources; }

// With a budget, beside the exact rule without one: which link of the chain, how long, and how much
// of what the exact rule adds to W over selling nothing.
void PrintWithin(const std::string& what, const Auction& auction, int64_t work_max) {
  const Clearing exact = MustClear(auction);
  const Clearing within = MustClear(ClearWithin("mpsp/1", auction, work_max));
  const double exact_ms = MsOf(auction);
  const double within_ms =
      bench::MedianMs([&] { bench::DoNotOptimize(ClearWithin("mpsp/1", auction, work_max)); }, 0.2);
  const auto nothing =
      static_cast<double>(*Welfare(auction, std::vector<int64_t>(auction.bids.size(), 0)));
  const double reached = (static_cast<double>(within.welfare_microcredits) - nothing) /
                         (static_cast<double>(exact.welfare_microcredits) - nothing);
  const double budget_ms = 1e3 * static_cast<double>(work_max) / static_cast<double>(kWorkASecond);
  std::printf("  %-58s budget %.4g ms: %s in %.4g ms with %.3g %% of W; exact takes %.4g ms\n",
              what.c_str(), budget_ms, NameOf(within.method), within_ms, 100 * reached, exact_ms);
  std::fflush(stdout);
}

// Guests with a range each and one whose 16 steps are worth nothing.
Auction WorthlessStepsAuction(bool has_steps) {
  Auction auction = RangesAuction(27, 65'536, 1);
  auction.reserve_unit_price_microcredits = 0;
  Bid& bid = auction.bids.emplace_back();
  bid.guest_id = 28;
  for (int64_t step = 1; has_steps && step <= kRangesMax; ++step) {
    bid.ranges.push_back({step * 4'000, step * 4'000, 0, 0});
  }
  return auction;
}

// Steps of even width, each unit worth the same, and one unit that no two of them can fill: prices
// say nothing of who wins, and what is reached stays below every bound.
Auction EvenStepsAuction(int64_t bids, int64_t capacity_units, uint64_t seed) {
  BenchRandom random(seed);
  Auction auction;
  auction.capacity_units = capacity_units | 1;
  auction.seed = seed;
  for (int64_t i = 1; i <= bids; ++i) {
    const int64_t units = 2 * random.Between(capacity_units / 20, capacity_units / 5);
    auction.bids.push_back({static_cast<GuestId>(i), {{units, units, 1'000'000 * units, 0}}, 0});
  }
  return auction;
}

void Budgets() {
  bench::PrintWork("a period of 1 s, 3 or 6 resources: what a budget of work buys");
  PrintWithin("10,000 concave bids x 4 ranges, 65,536 units", ConcaveAuction(10'000, 65'536, 4),
              BudgetOf(6));
  PrintWithin("65,536 concave bids x 4 ranges, 65,536 units", ConcaveAuction(65'536, 65'536, 4),
              BudgetOf(6));
  PrintWithin("27 bids, one range each", WorthlessStepsAuction(false), BudgetOf(6));
  PrintWithin("the same and one with 16 worthless steps", WorthlessStepsAuction(true), BudgetOf(6));
  PrintWithin("32 bids x 4 ranges x 2^20 units", RangesAuction(32, 1 << 20, 4), BudgetOf(6));
  PrintWithin("1,000 bids x 3 ranges x 65,536 units", RangesAuction(1'000, 65'536, 3), BudgetOf(6));
  PrintWithin("32 even steps in an odd capacity of 2^18 + 1", EvenStepsAuction(32, 1 << 18, 1),
              BudgetOf(6));
}

void PrintStep(const std::string& what, std::string_view rule, const Auction& auction) {
  // So much that the rule is exact.
  constexpr int64_t kEnough = 1'000 * kWorkASecond;
  int64_t steps = 0;
  MustBeExact(MustClear(ClearWithin(rule, auction, kEnough, &steps)));
  const double ms =
      bench::MedianMs([&] { bench::DoNotOptimize(ClearWithin(rule, auction, kEnough)); }, 0.2);
  std::printf("  %-58s %10.4g ms, %.4g million steps: %.3g ns a step, promised %.3g\n",
              what.c_str(), ms, static_cast<double>(steps) / 1e6,
              ms * 1e6 / static_cast<double>(std::max<int64_t>(1, steps)),
              1e9 / static_cast<double>(kWorkASecond));
  std::fflush(stdout);
}

void Steps() {
  bench::PrintWork("what a step of counted work takes, by route");
  PrintStep("selection, 1,000 concave bids", "mpsp/1", ConcaveAuction(1'000, 16'384, 4));
  PrintStep("selection, 10,000 concave bids", "mpsp/1", ConcaveAuction(10'000, 65'536, 4));
  PrintStep("selection with a penalty, 1,000 concave bids", "mpsp/1",
            WithHoldings(ConcaveAuction(1'000, 4'096, 4), 300'000, 8));
  PrintStep("uniform_price, 10,000 concave bids", "uniform_price/1",
            ConcaveAuction(10'000, 65'536, 4));
  PrintStep("32 bids x 4 ranges x 2^18 units", "mpsp/1", RangesAuction(32, 1 << 18, 4));
  PrintStep("32 bids x 16 ranges x 4,096 units", "mpsp/1", RangesAuction(32, 4'096, 16));
  PrintStep("core, 256 bids, few winners", "mpsp/1", RangesAuction(256, 4'096, 3));
  PrintStep("core, 1,000 bids, many winners", "mpsp/1",
            SmallRangesAuction(1'000, 4'096, 3, 15, false));
  PrintStep("core, 1,000 bids, many winners alike", "mpsp/1",
            SmallRangesAuction(1'000, 4'096, 3, 15, true));
  PrintStep("steps worth nearly the same, 64 bids", "mpsp/1",
            SmallRangesAuction(64, 1'024, 8, 40, true));
  PrintStep("64 even steps in an odd capacity of 4,097", "mpsp/1", EvenStepsAuction(64, 4'096, 1));
  PrintStep("32 even steps in an odd capacity of 2^18 + 1", "mpsp/1",
            EvenStepsAuction(32, 1 << 18, 1));
  PrintStep("proportional_share, 10,000 bids", "proportional_share/1",
            RangesAuction(10'000, 65'536, 3));
  PrintStep("posted_price, 10,000 bids", "posted_price/1", RangesAuction(10'000, 65'536, 3));
}

}  // namespace
}  // namespace nom::policies

int main() {
  nom::policies::Sizes();
  nom::policies::SelectionAtRoundSizes();
  nom::policies::Cliffs();
  nom::policies::Budgets();
  nom::policies::Steps();
}
