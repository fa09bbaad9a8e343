// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/joint/kernels.h"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__)
// Clang 14 has no such attribute; under TSan the choice at start-up comes before its runtime.
#define NOM_JOINT_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define NOM_JOINT_CLONES
#endif

namespace nom::policies::joint {
namespace {

constexpr size_t kLanes = 4;
typedef double Doubles __attribute__((vector_size(kLanes * sizeof(double))));
typedef int32_t Integers __attribute__((vector_size(kLanes * sizeof(int32_t))));

}  // namespace

NOM_JOINT_CLONES void ReducedGains(const double* gain, const UnitColumns& units,
                                   const double* prices, int resource_count, size_t count,
                                   double* out) {
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    Doubles sum;
    std::memcpy(&sum, gain + i, sizeof(sum));
    for (int r = 0; r < resource_count; ++r) {
      Integers used;
      std::memcpy(&used, units[static_cast<size_t>(r)] + i, sizeof(used));
      sum -= prices[r] * __builtin_convertvector(used, Doubles);
    }
    std::memcpy(out + i, &sum, sizeof(sum));
  }
  for (; i < count; ++i) {
    double sum = gain[i];
    for (int r = 0; r < resource_count; ++r) sum -= prices[r] * units[static_cast<size_t>(r)][i];
    out[i] = sum;
  }
}

NOM_JOINT_CLONES double Largest(const double* values, size_t count) {
  double largest = values[0];
  size_t i = 0;
  if (count >= kLanes) {
    Doubles best;
    std::memcpy(&best, values, sizeof(best));
    for (i = kLanes; i + kLanes <= count; i += kLanes) {
      Doubles more;
      std::memcpy(&more, values + i, sizeof(more));
      best = more > best ? more : best;
    }
    for (size_t lane = 0; lane < kLanes; ++lane) largest = std::max(largest, best[lane]);
  }
  for (; i < count; ++i) largest = std::max(largest, values[i]);
  return largest;
}

NOM_JOINT_CLONES void MaxPlus(double* out, const double* in, double gain, size_t count) {
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    Doubles had;
    Doubles more;
    std::memcpy(&had, out + i, sizeof(had));
    std::memcpy(&more, in + i, sizeof(more));
    more += gain;
    had = more > had ? more : had;
    std::memcpy(out + i, &had, sizeof(had));
  }
  for (; i < count; ++i) out[i] = std::max(out[i], in[i] + gain);
}

}  // namespace nom::policies::joint
