#include "policies/clearing/fallback.h"

#include <algorithm>
#include <optional>
#include <string>

#include "policies/clearing/greedy.h"
#include "policies/clearing/int128.h"
#include "policies/clearing/mpsp.h"
#include "policies/clearing/mpsp/normal_form.h"
#include "policies/clearing/outcome.h"
#include "policies/clearing/rules.h"

namespace nom::policies {
namespace {

// Sorting: comparisons and moves for each range.
constexpr int64_t kWorkASortedRange = 64;

int64_t RangesOf(const Auction& auction) {
  int64_t ranges = 0;
  for (const Bid& bid : auction.bids) ranges += static_cast<int64_t>(bid.ranges.size());
  return ranges;
}

int64_t WorkOfSorting(const Auction& auction) {
  return kWorkASortedRange * (1 + RangesOf(auction) + static_cast<int64_t>(auction.bids.size()));
}

// Two sweeps of tables, one of them twice if memory is short, and a split for every winner.
int64_t WorkOfTables(const Auction& auction, int64_t capacity_units) {
  int64_t wanted_units = 0;
  for (const Bid& bid : auction.bids) {
    if (!bid.ranges.empty()) wanted_units += bid.ranges.back().max_units;
  }
  const int64_t units = std::min(capacity_units, wanted_units) + 1;
  // A range is cut in two where the held units end.
  const int64_t pieces = RangesOf(auction) + 2 * static_cast<int64_t>(auction.bids.size());
  return WorkOfSorting(auction) + 3 * pieces * units;  // Below 3 * 2^17 * 9 * 2^24 < 2^63.
}

// The others sort.
bool NeedsTables(const RuleInfo& rule) { return rule.takes_gaps && rule.efficient; }

// A bid in lots of `lot` units. A lot is taken whole, so c lots may hold any quantity above
// (c - 1) * lot and up to c * lot: multiples stay ranges, and the end of a range that is not a
// multiple becomes a step. Where two fall in the same lot the one worth more stays.
std::vector<Range> InLots(const Bid& bid, int64_t lot, bool with_ends) {
  std::vector<Range> lots;
  auto add = [&lots](Range range) {
    if (!lots.empty() && lots.back().max_units == range.min_units) {
      Range& last = lots.back();
      const Microcredits last_value =
          last.value_at_min_microcredits +
          (last.max_units - last.min_units) * last.unit_price_microcredits;
      if (last_value >= range.value_at_min_microcredits) {
        if (range.min_units == range.max_units) return;
        ++range.min_units;
        range.value_at_min_microcredits += range.unit_price_microcredits;
      } else if (last.min_units == last.max_units) {
        lots.pop_back();
      } else {
        --last.max_units;
      }
    }
    lots.push_back(range);
  };
  for (const Range& range : bid.ranges) {
    const int64_t first = std::max<int64_t>(1, (range.min_units + lot - 1) / lot);
    const int64_t last = range.max_units / lot;
    if (first <= last) {
      add({first, last, ValueOf(bid, first * lot),
           first == last ? 0 : range.unit_price_microcredits * lot});
    }
    const bool is_end_left = range.max_units % lot != 0;
    if (is_end_left && (with_ends || first > last)) {
      add({last + 1, last + 1, ValueOf(bid, range.max_units), 0});
    }
  }
  return lots;
}

// The largest quantity within `lots` lots that is worth what was bid for them.
int64_t OutOfLots(const Bid& bid, int64_t lots, int64_t lot, Microcredits value) {
  for (int64_t units = lots * lot; units > (lots - 1) * lot; --units) {
    if (Allowed(bid, units) && ValueOf(bid, units) == value) return units;
  }
  return 0;  // Cannot be: InLots takes its values from such a quantity.
}

std::optional<Auction> AuctionInLots(const Auction& auction, int64_t lot) {
  const int64_t price_max = kValueMaxMicrocredits / lot;
  if (auction.reserve_unit_price_microcredits > price_max ||
      auction.reclaim_penalty_microcredits > price_max) {
    return std::nullopt;
  }
  Auction coarse = auction;
  coarse.capacity_units /= lot;
  coarse.reserve_unit_price_microcredits *= lot;
  coarse.reclaim_penalty_microcredits *= lot;
  for (Bid& bid : coarse.bids) {
    const Bid fine = bid;
    bid.held_units /= lot;
    bid.ranges = InLots(fine, lot, /*with_ends=*/true);
    if (bid.ranges.size() > static_cast<size_t>(kRangesMax)) {
      bid.ranges = InLots(fine, lot, /*with_ends=*/false);
    }
  }
  return coarse;
}

absl::StatusOr<Clearing> ClearCoarser(const Auction& auction, const Auction& coarse, int64_t lot) {
  absl::StatusOr<Clearing> in_lots = ClearMpsp(coarse);
  if (!in_lots.ok()) return in_lots;
  const auto bound = WelfareBound(auction);
  if (!bound.ok()) return bound.status();
  std::vector<int64_t> units(auction.bids.size(), 0);
  std::vector<Microcredits> charges(auction.bids.size(), 0);
  for (size_t i = 0; i < auction.bids.size(); ++i) {
    const auto award =
        std::lower_bound(in_lots->awards.begin(), in_lots->awards.end(), auction.bids[i].guest_id,
                         [](const Award& a, GuestId guest_id) { return a.guest_id < guest_id; });
    if (award == in_lots->awards.end() || award->guest_id != auction.bids[i].guest_id) continue;
    units[i] = OutOfLots(auction.bids[i], award->units, lot, ValueOf(coarse.bids[i], award->units));
    charges[i] = award->charge_microcredits;
  }
  absl::StatusOr<Clearing> clearing =
      MakeClearing(auction, units, charges, in_lots->clearing_unit_price_microcredits / lot);
  if (!clearing.ok()) return clearing;
  clearing->welfare_bound_microcredits = *bound;
  clearing->method = Method::kCoarser;
  return clearing;
}

}  // namespace

int64_t WorkOf(std::string_view rule, const Auction& auction) {
  const RuleInfo* info = FindRule(rule);
  if (info == nullptr) return -1;
  return NeedsTables(*info) ? WorkOfTables(auction, auction.capacity_units)
                            : WorkOfSorting(auction);
}

absl::StatusOr<Clearing> RepeatLast(const Auction& auction) {
  if (auto s = ValidateAuction(auction); !s.ok()) return s;
  const auto bound = WelfareBound(auction);
  if (!bound.ok()) return bound.status();
  Int128 held_units = 0;
  for (const Bid& bid : auction.bids) held_units += bid.held_units;
  const Microcredits reserve = auction.reserve_unit_price_microcredits;
  std::vector<int64_t> units(auction.bids.size(), 0);
  std::vector<Microcredits> charges(auction.bids.size(), 0);
  for (const NormalBid& normal_bid : Normalise(auction).bids) {
    int64_t most = auction.bids[normal_bid.index].held_units;
    if (held_units > auction.capacity_units) {
      most = static_cast<int64_t>(Int128{most} * auction.capacity_units / held_units);
    }
    int64_t& kept = units[normal_bid.index];
    for (const Piece& piece : normal_bid.pieces) {
      if (piece.min_units <= most) kept = std::min(most, piece.max_units);
    }
    charges[normal_bid.index] = kept * reserve;  // At most the value, as it can be sold.
  }
  absl::StatusOr<Clearing> clearing = MakeClearing(auction, units, charges, reserve);
  if (!clearing.ok()) return clearing;
  clearing->welfare_bound_microcredits = *bound;
  clearing->method = Method::kRepeatLast;
  return clearing;
}

absl::StatusOr<Clearing> ClearWithin(std::string_view rule, const Auction& auction,
                                     int64_t work_max) {
  if (auto s = ValidateAuction(auction); !s.ok()) return s;
  const RuleInfo* info = FindRule(rule);
  if (info == nullptr || WorkOf(rule, auction) <= work_max) return Clear(rule, auction);
  if (NeedsTables(*info)) {
    for (int64_t lot = 2; auction.capacity_units / lot >= kCoarseUnitsMin; lot *= 2) {
      if (WorkOfTables(auction, auction.capacity_units / lot) > work_max) continue;
      const std::optional<Auction> coarse = AuctionInLots(auction, lot);
      if (!coarse.has_value()) break;
      return ClearCoarser(auction, *coarse, lot);
    }
    if (WorkOfSorting(auction) <= work_max) return ClearGreedy(auction);
  }
  return RepeatLast(auction);
}

}  // namespace nom::policies
