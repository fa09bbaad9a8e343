// SPDX-License-Identifier: Apache-2.0
// Bids with gaps: all awards and charges, beside clearing again without each winner
// and beside a public solver of integer programs (Debian's CBC).

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bench/policies/auctions.h"
#include "bench/policies/measure.h"
#include "policies/clearing/mpsp.h"
#include "tests/referee/cbc_program.h"
#include "tests/referee/mip_program.h"

namespace nom::policies {
namespace {

using bench::MedianMs;

Clearing MustClear(const Auction& auction, const MpspOptions& options = {}) {
  auto clearing = ClearMpsp(auction, options);
  if (clearing.ok()) return *std::move(clearing);
  std::fprintf(stderr, "broken: %s\n", std::string(clearing.status().message()).c_str());
  std::exit(1);
}

void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::exit(1);
}

double MsOf(const Auction& auction, const MpspOptions& options, double seconds) {
  return MedianMs([&] { bench::DoNotOptimize(MustClear(auction, options)); }, seconds);
}

// The same code, for awards only, once for each winner with its bid taken out. Also checks the
// charges.
double ClearingAgainMs(const Auction& auction, const Clearing& clearing, bool always_tables) {
  MpspOptions awards_only;
  awards_only.with_charges = false;
  awards_only.always_tables = always_tables;
  Auction without = auction;
  return MedianMs(
      [&] {
        for (const Award& award : clearing.awards) {
          Bid& bid = without.bids[static_cast<size_t>(award.guest_id - 1)];
          const Bid kept = std::exchange(bid, Bid{award.guest_id, {}, 0});
          const Microcredits welfare = MustClear(without, awards_only).welfare_microcredits;
          bid = kept;
          Require(award.charge_microcredits ==
                      welfare - (clearing.welfare_microcredits - ValueOf(bid, award.units)),
                  "a charge is what its definition says");
        }
      },
      0.1);
}

double CbcMs(Auction auction) {
  // Money small enough for the solver's tolerances.
  auction.reserve_unit_price_microcredits /= 1'000;
  for (Bid& bid : auction.bids) {
    for (Range& range : bid.ranges) {
      range.unit_price_microcredits /= 1'000;
      range.value_at_min_microcredits = range.min_units * range.unit_price_microcredits;
    }
  }
  MipProgram program;
  program.Add(auction, 0);
  std::vector<double> times;
  for (int i = 0; i < 3; ++i) {
    std::optional<int64_t> welfare;
    times.push_back(bench::ChildrenMs([&] { welfare = program.Solve(TemporaryFolder()); }));
    Require(welfare == MustClear(auction).welfare_microcredits, "CBC agrees");
  }
  std::sort(times.begin(), times.end());
  return times[1];
}

struct Row {
  int64_t bids;
  int64_t units;
  double goal_ms;
  double again_goal;  // 0: no goal, and not measured.
  bool has_cbc;
  bool has_ratio;  // To one clear without charges.
};

void Ranges(const Row& row) {
  const std::string size = std::to_string(row.bids) + " bidders x " + std::to_string(row.units) +
                           " units, one price, 3 ranges";
  struct Kind {
    const char* name;
    Auction auction;
  };
  const Kind kinds[] = {
      {"few large winners", RangesAuction(row.bids, row.units, 3)},
      {"many small winners", SmallRangesAuction(row.bids, row.units, 3, 15, false)},
      {"many, prices alike", SmallRangesAuction(row.bids, row.units, 3, 15, true)}};
  const double seconds = row.units > 10'000 ? 0.1 : 0.5;
  for (const Kind& kind : kinds) {
    const Clearing clearing = MustClear(kind.auction);
    bench::PrintWork(size + "; " + kind.name + " (" + std::to_string(clearing.awards.size()) + ")");
    const double ours_ms = MsOf(kind.auction, {}, seconds);
    bench::PrintWithin("all charges", ours_ms, row.goal_ms);
    MpspOptions tables;
    tables.always_tables = true;
    const double tables_ms = MsOf(kind.auction, tables, seconds);
    bench::PrintWithin("the same with nothing left out", tables_ms, row.goal_ms);
    tables.portable = true;
    bench::PrintTime("the same without vector instructions", MsOf(kind.auction, tables, seconds));
    if (row.has_ratio) {
      MpspOptions awards_only;
      awards_only.with_charges = false;
      bench::PrintAtMostTimes("one clear without charges", ours_ms,
                              MsOf(kind.auction, awards_only, seconds), 2.2);
      awards_only.always_tables = true;
      bench::PrintAtMostTimes("one clear without charges, nothing left out", tables_ms,
                              MsOf(kind.auction, awards_only, seconds), 2.2);
    }
    if (row.again_goal > 0) {
      bench::PrintFaster("clearing again without each winner", ours_ms,
                         ClearingAgainMs(kind.auction, clearing, false), row.again_goal);
      bench::PrintFaster("the same, nothing left out there", ours_ms,
                         ClearingAgainMs(kind.auction, clearing, true), row.again_goal);
    }
    if (row.has_cbc) {
      bench::PrintFaster("CBC's MIP without charges", ours_ms, CbcMs(kind.auction), 100);
    }
  }
}

}  // namespace
}  // namespace nom::policies

int main() {
  using nom::policies::Ranges;
  Ranges({100, 1'024, 0.35, 40, false, true});
  Ranges({1'000, 1'024, 5, 300, true, true});
  Ranges({256, 16'384, 40, 0, false, false});
  Ranges({1'000, 65'536, 500, 0, false, false});
}
