// What every clearing must satisfy, on random auctions larger than exhaustive search can take.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "policies/clearing/mpsp.h"
#include "policies/clearing/rules.h"
#include "policies/clearing/uniform_price.h"
#include "tests/referee/random_auction.h"
#include "tests/referee/shrink.h"

namespace nom::policies {
namespace {

constexpr uint64_t kAuctionsOfEachRule = kIsSanitized ? 10'000 : 100'000;
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

// What a property says that does not hold; empty if all does.
using Broken = std::string;
#define NOM_HOLDS(condition) \
  if (!(condition)) return Broken(#condition)

// Runs `check` on each rule's clearing of its random auctions. Prints what fails, and the smallest
// auction found for which it still does.
template <typename Check>
void ForEachRule(const Check& check) {
  for (const RuleInfo& rule : Rules()) {
    const auto broken = [&](const Auction& auction) -> Broken {
      const auto clearing = Clear(rule.name, auction);
      if (!clearing.ok()) return "the rule clears it: " + clearing.status().ToString();
      return check(rule, auction, *clearing);
    };
    const uint64_t end = FirstSeed() + CountOr(kAuctionsOfEachRule);
    for (uint64_t seed = FirstSeed(); seed < end; ++seed) {
      const Auction auction = RandomAuction(ShapeFor(rule), seed, kBids, kUnits);
      const Broken what = broken(auction);
      ASSERT_TRUE(what.empty()) << rule.name << ": " << what << "\n"
                                << Describe(seed, auction)
                                << DescribeShrunk(auction, [&](const Auction& smaller) {
                                     return !broken(smaller).empty();
                                   });
    }
  }
}

TEST(Properties, AwardsAreFeasibleAndChargesLieBetweenReserveAndValue) {
  ForEachRule([](const RuleInfo& rule, const Auction& auction, const Clearing& clearing) -> Broken {
    int64_t sold_units = 0;
    GuestId last_guest = 0;
    std::vector<int64_t> units(auction.bids.size(), 0);
    for (const Award& award : clearing.awards) {
      NOM_HOLDS(award.guest_id > last_guest);  // Rising, each once; losers are absent.
      last_guest = award.guest_id;
      const Bid* bid = FindBid(auction, award.guest_id);
      NOM_HOLDS(bid != nullptr);
      NOM_HOLDS(award.units > 0);
      NOM_HOLDS(Allowed(*bid, award.units));
      NOM_HOLDS(award.charge_microcredits <= ValueOf(*bid, award.units));
      NOM_HOLDS(award.charge_microcredits >= auction.reserve_unit_price_microcredits * award.units);
      sold_units += award.units;
      units[static_cast<size_t>(bid - auction.bids.data())] = award.units;
    }
    NOM_HOLDS(sold_units <= auction.capacity_units);
    const auto welfare = Welfare(auction, units);
    NOM_HOLDS(welfare.ok());
    NOM_HOLDS(*welfare == clearing.welfare_microcredits);
    NOM_HOLDS(clearing.welfare_bound_microcredits >= clearing.welfare_microcredits);
    NOM_HOLDS(!rule.efficient ||
              clearing.welfare_bound_microcredits == clearing.welfare_microcredits);
    NOM_HOLDS(clearing.method == Method::kExact);
    NOM_HOLDS(clearing.clearing_unit_price_microcredits >= auction.reserve_unit_price_microcredits);
    NOM_HOLDS((clearing.bound_by == BoundBy::kBids) == (clearing.clearing_unit_price_microcredits >
                                                        auction.reserve_unit_price_microcredits));
    NOM_HOLDS(clearing.highest_rejected_unit_price_microcredits ==
              HighestRejectedUnitPrice(auction, units));
    return {};
  });
}

TEST(Properties, TheOrderOfBidsIsIrrelevant) {
  ForEachRule([](const RuleInfo& rule, const Auction& auction, const Clearing& clearing) -> Broken {
    Auction shuffled = auction;
    TestRandom random(auction.seed);
    for (size_t i = shuffled.bids.size(); i > 1; --i) {
      std::swap(shuffled.bids[i - 1],
                shuffled.bids[static_cast<size_t>(random.Between(0, static_cast<int64_t>(i) - 1))]);
    }
    NOM_HOLDS(*Clear(rule.name, shuffled) == clearing);
    NOM_HOLDS(*Clear(rule.name, auction) == clearing);
    return {};
  });
}

TEST(Properties, MoreCapacityNeverLowersWelfare) {
  ForEachRule([](const RuleInfo& rule, const Auction& auction, const Clearing& clearing) -> Broken {
    if (!rule.efficient) return {};
    Auction larger = auction;
    larger.capacity_units += 1 + static_cast<int64_t>(auction.seed % 3);
    NOM_HOLDS(Clear(rule.name, larger)->welfare_microcredits >= clearing.welfare_microcredits);
    return {};
  });
}

// Also takes mpsp from 64-bit to 128-bit tables: both must give the same awards.
TEST(Properties, MoneyScales) {
  ForEachRule([](const RuleInfo& rule, const Auction& auction, const Clearing& clearing) -> Broken {
    if (!rule.efficient) return {};
    // With nothing for sale the price is the highest rejected offer, which is rounded down.
    if (auction.capacity_units == 0) return {};
    // With a penalty a uniform price is rounded down to what one winner can pay.
    if (!rule.takes_gaps && auction.reclaim_penalty_microcredits > 0) return {};
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
    if (actual.status().code() == absl::StatusCode::kOutOfRange) return {};
    NOM_HOLDS(actual.ok());
    Clearing expected = clearing;
    for (Award& award : expected.awards) award.charge_microcredits *= factor;
    expected.clearing_unit_price_microcredits *= factor;
    expected.welfare_microcredits *= factor;
    expected.welfare_bound_microcredits *= factor;
    // Rounded down across a gap, so it scales only to within one.
    NOM_HOLDS(actual->highest_rejected_unit_price_microcredits >=
              expected.highest_rejected_unit_price_microcredits * factor);
    expected.highest_rejected_unit_price_microcredits =
        actual->highest_rejected_unit_price_microcredits;
    NOM_HOLDS(*actual == expected);
    return {};
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

// Selection on hundreds of bids with few different prices, so that ties decide much.
TEST(Properties, TablesAndSelectionAgreeOnManyConcaveBids) {
  MpspOptions tables;
  tables.always_tables = true;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions / 50); seed < end; ++seed) {
    Auction auction = RandomAuction(Shape::kConcave, seed, 1'000, 20);
    auction.reclaim_penalty_microcredits = 0;
    auction.capacity_units = static_cast<int64_t>(seed % 5) * (auction.capacity_units + 30);
    ASSERT_EQ(*ClearMpsp(auction), *ClearMpsp(auction, tables)) << seed;
  }
}

// Many small winners, whose absences are looked at in groups.
TEST(Properties, TheCoreGivesTheSameAnswerForManyWinners) {
  MpspOptions tables;
  tables.always_tables = true;
  int64_t winners = 0;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions / 20); seed < end; ++seed) {
    Auction auction = RandomAuction(Shape::kGeneral, seed, 200, 8);
    auction.capacity_units = 20 * auction.capacity_units + 1;
    const auto clearing = ClearMpsp(auction);
    ASSERT_TRUE(clearing.ok()) << clearing.status();
    ASSERT_EQ(*clearing, *ClearMpsp(auction, tables)) << Describe(seed, auction);
    winners += static_cast<int64_t>(clearing->awards.size());
  }
  EXPECT_GT(winners, static_cast<int64_t>(20 * CountOr(kAuctions / 20)));
}

TEST(Properties, VectorInstructionsDoNotChangeTheAnswer) {
  MpspOptions tables;
  tables.always_tables = true;
  MpspOptions portable = tables;
  portable.portable = true;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions / 4); seed < end; ++seed) {
    const Auction auction = RandomAuction(Shape::kGeneral, seed, 12, seed % 8 == 0 ? 3'000 : 60);
    ASSERT_EQ(*ClearMpsp(auction, tables), *ClearMpsp(auction, portable))
        << Describe(seed, auction);
  }
}

// Leaving out what can't win changes nothing, on auctions where most bids can't.
TEST(Properties, TheCoreGivesTheSameAnswer) {
  MpspOptions tables;
  tables.always_tables = true;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions); seed < end; ++seed) {
    Auction auction = RandomAuction(Shape::kGeneral, seed, 60, 60);
    auction.capacity_units = 1 + auction.capacity_units / 2;
    ASSERT_EQ(*ClearMpsp(auction), *ClearMpsp(auction, tables)) << Describe(seed, auction);
  }
}

