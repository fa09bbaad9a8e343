// mpsp against a public solver (CBC) on auctions too large for exhaustive search.
//
// Many auctions make one integer program, as blocks that share nothing: its optimum is the sum of
// theirs. No award can beat a block's optimum, so if the sums agree every block does. Charges are
// checked the same way: a second block for each auction has its first winner without value.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "policies/clearing/mpsp.h"
#include "tests/referee/random_auction.h"

namespace nom::policies {
namespace {

constexpr uint64_t kAuctions = 500;
constexpr uint64_t kAuctionsAProgram = 20;

// An integer program in the LP format. All numbers are whole and far below 2^53.
class Program {
 public:
  // Adds W of the auction to what is maximised. `without`: the bid whose quantities are worth
  // exactly the reserve, or nobody.
  void Add(const Auction& auction, GuestId without) {
    const std::string block = "b" + std::to_string(blocks_++) + "_";
    const Microcredits reserve = auction.reserve_unit_price_microcredits;
    constant_ += reserve * auction.capacity_units;
    std::ostringstream sold;
    for (const Bid& bid : auction.bids) {
      const std::string guest = block + std::to_string(bid.guest_id) + "_";
      std::ostringstream one;
      std::ostringstream kept;
      for (size_t r = 0; r < bid.ranges.size(); ++r) {
        const Range& range = bid.ranges[r];
        const std::string z = guest + "z" + std::to_string(r);
        const std::string q = guest + "q" + std::to_string(r);
        const Microcredits price =
            range.min_units == range.max_units ? 0 : range.unit_price_microcredits;
        const Microcredits at_zero = range.value_at_min_microcredits - range.min_units * price;
        // Worth the reserve: at_zero * z + (price - reserve) * q >= 0.
        constraints_ << Term(at_zero, z) << Term(price - reserve, q) << " >= 0\n";
        constraints_ << q << Term(-range.max_units, z) << " <= 0\n";
        constraints_ << q << Term(-range.min_units, z) << " >= 0\n";
        if (bid.guest_id != without) {
          objective_ << Term(-at_zero, z) << Term(reserve - price, q) << "\n";
        }
        binaries_ << " " << z << "\n";
        integers_ << " " << q << "\n";
        one << " + " << z;
        kept << " + " << q;
        sold << " + " << q;
      }
      if (!bid.ranges.empty()) constraints_ << one.str() << " <= 1\n";
      if (auction.reclaim_penalty_microcredits > 0 && bid.held_units > 0) {
        const std::string t = guest + "t";
        objective_ << Term(auction.reclaim_penalty_microcredits, t) << "\n";
        constraints_ << t << kept.str() << " >= " << bid.held_units << "\n";
      }
    }
    if (!sold.str().empty()) {
      constraints_ << sold.str() << " <= " << auction.capacity_units << "\n";
    }
  }

  // The largest sum of W, or a failed test.
  int64_t Solve() const {
    const std::string base = ::testing::TempDir() + "nom_mip_test_" + std::to_string(getpid());
    {
      std::ofstream file(base + ".lp");
      file << "Minimize\nobj: 0 nothing\n"
           << objective_.str() << "Subject To\nnothing >= 0\n"
           << constraints_.str() << "Binaries\n"
           << binaries_.str() << "Generals\n"
           << integers_.str() << "End\n";
    }
    const std::string command = "cbc " + base + ".lp ratioGap 0 allowableGap 0 solve solution " +
                                base + ".txt > " + base + ".log";
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
    std::ifstream solution(base + ".txt");
    std::string line;
    std::getline(solution, line);
    double objective = 0;
    EXPECT_EQ(std::sscanf(line.c_str(), "Optimal - objective value %lf", &objective), 1) << line;
    for (const char* suffix : {".lp", ".txt", ".log"}) std::remove((base + suffix).c_str());
    const double rounded = std::round(objective);
    EXPECT_NEAR(objective, rounded, 0.01);
    return constant_ - static_cast<int64_t>(rounded);
  }

 private:
  static std::string Term(int64_t factor, const std::string& variable) {
    return (factor < 0 ? " - " : " + ") + std::to_string(std::abs(factor)) + " " + variable;
  }

  int blocks_ = 0;
  int64_t constant_ = 0;
  std::ostringstream objective_;
  std::ostringstream constraints_;
  std::ostringstream binaries_;
  std::ostringstream integers_;
};

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
    Program program;
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
    ASSERT_EQ(program.Solve(), expected)
        << "replay: NOM_SEED=" << first << " NOM_COUNT=" << kAuctionsAProgram;
  }
  EXPECT_GT(winners, static_cast<int64_t>(CountOr(kAuctions)));
}

}  // namespace
}  // namespace nom::policies
