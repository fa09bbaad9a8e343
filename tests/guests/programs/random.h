// SPDX-License-Identifier: Apache-2.0
// Random numbers that a seed repeats (G. Marsaglia, "Xorshift RNGs", 2003).

#ifndef TESTS_GUESTS_PROGRAMS_RANDOM_H_
#define TESTS_GUESTS_PROGRAMS_RANDOM_H_

#include <cstdint>

namespace nom::guest::tests {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15 + 88172645463325252) {}
  uint64_t Next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  uint64_t Below(uint64_t bound) { return Next() % bound; }

 private:
  uint64_t state_;
};

}  // namespace nom::guest::tests

#endif  // TESTS_GUESTS_PROGRAMS_RANDOM_H_
