// SPDX-License-Identifier: Apache-2.0
// What a program pays for deciding: the best of its working points at new prices, by table, by the
// table's path without vectors, and by the plain loop over the same points in the same run. Prices
// change before each search. One core; medians.
//
//   bidding_bench --benchmark_repetitions=5 --benchmark_report_aggregates_only=true

#include <benchmark/benchmark.h>

#include <array>
#include <cstdint>
#include <vector>

#include "policies/bidding/working_points.h"
#include "policies/mix.h"

namespace nom::policies {
namespace {

__extension__ using Wide = __int128;

constexpr int kPriceSets = 64;

// Points of which none beats another, and prices of that many resources at which points from the
// whole table are best.
class Workload {
 public:
  Workload(int points, int resources) : blocks_(static_cast<size_t>(PointBlocksFor(points))) {
    uint64_t state = 1;
    const auto below = [&](uint64_t bound) {
      return static_cast<int64_t>(Mix(state += 0x9e3779b97f4a7c15) % bound);
    };
    WorkingPointTable table(blocks_.data(), static_cast<int>(blocks_.size()));
    while (table.count() < points) {
      // Diminishing returns in each resource, and some points that are better than others.
      WorkingPoint p{.knob = table.count(), .value_microcredits = below(4'000)};
      for (int r = 0; r < resources; ++r) {
        p.units[r] = below(16'000);
        p.value_microcredits += 40'000 * p.units[r] - p.units[r] * p.units[r];
      }
      if (table.Add(p) != PointError::kOk) break;
    }
    for (int i = 0; i < table.count(); ++i) points_.push_back(table.point(i));
    for (auto& prices : prices_) {
      for (int r = 0; r < resources; ++r) prices[static_cast<size_t>(r)] = 8'000 + below(32'000);
    }
  }

  std::vector<PointBlock>& blocks() { return blocks_; }
  const std::vector<WorkingPoint>& points() const { return points_; }
  const Microcredits* prices() { return prices_[next_++ % kPriceSets].data(); }

 private:
  std::vector<PointBlock> blocks_;
  std::vector<WorkingPoint> points_;
  std::array<std::array<Microcredits, kPointResourcesMax>, kPriceSets> prices_ = {};
  size_t next_ = 0;
};

// Arguments of all: points, resources.
void BestPointByTable(benchmark::State& state) {
  Workload load(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  WorkingPointTable table(load.blocks().data(), static_cast<int>(load.blocks().size()));
  for (const WorkingPoint& p : load.points()) {
    if (table.Add(p) != PointError::kOk) state.SkipWithError("a point was refused");
  }
  for (auto _ : state) benchmark::DoNotOptimize(table.BestAt(load.prices()));
}

void BestPointByWords(benchmark::State& state) {
  Workload load(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  const auto blocks = static_cast<int>(load.blocks().size());
  for (auto _ : state) {
    const Microcredits* prices = load.prices();
    PricedResource priced[kPointResourcesMax];
    int count = 0;
    for (int r = 0; r < kPointResourcesMax; ++r) {
      if (prices[r] > 0) priced[count++] = {r, prices[r]};
    }
    benchmark::DoNotOptimize(BestPlaceByWords(load.blocks().data(), blocks, priced, count));
  }
}

void BestPointByPlainLoop(benchmark::State& state) {
  Workload load(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  for (auto _ : state) {
    const Microcredits* prices = load.prices();
    int best = -1;
    Wide best_surplus = 0;
    for (size_t i = 0; i < load.points().size(); ++i) {
      const WorkingPoint& p = load.points()[i];
      Wide surplus = p.value_microcredits;
      for (int r = 0; r < kPointResourcesMax; ++r) surplus -= Wide{p.units[r]} * prices[r];
      if (surplus > best_surplus) {
        best_surplus = surplus;
        best = static_cast<int>(i);
      }
    }
    benchmark::DoNotOptimize(best);
  }
}

void Sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"points", "resources"})->ArgsProduct({{10, 100, 1'000, 4'000}, {1, 2, 6}});
}
BENCHMARK(BestPointByTable)->Apply(Sizes);
BENCHMARK(BestPointByWords)->Apply(Sizes);
BENCHMARK(BestPointByPlainLoop)->Apply(Sizes);

}  // namespace
}  // namespace nom::policies

BENCHMARK_MAIN();
