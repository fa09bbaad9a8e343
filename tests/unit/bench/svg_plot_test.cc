// SPDX-License-Identifier: Apache-2.0
#include "bench/plot/svg_plot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <limits>

namespace nom::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Plot Growth() {
  return {"Time by size",
          {"bids", Scale::kLog, 1, 1'000'000},
          {"time (ms)", Scale::kLog, 0.01, 100},
          {{"ours", {{1, 0.01}, {1'000, 1}, {1'000'000, 100}}},
           {"goal", {{1, 100}, {1'000'000, 100}}, true}}};
}

TEST(SvgPlot, PutsPointsWhereTheirLogarithmsAre) {
  // The plot's inside is 80..570 by 400..44; the middle point is in the middle of both axes.
  EXPECT_THAT(ToSvg(Growth()), HasSubstr("points=\"80.00,400.00 325.00,222.00 570.00,44.00 \""));
}

TEST(SvgPlot, LabelsRoundValues) {
  const std::string svg = ToSvg(Growth());
  for (const char* text : {">Time by size<", ">bids<", ">time (ms)<", ">ours<", ">goal<", ">1k<",
                           ">1M<", ">0.01<", ">100<"}) {
    EXPECT_THAT(svg, HasSubstr(text));
  }
  Plot linear = Growth();
  linear.x = {"round"};
  linear.series = {{"price", {{0, 1}, {60, 5}}}};
  for (const char* text : {">0<", ">20<", ">60<"}) EXPECT_THAT(ToSvg(linear), HasSubstr(text));
}

TEST(SvgPlot, LeavesOutWhatCannotBeDrawn) {
  Plot plot = Growth();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  plot.series[0].points.push_back({0, 1});
  plot.series[0].points.push_back({10, -1});
  plot.series[0].points.push_back({10, kInfinity});
  plot.series[0].points.push_back({std::nan(""), 1});
  EXPECT_EQ(ToSvg(plot), ToSvg(Growth()));
  for (const Plot& odd :
       {Plot{}, Plot{"", {}, {}, {{"none", {}}}}, Plot{"", {}, {}, {{"one", {{0, 0}}}}}}) {
    EXPECT_THAT(ToSvg(odd), HasSubstr("</svg>"));
    EXPECT_THAT(ToSvg(odd), Not(HasSubstr("nan")));
  }
}

TEST(SvgPlot, EscapesText) {
  Plot plot = Growth();
  plot.title = "a < b & \"c\"\n";
  EXPECT_THAT(ToSvg(plot), HasSubstr(">a &lt; b &amp; &quot;c&quot; <"));
}

TEST(SvgPlot, WritesAFileOrSaysNo) {
  const std::string path = ::testing::TempDir() + "nom_svg_plot_test.svg";
  EXPECT_TRUE(WriteSvg(Growth(), path));
  EXPECT_EQ(std::remove(path.c_str()), 0);
  EXPECT_FALSE(WriteSvg(Growth(), ::testing::TempDir() + "no/such/folder/plot.svg"));
}

TEST(FitPowerLaw, FindsTheExponent) {
  const auto law = FitPowerLaw({{1, 3}, {10, 300}, {100, 30'000}, {0, 7}, {5, -1}});
  ASSERT_TRUE(law.has_value());
  EXPECT_NEAR(law->exponent, 2, 1e-9);
  EXPECT_NEAR(law->factor, 3, 1e-9);
}

TEST(FitPowerLaw, NeedsTwoDifferentX) {
  EXPECT_FALSE(FitPowerLaw({}).has_value());
  EXPECT_FALSE(FitPowerLaw({{4, 1}, {4, 2}}).has_value());
}

TEST(SvgBars, BeginAtZeroAndEndAtTheirValues) {
  BarChart chart{"Gains", {"gain (%)", Scale::kLinear, -10, 10}, {"one", "two"}, {}, 1};
  chart.groups = {{"first", {5, -5}}, {"second & last", {20, std::nan("")}}};
  const std::string svg = ToSvg(chart);
  // The inside is 220..700, so 0 is at 460 and 5 is 120 long; what leaves the axis is cut off
  // there.
  EXPECT_THAT(svg, HasSubstr("<rect x=\"460.00\" y=\"50.00\" width=\"120.00\" height=\"13.00\""));
  EXPECT_THAT(svg, HasSubstr("<rect x=\"340.00\" y=\"65.00\" width=\"120.00\" height=\"13.00\""));
  EXPECT_THAT(svg, HasSubstr("width=\"240.00\""));
  for (const char* text : {">first<", ">second &amp; last<", ">5.0<", ">-5.0<", ">20.0<", ">one<",
                           ">two<", ">gain (%)<"}) {
    EXPECT_THAT(svg, HasSubstr(text));
  }
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_EQ(svg, ToSvg(chart));
  chart.groups = {{"next to nothing", {-0.01, 0.01}}};
  EXPECT_THAT(ToSvg(chart), HasSubstr(">0.0<"));
  EXPECT_THAT(ToSvg(chart), Not(HasSubstr(">-0.0<")));
  EXPECT_THAT(ToSvg(BarChart{}), HasSubstr("</svg>"));
}

}  // namespace
}  // namespace nom::bench
