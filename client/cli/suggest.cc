// SPDX-License-Identifier: Apache-2.0
#include "client/cli/suggest.h"

#include <algorithm>

namespace nom::cli {

int EditDistance(absl::string_view a, absl::string_view b) {
  // Row i holds the distances between the first i letters of `a` and every prefix of `b`.
  std::vector<std::vector<int>> rows(a.size() + 1, std::vector<int>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        rows[i][j] = static_cast<int>(i + j);
        continue;
      }
      const int replaced = rows[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      rows[i][j] = std::min({replaced, rows[i - 1][j] + 1, rows[i][j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        rows[i][j] = std::min(rows[i][j], rows[i - 2][j - 2] + 1);
      }
    }
  }
  return rows[a.size()][b.size()];
}

std::string Closest(absl::string_view typed, const std::vector<std::string>& known) {
  // A third of the letters may be wrong, and two at the most: what is further away is a guess.
  int nearest = std::min(2, static_cast<int>(typed.size() + 2) / 3) + 1;
  std::string found;
  for (const std::string& word : known) {
    const int distance = EditDistance(typed, word);
    if (distance >= nearest) continue;
    nearest = distance;
    found = word;
  }
  return found;
}

}  // namespace nom::cli
