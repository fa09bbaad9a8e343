// SPDX-License-Identifier: Apache-2.0
// How the time of one clearing, all charges included, grows with bids, units and pieces: fitted
// exponents, and plots on logarithmic axes. usage: policies_growth [FOLDER], where the SVG files
// go.

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "bench/plot/svg_plot.h"
#include "bench/policies/auctions.h"
#include "bench/policies/measure.h"
#include "policies/clearing/mpsp.h"

namespace nom::policies {
namespace {

double MpspMs(const Auction& auction, bool always_tables = false) {
  MpspOptions options;
  options.always_tables = always_tables;
  return bench::MedianMs([&] { bench::DoNotOptimize(ClearMpsp(auction, options)); }, 0.1);
}

struct Curve {
  std::string name;
  std::vector<int64_t> sizes;
  std::function<double(int64_t)> ms;
};

// Fits over the upper half of the sizes too: what is left when fixed costs no longer count.
void Draw(const std::string& folder, const std::string& file, const std::string& title,
          const std::string& what, const std::vector<Curve>& curves) {
  using bench::Scale;
  bench::Plot plot{title, {what, Scale::kLog}, {"time (ms)", Scale::kLog}, {}};
  bench::PrintWork(title);
  for (const Curve& curve : curves) {
    bench::Series series{curve.name, {}};
    for (int64_t size : curve.sizes) {
      series.points.push_back({static_cast<double>(size), curve.ms(size)});
    }
    const std::vector<bench::Point> upper(
        series.points.begin() + static_cast<ptrdiff_t>(series.points.size() / 2),
        series.points.end());
    const auto whole = bench::FitPowerLaw(series.points);
    const auto late = bench::FitPowerLaw(upper);
    std::printf("  %-46s time ~ %s^%.2f; in the upper half ^%.2f; %.4g to %.4g ms\n",
                curve.name.c_str(), what.c_str(), whole->exponent, late->exponent,
                series.points.front().y, series.points.back().y);
    std::fflush(stdout);
    plot.series.push_back(std::move(series));
  }
  const std::string path = folder + "/" + file;
  if (!bench::WriteSvg(plot, path)) {
    std::fprintf(stderr, "%s cannot be written\n", path.c_str());
    std::exit(1);
  }
  std::printf("  plot: %s\n", path.c_str());
}

}  // namespace
}  // namespace nom::policies

int main(int argc, char** argv) {
  using namespace nom::policies;  // NOLINT(google-build-using-namespace)
  const std::string folder = argc > 1 ? argv[1] : ".";
  Draw(folder, "growth_bids.svg", "One clearing, all charges, by bids", "bids",
       {{"concave, 4 pieces, 16,384 units",
         {64, 256, 1'024, 4'096, 16'384, 65'536},
         [](int64_t n) { return MpspMs(ConcaveAuction(n, 16'384, 4)); }},
        {"3 ranges, few large winners, 1,024 units",
         {64, 128, 256, 512, 1'024, 2'048, 4'096},
         [](int64_t n) { return MpspMs(RangesAuction(n, 1'024, 3)); }},
        {"3 ranges, many winners, 4,096 units",
         {64, 128, 256, 512, 1'024},
         [](int64_t n) { return MpspMs(SmallRangesAuction(n, 4'096, 3, 15, false)); }},
        {"the same, nothing left out", {64, 128, 256, 512, 1'024}, [](int64_t n) {
           return MpspMs(SmallRangesAuction(n, 4'096, 3, 15, false), true);
         }}});
  Draw(folder, "growth_units.svg", "One clearing, all charges, by units", "units",
       {{"concave, 4 pieces, 1,000 bids",
         {1'024, 4'096, 16'384, 65'536, 262'144},
         [](int64_t q) { return MpspMs(ConcaveAuction(1'000, q, 4)); }},
        {"3 ranges, few large winners, 256 bids",
         {1'024, 4'096, 16'384, 65'536},
         [](int64_t q) { return MpspMs(RangesAuction(256, q, 3)); }},
        {"3 ranges, many winners, 256 bids",
         {1'024, 2'048, 4'096, 8'192, 16'384},
         [](int64_t q) { return MpspMs(SmallRangesAuction(256, q, 3, 15, false)); }},
        {"4 ranges, 32 bids, few large winners",
         {1'024, 16'384, 262'144, 1'048'576, 16'777'216},
         [](int64_t q) { return MpspMs(RangesAuction(32, q, 4)); }},
        {"3 ranges, many winners, 256 bids, nothing left out",
         {1'024, 2'048, 4'096, 8'192, 16'384},
         [](int64_t q) { return MpspMs(SmallRangesAuction(256, q, 3, 15, false), true); }}});
  Draw(folder, "growth_pieces.svg", "One clearing, all charges, by pieces of a bid", "pieces",
       {{"concave, 10,000 bids, 65,536 units",
         {1, 2, 4, 8, 15},
         [](int64_t p) { return MpspMs(ConcaveAuction(10'000, 65'536, static_cast<int>(p))); }},
        {"ranges, few large winners, 256 bids, 4,096 units",
         {1, 2, 4, 8, 15},
         [](int64_t p) { return MpspMs(RangesAuction(256, 4'096, static_cast<int>(p))); }},
        {"the same, nothing left out", {1, 2, 4, 8, 15}, [](int64_t p) {
           return MpspMs(RangesAuction(256, 4'096, static_cast<int>(p)), true);
         }}});
}
