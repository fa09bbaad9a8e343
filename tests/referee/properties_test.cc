// What every clearing must satisfy, on random auctions larger than exhaustive search can take.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "policies/clearing/mpsp.h"
#include "policies/clearing/rules.h"
#include "policies/clearing/uniform_price.h"
#include "tests/referee/random_auction.h"

namespace nom::policies {
namespace {

constexpr uint64_t kAuctions = 10'000;
constexpr int64_t kBids = 12;
constexpr int64_t kUnits = 40;

Shape ShapeFor(const RuleInfo& rule) { return rule.takes_gaps ? Shape::kGeneral : Shape::kConcave; }

const Bid* FindBid(const Auction& auction, GuestId guest_id) {
  for (const Bid& bid : auction.bids) {
    if (bid.guest_id == guest_id) return &bid;
  }
  return nullptr;
}

Award AwardOf(const Clearing& clearing, GuestId guest_id) {
  for (const Award& award : clearing.awards) {
    if (award.guest_id == guest_id) return award;
  }
  return {guest_id, 0, 0};
}

void ScaleMoney(Auction& auction, Microcredits factor) {
  auction.reserve_unit_price_microcredits *= factor;
  auction.reclaim_penalty_microcredits *= factor;
  for (Bid& bid : auction.bids) {
    for (Range& range : bid.ranges) {
      range.value_at_min_microcredits *= factor;
      range.unit_price_microcredits *= factor;
    }
  }
}

// Runs `check` on each rule's clearing of its random auctions.
template <typename Check>
void ForEachRule(const Check& check) {
  for (const RuleInfo& rule : Rules()) {
    for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions); seed < end; ++seed) {
      const Auction auction = RandomAuction(ShapeFor(rule), seed, kBids, kUnits);
      SCOPED_TRACE(std::string(rule.name));
      const auto clearing = Clear(rule.name, auction);
      ASSERT_TRUE(clearing.ok()) << clearing.status() << "\n" << Describe(seed, auction);
      check(rule, seed, auction, *clearing);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(Properties, AwardsAreFeasibleAndChargesLieBetweenReserveAndValue) {
  ForEachRule([](const RuleInfo& rule, uint64_t seed, const Auction& auction,
                 const Clearing& clearing) {
    const std::string context = Describe(seed, auction);
    int64_t sold_units = 0;
    GuestId last_guest = 0;
    std::vector<int64_t> units(auction.bids.size(), 0);
    for (const Award& award : clearing.awards) {
      ASSERT_GT(award.guest_id, last_guest) << context;  // Rising, each once; losers are absent.
      last_guest = award.guest_id;
      const Bid* bid = FindBid(auction, award.guest_id);
      ASSERT_NE(bid, nullptr) << context;
      ASSERT_GT(award.units, 0) << context;
      ASSERT_TRUE(Allowed(*bid, award.units)) << context;
      ASSERT_LE(award.charge_microcredits, ValueOf(*bid, award.units)) << context;
      ASSERT_GE(award.charge_microcredits, auction.reserve_unit_price_microcredits * award.units)
          << context;
      sold_units += award.units;
      units[static_cast<size_t>(bid - auction.bids.data())] = award.units;
    }
    ASSERT_LE(sold_units, auction.capacity_units) << context;
    const auto welfare = Welfare(auction, units);
    ASSERT_TRUE(welfare.ok()) << welfare.status() << context;
    ASSERT_EQ(*welfare, clearing.welfare_microcredits) << context;
    ASSERT_GE(clearing.welfare_bound_microcredits, clearing.welfare_microcredits) << context;
    if (rule.efficient) {
      ASSERT_EQ(clearing.welfare_bound_microcredits, clearing.welfare_microcredits) << context;
    }
    ASSERT_EQ(clearing.method, Method::kExact) << context;
    ASSERT_GE(clearing.clearing_unit_price_microcredits, auction.reserve_unit_price_microcredits)
        << context;
    ASSERT_EQ(clearing.bound_by == BoundBy::kBids,
              clearing.clearing_unit_price_microcredits > auction.reserve_unit_price_microcredits)
        << context;
    ASSERT_EQ(clearing.highest_rejected_unit_price_microcredits,
              HighestRejectedUnitPrice(auction, units))
        << context;
  });
}

TEST(Properties, TheOrderOfBidsIsIrrelevant) {
  ForEachRule([](const RuleInfo& rule, uint64_t seed, const Auction& auction,
                 const Clearing& clearing) {
    Auction shuffled = auction;
    TestRandom random(seed + 1'000'000'007);
    for (size_t i = shuffled.bids.size(); i > 1; --i) {
      std::swap(shuffled.bids[i - 1],
                shuffled.bids[static_cast<size_t>(random.Between(0, static_cast<int64_t>(i) - 1))]);
    }
    ASSERT_EQ(*Clear(rule.name, shuffled), clearing) << Describe(seed, auction);
    ASSERT_EQ(*Clear(rule.name, auction), clearing) << Describe(seed, auction);
  });
}

TEST(Properties, MoreCapacityNeverLowersWelfare) {
  ForEachRule(
      [](const RuleInfo& rule, uint64_t seed, const Auction& auction, const Clearing& clearing) {
        if (!rule.efficient) return;
        Auction larger = auction;
        larger.capacity_units += 1 + static_cast<int64_t>(seed % 3);
        ASSERT_GE(Clear(rule.name, larger)->welfare_microcredits, clearing.welfare_microcredits)
            << Describe(seed, auction);
      });
}

// Also takes mpsp from 64-bit to 128-bit tables: both must give the same awards.
TEST(Properties, MoneyScales) {
  ForEachRule(
      [](const RuleInfo& rule, uint64_t seed, const Auction& auction, const Clearing& clearing) {
        if (!rule.efficient) return;
        // With nothing for sale the price is the highest rejected offer, which is rounded down.
        if (auction.capacity_units == 0) return;
        // With a penalty a uniform price is rounded down to what one winner can pay.
        if (!rule.takes_gaps && auction.reclaim_penalty_microcredits > 0) return;
        Microcredits largest = std::max({Microcredits{1}, auction.reserve_unit_price_microcredits,
                                         auction.reclaim_penalty_microcredits});
        for (const Bid& bid : auction.bids) {
          for (const Range& range : bid.ranges) {
            largest =
                std::max({largest, range.value_at_min_microcredits,
                          std::abs(range.unit_price_microcredits), ValueOf(bid, range.max_units)});
          }
        }
        const Microcredits factor = kValueMaxMicrocredits / largest;
        Auction scaled = auction;
        ScaleMoney(scaled, factor);
        const auto actual = Clear(rule.name, scaled);
        if (actual.status().code() == absl::StatusCode::kOutOfRange) return;
        ASSERT_TRUE(actual.ok()) << actual.status() << Describe(seed, auction);
        Clearing expected = clearing;
        for (Award& award : expected.awards) award.charge_microcredits *= factor;
        expected.clearing_unit_price_microcredits *= factor;
        expected.welfare_microcredits *= factor;
        expected.welfare_bound_microcredits *= factor;
        // Rounded down across a gap, so it scales only to within one.
        ASSERT_GE(actual->highest_rejected_unit_price_microcredits,
                  expected.highest_rejected_unit_price_microcredits * factor)
            << Describe(seed, auction);
        expected.highest_rejected_unit_price_microcredits =
            actual->highest_rejected_unit_price_microcredits;
        ASSERT_EQ(*actual, expected) << Describe(seed, auction);
      });
}

TEST(Properties, RaisingABidNeverLosesUnits) {
  for (const RuleInfo& rule : Rules()) {
    if (!rule.efficient) continue;
    for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions); seed < end; ++seed) {
      Auction auction = RandomAuction(ShapeFor(rule), seed, kBids, kUnits);
      auction.reclaim_penalty_microcredits = 0;
      if (auction.bids.empty()) continue;
      const auto before = Clear(rule.name, auction);
      ASSERT_TRUE(before.ok()) << before.status();
      TestRandom random(seed);
      Bid& bid = auction.bids[static_cast<size_t>(
          random.Between(0, static_cast<int64_t>(auction.bids.size()) - 1))];
      const Microcredits more_a_unit = random.Between(1, 5);
      for (Range& range : bid.ranges) {
        range.value_at_min_microcredits += more_a_unit * range.min_units;
        range.unit_price_microcredits += more_a_unit;
      }
      const auto after = Clear(rule.name, auction);
      ASSERT_TRUE(after.ok()) << after.status();
      ASSERT_GE(AwardOf(*after, bid.guest_id).units, AwardOf(*before, bid.guest_id).units)
          << rule.name << " guest " << bid.guest_id << " +" << more_a_unit << "\n"
          << Describe(seed, auction);
    }
  }
}

// What a guest gains with a bid, by what quantities are truly worth to it.
Microcredits Surplus(std::string_view rule, const Auction& auction, const Bid& truth) {
  const auto clearing = Clear(rule, auction);
  EXPECT_TRUE(clearing.ok()) << clearing.status();
  const Award award = AwardOf(*clearing, truth.guest_id);
  const Microcredits value = Allowed(truth, award.units) ? ValueOf(truth, award.units) : 0;
  return value - award.charge_microcredits;
}

void ScaleValues(Bid& bid, int64_t quarters) {
  for (Range& range : bid.ranges) {
    range.value_at_min_microcredits = range.value_at_min_microcredits * quarters / 4;
    range.unit_price_microcredits = range.unit_price_microcredits * quarters / 4;
  }
}

TEST(Properties, NoMisreportPaysUnderATruthfulRule) {
  for (const RuleInfo& rule : Rules()) {
    if (!rule.truthful) continue;
    SCOPED_TRACE(std::string(rule.name));
    for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions / 4); seed < end; ++seed) {
      Auction auction = RandomAuction(Shape::kGeneral, seed, 6, 16);
      auction.reclaim_penalty_microcredits = 0;
      if (auction.bids.empty()) continue;
      Bid& bid = auction.bids[0];
      const Bid truth = bid;
      const Microcredits honest = Surplus(rule.name, auction, truth);
      TestRandom random(seed);
      for (int lie = 0; lie < 12; ++lie) {
        bid = truth;
        if (lie < 8) {  // Everything worth more or less.
          ScaleValues(bid, lie);
          // Rounding can part ranges that touched.
          if (!ValidateBid(bid).ok()) continue;
        } else if (lie < 10) {  // Fewer quantities.
          if (!bid.ranges.empty()) {
            bid.ranges.erase(bid.ranges.begin() +
                             random.Between(0, static_cast<int64_t>(bid.ranges.size()) - 1));
          }
        } else {  // Somebody else's bid.
          const Auction other = RandomAuction(Shape::kGeneral, random.Next(), 6, 16);
          if (other.bids.empty()) continue;
          bid.ranges = other.bids[0].ranges;
        }
        ASSERT_LE(Surplus(rule.name, auction, truth), honest)
            << "lie " << lie << " of guest " << truth.guest_id << "\n"
            << Describe(seed, auction);
      }
    }
  }
}

