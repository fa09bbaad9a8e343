// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/measures.h"

#include <algorithm>
#include <utility>

#include "absl/numeric/int128.h"
#include "marketd/base/money.h"
#include "marketd/market/joint_bids.h"
#include "policies/clearing/greedy.h"
#include "policies/clearing/weights.h"
#include "policies/objective/jain.h"
#include "policies/objective/least_satisfied.h"
#include "policies/reserve/best_price.h"

namespace nom::market {
namespace {

using policies::Auction;
using policies::Bid;
using policies::Clearing;
using policies::JointAuction;
using policies::JointBid;
using policies::OwnerId;
using policies::UnitVector;

std::optional<Microcredits> OrNothing(const absl::StatusOr<Microcredits>& amount) {
  return amount.ok() ? std::optional(*amount) : std::nullopt;
}

// Jain's index over the owners that ask for something: of the share that each is awarded.
std::optional<int64_t> JainOf(const GuestUnits& asked, const GuestUnits& awarded,
                              const std::map<GuestId, OwnerId>& owners, int64_t supply_units) {
  std::map<OwnerId, std::pair<int64_t, int64_t>> sums;  // Asked for, awarded.
  for (const auto& [guest_id, units] : asked) {
    auto& [of_asked, of_awarded] = sums[owners.at(guest_id)];
    of_asked = std::min(supply_units, SaturatingAdd(of_asked, units));
    const auto award = awarded.find(guest_id);
    if (award != awarded.end()) of_awarded = SaturatingAdd(of_awarded, award->second);
  }
  std::vector<int64_t> shares;
  for (const auto& [owner_id, sum] : sums) {
    if (sum.first > 0) shares.push_back(policies::SharePpm(sum.first, sum.second));
  }
  return policies::JainIndexPpm(shares);
}

// The quantity of one resource alone that leaves the most at its reserve, or nothing if the bid is
// for several.
std::optional<UnitVector> AskedOfOneCurve(const JointAuction& auction, const JointBid& bid) {
  if (!bid.curves || bid.curves->combination == policies::Combination::kProduct) return {};
  UnitVector asked = {};
  int curves = 0;
  for (size_t r = 0; r < asked.size(); ++r) {
    const std::vector<policies::Range>& ranges = bid.curves->curves[r];
    if (ranges.empty()) continue;
    ++curves;
    asked[r] = policies::AskedUnits({.guest_id = bid.guest_id, .ranges = ranges},
                                    auction.capacity_units[r],
                                    auction.reserve_unit_prices_microcredits[r]);
  }
  if (curves > 1 && bid.curves->combination != policies::Combination::kSum) return {};
  return asked;
}

UnitVector AskedOf(const JointAuction& auction, const JointBid& bid) {
  if (const auto asked = AskedOfOneCurve(auction, bid)) return *asked;
  if (bid.bundles.empty()) return UnitsMax(bid);
  UnitVector asked = {};
  absl::int128 best = 0;
  for (const policies::Bundle& bundle : bid.bundles) {
    absl::int128 net = bundle.value_microcredits;
    bool fits = true;
    for (size_t r = 0; r < asked.size(); ++r) {
      net -= absl::int128(bundle.units[r]) * auction.reserve_unit_prices_microcredits[r];
      fits = fits && bundle.units[r] <= auction.capacity_units[r];
    }
    // Of equals the first: bundles stand in the order of the bid, which is the record's.
    if (!fits || net < 0 || (net == best && asked != UnitVector{}) || net < best) continue;
    best = net;
    asked = bundle.units;
  }
  return asked;
}

}  // namespace

GuestUnits AskedUnits(const Auction& auction) {
  GuestUnits out;
  for (const Bid& bid : auction.bids) {
    out[bid.guest_id] =
        policies::AskedUnits(bid, auction.capacity_units, auction.reserve_unit_price_microcredits);
  }
  return out;
}

GuestUnits AskedUnits(const JointAuction& auction, size_t r) {
  GuestUnits out;
  for (const JointBid& bid : auction.bids) {
    out[OfItem(bid.guest_id).first] += AskedOf(auction, bid)[r];
  }
  return out;
}

RoundMeasures MeasuresOf(const Auction& auction, const Clearing& clearing, bool learns) {
  RoundMeasures out;
  GuestUnits awarded;
  for (const policies::Award& award : clearing.awards) {
    awarded[award.guest_id] = award.units;
    out.revenue_microcredits = SaturatingAdd(out.revenue_microcredits, award.charge_microcredits);
  }
  std::vector<int64_t> units;
  std::map<GuestId, OwnerId> owners;
  for (const Bid& bid : auction.bids) {
    const auto award = awarded.find(bid.guest_id);
    units.push_back(award == awarded.end() ? 0 : award->second);
    owners[bid.guest_id] = bid.owner_id;
  }
  const Auction plain = policies::WithoutWeights(auction);
  out.welfare_microcredits = OrNothing(policies::Welfare(plain, units));
  out.maximised_microcredits = OrNothing(policies::WeightedWelfare(auction, units));
  // A clearing that nobody could make, where not even the last awards could be repeated, says
  // nothing of what would have been possible.
  const bool has_bound = out.maximised_microcredits == clearing.welfare_microcredits;
  if (has_bound) out.maximised_bound_microcredits = clearing.welfare_bound_microcredits;
  if (has_bound && !policies::HasWeights(auction)) {
    out.welfare_bound_microcredits = clearing.welfare_bound_microcredits;
  } else if (out.welfare_microcredits) {
    out.welfare_bound_microcredits = OrNothing(policies::WelfareBound(plain));
  }
  out.jain_index_ppm = JainOf(AskedUnits(plain), awarded, owners, auction.capacity_units);
  if (learns) out.best_unit_price_microcredits = policies::BestUnitPrice(plain);
  return out;
}

RoundMeasures MeasuresOf(const JointAuction& auction, size_t r,
                         absl::Span<const KindAward> awards) {
  RoundMeasures out;
  GuestUnits awarded;
  for (const KindAward& award : awards) {
    awarded[award.guest_id] += award.units;
    out.revenue_microcredits = SaturatingAdd(out.revenue_microcredits, award.charge_microcredits);
  }
  std::map<GuestId, OwnerId> owners;
  for (const JointBid& bid : auction.bids) owners[OfItem(bid.guest_id).first] = bid.owner_id;
  out.jain_index_ppm = JainOf(AskedUnits(auction, r), awarded, owners, auction.capacity_units[r]);
  return out;
}

int64_t MovedUnits(const GuestUnits& before, const GuestUnits& after) {
  int64_t gained = 0;
  int64_t lost = 0;
  const auto units_in = [](const GuestUnits& units, GuestId guest_id) {
    const auto it = units.find(guest_id);
    return it == units.end() ? 0 : it->second;
  };
  for (const auto& [guest_id, units] : after) {
    gained += std::max<int64_t>(0, units - units_in(before, guest_id));
  }
  for (const auto& [guest_id, units] : before) {
    lost += std::max<int64_t>(0, units - units_in(after, guest_id));
  }
  return std::max(gained, lost);
}

std::vector<TenantAsk> AsksOf(const Round& round) {
  std::map<std::pair<ResourceKind, TenantId>, TenantAsk> asks;
  for (const Outcome& outcome : round.outcomes) {
    TenantAsk& ask = asks[{outcome.kind, outcome.tenant_id}];
    ask.kind = outcome.kind;
    ask.tenant_id = outcome.tenant_id;
    ask.asked_units = SaturatingAdd(ask.asked_units, outcome.asked_units);
    ask.awarded_units = SaturatingAdd(ask.awarded_units, outcome.award_units);
  }
  std::vector<TenantAsk> out;
  for (auto& [key, ask] : asks) {
    if (ask.asked_units == 0) continue;
    for (const ResourcePrice& price : round.prices) {
      if (price.kind == ask.kind) ask.asked_units = std::min(ask.asked_units, price.supply_units);
    }
    out.push_back(std::move(ask));
  }
  return out;
}

std::map<OwnerId, int64_t> WeightsOf(const HostBook& book, const Objective& objective,
                                     RoundId round_id, ResourceKind kind,
                                     const std::map<OwnerId, TenantId>& tenants,
                                     const std::vector<Bid>& bids, int64_t supply_units,
                                     Microcredits reserve_unit_price) {
  std::map<OwnerId, policies::OwnerAsks> owners;
  for (const Bid& bid : bids) {
    policies::OwnerAsks& owner = owners[bid.owner_id];
    owner.owner_id = bid.owner_id;
    owner.asks_now =
        owner.asks_now || policies::AskedUnits(bid, supply_units, reserve_unit_price) > 0;
  }
  std::map<TenantId, std::pair<int64_t, int64_t>> sums;
  for (const PastAsks& past : book.past_asks) {
    if (past.round_id + static_cast<RoundId>(objective.look_back_rounds) < round_id) continue;
    for (const TenantAsk& ask : past.asks) {
      if (ask.kind != kind) continue;
      sums[ask.tenant_id].first += ask.asked_units;  // A hundred times 2^24.
      sums[ask.tenant_id].second += ask.awarded_units;
    }
  }
  std::vector<policies::OwnerAsks> all;
  for (auto& [owner_id, owner] : owners) {
    const auto sum = sums.find(tenants.at(owner_id));
    if (sum != sums.end()) std::tie(owner.asked_units, owner.awarded_units) = sum->second;
    all.push_back(owner);
  }
  const std::vector<int64_t> weights = policies::LeastSatisfiedWeights(all, objective.steepness);
  std::map<OwnerId, int64_t> out;
  for (size_t i = 0; i < all.size(); ++i) out[all[i].owner_id] = weights[i];
  return out;
}

}  // namespace nom::market