// One owner under two names, whatever the two say: if both are taken out together to find what they
// pay, the owner is never better off than with one truthful bid.
TEST(Properties, TwoNamesDoNotPayWhereSiblingsAreExcludedTogether) {
  int64_t both_won = 0;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions); seed < end; ++seed) {
    Auction auction = RandomAuction(Shape::kGeneral, seed, 8, 20);
    auction.reclaim_penalty_microcredits = 0;
    if (auction.bids.empty()) continue;
    const Bid truth = auction.bids[0];
    const auto honest = ClearMpsp(auction);
    ASSERT_TRUE(honest.ok()) << honest.status();
    const Award award = AwardOf(*honest, truth.guest_id);
    Auction without = auction;
    without.bids.erase(without.bids.begin());
    const Microcredits others = ClearMpsp(without)->welfare_microcredits;
    Auction split = auction;
    TestRandom random(seed);
    const Auction lies = RandomAuction(Shape::kGeneral, random.Next(), 8, 20);
    split.bids[0].ranges = lies.bids.empty() ? truth.ranges : lies.bids[0].ranges;
    split.bids.push_back({truth.guest_id + 1'000'000, truth.ranges, 0});
    const auto clearing = ClearMpsp(split);
    ASSERT_TRUE(clearing.ok()) << clearing.status();
    const int64_t first = AwardOf(*clearing, truth.guest_id).units;
    const int64_t second = AwardOf(*clearing, truth.guest_id + 1'000'000).units;
    const Microcredits said = ValueOf(split.bids[0], first) + ValueOf(truth, second);
    const Microcredits charge = others - (clearing->welfare_microcredits - said);
    // The owner uses any part of what it has.
    Microcredits value = 0;
    for (int64_t q = 1; q <= first + second; ++q) {
      if (Allowed(truth, q)) value = std::max(value, ValueOf(truth, q));
    }
    ASSERT_LE(value - charge, ValueOf(truth, award.units) - award.charge_microcredits)
        << Describe(seed, auction);
    both_won += first > 0 && second > 0;
  }
  EXPECT_GT(both_won, static_cast<int64_t>(CountOr(kAuctions) / 50));
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
