// SPDX-License-Identifier: Apache-2.0
// The one source of numbers that look random in policies/: a bijection of 64-bit words.

#ifndef NOM_POLICIES_MIX_H_
#define NOM_POLICIES_MIX_H_

#include <stdint.h>

namespace nom::policies {

// Leaves no visible pattern: the finaliser of splitmix64 (Steele, Lea, Flood: Fast splittable
// pseudorandom number generators, 2014). Recorded rounds are replayed, so it can never change.
constexpr uint64_t Mix(uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9;
  x ^= x >> 27;
  x *= 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace nom::policies

#endif  // NOM_POLICIES_MIX_H_
