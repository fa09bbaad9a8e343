// SPDX-License-Identifier: Apache-2.0
// Random numbers for the benches' inputs: the same on every machine.

#ifndef NOM_BENCH_POLICIES_BENCH_RANDOM_H_
#define NOM_BENCH_POLICIES_BENCH_RANDOM_H_

#include <cstdint>

#include "policies/mix.h"

namespace nom::policies {

class BenchRandom {
 public:
  explicit BenchRandom(uint64_t seed) : state_(Mix(seed + 0x9e3779b97f4a7c15)) {}

  uint64_t Next() { return Mix(state_ += 0x9e3779b97f4a7c15); }
  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>((Next() >> 11) % static_cast<uint64_t>(high - low + 1));
  }
  // In [0, 1).
  double Uniform() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

 private:
  uint64_t state_;
};

}  // namespace nom::policies

#endif  // NOM_BENCH_POLICIES_BENCH_RANDOM_H_
