#include "marketd/market/clearing.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "marketd/base/money.h"
#include "marketd/base/random.h"

namespace nom::market {
namespace {

using policies::Auction;
using policies::Award;
using policies::Bid;
using policies::Clearing;

// The largest quantity up to `units` that the bid allows and values at no less than the reserve.
int64_t KeptUnits(const Bid& bid, int64_t units, Microcredits reserve) {
  for (auto range = bid.ranges.rbegin(); range != bid.ranges.rend(); ++range) {
    if (range->min_units > units) continue;
    int64_t high = std::min(units, range->max_units);
    int64_t low = range->min_units;
    const auto pays = [&](int64_t quantity) {
      return policies::ValueOf(bid, quantity) >= SaturatingMultiply(quantity, reserve);
    };
    if (pays(high)) return high;
    if (!pays(low)) continue;
    // value - reserve * units is linear on the range: it changes sign once.
    while (high - low > 1) {
      const int64_t middle = low + (high - low) / 2;
      (pays(middle) ? low : high) = middle;
    }
    return low;
  }
  return 0;
}

}  // namespace

absl::Status CheckClearing(const Auction& auction, const Clearing& clearing) {
  std::map<GuestId, const Bid*> bids;
  for (const Bid& bid : auction.bids) bids[bid.guest_id] = &bid;
  int64_t sold = 0;
  GuestId before = 0;
  for (const Award& award : clearing.awards) {
    const auto bid = bids.find(award.guest_id);
    const auto wrong = [&award](absl::string_view what) {
      return absl::InternalError(absl::StrCat("award of guest ", award.guest_id, ": ", award.units,
                                              " units for ", award.charge_microcredits, ": ",
                                              what));
    };
    if (award.guest_id <= before) return wrong("not by rising guest_id, or twice");
    before = award.guest_id;
    if (bid == bids.end()) return wrong("did not bid");
    if (award.units <= 0 || !policies::Allowed(*bid->second, award.units)) {
      return wrong("not a quantity that it accepts");
    }
    if (award.charge_microcredits < 0 ||
        award.charge_microcredits > policies::ValueOf(*bid->second, award.units)) {
      return wrong("the charge is negative or above the value");
    }
    sold = SaturatingAdd(sold, award.units);
  }
  if (sold > auction.capacity_units) {
    return absl::InternalError(absl::StrCat("sold ", sold, " units of ", auction.capacity_units));
  }
  return absl::OkStatus();
}

Clearing RepeatLast(const Auction& auction) {
  int64_t held = 0;
  for (const Bid& bid : auction.bids) held = SaturatingAdd(held, bid.held_units);
  Clearing out;
  out.method = policies::Method::kRepeatLast;
  out.clearing_unit_price_microcredits = auction.reserve_unit_price_microcredits;
  for (const Bid& bid : auction.bids) {
    const int64_t share =
        held > auction.capacity_units
            ? ShareRoundedDown(bid.held_units, std::max<int64_t>(0, auction.capacity_units), held)
            : bid.held_units;
    const int64_t units = KeptUnits(bid, share, auction.reserve_unit_price_microcredits);
    if (units <= 0) continue;
    out.awards.push_back(Award{bid.guest_id, units,
                               SaturatingMultiply(units, auction.reserve_unit_price_microcredits)});
  }
  std::sort(out.awards.begin(), out.awards.end(),
            [](const Award& a, const Award& b) { return a.guest_id < b.guest_id; });
  return out;
}

Clearing ClearOrRepeat(const ClearFunction& clear, const std::string& rule, const Auction& auction,
                       std::string* fault) {
  fault->clear();
  absl::StatusOr<Clearing> cleared = clear(rule, auction);
  if (cleared.ok()) {
    const absl::Status kept = CheckClearing(auction, *cleared);
    if (kept.ok()) return *std::move(cleared);
    cleared = kept;
  }
  *fault = cleared.status().ToString();
  return RepeatLast(auction);
}

uint64_t AuctionSeed(uint64_t market_seed, const HostId& host_id, RoundId round_id,
                     ResourceKind kind) {
  return Mix64(Mix64(Mix64(market_seed ^ Hash64(host_id)) + round_id) +
               static_cast<uint64_t>(kind));
}

}  // namespace nom::market
