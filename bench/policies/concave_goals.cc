// SPDX-License-Identifier: Apache-2.0
// Concave bids: all awards and charges, beside a public solver of linear programs (Debian's CLP)
// and beside a straightforward version that sorts; and on inputs that a selection might fall for.

#include <algorithm>
#include <coin/ClpSimplex.hpp>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <numeric>
#include <string>
#include <vector>

#include "bench/policies/auctions.h"
#include "bench/policies/measure.h"
#include "policies/clearing/concave/columns.h"
#include "policies/clearing/concave/concave_bids.h"
#include "policies/clearing/fallback.h"
#include "policies/clearing/greedy.h"
#include "policies/clearing/mpsp.h"
#include "policies/clearing/uniform_price.h"
#include "policies/clearing/work.h"
#include "policies/mix.h"

namespace nom::policies {
namespace {

using bench::MedianMs;

void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::exit(1);
}

// The auction as a linear program: a column for each piece, one row. Its best is whole, as widths
// and capacity are.
class Clp {
 public:
  explicit Clp(const Auction& auction) : auction_(auction) {
    const double reserve = static_cast<double>(auction.reserve_unit_price_microcredits);
    for (const Bid& bid : auction.bids) {
      first_.push_back(static_cast<int>(gain_.size()));
      for (const Range& range : bid.ranges) {
        gain_.push_back(static_cast<double>(range.unit_price_microcredits) - reserve);
        width_.push_back(static_cast<double>(range.max_units - range.min_units));
      }
    }
    first_.push_back(static_cast<int>(gain_.size()));
    model_.setLogLevel(0);
  }

  // Also makes the model: what a program that has an auction and wants awards must do.
  double Solve() {
    const auto columns = static_cast<int>(gain_.size());
    std::vector<int> starts(gain_.size() + 1);
    std::iota(starts.begin(), starts.end(), 0);
    const std::vector<int> rows(gain_.size(), 0);
    const std::vector<double> ones(gain_.size(), 1.0);
    const double row_low = -COIN_DBL_MAX;
    const auto row_high = static_cast<double>(auction_.capacity_units);
    const std::vector<double> zeros(gain_.size(), 0.0);
    model_.loadProblem(columns, 1, starts.data(), rows.data(), ones.data(), zeros.data(),
                       width_.data(), gain_.data(), &row_low, &row_high);
    model_.setOptimizationDirection(-1);
    model_.dual();
    return model_.objectiveValue();
  }

  // Every winner's charge: its columns are taken out, the optimum found from where it is.
  std::vector<double> Charges(const std::vector<int64_t>& units) {
    std::vector<double> charges(units.size(), 0);
    const double best = Solve();
    for (size_t i = 0; i < units.size(); ++i) {
      if (units[i] == 0) continue;
      for (int c = first_[i]; c < first_[i + 1]; ++c) model_.setColumnUpper(c, 0);
      model_.dual();
      const double gain = static_cast<double>(ValueOf(auction_.bids[i], units[i]) -
                                              units[i] * auction_.reserve_unit_price_microcredits);
      charges[i] = static_cast<double>(units[i] * auction_.reserve_unit_price_microcredits) +
                   model_.objectiveValue() - (best - gain);
      for (int c = first_[i]; c < first_[i + 1]; ++c) {
        model_.setColumnUpper(c, width_[static_cast<size_t>(c)]);
      }
      model_.dual();
    }
    return charges;
  }

