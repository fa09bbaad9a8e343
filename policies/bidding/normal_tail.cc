// SPDX-License-Identifier: Apache-2.0
#include "policies/bidding/normal_tail.h"

namespace nom::policies {
namespace {

__extension__ using Wide = __int128;  // Only multiplied and shifted.

// Inside, numbers have a fraction of 56 bits.
constexpr int kBits = 56;
constexpr int64_t kOne = int64_t{1} << kBits;
constexpr int64_t kDensityAtMean = 28'746'820'885'731'650;  // 1 / sqrt(2 pi)

// The density and the tail are known at nodes a sixteenth apart, and followed from the node below
// by the density's own power series. At the last node the tail rounds to 0.
constexpr int kStepBits = kDeviationBits - 4;
constexpr int64_t kStep = int64_t{1} << kStepBits;
constexpr int kNodes = 104;  // Up to 6.5.
// With so many terms what is left out is less than what rounding takes, up to the last node.
constexpr int kTerms = 10;

// How the density goes on from z to z + t: as a multiple of the density at z.
struct GoesOn {
  int64_t density;  // There.
  int64_t area;     // Below it, from z to z + t.
};

// phi' = -z phi gives the terms of phi(z + t) / phi(z), from phi'' = -(z phi)' on:
//   term(0) = 1,  (n + 1) term(n + 1) = -(z t term(n) + t t term(n - 1)).
constexpr GoesOn Follow(int64_t z, int64_t t) {
  const int64_t zt = z * t;  // A fraction of 2 kDeviationBits, as is tt.
  const int64_t tt = t * t;
  int64_t before = 0;
  int64_t term = kOne;
  int64_t density = 0;
  int64_t mean = 0;
  for (int n = 1; n <= kTerms; ++n) {
    density += term;
    mean += term / n;
    const auto next = -static_cast<int64_t>(
        ((Wide{zt} * term >> (2 * kDeviationBits)) + (Wide{tt} * before >> (2 * kDeviationBits))));
    before = term;
    term = next / n;
  }
  return {density, static_cast<int64_t>(Wide{mean} * t >> kDeviationBits)};
}

constexpr int64_t Times(int64_t a, int64_t b) { return static_cast<int64_t>(Wide{a} * b >> kBits); }

struct Node {
  int64_t density = kDensityAtMean;
  int64_t tail = kOne / 2;
};

struct Nodes {
  Node at[kNodes];
};

consteval Nodes MakeNodes() {
  Nodes nodes;
  for (int i = 1; i < kNodes; ++i) {
    const Node& before = nodes.at[i - 1];
    const GoesOn step = Follow((i - 1) * kStep, kStep);
    nodes.at[i].density = Times(before.density, step.density);
    nodes.at[i].tail = before.tail - Times(before.density, step.area);
  }
  return nodes;
}

constexpr Nodes kTable = MakeNodes();

// Rounds towards minus infinity; divisor > 0.
int64_t FloorDivide(int64_t dividend, int64_t divisor) {
  const int64_t quotient = dividend / divisor;
  return dividend % divisor < 0 ? quotient - 1 : quotient;
}

}  // namespace

int64_t NormalTail(int64_t z) {
  constexpr int64_t kEnd = kNodes * kStep;
  if (z >= kEnd) return 0;
  if (z <= -kEnd) return kCertain;
  if (z < 0) return kCertain - NormalTail(-z);
  const Node& node = kTable.at[z >> kStepBits];
  const int64_t t = z & (kStep - 1);
  const int64_t tail = node.tail - Times(node.density, Follow(z - t, t).area);
  constexpr int kDropped = kBits - kProbabilityBits;
  return (tail + (int64_t{1} << (kDropped - 1))) >> kDropped;
}

int64_t ChanceAbove(int64_t limit, int64_t mean, int64_t deviation) {
  if (deviation == 0) return mean > limit ? kCertain : 0;
  return NormalTail(FloorDivide((limit - mean) * (int64_t{1} << kDeviationBits), deviation));
}

}  // namespace nom::policies
