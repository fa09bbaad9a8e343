// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/weights.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "policies/clearing/int128.h"
#include "policies/clearing/sellable.h"

namespace nom::policies {
namespace {

// Rounded towards minus infinity, so that slopes keep their order and no sum of them is above the
// weighted value.
Microcredits Share(Microcredits amount, int64_t weight_ppm) {
  return static_cast<Microcredits>(FloorDivide(Int128{amount} * weight_ppm, kWholeWeightPpm));
}

// What can be sold of the bid, worth the reserve and the weighted rest. A range that goes on where
// the one before it ended, or with the next unit, goes on from there: what each unit adds is
// weighted and rounded by itself, so that a concave bid stays concave.
std::vector<Range> WeightedRanges(const Bid& bid, Microcredits reserve) {
  std::vector<Range> out;
  // Of the range before: its last quantity, what that is worth above the reserve, and weighted.
  int64_t end = -2;
  Microcredits net_at_end = 0;
  Microcredits weighted_at_end = 0;
  bool is_kept = false;   // To its end.
  bool is_short = false;  // Its weighted value was used up before its end.
  for (const Range& range : bid.ranges) {
    const bool goes_on = range.min_units == end || range.min_units == end + 1;
    end = range.max_units;
    // Quantities from the first on: where ranges touch, both have the one that they share.
    NetRange net = CutToSellable(range, range.min_units, range.max_units, reserve);
    const bool is_empty = net.max_units < net.min_units;
    // A curve that goes on falling has nothing more to give.
    const bool is_over = is_short && goes_on && net.NetAt(net.max_units) <= net_at_end;
    const bool carries_on = is_kept && goes_on;
    const Microcredits at_min =
        carries_on ? weighted_at_end + Share(net.net_at_min - net_at_end, bid.weight_ppm)
                   : Share(net.net_at_min, bid.weight_ppm);
    is_kept = false;
    if (is_empty || is_over) continue;
    net_at_end = net.NetAt(net.max_units);
    const bool has_end = net.max_units == range.max_units;
    const Microcredits slope = Share(net.net_slope, bid.weight_ppm);
    // A fall that was rounded down meets the reserve a little earlier than the value does.
    const int64_t wide = at_min < 0  ? -1
                         : slope < 0 ? at_min / -slope
                                     : net.max_units - net.min_units;
    is_short = wide < net.max_units - net.min_units;
    if (wide < 0) continue;
    if (is_short) net.max_units = net.min_units + wide;
    weighted_at_end = at_min + slope * (net.max_units - net.min_units);
    is_kept = has_end && !is_short;
    out.push_back({.min_units = net.min_units,
                   .max_units = net.max_units,
                   .value_at_min_microcredits = net.min_units * reserve + at_min,
                   .unit_price_microcredits = reserve + slope});
  }
  return out;
}

}  // namespace

bool HasWeights(const Auction& auction) {
  return std::any_of(auction.bids.begin(), auction.bids.end(),
                     [](const Bid& bid) { return bid.weight_ppm != kWholeWeightPpm; });
}

Auction WithoutWeights(Auction auction) {
  for (Bid& bid : auction.bids) bid.weight_ppm = kWholeWeightPpm;
  return auction;
}

absl::StatusOr<Auction> Weighted(const Auction& auction) {
  std::unordered_map<OwnerId, int64_t> of_owners;
  for (size_t i = 0; i < auction.bids.size(); ++i) {
    const Bid& bid = auction.bids[i];
    if (bid.weight_ppm < 0 || bid.weight_ppm > kWholeWeightPpm) {
      return absl::InvalidArgumentError(absl::StrCat("bids[", i, "].weight_ppm: ", bid.weight_ppm,
                                                     " is outside [0, ", kWholeWeightPpm, "]"));
    }
    // An owner's guests are one bidder, whose charge is split over them.
    if (bid.owner_id == 0) continue;
    const auto [of_owner, is_new] = of_owners.emplace(bid.owner_id, bid.weight_ppm);
    if (!is_new && of_owner->second != bid.weight_ppm) {
      return absl::InvalidArgumentError(absl::StrCat("bids[", i, "].weight_ppm: ", bid.weight_ppm,
                                                     " differs from another of owner ",
                                                     bid.owner_id, ", ", of_owner->second));
    }
  }
  Auction out = WithoutWeights(auction);
  if (auto s = ValidateAuction(out); !s.ok()) return s;
  for (size_t i = 0; i < out.bids.size(); ++i) {
    if (auction.bids[i].weight_ppm == kWholeWeightPpm) continue;
    out.bids[i].ranges = WeightedRanges(auction.bids[i], auction.reserve_unit_price_microcredits);
  }
  return out;
}

Clearing Unweighted(const Auction& auction, Clearing clearing) {
  std::unordered_map<GuestId, int64_t> weights;
  for (const Bid& bid : auction.bids) weights[bid.guest_id] = bid.weight_ppm;
  for (Award& award : clearing.awards) {
    const int64_t weight_ppm = weights.at(award.guest_id);
    if (weight_ppm == 0 || weight_ppm == kWholeWeightPpm) continue;
    const Microcredits at_reserve = award.units * auction.reserve_unit_price_microcredits;
    const Int128 excess = Int128{award.charge_microcredits - at_reserve} * kWholeWeightPpm;
    award.charge_microcredits = at_reserve + static_cast<Microcredits>(excess / weight_ppm);
  }
  return clearing;
}

absl::StatusOr<Microcredits> WeightedWelfare(const Auction& auction,
                                             const std::vector<int64_t>& units) {
  if (!HasWeights(auction)) return Welfare(auction, units);
  absl::StatusOr<Auction> weighted = Weighted(auction);
  if (!weighted.ok()) return weighted.status();
  return Welfare(*weighted, units);
}

}  // namespace nom::policies
