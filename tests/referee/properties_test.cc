// SPDX-License-Identifier: Apache-2.0
// What every clearing must satisfy, on random auctions larger than exhaustive search can take.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "policies/clearing/mpsp.h"
#include "policies/clearing/rules.h"
#include "policies/clearing/uniform_price.h"
#include "tests/referee/odd_auction.h"
#include "tests/referee/random_auction.h"
#include "tests/referee/shrink.h"

namespace nom::policies {
namespace {

constexpr uint64_t kAuctionsOfEachRule = 100'000;
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

// What each owner pays. A guest that names none is one of its own.
std::map<std::pair<OwnerId, GuestId>, Microcredits> ChargesByOwner(const Auction& auction,
                                                                   const Clearing& clearing) {
  std::map<std::pair<OwnerId, GuestId>, Microcredits> charges;
  for (const Award& award : clearing.awards) {
    const OwnerId owner = FindBid(auction, award.guest_id)->owner_id;
    charges[{owner, owner == 0 ? award.guest_id : 0}] += award.charge_microcredits;
  }
  return charges;
}

// What a property says that does not hold; empty if all does.
using Broken = std::string;
#define NOM_HOLDS(condition) \
  if (!(condition)) return Broken(#condition)

// A clearing, or nothing where the welfare does not fit in 64 bits.
std::optional<Clearing> ClearOrOverflow(const RuleInfo& rule, const Auction& auction,
                                        Broken& broken) {
  auto clearing = Clear(rule.name, auction);
  if (clearing.ok()) return *std::move(clearing);
  if (clearing.status().code() != absl::StatusCode::kOutOfRange || !MayOverflow(auction)) {
    broken = "the rule clears it: " + clearing.status().ToString();
  }
  return std::nullopt;
}

// Runs `check` on each rule's clearing of its random auctions, ordinary and odd ones. Prints what
// fails, and the smallest auction found for which it still does.
template <typename Check>
void ForEachRule(const Check& check) {
  for (const RuleInfo& rule : Rules()) {
    const auto broken = [&](const Auction& auction) {
      Broken what;
      const auto clearing = ClearOrOverflow(rule, auction, what);
      return clearing.has_value() ? check(rule, auction, *clearing) : what;
    };
    for (const auto make : {RandomAuction, OddAuction}) {
      const uint64_t end = FirstSeed() + CountOr(kAuctionsOfEachRule);
      for (uint64_t seed = FirstSeed(); seed < end; ++seed) {
        const Auction auction = make(ShapeFor(rule), seed, kBids, kUnits);
        const Broken what = broken(auction);
        ASSERT_TRUE(what.empty()) << rule.name << ": " << what << "\n"
                                  << (make == OddAuction ? "odd, " : "") << Describe(seed, auction)
                                  << DescribeShrunk(auction, [&](const Auction& smaller) {
                                       return !broken(smaller).empty();
                                     });
      }
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
    Broken broken;
    const auto of_larger = ClearOrOverflow(rule, larger, broken);
    NOM_HOLDS(!of_larger.has_value() ||
              of_larger->welfare_microcredits >= clearing.welfare_microcredits);
    return broken;
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
    NOM_HOLDS(ChargesByOwner(auction, *actual) == ChargesByOwner(auction, expected));
    // An owner's charge is split over its guests to the micro-credit, so each share scales only to
    // within one.
    NOM_HOLDS(actual->awards.size() == expected.awards.size());
    for (size_t i = 0; i < expected.awards.size(); ++i) {
      const Microcredits charge = actual->awards[i].charge_microcredits;
      NOM_HOLDS(std::abs(charge - expected.awards[i].charge_microcredits) < factor + 1);
      expected.awards[i].charge_microcredits = charge;
    }
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

// Odd auctions of many bids, where most are left out before anything is tabled.
TEST(Properties, TheCoreGivesTheSameAnswerOnOddAuctions) {
  MpspOptions tables;
  tables.always_tables = true;
  for (uint64_t seed = FirstSeed(), end = seed + CountOr(kAuctions); seed < end; ++seed) {
    const Auction auction = OddAuction(Shape::kGeneral, seed, 80, 60);
    const auto differs = [&](const Auction& smaller) {
      const auto clearing = ClearMpsp(smaller);
      const auto expected = ClearMpsp(smaller, tables);
      if (!clearing.ok()) return clearing.status() != expected.status();
      return *clearing != *expected;
    };
    ASSERT_FALSE(differs(auction)) << Describe(seed, auction) << DescribeShrunk(auction, differs);
  }
}

// A holder is worth much at one unit and nothing at `held_units`. Without its values it keeps all
// that it holds, as taking units costs more than the last of the others is worth: that one goes,
// and the holder's charge is what this displaces. The others each have another quantity worth
// nearly as much, so that their best ones look certain and only what the holder does without its
// values says that they are not.
TEST(Properties, AHolderPaysForWhatItWouldKeepWithoutItsValues) {
  for (int64_t others = 20; others <= 80; others += others < 40 ? 1 : 10) {
    for (const int64_t held_units : {3, 4, 9}) {
      for (const Microcredits last_value : {1, 2, 3, 5}) {
        Auction auction;
        auction.seed = static_cast<uint64_t>(others);
        auction.reclaim_penalty_microcredits = 3;
        for (int64_t i = 0; i < others; ++i) {
          auction.bids.push_back({static_cast<GuestId>(i) + 1, {{1, 1, 10, 0}, {2, 2, 9, 0}}, 0});
        }
        auction.bids.push_back(
            {1'000, {{1, 1, 100, 0}, {held_units, held_units, 0, 0}}, held_units});
        auction.bids.push_back({1'001, {{1, 1, last_value, 0}}, 0});
        // Room for all that the last one is not worth leaving out, but one unit short of the
        // holder's other quantity.
        auction.capacity_units = others + held_units;
        const auto clearing = ClearMpsp(auction);
        ASSERT_TRUE(clearing.ok()) << clearing.status();
        ASSERT_EQ(AwardOf(*clearing, 1'000).units, 1);
        ASSERT_EQ(AwardOf(*clearing, 1'001).units, 1);
        ASSERT_EQ(AwardOf(*clearing, 1'000).charge_microcredits,
                  auction.reclaim_penalty_microcredits * (held_units - 1) - last_value)
            << others << " others, held " << held_units << ", the last worth " << last_value;
      }
    }
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
