// SPDX-License-Identifier: Apache-2.0
#include "bench/policies/joint_cliffs.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "bench/policies/joint_auctions.h"
#include "bench/policies/measure.h"
#include "policies/clearing/joint/joint_vcg.h"

namespace nom::policies {
namespace {

constexpr int kAuctions = 100;
// Hard ones end here, with what is proven by then.
constexpr int64_t kWorkMax = 2'000'000'000;

JointClearing MustClear(const JointAuction& auction, int64_t work_max) {
  JointVcgOptions options;
  options.work_max = work_max;
  auto clearing = ClearJointVcg(auction, options);
  if (!clearing.ok()) {
    std::fprintf(stderr, "broken: %s\n", clearing.status().ToString().c_str());
    std::exit(1);
  }
  return *std::move(clearing);
}

JointWorkload Workload(int resources, CurveKind kind, Combination combination, bool loaded) {
  JointWorkload workload;
  workload.resources = resources;
  workload.kind = kind;
  workload.combination = combination;
  workload.loaded = loaded;
  return workload;
}

}  // namespace

void SlowestOfAHundred() {
  bench::PrintWork(
      "joint, 256 bidders, 16,384 cells: the slowest of 100 auctions beside the median");
  for (int resources = 1; resources <= 4; ++resources) {
    for (const bool loaded : {false, true}) {
      std::vector<double> times;
      int open = 0;
      for (int seed = 1; seed <= kAuctions; ++seed) {
        JointWorkload workload = Workload(
            resources, static_cast<CurveKind>(seed % 4),
            resources == 1 ? Combination::kProduct : static_cast<Combination>(seed / 4 % 4),
            loaded);
        workload.cells = 16'384;
        workload.seed = static_cast<uint64_t>(seed);
        const JointAuction auction = CurveAuction(workload);
        JointClearing clearing;
        times.push_back(bench::OnceMs([&] { clearing = MustClear(auction, kWorkMax); }));
        open += !clearing.charges_are_exact;
      }
      std::sort(times.begin(), times.end());
      std::printf("  %d resources, %s: median %.4g ms, slowest %.4g ms, %d not proven\n", resources,
                  loaded ? "loaded" : "wide", times[times.size() / 2], times.back(), open);
      std::fflush(stdout);
    }
  }
}

void Cliffs() {
  bench::PrintWork(
      "joint, one thing changed: 256 bidders, 4,096 cells, 2 resources, knots, product");
  JointWorkload workload = Workload(2, CurveKind::kKnots, Combination::kProduct, true);
  workload.cells = 4'096;
  const JointAuction plain = CurveAuction(workload);
  const double plain_ms =
      bench::MedianMs([&] { bench::DoNotOptimize(MustClear(plain, kWorkMax)); }, 0.2);
  bench::PrintTime("plain", plain_ms);
  struct Change {
    const char* what;
    void (*change)(JointAuction&);
  };
  const Change changes[] = {
      {"one bid worth 10^9 credits",
       [](JointAuction& a) { a.bids[0].curves->whole_value_microcredits = kValueMaxMicrocredits; }},
      {"all bids worth the same",
       [](JointAuction& a) {
         for (JointBid& bid : a.bids) bid.curves->whole_value_microcredits = 10'000'000'000;
       }},
      {"all bids alike",
       [](JointAuction& a) {
         for (JointBid& bid : a.bids) bid.curves = a.bids[0].curves;
       }},
      {"16 guests an owner",
       [](JointAuction& a) {
         for (size_t i = 0; i < a.bids.size(); ++i) a.bids[i].owner_id = 1 + i / 16;
       }},
      {"one owner of all",
       [](JointAuction& a) {
         for (JointBid& bid : a.bids) bid.owner_id = 1;
       }},
      {"everybody holds, with penalties",
       [](JointAuction& a) {
         a.reclaim_penalties_microcredits[0] = 50'000'000;
         for (JointBid& bid : a.bids) bid.held_units[0] = 1;
       }},
      {"reserves above nearly all bids",
       [](JointAuction& a) {
         a.reserve_unit_prices_microcredits = {50'000'000'000, 50'000'000'000};
       }},
      {"capacity of one unit each",
       [](JointAuction& a) {
         a.capacity_units = {1, 1};
       }},
      {"a thousand times the money",
       [](JointAuction& a) {
         for (JointBid& bid : a.bids) {
           Microcredits& whole = bid.curves->whole_value_microcredits;
           whole = std::min(kValueMaxMicrocredits, whole * 1'000);
         }
       }},
  };
  for (const Change& change : changes) {
    JointAuction auction = plain;
    change.change(auction);
    JointClearing clearing;
    const double ms = bench::MedianMs([&] { clearing = MustClear(auction, kWorkMax); }, 0.2);
    bench::PrintAtMostTimes(
        std::string(change.what) + (clearing.charges_are_exact ? "" : ", NOT PROVEN"), ms, plain_ms,
        4);
  }
  bench::PrintWork(
      "joint, too hard to prove: 128 bids nearly alike, what is paid after 0.2 G of work");
  for (const int64_t capacity : {20, 100, 400}) {
    const JointAuction auction = AlikeAuction(128, 4, capacity, Combination::kMax, 1);
    JointClearing clearing;
    const double ms = bench::OnceMs([&] { clearing = MustClear(auction, kWorkMax / 10); });
    double charges = 0;
    double at_prices = 0;
    int exact = 0;
    for (const JointAward& award : clearing.awards) {
      charges += static_cast<double>(award.charge_microcredits);
      exact += award.charge_least_microcredits == award.charge_bound_microcredits;
      for (size_t r = 0; r < award.units.size(); ++r) {
        at_prices += static_cast<double>(award.units[r]) *
                     static_cast<double>(clearing.clearing_unit_prices_microcredits[r]);
      }
    }
    std::printf("  %ld units: %.4g ms, %d of %zu charges exact, revenue %.4g of %.4g at prices\n",
                static_cast<long>(capacity), ms, exact, clearing.awards.size(), charges, at_prices);
    std::fflush(stdout);
  }
}

void StepsByRoute() {
  bench::PrintWork("joint, what a counted step costs, on auctions that go different ways");
  const std::pair<const char*, JointAuction> routes[] = {
      {"preparing: 1,000 lists of 256 bundles, 16 units", BundleAuction(1'000, 256, 4, 16, 1)},
      {"preparing: grids of one resource",
       CurveAuction(Workload(1, CurveKind::kConcave, Combination::kProduct, false))},
      {"prices and many charges",
       CurveAuction(Workload(2, CurveKind::kKnots, Combination::kMax, true))},
      {"search of shortlists",
       CurveAuction(Workload(1, CurveKind::kKnots, Combination::kProduct, true))},
      {"tables of open units",
       CurveAuction(Workload(2, CurveKind::kMaxima, Combination::kSum, false))},
      {"large problems divided",
       CurveAuction(Workload(3, CurveKind::kKnots, Combination::kProduct, false))},
      {"small lists: four resources, min",
       CurveAuction(Workload(4, CurveKind::kKnots, Combination::kMin, true))},
      {"many bundles, many winners", BundleAuction(1'000, 256, 4, 256, 1)},
      {"until the work is used up: nearly alike, max",
       AlikeAuction(128, 4, 100, Combination::kMax, 1)},
      {"until the work is used up: nearly alike, min",
       AlikeAuction(128, 2, 400, Combination::kMin, 1)},
  };
  double least = 1e9;
  double most = 0;
  for (const auto& [route, auction] : routes) {
    int64_t work = 1;
    const double ms =
        bench::MedianMs([&, &a = auction] { work = MustClear(a, kWorkMax / 10).work; }, 0.2);
    const double ns = ms * 1e6 / static_cast<double>(work);
    least = std::min(least, ns);
    most = std::max(most, ns);
    std::printf("  %-58s %10.4g ms, %ld steps: %.3g ns a step\n", route, ms,
                static_cast<long>(work), ns);
    std::fflush(stdout);
  }
  std::printf("  from %.3g to %.3g ns: %.3g times; goal at most 3: %s\n", least, most, most / least,
              most <= 3 * least ? "reached" : "NOT REACHED");
}

}  // namespace nom::policies
