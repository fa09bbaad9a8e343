// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/auction.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "policies/clearing/int128.h"
#include "policies/mix.h"

namespace nom::policies {
namespace {

Int128 RawValueAt(const Range& range, int64_t units) {
  // A step's unit price says nothing; (units - min) is 0 there.
  return Int128{range.value_at_min_microcredits} +
         Int128{units - range.min_units} * range.unit_price_microcredits;
}

constexpr size_t kNone = ~size_t{0};

// Where a field is; becomes text only in a message.
struct Where {
  size_t bid = kNone;
  size_t range = kNone;
};

absl::Status Wrong(Where where, absl::string_view field, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(
      where.bid == kNone ? "" : absl::StrCat("bids[", where.bid, "]."),
      where.range == kNone ? "" : absl::StrCat("ranges[", where.range, "]."), field, ": ", what));
}

absl::Status Outside(Where where, absl::string_view field, int64_t value, int64_t low,
                     int64_t high) {
  return Wrong(where, field, absl::StrCat(value, " is outside [", low, ", ", high, "]"));
}

inline absl::Status CheckWithin(Where where, absl::string_view field, int64_t value, int64_t low,
                                int64_t high) {
  return value >= low && value <= high ? absl::OkStatus() : Outside(where, field, value, low, high);
}

absl::Status ValidateRange(Where where, const Range& range, const Range* before) {
  if (auto s = CheckWithin(where, "min_units", range.min_units, 0, kUnitsMax); !s.ok()) return s;
  if (auto s = CheckWithin(where, "max_units", range.max_units, range.min_units, kUnitsMax);
      !s.ok()) {
    return s;
  }
  if (auto s = CheckWithin(where, "value_at_min_microcredits", range.value_at_min_microcredits, 0,
                           kValueMaxMicrocredits);
      !s.ok()) {
    return s;
  }
  if (auto s = CheckWithin(where, "unit_price_microcredits", range.unit_price_microcredits,
                           -kValueMaxMicrocredits, kValueMaxMicrocredits);
      !s.ok()) {
    return s;
  }
  const Int128 value_at_max = RawValueAt(range, range.max_units);
  if (value_at_max < 0 || value_at_max > kValueMaxMicrocredits) {
    return Wrong(
        where, "unit_price_microcredits",
        absl::StrCat("the value at max_units is outside [0, ", kValueMaxMicrocredits, "]"));
  }
  if (range.min_units == 0 && range.value_at_min_microcredits != 0) {
    return Wrong(where, "value_at_min_microcredits", "must be 0 at 0 units");
  }
  if (before == nullptr) return absl::OkStatus();
  if (range.min_units < before->max_units) {
    return Wrong(where, "min_units",
                 absl::StrCat(range.min_units, " lies before the end of the range before it, ",
                              before->max_units));
  }
  if (range.min_units == before->max_units &&
      RawValueAt(*before, before->max_units) != range.value_at_min_microcredits) {
    return Wrong(where, "value_at_min_microcredits",
                 absl::StrCat(range.value_at_min_microcredits,
                              " differs from the value at the end of the range that it touches, ",
                              static_cast<int64_t>(RawValueAt(*before, before->max_units))));
  }
  return absl::OkStatus();
}

absl::Status ValidateBidAt(Where where, const Bid& bid) {
  if (bid.guest_id == 0) return Wrong(where, "guest_id", "0 is the operator, who never bids");
  if (auto s = CheckWithin(where, "held_units", bid.held_units, 0, kUnitsMax); !s.ok()) return s;
  if (bid.weight_ppm != kWholeWeightPpm) {
    return Wrong(where, "weight_ppm", "is for Clear, ClearWithin and RepeatLast alone");
  }
  if (bid.ranges.size() > static_cast<size_t>(kRangesMax)) {
    return Wrong(where, "ranges", absl::StrCat(bid.ranges.size(), " are more than ", kRangesMax));
  }
  for (size_t i = 0; i < bid.ranges.size(); ++i) {
    const Range* before = i == 0 ? nullptr : &bid.ranges[i - 1];
    if (auto s = ValidateRange({where.bid, i}, bid.ranges[i], before); !s.ok()) {
      return s;
    }
  }
  return absl::OkStatus();
}

// The range that holds `units`, or null. Where two ranges touch both give the same value.
const Range* FindRange(const Bid& bid, int64_t units) {
  for (const Range& range : bid.ranges) {
    if (units < range.min_units) return nullptr;
    if (units <= range.max_units) return &range;
  }
  return nullptr;
}

// Raises `best` to the best (value(q) - value(a)) / (q - a) over larger q that the bid allows, if
// that is more. On one range the ratio is monotone in q, so its ends are enough.
void RaiseToBestOfferAbove(const Bid& bid, int64_t awarded_units, Int128& best) {
  const Int128 awarded_value = ValueOf(bid, awarded_units);
  auto consider = [&](const Range& range, int64_t units) {
    if (units <= awarded_units) return;
    const Int128 more_value = RawValueAt(range, units) - awarded_value;
    const Int128 more_units = units - awarded_units;
    // Dividing is slow, and few offers are better than the best before them.
    if (more_value >= (best + 1) * more_units) best = FloorDivide(more_value, more_units);
  };
  for (const Range& range : bid.ranges) {
    consider(range, std::max(range.min_units, std::min(awarded_units + 1, range.max_units)));
    consider(range, range.max_units);
  }
}

}  // namespace