TEST(Properties, NoMisreportOfValuesPaysUnderMpspWithAPenalty) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions / 4); seed < end; ++seed) {
    Auction auction = RandomAuction(Shape::kGeneral, seed, 6, 16);
    auction.reserve_unit_price_microcredits = 0;  // So no value changes what can be sold.
    if (auction.bids.empty() || auction.reclaim_penalty_microcredits == 0) continue;
    Bid& bid = auction.bids[0];
    const Bid truth = bid;
    const Microcredits honest = Surplus("mpsp/1", auction, truth);
    for (int lie = 0; lie < 10; ++lie) {
      bid = truth;
      ScaleValues(bid, lie);
      if (!ValidateBid(bid).ok()) continue;
      ASSERT_LE(Surplus("mpsp/1", auction, truth), honest) << "lie " << lie << "\n"
                                                           << Describe(seed, auction);
    }
  }
}

TEST(Properties, TheMemoryForTablesDoesNotChangeTheAnswer) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions / 4); seed < end; ++seed) {
    const Auction auction = RandomAuction(Shape::kGeneral, seed, 40, 30);
    const auto expected = ClearMpsp(auction);
    ASSERT_TRUE(expected.ok()) << expected.status();
    for (int64_t bytes : {0, 1'000, 2'000, 5'000}) {
      MpspOptions options;
      options.table_bytes_max = bytes;
      options.always_tables = true;
      ASSERT_EQ(*ClearMpsp(auction, options), *expected) << bytes << " " << Describe(seed, auction);
    }
  }
}

