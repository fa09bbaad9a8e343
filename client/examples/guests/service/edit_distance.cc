// SPDX-License-Identifier: Apache-2.0
#include "client/examples/guests/service/edit_distance.h"

#include <algorithm>
#include <array>

namespace nom::examples {

uint32_t EditDistance(std::string_view left, std::string_view right) {
  // One row of the table at a time: row[j] is the distance between the part of `left` so far and
  // the first j letters of `right`.
  std::array<uint32_t, kTextBytesMax + 1> row;
  right = right.substr(0, std::min(right.size(), kTextBytesMax));
  for (uint32_t j = 0; j <= right.size(); ++j) row[j] = j;
  for (size_t i = 0; i < left.size(); ++i) {
    uint32_t diagonal = row[0]++;
    for (size_t j = 0; j < right.size(); ++j) {
      const uint32_t replaced = diagonal + (left[i] == right[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
    }
  }
  return row[right.size()];
}

}  // namespace nom::examples
