// SPDX-License-Identifier: Apache-2.0
// joint_vcg against a public solver (CBC) on auctions too large for exhaustive search.
//
// Some auctions make one integer program, as blocks that share nothing: its optimum is the sum of
// theirs. No award can beat a block's optimum, so if the sums agree every block does. Charges are
// checked the same way: another block for each auction has one of its winners without value. The
// bundles come from ValueOf, quantity by quantity: nothing is shared with the rule's own lists.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "policies/clearing/joint/joint_vcg.h"
#include "tests/referee/cbc_program.h"
#include "tests/referee/joint_promises.h"
#include "tests/referee/random_joint_auction.h"

namespace nom::policies {
namespace {

constexpr uint64_t kAuctions = 500;
constexpr uint64_t kAuctionsAProgram = 5;  // More would multiply the solver's trees.
constexpr int64_t kGridMax = 144;
// Small enough for the solver's tolerances to decide nothing.
constexpr Microcredits kMoneyMax = 20'000;

int64_t GridOf(const JointAuction& auction) {
  int64_t grid = 1;
  for (const int64_t capacity : auction.capacity_units) grid *= capacity + 1;
  return grid;
}

class JointMipProgram {
 public:
  // Adds W of the auction to what is maximised. `without`: the indices of the bids whose bundles
  // are worth exactly the reserves.
  void Add(const JointAuction& auction, const std::vector<size_t>& without) {
    const std::string block = "b" + std::to_string(blocks_++) + "_";
    std::array<std::ostringstream, kJointResourcesMax> sold;
    for (size_t r = 0; r < sold.size(); ++r) {
      constant_ += auction.reserve_unit_prices_microcredits[r] * auction.capacity_units[r];
    }
    for (size_t i = 0; i < auction.bids.size(); ++i) {
      const JointBid& bid = auction.bids[i];
      const bool is_without = std::find(without.begin(), without.end(), i) != without.end();
      constant_ -= PenaltyOf(auction, bid, {});
      std::ostringstream one;
      int64_t bundles = 0;
      UnitVector units = {};
      // By bundle: the most that it, or one that needs no more of anything, adds to W. To add no
      // more than another is never better, and the solver is quicker without.
      std::vector<Microcredits> highest(1, 0);
      while (NextBundle(auction, units)) {
        Microcredits high = 0;
        size_t before = 1;
        for (size_t r = 0; r < units.size(); ++r) {
          if (units[r] > 0) high = std::max(high, highest[highest.size() - before]);
          before *= static_cast<size_t>(auction.capacity_units[r]) + 1;
        }
        const std::optional<Microcredits> value = ValueOf(bid, units);
        const Microcredits at_reserve = AtReserve(auction, units);
        Microcredits adds = 0;
        if (value.has_value() && *value >= at_reserve) {
          adds = (is_without ? 0 : *value - at_reserve) + PenaltyOf(auction, bid, {}) -
                 PenaltyOf(auction, bid, units);
        }
        highest.push_back(std::max(high, adds));
        if (adds <= high) continue;
        const std::string x =
            block + std::to_string(bid.guest_id) + "_" + std::to_string(bundles++);
        program_.costs << " - " << adds << " " << x << "\n";
        program_.binaries << " " << x << "\n";
        one << " + " << x << "\n";
        for (size_t r = 0; r < sold.size(); ++r) {
          if (units[r] > 0) sold[r] << " + " << units[r] << " " << x << "\n";
        }
      }
      if (bundles > 0) program_.constraints << one.str() << " <= 1\n";
    }
    for (size_t r = 0; r < sold.size(); ++r) {
      if (sold[r].str().empty()) continue;
      program_.constraints << sold[r].str() << " <= " << auction.capacity_units[r] << "\n";
    }
  }

  // The largest sum of W; nothing if the solver does not find it.
  std::optional<int64_t> Solve() const {
    const std::optional<int64_t> cost = program_.MinimiseWhole(::testing::TempDir());
    if (!cost.has_value()) return std::nullopt;
    return constant_ - *cost;
  }

 private:
  static Microcredits PenaltyOf(const JointAuction& auction, const JointBid& bid,
                                const UnitVector& units) {
    Microcredits sum = 0;
    for (size_t r = 0; r < units.size(); ++r) {
      sum += std::max<int64_t>(0, bid.held_units[r] - units[r]) *
             auction.reclaim_penalties_microcredits[r];
    }
    return sum;
  }

  // The next one within the capacity; false after the last.
  static bool NextBundle(const JointAuction& auction, UnitVector& units) {
    for (size_t r = 0; r < units.size(); ++r) {
      if (++units[r] <= auction.capacity_units[r]) return true;
      units[r] = 0;
    }
    return false;
  }