TEST(Properties, TablesSortingAndTheUniformRuleAgreeOnConcaveBids) {
  MpspOptions tables;
  tables.always_tables = true;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions); seed < end; ++seed) {
    const Auction auction = RandomAuction(Shape::kConcave, seed, 40, 100);
    const auto uniform = ClearUniformPrice(auction);
    const auto mpsp = ClearMpsp(auction);
    ASSERT_TRUE(uniform.ok()) << uniform.status();
    ASSERT_TRUE(mpsp.ok()) << mpsp.status();
    ASSERT_EQ(*ClearMpsp(auction, tables), *mpsp) << Describe(seed, auction);
    ASSERT_EQ(uniform->welfare_microcredits, mpsp->welfare_microcredits) << Describe(seed, auction);
    ASSERT_EQ(uniform->awards.size(), mpsp->awards.size()) << Describe(seed, auction);
    for (size_t i = 0; i < uniform->awards.size(); ++i) {
      ASSERT_EQ(uniform->awards[i].guest_id, mpsp->awards[i].guest_id) << Describe(seed, auction);
      ASSERT_EQ(uniform->awards[i].units, mpsp->awards[i].units) << Describe(seed, auction);
    }
  }
}

// Leaving out what can't win changes nothing, on auctions where most bids can't.
TEST(Properties, EliminationDoesNotChangeTheAnswer) {
  MpspOptions tables;
  tables.always_tables = true;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions); seed < end; ++seed) {
    Auction auction = RandomAuction(Shape::kGeneral, seed, 60, 60);
    auction.capacity_units = 1 + auction.capacity_units / 2;
    ASSERT_EQ(*ClearMpsp(auction), *ClearMpsp(auction, tables)) << Describe(seed, auction);
  }
}

// Without a penalty the uniform price is an equilibrium: at it, nobody would rather have more or
// less than the award.
TEST(Properties, NobodyEnviesAnotherQuantityAtTheUniformPrice) {
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions); seed < end; ++seed) {
    Auction auction = RandomAuction(Shape::kConcave, seed, kBids, kUnits);
    auction.reclaim_penalty_microcredits = 0;
    const auto clearing = ClearUniformPrice(auction);
    ASSERT_TRUE(clearing.ok()) << clearing.status();
    const Microcredits price = clearing->clearing_unit_price_microcredits;
    for (const Bid& bid : auction.bids) {
      const int64_t units = AwardOf(*clearing, bid.guest_id).units;
      const Microcredits surplus = ValueOf(bid, units) - price * units;
      for (int64_t q = 0; q <= kUnits; ++q) {
        if (!Allowed(bid, q)) continue;
        ASSERT_GE(surplus, ValueOf(bid, q) - price * q)
            << "guest " << bid.guest_id << " at " << q << "\n"
            << Describe(seed, auction);
      }
    }
  }
}

}  // namespace
}  // namespace nom::policies