absl::Status ValidateBid(const Bid& bid) { return ValidateBidAt({}, bid); }

absl::Status ValidateAuction(const Auction& auction) {
  if (auto s = CheckWithin({}, "capacity_units", auction.capacity_units, 0, kUnitsMax); !s.ok()) {
    return s;
  }
  if (auto s = CheckWithin({}, "reserve_unit_price_microcredits",
                           auction.reserve_unit_price_microcredits, 0, kValueMaxMicrocredits);
      !s.ok()) {
    return s;
  }
  if (auto s = CheckWithin({}, "reclaim_penalty_microcredits", auction.reclaim_penalty_microcredits,
                           0, kValueMaxMicrocredits);
      !s.ok()) {
    return s;
  }
  if (auction.bids.size() > static_cast<size_t>(kBidsMax)) {
    return Wrong({}, "bids", absl::StrCat(auction.bids.size(), " are more than ", kBidsMax));
  }
  bool is_rising = true;
  for (size_t i = 0; i < auction.bids.size(); ++i) {
    if (auto s = ValidateBidAt({i, kNone}, auction.bids[i]); !s.ok()) return s;
    if (i > 0) is_rising &= auction.bids[i - 1].guest_id < auction.bids[i].guest_id;
  }
  if (is_rising) return absl::OkStatus();  // Nobody twice: the usual order needs no sorting.
  std::vector<std::pair<GuestId, size_t>> guests;
  guests.reserve(auction.bids.size());
  for (size_t i = 0; i < auction.bids.size(); ++i) {
    guests.emplace_back(auction.bids[i].guest_id, i);
  }
  std::sort(guests.begin(), guests.end());
  const auto twice =
      std::adjacent_find(guests.begin(), guests.end(),
                         [](const auto& a, const auto& b) { return a.first == b.first; });
  if (twice == guests.end()) return absl::OkStatus();
  const auto& [guest_id, first] = *twice;
  return Wrong({std::next(twice)->second, kNone}, "guest_id",
               absl::StrCat("guest ", guest_id, " already bids in bids[", first, "]"));
}

bool Allowed(const Bid& bid, int64_t units) {
  return units == 0 || FindRange(bid, units) != nullptr;
}