 private:
  const Auction& auction_;
  std::vector<int> first_;
  std::vector<double> gain_;
  std::vector<double> width_;
  ClpSimplex model_;
};

void BesideClp() {
  bench::PrintWork("concave, 1,000 bidders x 4 pieces, all charges");
  const Auction auction = ConcaveAuction(1'000, 16'384, 4);
  const auto clearing = ClearMpsp(auction);
  const auto awards = ClearConcave(auction, true);
  Require(clearing.ok() && awards.has_value(), "the auction is cleared");
  Clp clp(auction);
  const std::vector<double> charges = clp.Charges(awards->units);
  for (size_t i = 0; i < charges.size(); ++i) {
    Require(std::abs(charges[i] - static_cast<double>(awards->charges[i])) < 1, "CLP agrees");
  }
  const double whole_ms = MedianMs([&] { bench::DoNotOptimize(ClearMpsp(auction)); });
  const double awards_ms = MedianMs([&] { bench::DoNotOptimize(ClearConcave(auction, true)); });
  const double solve_ms = MedianMs([&] { clp.Solve(); });
  const double warm_ms = MedianMs([&] { clp.Charges(awards->units); }, 2);
  bench::PrintFaster("one CLP solve without charges", awards_ms, solve_ms, 30);
  bench::PrintFaster("CLP with a warm re-solve for each winner", awards_ms, warm_ms, 5'000);
  bench::PrintTime("the whole rule: also validation, prices, the record", whole_ms);
}

struct ManyBids {
  std::vector<GuestId> guest_ids;
  std::vector<int64_t> held_units;
  std::vector<int64_t> keepable_units;
  std::vector<uint32_t> first_run = {0};
  std::vector<Microcredits> gain;
  std::vector<int32_t> units;
  std::vector<std::vector<size_t>> owners;
  int64_t capacity_units = 0;
  Microcredits penalty = 0;

  void AddRun(Microcredits run_gain, int64_t run_units) {
    gain.push_back(run_gain);
    units.push_back(static_cast<int32_t>(run_units));
  }

  void EndBid(int64_t held = 0) {
    guest_ids.push_back(guest_ids.size() + 1);
    held_units.push_back(held);
    if (penalty > 0) keepable_units.push_back(held);
    first_run.push_back(static_cast<uint32_t>(gain.size()));
  }

  ConcaveColumns View(Microcredits reserve) const {
    return {capacity_units, reserve,        1,       guest_ids, held_units, first_run, gain,
            units,          keepable_units, penalty, owners};
  }
};

// More bids than a host has, made in parts. Without a reserve every bid has the same number of
// runs.
ManyBids MakeMany(int64_t bids, int pieces, bool with_reserve) {
  ManyBids many;
  many.capacity_units = 16 * bids;
  while (static_cast<int64_t>(many.guest_ids.size()) < bids) {
    const Auction part = ConcaveAuction(1'000, 64'000, pieces, many.guest_ids.size() + 1);
    const Microcredits reserve = with_reserve ? part.reserve_unit_price_microcredits : 0;
    for (const Bid& bid : part.bids) {
      if (static_cast<int64_t>(many.guest_ids.size()) == bids) break;
      for (const Range& range : bid.ranges) {
        if (range.unit_price_microcredits < reserve) break;
        many.AddRun(range.unit_price_microcredits - reserve, range.max_units - range.min_units);
      }
      many.EndBid();
    }
  }
  return many;
}

// What one writes first: sort all runs, serve from the front, and walk the tail for each winner.
class BySorting {
 public:
  void Clear(const ConcaveColumns& columns, std::vector<int64_t>& units,
             std::vector<Microcredits>& charges) {
    struct Run {
      Microcredits gain;
      uint64_t tie_order;
      uint32_t bid;
      int32_t units;
    };
    std::vector<Run> runs;
    runs.reserve(columns.gain.size());
    for (uint32_t bid = 0; bid < units.size(); ++bid) {
      const uint64_t tie_order = TieOrder(columns.seed, columns.guest_ids[bid]);
      for (uint32_t r = columns.first_run[bid]; r < columns.first_run[bid + 1]; ++r) {
        runs.push_back({columns.gain[r], tie_order, bid, columns.units[r]});
      }
    }
    std::sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) {
      return a.gain != b.gain ? a.gain > b.gain : a.tie_order < b.tie_order;
    });
    std::fill(units.begin(), units.end(), 0);
    int64_t left_units = columns.capacity_units;
    size_t tail = 0;
    for (; tail < runs.size() && left_units > 0; ++tail) {
      const int64_t taken = std::min<int64_t>(left_units, runs[tail].units);
      units[runs[tail].bid] += taken;
      left_units -= taken;
      runs[tail].units -= static_cast<int32_t>(taken);
      if (runs[tail].units > 0) break;
    }
    for (uint32_t bid = 0; bid < units.size(); ++bid) {
      int64_t wanted = units[bid];
      charges[bid] = wanted * columns.reserve_unit_price_microcredits;
      for (size_t r = tail; r < runs.size() && wanted > 0; ++r) {
        if (runs[r].bid == bid) continue;
        const int64_t taken = std::min<int64_t>(wanted, runs[r].units);
        charges[bid] += taken * runs[r].gain;
        wanted -= taken;
      }
    }
  }
};

