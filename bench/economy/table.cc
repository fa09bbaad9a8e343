// SPDX-License-Identifier: Apache-2.0
#include "bench/economy/table.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace nom::economy {

std::string Table::Text() const {
  std::vector<size_t> widths(rows_.front().size(), 3);
  for (const auto& row : rows_) {
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  std::string text;
  for (size_t r = 0; r < rows_.size(); ++r) {
    for (size_t c = 0; c < rows_[r].size(); ++c) {
      const std::string padding(widths[c] - rows_[r][c].size(), ' ');
      text += "| " + (c == 0 ? rows_[r][c] + padding : padding + rows_[r][c]) + ' ';
    }
    text += "|\n";
    if (r > 0) continue;
    for (size_t c = 0; c < widths.size(); ++c) {
      text += c == 0 ? '|' + std::string(widths[c] + 2, '-')
                     : '|' + std::string(widths[c] + 1, '-') + ':';
    }
    text += "|\n";
  }
  return text;
}

std::string Fixed(double value, int digits) {
  std::array<char, 64> text;
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return text.data();
}

std::string Percent(double share, int digits) { return Fixed(100 * share, digits) + " %"; }

}  // namespace nom::economy
