// SPDX-License-Identifier: Apache-2.0
// The market against what clouds do, in the two settings of Ginseng: memory (VEE 2014, abstract:
// 83 to 100 % of the optimum, 6.2 to 15.8 times the welfare of hinting and static division) and the
// ways of a shared cache (ATC 2016, abstract: up to 42.8 times).
//
// The papers' machines, programs and valuations are not these: here are the simulator's guests, on
// a host with few of them, as there.

#ifndef NOM_BENCH_ECONOMY_GINSENG_STUDY_H_
#define NOM_BENCH_ECONOMY_GINSENG_STUDY_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"

namespace nom::economy {

// Welfare over the whole run; everything else a run of mpsp's market beside it.
struct GinsengResult {
  bool square = false;      // Worth rises with the square of the performance.
  double pressure = 0;      // All working sets together / what there is.
  double market_share = 0;  // Of the clairvoyant optimum.
  double over_static = 0;   // The market's welfare / that of a static split,
  double over_hinting = 0;  // of hinting,
  double over_hits = 0;     // and of the host that knows all hit curves.
};

struct GinsengOptions {
  uint64_t seed = 1;
  int seeds = 5;  // Runs added up.
  int64_t rounds = 100;
};

// 16 guests of all kinds on 512 lots, by pressure.
absl::StatusOr<std::vector<GinsengResult>> GinsengMemory(const GinsengOptions& options);

// 10 guests with cliffs in their hit curves on 20 ways: one result a seed, not added up.
absl::StatusOr<std::vector<GinsengResult>> GinsengCache(const GinsengOptions& options);

}  // namespace nom::economy

#endif  // NOM_BENCH_ECONOMY_GINSENG_STUDY_H_