void BesideSorting(int64_t bids, const std::string& count) {
  bench::PrintWork("concave, " + count + " bidders x 4 pieces, all charges");
  const ManyBids many = MakeMany(bids, 4, /*with_reserve=*/true);
  const ConcaveColumns columns = many.View(100'000);
  std::vector<int64_t> units(many.guest_ids.size());
  std::vector<Microcredits> charges(units.size());
  std::vector<int64_t> sorted_units(units.size());
  std::vector<Microcredits> sorted_charges(units.size());
  BySorting by_sorting;
  const double ours_ms = MedianMs([&] { ClearConcaveColumns(columns, units, charges); }, 2);
  const double sorting_ms =
      MedianMs([&] { by_sorting.Clear(columns, sorted_units, sorted_charges); }, 2);
  Require(units == sorted_units && charges == sorted_charges, "sorting agrees");
  Require(std::accumulate(units.begin(), units.end(), int64_t{0}) == columns.capacity_units,
          "the capacity is sold");
  const double reading_ms = MedianMs([&] {
    const int64_t sum =
        std::accumulate(columns.gain.begin(), columns.gain.end(), int64_t{0}) +
        std::accumulate(columns.units.begin(), columns.units.end(), int64_t{0}) +
        std::accumulate(columns.first_run.begin(), columns.first_run.end(), int64_t{0});
    bench::DoNotOptimize(sum);
  });
  bench::PrintFaster("std::sort", ours_ms, sorting_ms, 10);
  bench::PrintAtMostTimes("reading the input once", ours_ms, reading_ms, 15);
}

struct Shape {
  std::string name;
  std::function<ManyBids(int64_t bids)> make;
};

// Runs of four a bid, with gains and units as given by the number of the bid and of the run.
template <typename Gain, typename Units>
ManyBids MakeRegular(int64_t bids, const Gain& gain, const Units& units) {
  ManyBids many;
  many.capacity_units = 16 * bids;
  for (int64_t bid = 0; bid < bids; ++bid) {
    for (int64_t run = 0; run < 4; ++run) many.AddRun(gain(bid, run), units(bid, run));
    many.EndBid();
  }
  return many;
}

Microcredits RandomGain(int64_t bid, int64_t run) {
  return static_cast<Microcredits>(Mix(static_cast<uint64_t>(bid) + 1) % 500'000) +
         (3 - run) * 250'000;
}

// Inputs that a selection by samples, or sums by buckets, might fall for.
std::vector<Shape> Shapes() {
  const auto few_units = [](int64_t bid, int64_t) { return 8 + bid % 17; };
  const auto with_penalty = [](int64_t bids, int64_t held) {
    ManyBids many = MakeMany(bids, 4, /*with_reserve=*/false);
    many.penalty = 300'000;
    many.held_units.assign(many.guest_ids.size(), held);
    many.keepable_units = many.held_units;
    return many;
  };
  return {
      {"falling curves, no reserve", [](int64_t bids) { return MakeMany(bids, 4, false); }},
      {"bids in rising order",
       [=](int64_t bids) {
         return MakeRegular(
             bids, [](int64_t bid, int64_t run) { return bid * 10 + (3 - run) * 250'000; },
             few_units);
       }},
      {"all prices equal",
       [=](int64_t bids) {
         return MakeRegular(
             bids, [](int64_t, int64_t) { return 7; }, few_units);
       }},
      {"four prices",
       [=](int64_t bids) {
         return MakeRegular(
             bids, [](int64_t, int64_t run) { return 9 - run; }, few_units);
       }},
      {"prices from 1 to 10^15",
       [=](int64_t bids) {
         return MakeRegular(
             bids,
             [](int64_t bid, int64_t run) {
               return static_cast<Microcredits>((Mix(static_cast<uint64_t>(bid)) >>
                                                 (14 + Mix(static_cast<uint64_t>(~bid)) % 50)) /
                                                static_cast<uint64_t>(1 + run));
             },
             few_units);
       }},
      {"one bid wins half of all",
       [=](int64_t bids) {
         ManyBids many = MakeRegular(bids - 1, RandomGain, few_units);
         many.AddRun(2'000'000, 8 * bids);
         many.EndBid();
         return many;
       }},
      {"one bid wants all and wins nothing",
       [=](int64_t bids) {
         ManyBids many = MakeRegular(bids - 1, RandomGain, few_units);
         many.AddRun(0, 16 * bids);
         many.EndBid();
         return many;
       }},
      {"large winners, and a tail of single units",
       [](int64_t bids) {
         ManyBids many = MakeRegular(bids, RandomGain, [](int64_t, int64_t) { return 1; });
         many.capacity_units = 0;
         for (int64_t k = 1; k <= 1'000; ++k) {
           many.AddRun(2'000'000, k * bids / 500);
           many.capacity_units += k * bids / 500;
           many.EndBid();
         }
         return many;
       }},
      {"single units beside one large run in the tail",
       [](int64_t bids) {
         ManyBids many = MakeRegular(bids, RandomGain, [](int64_t, int64_t) { return 1; });
         many.capacity_units = 2 * bids;
         many.AddRun(0, int64_t{1} << 24);
         many.EndBid();
         return many;
       }},
      {"a penalty, each bid holds 8 units", [=](int64_t bids) { return with_penalty(bids, 8); }},
      {"the same, one bid holds half",
       [=](int64_t bids) {
         ManyBids many = with_penalty(bids, 0);
         many.held_units[0] = many.keepable_units[0] = 8 * bids;
         return many;
       }},
      {"owners of 16 bids",
       [](int64_t bids) {
         ManyBids many = MakeMany(bids, 4, false);
         for (size_t bid = 0; bid < many.guest_ids.size(); ++bid) {
           if (bid % 16 == 0) many.owners.emplace_back();
           many.owners.back().push_back(bid);
         }
         return many;
       }},
      {"two owners of all bids",
       [](int64_t bids) {
         ManyBids many = MakeMany(bids, 4, false);
         many.owners.resize(2);
         for (size_t bid = 0; bid < many.guest_ids.size(); ++bid) {
           many.owners[bid % 2].push_back(bid);
         }
         return many;
       }},
  };
}

// Time must follow the size of the auction, not its numbers. `ns a step` is counted work: work.h
// promises about 2.
void WhateverTheBids(int64_t bids, bool all_shapes) {
  bench::PrintWork("concave, " + std::to_string(bids) + " bidders x 4 pieces, all charges");
  double first_ms = 0;
  for (const Shape& shape : Shapes()) {
    const ManyBids many = shape.make(bids);
    const ConcaveColumns columns = many.View(0);
    std::vector<int64_t> units(many.guest_ids.size());
    std::vector<Microcredits> charges(units.size());
    const double ms = MedianMs([&] { ClearConcaveColumns(columns, units, charges); }, 0.3);
    constexpr int64_t kSteps = int64_t{1} << 60;
    Work work(kSteps);
    Require(ClearConcaveColumns(columns, units, charges, work).has_value(), "it is cleared");
    if (first_ms == 0) first_ms = ms;
    std::printf("  %-50s %10.4g ms, %5.2f times the first, %5.2f ns a step\n", shape.name.c_str(),
                ms, ms / first_ms, ms * 1e6 / static_cast<double>(kSteps - work.left_steps()));
    if (!all_shapes) break;
  }
}

// Whole rules on an auction of the largest size, and what is done when there is no time for them.
void TheLastLinks(const std::string& what, const Auction& auction) {
  bench::PrintWork(what);
  constexpr int64_t kSteps = int64_t{1} << 60;
  const auto print = [](const char* name, double ms, int64_t steps) {
    std::printf("  %-50s %10.4g ms, %5.2f ns a step\n", name, ms,
                ms * 1e6 / static_cast<double>(steps));
  };
  bench::PrintTime("validation",
                   MedianMs([&] { Require(ValidateAuction(auction).ok(), "valid"); }));
  bench::PrintTime("mpsp", MedianMs([&] { bench::DoNotOptimize(ClearMpsp(auction)); }));
  bench::PrintTime("uniform_price",
                   MedianMs([&] { bench::DoNotOptimize(ClearUniformPrice(auction)); }));
  bench::PrintTime("repeat_last", MedianMs([&] { bench::DoNotOptimize(RepeatLast(auction)); }));
  Work concave(kSteps);
  Require(ClearConcave(auction, true, concave).has_value(), "all bids are concave");
  print("selection alone", MedianMs([&] { bench::DoNotOptimize(ClearConcave(auction, true)); }),
        kSteps - concave.left_steps());
  Work bound(kSteps);
  Require(WelfareBound(auction, bound).ok(), "the bound fits");
  print("the bound of W alone", MedianMs([&] { bench::DoNotOptimize(WelfareBound(auction)); }),
        kSteps - bound.left_steps());
  Work greedy(kSteps);
  Require(ClearGreedy(auction, greedy).ok(), "the auction is cleared");
  print("greedy", MedianMs([&] { bench::DoNotOptimize(ClearGreedy(auction)); }),
        kSteps - greedy.left_steps());
}

Auction WithHoldings(Auction auction) {
  auction.reclaim_penalty_microcredits = auction.reserve_unit_price_microcredits / 2;
  for (Bid& bid : auction.bids) bid.held_units = auction.capacity_units / std::ssize(auction.bids);
  return auction;
}

}  // namespace
}  // namespace nom::policies

int main() {
  nom::policies::BesideClp();
  nom::policies::BesideSorting(1'000'000, "1,000,000");
  for (int64_t bids : {65'537, 999'999, 100'000}) nom::policies::WhateverTheBids(bids, false);
  for (int64_t bids : {1'000, 65'536, 1'000'000}) nom::policies::WhateverTheBids(bids, true);
  using nom::policies::ConcaveAuction;
  nom::policies::TheLastLinks("65,536 bidders x 4 pieces", ConcaveAuction(65'536, 1 << 20, 4));
  nom::policies::TheLastLinks("4,096 bidders x 4 pieces, 65,536 units, a penalty and holdings",
                              nom::policies::WithHoldings(ConcaveAuction(4'096, 65'536, 4)));
}
