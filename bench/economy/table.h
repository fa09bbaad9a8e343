// SPDX-License-Identifier: Apache-2.0
// Tables as text that people read in a terminal and Markdown shows as a table.

#ifndef NOM_BENCH_ECONOMY_TABLE_H_
#define NOM_BENCH_ECONOMY_TABLE_H_

#include <string>
#include <vector>

namespace nom::economy {

class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}

  // As many cells as the header has.
  void Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  // Columns padded to the same width; the first is left-aligned, the rest right.
  std::string Text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// Fixed digits after the point: Fixed(1.25, 1) is "1.2" or "1.3" as printf rounds.
std::string Fixed(double value, int digits);
std::string Percent(double share, int digits = 1);  // 0.5 is "50.0 %"

}  // namespace nom::economy

#endif  // NOM_BENCH_ECONOMY_TABLE_H_
