// SPDX-License-Identifier: Apache-2.0
#include "bench/economy/ginseng_study.h"

#include <array>

#include "bench/economy/simulation.h"

namespace nom::economy {
namespace {

// Welfare of mpsp, static split, hinting, most hits; then of the optimum.
using Welfares = std::array<double, 5>;

absl::StatusOr<Welfares> Run(const SimulationOptions& options) {
  const auto run = Simulate(options, {Rule("mpsp/1"), StaticSplit(), Hinting(), MostHits()});
  if (!run.ok()) return run.status();
  Welfares sums = {};
  for (size_t round = 0; round < run->optimum_microcredits.size(); ++round) {
    for (size_t m = 0; m < run->mechanisms.size(); ++m) {
      sums[m] += static_cast<double>(run->mechanisms[m].rounds[round].welfare_microcredits);
    }
    sums[4] += static_cast<double>(run->optimum_microcredits[round]);
  }
  return sums;
}

GinsengResult Ratios(const WorkloadOptions& workload, const Welfares& sums) {
  GinsengResult result;
  result.square = workload.square;
  result.pressure = static_cast<double>(workload.pressure_ppm) / kPpm;
  result.market_share = sums[0] / sums[4];
  result.over_static = sums[0] / sums[1];
  result.over_hinting = sums[0] / sums[2];
  result.over_hits = sums[0] / sums[3];
  return result;
}

// Idle units are worth next to nothing to the operator here, and nobody comes or goes.
SimulationOptions FewGuests(const GinsengOptions& options, int guests, int64_t units) {
  SimulationOptions simulation;
  simulation.rounds = options.rounds;
  simulation.reserve_unit_price_microcredits = 1;
  simulation.workload.seed = options.seed;
  simulation.workload.guests = guests;
  simulation.workload.capacity_units = units;
  simulation.workload.stay_rounds = 0;
  return simulation;
}

}  // namespace

absl::StatusOr<std::vector<GinsengResult>> GinsengMemory(const GinsengOptions& options) {
  std::vector<GinsengResult> results;
  for (const bool square : {false, true}) {
    for (const int64_t pressure_percent : {100, 150, 200, 300, 500, 800, 1'200}) {
      SimulationOptions simulation = FewGuests(options, 16, 512);
      simulation.workload.square = square;
      simulation.workload.pressure_ppm = pressure_percent * kPpm / 100;
      Welfares sums = {};
      for (int i = 0; i < options.seeds; ++i) {
        simulation.workload.seed = options.seed + static_cast<uint64_t>(i);
        const auto one = Run(simulation);
        if (!one.ok()) return one.status();
        for (size_t m = 0; m < sums.size(); ++m) sums[m] += (*one)[m];
      }
      results.push_back(Ratios(simulation.workload, sums));
    }
  }
  return results;
}

absl::StatusOr<std::vector<GinsengResult>> GinsengCache(const GinsengOptions& options) {
  std::vector<GinsengResult> results;
  for (int i = 0; i < options.seeds; ++i) {
    SimulationOptions simulation = FewGuests(options, 10, 20);
    simulation.workload.seed = options.seed + static_cast<uint64_t>(i);
    simulation.workload.diminishing_percent = 0;
    simulation.workload.hits_percent = 100;
    simulation.workload.square = true;
    simulation.workload.pressure_ppm = 5 * kPpm;
    const auto one = Run(simulation);
    if (!one.ok()) return one.status();
    results.push_back(Ratios(simulation.workload, *one));
  }
  return results;
}

}  // namespace nom::economy
