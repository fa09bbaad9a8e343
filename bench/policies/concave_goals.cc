// Concave bids: all awards and charges, beside a public solver of linear programs (Debian's CLP)
// and beside a straightforward version that sorts.

#include <algorithm>
#include <coin/ClpSimplex.hpp>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <vector>

#include "bench/policies/auctions.h"
#include "bench/policies/measure.h"
#include "policies/clearing/concave/columns.h"
#include "policies/clearing/concave/concave_bids.h"
#include "policies/clearing/mpsp.h"

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
  std::vector<uint32_t> first_run;
  std::vector<Microcredits> gain;
  std::vector<int32_t> units;

  ConcaveColumns View(int64_t capacity_units, Microcredits reserve) const {
    return {capacity_units, reserve, 1, guest_ids, held_units, first_run, gain, units};
  }
};

// More bids than a host has, made in parts.
ManyBids MakeMany(int64_t bids, int pieces) {
  ManyBids many;
  many.first_run.push_back(0);
  while (static_cast<int64_t>(many.guest_ids.size()) < bids) {
    const Auction part = ConcaveAuction(1'000, 64'000, pieces, many.guest_ids.size() + 1);
    for (const Bid& bid : part.bids) {
      many.guest_ids.push_back(many.guest_ids.size() + 1);
      many.held_units.push_back(0);
      for (const Range& range : bid.ranges) {
        if (range.unit_price_microcredits < part.reserve_unit_price_microcredits) break;
        many.gain.push_back(range.unit_price_microcredits - part.reserve_unit_price_microcredits);
        many.units.push_back(static_cast<int32_t>(range.max_units - range.min_units));
      }
      many.first_run.push_back(static_cast<uint32_t>(many.gain.size()));
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
  const ManyBids many = MakeMany(bids, 4);
  const ConcaveColumns columns = many.View(16 * bids, 100'000);
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

}  // namespace
}  // namespace nom::policies

int main() {
  nom::policies::BesideClp();
  nom::policies::BesideSorting(1'000'000, "1,000,000");
}
