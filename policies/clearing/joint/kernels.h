// SPDX-License-Identifier: Apache-2.0
// The inner loops of the joint rule, on vectors of four. Inside policies/clearing/joint only.
//
// Written with the compiler's vector types, so the same source serves every processor; where the
// machine has AVX2 a second compilation of it is chosen when the program starts. Both give the same
// bits: each lane does the same operations in the same order, and none are contracted.

#ifndef NOM_POLICIES_CLEARING_JOINT_KERNELS_H_
#define NOM_POLICIES_CLEARING_JOINT_KERNELS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "policies/clearing/joint/joint_auction.h"

namespace nom::policies::joint {

using UnitColumns = std::array<const int32_t*, kJointResourcesMax>;

// Of each resource's units, those from `begin` on.
inline UnitColumns ColumnsFrom(const std::array<std::vector<int32_t>, kJointResourcesMax>& units,
                               size_t begin) {
  UnitColumns columns;
  for (size_t r = 0; r < columns.size(); ++r) columns[r] = units[r].data() + begin;
  return columns;
}

// out[i] = gain[i] - sum over the first `resource_count` r of prices[r] * units[r][i].
void ReducedGains(const double* gain, const UnitColumns& units, const double* prices,
                  int resource_count, size_t count, double* out);

// The largest of `count` values, at least 1; none is a NaN.
double Largest(const double* values, size_t count);

// out[i] = max(out[i], in[i] + gain).
void MaxPlus(double* out, const double* in, double gain, size_t count);

}  // namespace nom::policies::joint

#endif  // NOM_POLICIES_CLEARING_JOINT_KERNELS_H_
