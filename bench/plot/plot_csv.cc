// SPDX-License-Identifier: Apache-2.0
// Draws a table as an SVG file: for benches that are not C++.
//
//   plot_csv lines TITLE X_LABEL Y_LABEL IN.csv OUT.svg   the first column is x, the others are y
//   plot_csv bars TITLE LABEL IN.csv OUT.svg              the first column names the groups
//
// The first line of the table names its columns. An empty cell is nothing to draw. Exit codes: 0
// drawn, 1 a file can't be read or written, or a cell is no number, 2 bad usage.

#include <charconv>
#include <fstream>
#include <iostream>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "bench/plot/svg_plot.h"

namespace nom::bench {
namespace {

std::vector<std::string> Cells(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream in(line);
  for (std::string cell; std::getline(in, cell, ',');) cells.push_back(cell);
  return cells;
}

struct Csv {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};

std::optional<Csv> Read(const std::string& path) {
  std::ifstream in(path);
  Csv csv;
  for (std::string line; std::getline(in, line);) {
    if (csv.header.empty()) {
      csv.header = Cells(line);
    } else {
      csv.rows.push_back(Cells(line));
      csv.rows.back().resize(csv.header.size());
    }
  }
  if (csv.header.size() >= 2 && !csv.rows.empty()) return csv;
  std::cerr << "plot_csv: " << path << ": no table\n";
  return std::nullopt;
}

std::optional<double> Number(const std::string& cell) {
  if (cell.empty()) return std::numeric_limits<double>::quiet_NaN();
  double value = 0;
  const char* const end = cell.data() + cell.size();
  const auto [at, error] = std::from_chars(cell.data(), end, value);
  if (error == std::errc() && at == end) return value;
  std::cerr << "plot_csv: \"" << cell << "\" is no number\n";
  return std::nullopt;
}

// All columns after the first, as numbers; nothing if one is none.
std::optional<std::vector<double>> Values(const std::vector<std::string>& row) {
  std::vector<double> values;
  for (size_t i = 1; i < row.size(); ++i) {
    const std::optional<double> value = Number(row[i]);
    if (!value) return std::nullopt;
    values.push_back(*value);
  }
  return values;
}

int DrawLines(const std::vector<std::string>& arguments) {
  const std::optional<Csv> csv = Read(arguments[4]);
  if (!csv) return 1;
  Plot plot{.title = arguments[1], .x = {.label = arguments[2]}, .y = {.label = arguments[3]}};
  for (size_t i = 1; i < csv->header.size(); ++i) plot.series.push_back({.name = csv->header[i]});
  for (const std::vector<std::string>& row : csv->rows) {
    const std::optional<double> x = Number(row[0]);
    const std::optional<std::vector<double>> values = Values(row);
    if (!x || !values) return 1;
    for (size_t i = 0; i < values->size(); ++i) {
      plot.series[i].points.push_back({*x, (*values)[i]});
    }
  }
  return WriteSvg(plot, arguments[5]) ? 0 : 1;
}

int DrawBars(const std::vector<std::string>& arguments) {
  const std::optional<Csv> csv = Read(arguments[3]);
  if (!csv) return 1;
  BarChart chart{.title = arguments[1],
                 .values = {.label = arguments[2]},
                 .series = {csv->header.begin() + 1, csv->header.end()}};
  for (const std::vector<std::string>& row : csv->rows) {
    std::optional<std::vector<double>> values = Values(row);
    if (!values) return 1;
    chart.groups.push_back({row[0], *std::move(values)});
  }
  return WriteSvg(chart, arguments[4]) ? 0 : 1;
}

int Main(const std::vector<std::string>& arguments) {
  if (arguments.size() == 6 && arguments[0] == "lines") return DrawLines(arguments);
  if (arguments.size() == 5 && arguments[0] == "bars") return DrawBars(arguments);
  std::cerr << "usage: plot_csv lines TITLE X_LABEL Y_LABEL IN.csv OUT.svg\n"
               "       plot_csv bars TITLE LABEL IN.csv OUT.svg\n";
  return 2;
}

}  // namespace
}  // namespace nom::bench

int main(int argc, char** argv) { return nom::bench::Main({argv + 1, argv + argc}); }
