// SPDX-License-Identifier: Apache-2.0
#include "tests/referee/odd_auction.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "policies/clearing/int128.h"

namespace nom::policies {
namespace {

// What an oddity knows of the auction that it changes.
struct Context {
  Shape shape;
  int64_t units_max;
  TestRandom& random;
};

Bid* AnyBid(Auction& auction, TestRandom& random) {
  if (auction.bids.empty()) return nullptr;
  return &auction.bids[static_cast<size_t>(
      random.Between(0, static_cast<int64_t>(auction.bids.size()) - 1))];
}

int64_t MostUnits(const Bid& bid) { return bid.ranges.empty() ? 0 : bid.ranges.back().max_units; }

// The largest price a unit that any quantity is worth, rounded up.
Microcredits HighestUnitValue(const Auction& auction) {
  Microcredits highest = 0;
  for (const Bid& bid : auction.bids) {
    for (const Range& range : bid.ranges) {
      for (const int64_t units : {std::max<int64_t>(1, range.min_units), range.max_units}) {
        if (units > range.max_units || units == 0) continue;  // A range of nothing.
        highest = std::max(highest, (ValueOf(bid, units) + units - 1) / units);
      }
    }
  }
  return highest;
}

Microcredits HighestValue(const Auction& auction) {
  Microcredits highest = 0;
  for (const Bid& bid : auction.bids) {
    for (const Range& range : bid.ranges) {
      highest = std::max({highest, ValueOf(bid, range.min_units), ValueOf(bid, range.max_units)});
    }
  }
  return highest;
}

// Touching ranges at one price are one marginal piece in several parts.
void MakeTies(Auction& auction, const Context& context) {
  TestRandom& random = context.random;
  const Microcredits prices[] = {random.Between(1, 3), random.Between(1, 3)};
  const int64_t width = random.Between(1, std::max<int64_t>(1, context.units_max / 3));
  for (Bid& bid : auction.bids) {
    const Microcredits price = prices[random.OneIn(4) ? 1 : 0];
    const bool has_gap = context.shape == Shape::kGeneral && random.OneIn(6);
    const int64_t begin = has_gap ? random.Between(1, context.units_max) : 0;
    const int64_t middle = std::min(context.units_max, begin + width);
    bid.ranges = {{begin, middle, begin * price, price}};
    if (random.OneIn(2) && middle < context.units_max) {
      const int64_t end = std::min(context.units_max, middle + width);
      const Microcredits next_price = random.OneIn(2) ? price : std::min(price, prices[1]);
      bid.ranges.push_back({middle, end, middle * price, next_price});
    }
  }
  if (random.OneIn(2)) auction.reserve_unit_price_microcredits = prices[1];
}

void BringNearLimits(Auction& auction, const Context& context) {
  const Microcredits largest =
      std::max({Microcredits{1}, HighestValue(auction), auction.reserve_unit_price_microcredits,
                auction.reclaim_penalty_microcredits});
  const Microcredits factor = kValueMaxMicrocredits / largest;
  auction.reserve_unit_price_microcredits *= factor;
  auction.reclaim_penalty_microcredits *= factor;
  for (Bid& bid : auction.bids) {
    for (Range& range : bid.ranges) {
      range.value_at_min_microcredits *= factor;
      if (range.min_units == range.max_units) range.unit_price_microcredits = 0;
      range.unit_price_microcredits *= factor;
    }
  }
  if (context.random.OneIn(4)) auction.reclaim_penalty_microcredits = kValueMaxMicrocredits;
}

void LetOneDominate(Auction& auction, const Context& context) {
  Bid* bid = AnyBid(auction, context.random);
  if (bid == nullptr) return;
  const int64_t units =
      std::max<int64_t>(1, auction.capacity_units + context.random.Between(-1, 1));
  const Microcredits value_max = kValueMaxMicrocredits / units;
  const Microcredits price =
      std::min(value_max, (1 + HighestUnitValue(auction)) * context.random.Between(1, 1'000));
  bid->ranges = {{0, units, 0, price}};
  if (context.shape == Shape::kGeneral && context.random.OneIn(2)) {
    bid->ranges = {{units, units, units * price, 0}};
  }
}

void LeaveNoneOrOneUnit(Auction& auction, const Context& context) {
  auction.capacity_units = context.random.Between(0, 1);
}

void PutReserveAboveAll(Auction& auction, const Context& context) {
  // Exactly at the highest is the edge: those bids win.
  auction.reserve_unit_price_microcredits =
      HighestUnitValue(auction) + context.random.Between(-1, 1);
  auction.reserve_unit_price_microcredits =
      std::clamp<Microcredits>(auction.reserve_unit_price_microcredits, 0, kValueMaxMicrocredits);
}

void PutPenaltyAboveAll(Auction& auction, const Context& context) {
  TestRandom& random = context.random;
  auction.reclaim_penalty_microcredits =
      std::min(kValueMaxMicrocredits, (1 + HighestValue(auction)) * random.Between(1, 100));
  for (Bid& bid : auction.bids) {
    // All that it wants, one beside it, or anything: all together may hold more than there is.
    const int64_t most = MostUnits(bid);
    bid.held_units = random.OneIn(2) ? std::max<int64_t>(0, most + random.Between(-1, 1))
                                     : random.Between(0, 2 * context.units_max);
  }
}

void PutCapacityAtAnEdge(Auction& auction, const Context& context) {
  Bid* bid = AnyBid(auction, context.random);
  if (bid == nullptr || bid->ranges.empty()) return;
  const Range& range = bid->ranges[static_cast<size_t>(
      context.random.Between(0, static_cast<int64_t>(bid->ranges.size()) - 1))];
  const int64_t edge = context.random.OneIn(2) ? range.min_units : range.max_units;
  auction.capacity_units =
      std::clamp<int64_t>(edge + context.random.Between(-1, 1), 0, context.units_max);
}

// Concave bids fall step by step instead: each next unit is worth less.
void MakeSteps(Auction& auction, const Context& context) {
  TestRandom& random = context.random;
  const int64_t steps_max = std::min<int64_t>(kRangesMax, context.units_max);
  for (Bid& bid : auction.bids) {
    const int64_t steps = random.Between(1, steps_max);
    const Microcredits high = random.Between(1, 20);
    Microcredits value = 0;
    Microcredits more = high;
    bid.ranges.clear();
    for (int64_t units = 1; units <= steps; ++units) {
      if (context.shape == Shape::kConcave) {
        value += more;
        more = random.Between(0, more);
      } else {
        if (random.OneIn(5)) continue;
        const bool is_rising = random.OneIn(2) ? units % 2 == 0 : units > steps / 2;
        value = is_rising ? random.Between(high, 2 * high) : random.Between(0, high);
      }
      bid.ranges.push_back({units, units, value, 0});
    }
  }
}

void MakeSomeInfeasible(Auction& auction, const Context& context) {
  TestRandom& random = context.random;
  for (Bid& bid : auction.bids) {
    if (random.OneIn(2)) continue;
    const int64_t kind = random.Between(1, 3);
    if (kind == 1) {
      bid.ranges.clear();
    } else if (kind == 2 || context.shape == Shape::kConcave) {
      for (Range& range : bid.ranges) range = {range.min_units, range.max_units, 0, 0};
    } else {
      const int64_t units = std::min(kUnitsMax, auction.capacity_units + random.Between(1, 2));
      bid.ranges = {{units, units, random.Between(1, 1'000'000), 0}};
    }
  }
}

void NameOwners(Auction& auction, const Context& context) {
  TestRandom& random = context.random;
  const int64_t kind = random.Between(1, 4);
  for (Bid& bid : auction.bids) {
    // One owner for all, one for some, or several beside guests that name none.
    bid.owner_id = kind == 1   ? 7
                   : kind == 2 ? (random.OneIn(2) ? 7 : 0)
                               : static_cast<OwnerId>(random.Between(0, kind));
  }
}

// Its value next to the penalty on all holdings is what takes sums out of 64 bits.
void AddAHugeBid(Auction& auction, const Context& context) {
  Bid* bid = AnyBid(auction, context.random);
  if (bid == nullptr) return;
  bid->ranges = {{1, 1, kValueMaxMicrocredits, 0}};
  for (Bid& holder : auction.bids) {
    if (!context.random.OneIn(3)) holder.held_units = kUnitsMax - context.random.Between(0, 9);
  }
  auction.reclaim_penalty_microcredits =
      std::min<Microcredits>(auction.reclaim_penalty_microcredits, 1'000);
}

void MakeRangesWorthless(Auction& auction, const Context& context) {
  Bid* bid = AnyBid(auction, context.random);
  if (bid == nullptr) return;
  const int64_t ranges = std::min<int64_t>(kRangesMax, context.units_max);
  if (context.shape == Shape::kConcave) {
    bid->ranges = {{0, 1, 0, context.random.Between(0, 20)}};
    const Microcredits value = ValueOf(*bid, 1);
    for (int64_t units = 2; units <= ranges; ++units) {
      bid->ranges.push_back({units - 1, units, value, 0});
    }
    return;
  }
  const int64_t useful = context.random.Between(1, ranges);
  bid->ranges.clear();
  for (int64_t units = 1; units <= ranges; ++units) {
    bid->ranges.push_back(
        {units, units, units == useful ? context.random.Between(0, 20 * useful) : 0, 0});
  }
}

// Without such a holder's values it keeps more than with them, and pushes others out.
void HoldForNothing(Auction& auction, const Context& context) {
  TestRandom& random = context.random;
  for (Bid& bid : auction.bids) {
    if (context.shape == Shape::kConcave || random.OneIn(2)) continue;
    if (bid.ranges.size() >= static_cast<size_t>(kRangesMax)) continue;
    const int64_t units = MostUnits(bid) + random.Between(1, 3);
    if (units > context.units_max) continue;
    bid.ranges.push_back(
        {units, units, units * auction.reserve_unit_price_microcredits + random.Between(0, 1), 0});
    bid.held_units = units + random.Between(-1, 1);
    if (bid.ranges.back().value_at_min_microcredits > kValueMaxMicrocredits) bid.ranges.pop_back();
  }
  if (auction.reclaim_penalty_microcredits == 0) {
    auction.reclaim_penalty_microcredits = random.Between(1, 4);
  }
}

void Apply(Oddity oddity, Auction& auction, const Context& context) {
  switch (oddity) {
    case Oddity::kTies:
      return MakeTies(auction, context);
    case Oddity::kNearLimits:
      return BringNearLimits(auction, context);
    case Oddity::kOneDominates:
      return LetOneDominate(auction, context);
    case Oddity::kNoneOrOneUnit:
      return LeaveNoneOrOneUnit(auction, context);
    case Oddity::kReserveAboveAll:
      return PutReserveAboveAll(auction, context);
    case Oddity::kPenaltyAboveAll:
      return PutPenaltyAboveAll(auction, context);
    case Oddity::kAcrossCapacity:
      return PutCapacityAtAnEdge(auction, context);
    case Oddity::kSteps:
      return MakeSteps(auction, context);
    case Oddity::kNothingFeasible:
      return MakeSomeInfeasible(auction, context);
    case Oddity::kOwners:
      return NameOwners(auction, context);
    case Oddity::kHugeBid:
      return AddAHugeBid(auction, context);
    case Oddity::kWorthlessRanges:
      return MakeRangesWorthless(auction, context);
    case Oddity::kHeldForNothing:
      return HoldForNothing(auction, context);
  }
}

}  // namespace

Auction OddAuction(Shape shape, uint64_t seed, int64_t bids_max, int64_t units_max) {
  TestRandom random(seed ^ 0x6f6464);  // Not the numbers that RandomAuction draws.
  Auction auction = RandomAuction(shape, random.Next(), bids_max, units_max);
  const Context context{shape, units_max, random};
  const auto main = static_cast<Oddity>(seed % kOddities);
  for (int i = 0; i < kOddities; ++i) {
    const auto oddity = static_cast<Oddity>(i);
    // Owners go with everything, as nothing else depends on them.
    const int64_t rarity = oddity == Oddity::kOwners ? 3 : 8;
    if (oddity == main || random.OneIn(rarity)) Apply(oddity, auction, context);
  }
  return auction;
}

Auction SmallOddAuction(Shape shape, uint64_t seed) { return OddAuction(shape, seed, 4, 7); }

Auction LargeStepsAuction(uint64_t seed) {
  TestRandom random(seed ^ 0x737465);
  Auction auction;
  auction.seed = random.Next();
  auction.capacity_units = kUnitsMax - random.Between(0, 3);
  const Microcredits price_max = random.OneIn(2) ? 20 : kValueMaxMicrocredits / kUnitsMax;
  auction.reserve_unit_price_microcredits = random.OneIn(2) ? 0 : random.Between(0, price_max / 4);
  auction.reclaim_penalty_microcredits = random.OneIn(2) ? 0 : random.Between(0, price_max);
  const int64_t bids = random.Between(1, 4);
  const bool has_ties = random.OneIn(2);
  const int64_t lot = kUnitsMax / random.Between(2, 9);
  for (int64_t i = 0; i < bids; ++i) {
    Bid& bid = auction.bids.emplace_back();
    bid.guest_id = static_cast<GuestId>(i) + 1;
    bid.held_units = random.OneIn(2) ? 0 : random.Between(0, kUnitsMax);
    bid.owner_id = static_cast<OwnerId>(random.Between(0, 2));
    int64_t units = 0;
    for (int64_t step = random.Between(1, 6); step > 0; --step) {
      units += has_ties ? lot : lot + random.Between(-2, 2);
      if (units > kUnitsMax) break;
      // Few prices half of the time: then holdings and the order of guests decide.
      const Microcredits price =
          has_ties ? price_max - random.Between(0, 1) : random.Between(0, price_max);
      bid.ranges.push_back({units, units, units * price, 0});
    }
  }
  return auction;
}

bool MayOverflow(const Auction& auction) {
  Int128 most = Int128{auction.capacity_units} * auction.reserve_unit_price_microcredits;
  for (const Bid& bid : auction.bids) {
    most += Int128{bid.held_units} * auction.reclaim_penalty_microcredits;
    most += HighestValue(Auction{.bids = {bid}});
  }
  return most > std::numeric_limits<Microcredits>::max();
}

}  // namespace nom::policies
