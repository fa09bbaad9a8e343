// SPDX-License-Identifier: Apache-2.0
// Integer arithmetic that the example guests share: there is no floating point on nomhv.

#ifndef CLIENT_EXAMPLES_GUESTS_COMMON_INTEGERS_H_
#define CLIENT_EXAMPLES_GUESTS_COMMON_INTEGERS_H_

#include <cstdint>
#include <limits>

namespace nom::examples {

// Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014): the output function.
constexpr uint64_t Mix(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

// The same sequence from the same seed, everywhere.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() { return Mix(state_ += 0x9e3779b97f4a7c15); }
  // 0 to bound - 1; bound is not 0. Its bias, below bound / 2^64, does not matter here.
  uint64_t Below(uint64_t bound) { return Next() % bound; }

 private:
  uint64_t state_;
};

// a * b / c rounded down, over 128 bits; the largest number if that does not fit. c is not 0. By
// the processor's own division, as 128 bits would need the compiler's library.
inline uint64_t MulDiv(uint64_t a, uint64_t b, uint64_t c) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  const auto high = static_cast<uint64_t>(product >> 64);
  if (high >= c) return std::numeric_limits<uint64_t>::max();
  uint64_t quotient = 0;
  uint64_t remainder = high;
  asm("divq %3"
      : "=a"(quotient), "+d"(remainder)
      : "a"(static_cast<uint64_t>(product)), "r"(c)
      : "cc");
  return quotient;
}

// For money: MulDiv held to `max`.
inline int64_t MoneyMulDiv(uint64_t a, uint64_t b, uint64_t c, int64_t max) {
  const uint64_t result = MulDiv(a, b, c);
  return result > static_cast<uint64_t>(max) ? max : static_cast<int64_t>(result);
}

}  // namespace nom::examples

#endif  // CLIENT_EXAMPLES_GUESTS_COMMON_INTEGERS_H_
