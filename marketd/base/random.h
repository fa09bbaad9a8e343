// SPDX-License-Identifier: Apache-2.0
// Chance from a seed: the same numbers on every machine (SplitMix64, Steele, Lea and Flood,
// OOPSLA 2014). Not for secrets.

#ifndef MARKETD_BASE_RANDOM_H_
#define MARKETD_BASE_RANDOM_H_

#include <cstdint>
#include <string_view>

namespace nom {

// Scrambles 64 bits; a bijection.
constexpr uint64_t Mix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// FNV-1a. Stable over releases and machines: it is written into ledgers.
constexpr uint64_t Hash64(std::string_view bytes, uint64_t seed = 0xcbf29ce484222325u) {
  uint64_t hash = seed;
  for (char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    const uint64_t out = Mix64(state_);
    state_ += 0x9e3779b97f4a7c15u;
    return out;
  }

  // In [low, high]. Requires low <= high and high - low < 2^63. The bias is below 2^-32 for spans
  // below 2^32, which is all that tests and simulations need.
  int64_t Uniform(int64_t low, int64_t high) {
    const uint64_t span = static_cast<uint64_t>(high - low) + 1;
    return low + static_cast<int64_t>(Next() % span);
  }

  // True once in `n` on average; never if n is 0.
  bool OneIn(uint64_t n) { return n != 0 && Next() % n == 0; }

 private:
  uint64_t state_;
};

}  // namespace nom

#endif  // MARKETD_BASE_RANDOM_H_