  int blocks_ = 0;
  int64_t constant_ = 0;
  CbcProgram program_;
};

Microcredits LargestMoney(const JointAuction& auction) {
  Microcredits largest = 0;
  for (const JointBid& bid : auction.bids) {
    for (const Bundle& bundle : bid.bundles) {
      largest = std::max(largest, bundle.value_microcredits);
    }
    if (!bid.curves.has_value()) continue;
    if (bid.curves->combination == Combination::kProduct) {
      largest = std::max(largest, bid.curves->whole_value_microcredits);
      continue;
    }
    for (const std::vector<Range>& ranges : bid.curves->curves) {
      for (const Range& range : ranges) {
        largest = std::max({largest, ValueOf(Bid{1, ranges, 0}, range.min_units),
                            ValueOf(Bid{1, ranges, 0}, range.max_units)});
      }
    }
  }
  return largest;
}

JointAuction MiddleAuction(uint64_t seed) {
  JointShape shape;
  shape.bids_max = 14;
  shape.grid_max = kGridMax;
  // Each number of resources as often as the others, however few auctions of it are in between.
  shape.resources_min = shape.resources_max = 1 + static_cast<int>(seed % kJointResourcesMax);
  for (uint64_t more = 0;; ++more) {
    JointAuction auction = RandomJointAuction(shape, seed + (more << 32));
    const int64_t grid = GridOf(auction);
    if (auction.bids.size() >= 5 && grid >= 16 && grid <= kGridMax &&
        LargestMoney(auction) <= kMoneyMax) {
      return auction;
    }
  }
}

TEST(JointMip, TheJointRuleFindsWhatCbcFinds) {
  if (std::system("command -v cbc > /dev/null") != 0) {
    GTEST_SKIP() << "cbc is not installed (Debian: coinor-cbc)";
  }
  int64_t winners = 0;
  std::array<int64_t, 6> kinds = {};  // By Combination; bundles; with a penalty.
  std::array<int64_t, kJointResourcesMax + 1> by_resources = {};
  const uint64_t end = FirstSeed() + CountOr(kAuctions);
  for (uint64_t first = FirstSeed(); first < end; first += kAuctionsAProgram) {
    JointMipProgram program;
    int64_t expected = 0;
    for (uint64_t seed = first; seed < std::min(end, first + kAuctionsAProgram); ++seed) {
      const JointAuction auction = MiddleAuction(seed);
      for (const JointBid& bid : auction.bids) {
        ++kinds[bid.curves.has_value() ? static_cast<size_t>(bid.curves->combination) : 4];
      }
      kinds[5] += auction.reclaim_penalties_microcredits != PriceVector{};
      ++by_resources[static_cast<size_t>(auction.resource_count)];
      const auto clearing = ClearJointVcg(auction);
      ASSERT_TRUE(clearing.ok()) << clearing.status() << Replay(seed, auction);
      ASSERT_EQ(BrokenPromise(auction, *clearing), "") << Replay(seed, auction);
      ASSERT_TRUE(clearing->charges_are_exact) << Replay(seed, auction);
      program.Add(auction, {});
      expected += clearing->welfare_microcredits;
      if (clearing->awards.empty()) continue;
      // charges of an owner = reserve * a + W(without) - (W - (value - reserve * a)), so:
      const JointAward& award = clearing->awards[seed % clearing->awards.size()];
      const std::vector<size_t> bids = BidsOfOwner(auction, BidOf(auction, award.guest_id));
      program.Add(auction, bids);
      expected += clearing->welfare_microcredits;
      for (const size_t bid : bids) {
        const JointAward one = AwardOf(*clearing, auction.bids[bid].guest_id);
        expected += one.charge_microcredits - *ValueOf(auction.bids[bid], one.units);
      }
      winners += static_cast<int64_t>(clearing->awards.size());
    }
    ASSERT_EQ(program.Solve(), expected)
        << "replay: NOM_SEED=" << first << " NOM_COUNT=" << kAuctionsAProgram;
  }
  if (CountOr(kAuctions) < kAuctions) return;  // A replay need not have seen everything.
  EXPECT_GT(winners, static_cast<int64_t>(kAuctions));
  for (const int64_t count : kinds) EXPECT_GT(count, static_cast<int64_t>(kAuctions / 10));
  for (size_t r = 1; r < by_resources.size(); ++r)
    EXPECT_GT(by_resources[r], static_cast<int64_t>(kAuctions / 25)) << r;
}

}  // namespace
}  // namespace nom::policies
