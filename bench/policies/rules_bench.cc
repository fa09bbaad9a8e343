// SPDX-License-Identifier: Apache-2.0
// Rounds cleared a second, by rule and size, every charge included. One core; medians.
//
//   rules_bench --benchmark_repetitions=5 --benchmark_report_aggregates_only=true

#include <benchmark/benchmark.h>

#include <cstdlib>

#include "bench/policies/auctions.h"
#include "policies/cases/case_file.h"
#include "policies/clearing/mpsp.h"
#include "policies/clearing/uniform_price.h"

namespace nom::policies {
namespace {

template <typename Rule>
void Clear(benchmark::State& state, const Auction& auction, const Rule& rule) {
  for (auto _ : state) {
    auto clearing = rule(auction);
    if (!clearing.ok()) state.SkipWithError(std::string(clearing.status().message()).c_str());
    benchmark::DoNotOptimize(clearing);
  }
  state.counters["rounds_a_second"] =
      benchmark::Counter(static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

// Arguments: bids, units.
void UniformPrice(benchmark::State& state) {
  Clear(state, ConcaveAuction(state.range(0), state.range(1), 4),
        [](const Auction& a) { return ClearUniformPrice(a); });
}
BENCHMARK(UniformPrice)
    ->ArgNames({"bids", "units"})
    ->ArgsProduct({{10, 100, 1'000, 10'000, 65'536}, {1'024, 16'384}})
    ->Unit(benchmark::kMicrosecond);

void MpspRanges(benchmark::State& state) {
  Clear(state, RangesAuction(state.range(0), state.range(1), 3),
        [](const Auction& a) { return ClearMpsp(a); });
}
BENCHMARK(MpspRanges)
    ->ArgNames({"bids", "units"})
    ->ArgsProduct({{10, 100, 1'000}, {1'024, 4'096, 16'384}})
    ->Args({256, 16'384})
    ->Args({10'000, 1'024})
    ->Args({1'000, 65'536})
    ->Unit(benchmark::kMillisecond);

void MpspConcave(benchmark::State& state) {
  Clear(state, ConcaveAuction(state.range(0), state.range(1), 4),
        [](const Auction& a) { return ClearMpsp(a); });
}
BENCHMARK(MpspConcave)
    ->ArgNames({"bids", "units"})
    ->ArgsProduct({{10, 100, 1'000, 10'000, 65'536}, {1'024, 16'384}})
    ->Unit(benchmark::kMillisecond);

// What the ledger does with every round.
void ToTextOfAuction(benchmark::State& state) {
  const Auction auction = ConcaveAuction(state.range(0), 1'024, 4);
  for (auto _ : state) benchmark::DoNotOptimize(ToText(auction));
}
BENCHMARK(ToTextOfAuction)->ArgName("bids")->Arg(100)->Arg(10'000)->Unit(benchmark::kMicrosecond);

void Validate(benchmark::State& state) {
  const Auction auction = ConcaveAuction(state.range(0), 1'024, 4);
  for (auto _ : state) benchmark::DoNotOptimize(ValidateAuction(auction));
}
BENCHMARK(Validate)->ArgName("bids")->Arg(1'000)->Arg(65'536)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace nom::policies

BENCHMARK_MAIN();
