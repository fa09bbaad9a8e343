// SPDX-License-Identifier: Apache-2.0
// Chance for the simulator: the same numbers on every machine, for ever, from one seed.
//
// Nothing of <random>, whose distributions differ between libraries. Where a real number is needed
// only square roots and products are used, which IEEE 754 defines to the last bit.

#ifndef NOM_BENCH_ECONOMY_RANDOM_H_
#define NOM_BENCH_ECONOMY_RANDOM_H_

#include <cmath>
#include <cstdint>

#include "policies/mix.h"

namespace nom::economy {

// A stream of its own for every (seed, stream): adding a guest does not change another's draws.
class Random {
 public:
  explicit Random(uint64_t seed, uint64_t stream = 0)
      : state_(policies::Mix(policies::Mix(seed + kStep) ^ (stream * 0xd1342543de82ef95))) {}

  uint64_t Next() {
    state_ += kStep;
    return policies::Mix(state_);
  }
  // Uniform in [low, high], both included; high - low < 2^53.
  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>((Next() >> 11) % static_cast<uint64_t>(high - low + 1));
  }
  bool OneIn(int64_t n) { return Between(1, n) == 1; }
  // Uniform in (0, 1].
  double Unit() { return static_cast<double>((Next() >> 11) + 1) * 0x1p-53; }

 private:
  static constexpr uint64_t kStep = 0x9e3779b97f4a7c15;
  uint64_t state_;
};

// base^exponent for base > 0 and 0 <= exponent < 1, by one square root for each binary digit of the
// exponent. Accurate to about 1e-9, and the same bits everywhere.
inline double PowBelowOne(double base, double exponent) {
  double result = 1;
  for (int digit = 0; digit < 32; ++digit) {
    base = std::sqrt(base);
    exponent += exponent;
    if (exponent >= 1) {
      exponent -= 1;
      result *= base;
    }
  }
  return result;
}

// Lomax (Pareto II) with index log4 5 = 1.161, at which a fifth of the people of a Pareto world own
// four fifths of it: scale * (u^(-1 / index) - 1), u uniform. Its mean is scale / (index - 1), 6.2
// times the scale; its variance is infinite, so single guests may own most of a market. u is at
// least 2^-20, so no draw is above 155,000 times the scale.
inline constexpr double kLomaxInverseIndex = 0.861353116146786101;  // log5 4.

inline int64_t Lomax(Random& random, int64_t scale) {
  const double u = std::fmax(random.Unit(), 0x1p-20);
  return static_cast<int64_t>(static_cast<double>(scale) *
                              (PowBelowOne(1 / u, kLomaxInverseIndex) - 1));
}

}  // namespace nom::economy

#endif  // NOM_BENCH_ECONOMY_RANDOM_H_
