// SPDX-License-Identifier: Apache-2.0
// What a look at the prices costs a program: alone, with other readers, and while they are written.
//
// The board is what Session::prices(), UnitPrice() and stale() read, without the pointer to get
// there.

#include <benchmark/benchmark.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>

#include "client/src/price_board.h"
#include "nom/clock.h"

namespace nom::client {
namespace {

Prices MakePrices(int64_t number) {
  Prices prices;
  prices.round_id = static_cast<uint64_t>(number);
  prices.stale = false;
  for (Price& price : prices.by_resource) {
    price = {.offered = true, .unit_price_microcredits = number};
  }
  return prices;
}

PriceBoard& Board() {
  static PriceBoard* const board = [] {
    auto* made = new PriceBoard;
    made->Write(MakePrices(1));
    return made;
  }();
  return *board;
}

void ReadPrices(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(Board().Read());
}
BENCHMARK(ReadPrices)->ThreadRange(1, 4)->UseRealTime();

void ReadUnitPrice(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(Board().UnitPrice(Resource::kMemory));
}
BENCHMARK(ReadUnitPrice);

void ReadStale(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(Board().IsStaleAt(SessionClock::Real().Steady()));
}
BENCHMARK(ReadStale);

// The writer writes as fast as it can, a million times as often as a market.
void ReadPricesWhileWritten(benchmark::State& state) {
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int64_t number = 1; !stop.load(std::memory_order_relaxed); ++number) {
      Board().Write(MakePrices(number));
    }
  });
  for (auto _ : state) benchmark::DoNotOptimize(Board().Read());
  stop = true;
  writer.join();
}
BENCHMARK(ReadPricesWhileWritten)->UseRealTime();

// What it would cost with a lock, for the ratio.
void ReadPricesUnderAMutex(benchmark::State& state) {
  static std::mutex mutex;
  static Prices prices = MakePrices(1);
  for (auto _ : state) {
    std::lock_guard lock(mutex);
    benchmark::DoNotOptimize(Prices(prices));
  }
}
BENCHMARK(ReadPricesUnderAMutex)->ThreadRange(1, 4)->UseRealTime();

}  // namespace
}  // namespace nom::client

BENCHMARK_MAIN();