Microcredits ValueOf(const Bid& bid, int64_t units) {
  if (units == 0) return 0;
  const Range* range = FindRange(bid, units);
  if (range == nullptr) {
    std::fprintf(stderr, "ValueOf: guest %llu does not allow %lld units\n",
                 static_cast<unsigned long long>(bid.guest_id), static_cast<long long>(units));
    std::abort();
  }
  return static_cast<Microcredits>(RawValueAt(*range, units));
}

bool Sellable(const Bid& bid, int64_t units, Microcredits reserve_unit_price_microcredits) {
  return Allowed(bid, units) &&
         ValueOf(bid, units) >= Int128{units} * reserve_unit_price_microcredits;
}

int64_t BestUnits(const Bid& bid, int64_t units_max, Microcredits unit_price_microcredits) {
  int64_t best_units = 0;
  Int128 best = 0;
  for (const Range& range : bid.ranges) {
    if (range.min_units > units_max) break;
    // The surplus is a straight line on a range, so its ends are enough.
    for (int64_t units : {range.min_units, std::min(range.max_units, units_max)}) {
      const Int128 surplus = RawValueAt(range, units) - Int128{units} * unit_price_microcredits;
      if (surplus >= best) {  // Ranges rise, so among equals the largest stays.
        best = surplus;
        best_units = units;
      }
    }
  }
  return best_units;
}

absl::StatusOr<Microcredits> Welfare(const Auction& auction, const std::vector<int64_t>& units) {
  if (units.size() != auction.bids.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("units: ", units.size(), " quantities for ", auction.bids.size(), " bids"));
  }
  Int128 welfare = 0;
  Int128 sold_units = 0;
  for (size_t i = 0; i < units.size(); ++i) {
    const Bid& bid = auction.bids[i];
    if (!Sellable(bid, units[i], auction.reserve_unit_price_microcredits)) {
      return absl::InvalidArgumentError(
          absl::StrCat("units[", i, "]: ", units[i], " can't be sold to guest ", bid.guest_id));
    }
    sold_units += units[i];
    welfare += ValueOf(bid, units[i]);
    welfare -= Int128{auction.reclaim_penalty_microcredits} *
               std::max<int64_t>(0, bid.held_units - units[i]);
  }
  if (sold_units > auction.capacity_units) {
    return absl::InvalidArgumentError("units: the sum is above capacity_units");
  }
  welfare += (auction.capacity_units - sold_units) * auction.reserve_unit_price_microcredits;
  return ToMicrocredits(welfare, "welfare");
}

Microcredits HighestRejectedUnitPrice(const Auction& auction, const std::vector<int64_t>& units) {
  Int128 best = 0;
  for (size_t i = 0; i < auction.bids.size(); ++i) {
    RaiseToBestOfferAbove(auction.bids[i], units[i], best);
  }
  return static_cast<Microcredits>(best);
}

Microcredits HighestRejectedUnitPrice(const Bid& bid, int64_t units) {
  Int128 best = 0;
  RaiseToBestOfferAbove(bid, units, best);
  return static_cast<Microcredits>(best);
}

uint64_t TieOrder(uint64_t seed, GuestId guest_id) {
  // Each step is a bijection of guest_id, so two guests never share a rank.
  return Mix(Mix(seed + 0x9e3779b97f4a7c15) ^ (guest_id * 0xd1342543de82ef95));
}

std::vector<size_t> InTieOrder(const Auction& auction) {
  std::vector<std::pair<uint64_t, size_t>> ranks;
  ranks.reserve(auction.bids.size());
  for (size_t i = 0; i < auction.bids.size(); ++i) {
    ranks.emplace_back(TieOrder(auction.seed, auction.bids[i].guest_id), i);
  }
  std::sort(ranks.begin(), ranks.end());
  std::vector<size_t> order;
  order.reserve(ranks.size());
  for (const auto& [rank, index] : ranks) order.push_back(index);
  return order;
}

}  // namespace nom::policies
