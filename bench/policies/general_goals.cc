// Bids with gaps, and dense ones: all awards and charges, beside clearing again without each winner
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
#include "policies/clearing/dense.h"
#include "policies/clearing/mpsp.h"
#include "policies/clearing/standing_auction.h"
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

void Dense() {
  bench::PrintWork("dense, 100 bidders x 4,096 units x 1,024 own units");
  const auto ms = [](const DenseAuction& auction, const MpspOptions& options) {
    return MedianMs([&] { bench::DoNotOptimize(ClearDense(auction, options)); });
  };
  MpspOptions tables;
  tables.always_tables = true;
  const DenseAuction arbitrary = RandomDenseAuction(100, 4'096, 1'024);
  const DenseAuction concave = ConcaveDenseAuction(100, 4'096, 1'024);
  Require(*ClearDense(arbitrary) == *ClearDense(arbitrary, tables), "tables agree");
  Require(*ClearDense(concave) == *ClearDense(concave, tables), "tables agree");
  bench::PrintWithin("arbitrary values", ms(arbitrary, {}), 25);
  bench::PrintWithin("the same with nothing left out", ms(arbitrary, tables), 25);
  bench::PrintFaster("concave values: the same by tables", ms(concave, {}), ms(concave, tables), 1);
}

// One bid in a hundred is another one before each clearing.
void ClearingAgain(const char* name, Auction auction, const Auction& others) {
  auto standing = StandingAuction::Create(auction);
  Require(standing.ok(), "the auction is valid");
  bench::PrintWork(std::string("again after 1 % of ") + name);
  const size_t changes = std::max<size_t>(1, auction.bids.size() / 100);
  size_t next = 0;
  const auto change = [&] {
    for (size_t i = 0; i < changes; ++i) {
      next = (next + 7'919) % auction.bids.size();
      Bid bid = others.bids[next];
      std::swap(bid.ranges, auction.bids[next].ranges);  // And back the next time.
      Require(standing->PlaceBid(auction.bids[next]).ok(), "the bid is valid");
    }
  };
  for (int i = 0; i < 20; ++i) {
    change();
    Require(*standing->Clear() == MustClear(auction), "both say the same");
  }
  const double again_ms = MedianMs([&] {
    change();
    bench::DoNotOptimize(*standing->Clear());
  });
  bench::PrintFaster("from the beginning", again_ms, MsOf(auction, {}, 0.3), 10);
  MpspOptions tables;
  tables.always_tables = true;
  bench::PrintFaster("from the beginning, nothing left out", again_ms, MsOf(auction, tables, 0.3),
                     10);
}

}  // namespace
}  // namespace nom::policies

int main() {
  using nom::policies::Ranges;
  Ranges({100, 1'024, 0.35, 40, false, true});
  Ranges({1'000, 1'024, 5, 300, true, true});
  Ranges({256, 16'384, 40, 0, false, false});
  Ranges({1'000, 65'536, 500, 0, false, false});
  nom::policies::Dense();
  using nom::policies::ClearingAgain;
  using nom::policies::RangesAuction;
  using nom::policies::SmallRangesAuction;
  ClearingAgain("1000 x 1024, few large winners", RangesAuction(1'000, 1'024, 3),
                RangesAuction(1'000, 1'024, 3, 2));
  ClearingAgain("1000 x 1024, many small winners", SmallRangesAuction(1'000, 1'024, 3, 15, false),
                SmallRangesAuction(1'000, 1'024, 3, 15, false, 2));
  ClearingAgain("1000 x 1024, many, prices alike", SmallRangesAuction(1'000, 1'024, 3, 15, true),
                SmallRangesAuction(1'000, 1'024, 3, 15, true, 2));
  ClearingAgain("1000 x 65536, many small winners", SmallRangesAuction(1'000, 65'536, 3, 15, false),
                SmallRangesAuction(1'000, 65'536, 3, 15, false, 2));
}
