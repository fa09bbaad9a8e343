// SPDX-License-Identifier: Apache-2.0
// Line plots and bar charts as SVG text: several series, linear or logarithmic axes, a legend. For
// what the benches and the simulator draw; needs no library and no browser but the reader's.

#ifndef NOM_BENCH_PLOT_SVG_PLOT_H_
#define NOM_BENCH_PLOT_SVG_PLOT_H_

#include <optional>
#include <string>
#include <vector>

namespace nom::bench {

enum class Scale { kLinear, kLog };

struct Axis {
  std::string label;  // With the unit: "time (ms)".
  Scale scale = Scale::kLinear;
  // The ends. Taken from the points where left out; a linear axis then begins at 0 if no point is
  // below it.
  std::optional<double> low = {};
  std::optional<double> high = {};
};

struct Point {
  double x = 0;
  double y = 0;
};

struct Series {
  std::string name;  // In the legend; empty: not there.
  std::vector<Point> points;
  bool is_dashed = false;  // For bounds, fits and what was published elsewhere.
};

struct Plot {
  std::string title;
  Axis x;
  Axis y;
  std::vector<Series> series;  // Colours repeat after eight.
};

// The plot as a whole file. The same plot gives the same text. What cannot be drawn is left out:
// NaN, infinities, and what is not above 0 on a logarithmic axis. Points outside the axes' ends are
// clipped. Text may hold any characters.
std::string ToSvg(const Plot& plot);

struct BarGroup {
  std::string label;
  std::vector<double> values;  // One a series; NaN: none.
};

// Horizontal bars: groups one below the other, in each a bar a series, each with its number beside
// it. As high as it needs to be.
struct BarChart {
  std::string title;
  Axis values;
  std::vector<std::string> series;  // In the legend, if there is more than one.
  std::vector<BarGroup> groups;
  int digits = 1;  // After the point, of the numbers beside the bars.
};

std::string ToSvg(const BarChart& chart);

// Writes ToSvg to a file; false if that failed.
[[nodiscard]] bool WriteSvg(const Plot& plot, const std::string& path);
[[nodiscard]] bool WriteSvg(const BarChart& chart, const std::string& path);

// y = factor * x ^ exponent, as a straight line on two logarithmic axes.
struct PowerLaw {
  double factor = 0;
  double exponent = 0;
};

// The power law with the least squares of log y, over the points where both are above 0. Nothing if
// there are fewer than two different x.
std::optional<PowerLaw> FitPowerLaw(const std::vector<Point>& points);

}  // namespace nom::bench

#endif  // NOM_BENCH_PLOT_SVG_PLOT_H_
