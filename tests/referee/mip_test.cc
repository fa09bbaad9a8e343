// SPDX-License-Identifier: Apache-2.0
// mpsp against a public solver (CBC) on auctions too large for exhaustive search.
//
// Many auctions make one integer program, as blocks that share nothing: its optimum is the sum of
// theirs. No award can beat a block's optimum, so if the sums agree every block does. Charges are
// checked the same way: a second block for each auction has its first winner without value.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "policies/clearing/mpsp.h"
#include "tests/referee/mip_program.h"
#include "tests/referee/random_auction.h"

namespace nom::policies {
namespace {

constexpr uint64_t kAuctions = 500;
constexpr uint64_t kAuctionsAProgram = 20;

// Money small enough for the solver's tolerances to decide nothing.
Auction MiddleAuction(uint64_t seed) {
  Auction auction = RandomAuction(Shape::kGeneral, seed, 16, 60);
  for (uint64_t more = 1; auction.bids.size() < 4 || auction.capacity_units < 10; ++more) {
    auction = RandomAuction(Shape::kGeneral, seed + (more << 32), 16, 60);
  }
  Microcredits largest = 1;
  for (const Bid& bid : auction.bids) {
    for (const Range& range : bid.ranges) {
      largest = std::max(
          {largest, range.value_at_min_microcredits, std::abs(range.unit_price_microcredits)});
    }
  }
  const Microcredits divisor = largest / 1'000 + 1;
  if (divisor > 1) {
    auction.reserve_unit_price_microcredits /= divisor;
    auction.reclaim_penalty_microcredits /= divisor;
    for (Bid& bid : auction.bids) {
      std::vector<Range> ranges;
      for (Range range : bid.ranges) {
        // Dividing parts ranges that touched and may leave a value below zero: steps instead.
        range.max_units = range.min_units;
        range.value_at_min_microcredits /= divisor;
        range.unit_price_microcredits = 0;
        if (ranges.empty() || ranges.back().max_units < range.min_units) ranges.push_back(range);
      }
      bid.ranges = ranges;
    }
  }
  return auction;
}

TEST(Mip, MpspFindsWhatCbcFinds) {
  if (std::system("command -v cbc > /dev/null") != 0) {
    GTEST_SKIP() << "cbc is not installed (Debian: coinor-cbc)";
  }
  int64_t winners = 0;
  const uint64_t end = FirstSeed() + CountOr(kAuctions);
  for (uint64_t first = FirstSeed(); first < end; first += kAuctionsAProgram) {
    MipProgram program;
    int64_t expected = 0;
    std::string seeds;
    for (uint64_t seed = first; seed < std::min(end, first + kAuctionsAProgram); ++seed) {
      const Auction auction = MiddleAuction(seed);
      MpspOptions tables;
      tables.always_tables = true;
      const auto clearing = ClearMpsp(auction, tables);
      ASSERT_TRUE(clearing.ok()) << clearing.status() << Describe(seed, auction);
      program.Add(auction, 0);
      expected += clearing->welfare_microcredits;
      if (clearing->awards.empty()) continue;
      // charge = reserve * a + W(without) - (W - (value - reserve * a)), so:
      const Award& award = clearing->awards.front();
      const Bid& bid = *std::find_if(auction.bids.begin(), auction.bids.end(),
                                     [&](const Bid& b) { return b.guest_id == award.guest_id; });
      program.Add(auction, award.guest_id);
      expected +=
          award.charge_microcredits + clearing->welfare_microcredits - ValueOf(bid, award.units);
      winners += static_cast<int64_t>(clearing->awards.size());
    }
    ASSERT_EQ(program.Solve(::testing::TempDir()), expected)
        << "replay: NOM_SEED=" << first << " NOM_COUNT=" << kAuctionsAProgram;
  }
  EXPECT_GT(winners, static_cast<int64_t>(CountOr(kAuctions)));
}

}  // namespace
}  // namespace nom::policies
