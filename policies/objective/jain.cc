// SPDX-License-Identifier: Apache-2.0
#include "policies/objective/jain.h"

#include "policies/clearing/int128.h"

namespace nom::policies {

std::optional<int64_t> JainIndexPpm(std::span<const int64_t> shares_ppm) {
  // Below 2^36 and below 2^56; all that is multiplied here stays below 2^92.
  Int128 sum = 0;
  Int128 squares = 0;
  for (const int64_t share : shares_ppm) {
    sum += share;
    squares += Int128{share} * share;
  }
  if (squares == 0) return std::nullopt;
  constexpr int64_t kMillion = 1'000'000;
  return static_cast<int64_t>(sum * sum * kMillion /
                              (static_cast<Int128>(shares_ppm.size()) * squares));
}

}  // namespace nom::policies
