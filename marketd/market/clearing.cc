// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/clearing.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "marketd/base/money.h"
#include "marketd/base/random.h"
#include "policies/clearing/fallback.h"
#include "policies/clearing/rules.h"

namespace nom::market {
namespace {

using policies::Auction;
using policies::Award;
using policies::Bid;
using policies::Clearing;

}  // namespace

absl::Status CheckClearing(const Auction& auction, const Clearing& clearing) {
  std::map<GuestId, const Bid*> bids;
  for (const Bid& bid : auction.bids) bids[bid.guest_id] = &bid;
  // What a rule says becomes money, so that all of it is checked: a mistake in a rule may cost a
  // round, and must not cost the books.
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

absl::StatusOr<Clearing> ClearByRule(const std::string& rule, const Auction& auction,
                                     int64_t work_max) {
  return work_max == 0 ? policies::Clear(rule, auction)
                       : policies::ClearWithin(rule, auction, work_max);
}

Clearing ClearOrRepeat(const ClearFunction& clear, const std::string& rule, const Auction& auction,
                       int64_t work_max, std::string* fault) {
  fault->clear();
  absl::StatusOr<Clearing> cleared = clear(rule, auction, work_max);
  if (cleared.ok()) {
    // A rule that breaks its promise has failed like one that says so.
    const absl::Status kept = CheckClearing(auction, *cleared);
    if (kept.ok()) return *std::move(cleared);
    cleared = kept;
  }
  // Recorded with the round: who audits it must not take the fallback for the rule's own answer.
  *fault = cleared.status().ToString();
  absl::StatusOr<Clearing> repeated = policies::RepeatLast(auction);
  if (repeated.ok()) return *std::move(repeated);
  absl::StrAppend(fault, "; ", repeated.status().ToString());
  // Not even that: a capacity below what is held, perhaps. The round still has to be decided, and
  // nobody is charged for it.
  Clearing nothing;
  nothing.method = policies::Method::kRepeatLast;
  nothing.clearing_unit_price_microcredits = auction.reserve_unit_price_microcredits;
  return nothing;
}

uint64_t AuctionSeed(uint64_t market_seed, const HostId& host_id, RoundId round_id,
                     ResourceKind kind) {
  return Mix64(Mix64(Mix64(market_seed ^ Hash64(host_id)) + round_id) +
               static_cast<uint64_t>(kind));
}

}  // namespace nom::market
