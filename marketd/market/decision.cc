// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/decision.h"

#include <algorithm>
#include <utility>

#include "marketd/base/money.h"
#include "marketd/market/bids.h"
#include "marketd/market/joint_bids.h"
#include "marketd/market/measures.h"
#include "marketd/market/reserves.h"
#include "marketd/market/round_auctions.h"
#include "marketd/market/tiers.h"
#include "policies/cases/case_file.h"
#include "policies/cases/joint_case_file.h"
#include "policies/clearing/fallback.h"

namespace nom::market {
namespace {

bool IsRunning(const State& state, GuestId guest_id) {
  const auto guest = state.guests.find(guest_id);
  return guest != state.guests.end() && guest->second.state == GuestState::kRunning;
}

ResourcePrice PriceOf(const RoundSnapshot::OnSale& sale) {
  // What nobody bids for costs its reserve; a clearing puts its own price in the place of that.
  return ResourcePrice{.kind = sale.resource.kind,
                       .unit_price_microcredits = sale.reserve_unit_price_microcredits,
                       .reserve_unit_price_microcredits = sale.reserve_unit_price_microcredits,
                       .reserve_policy = sale.reserve_policy,
                       .reserve_change_microcredits = sale.reserve_change_microcredits,
                       .supply_units = sale.supply_units,
                       .contracted_units = sale.contracted_units,
                       .rule = sale.resource.rule};
}

// What guests held of a kind till now, and what they hold from the round on, of what was auctioned.
int64_t MovedOf(const RoundSnapshot& snapshot, ResourceKind kind,
                const std::vector<KindAward>& awards) {
  GuestUnits before;
  for (const auto& [key, units] : snapshot.held) {
    if (key.second == kind) before[key.first] = units;
  }
  GuestUnits after;
  for (const KindAward& award : awards) {
    if (award.kind == kind) after[award.guest_id] = award.units;
  }
  return MovedUnits(before, after);
}

void NoteAsked(ResourceKind kind, const GuestUnits& asked, Decision& decision) {
  for (const auto& [guest_id, units] : asked) decision.asked[{guest_id, kind}] = units;
}

Decision DecideByKind(const RoundSnapshot& snapshot, const ClearFunction& clear) {
  std::vector<KindAuction> auctions;
  for (const RoundSnapshot::OnSale& sale : snapshot.kinds) {
    KindAuction& kind = auctions.emplace_back();
    kind.resource = &sale.resource;
    kind.auction.capacity_units = sale.supply_units;
    kind.auction.reserve_unit_price_microcredits = sale.reserve_unit_price_microcredits;
    kind.auction.reclaim_penalty_microcredits = sale.resource.reclaim_penalty_microcredits;
    kind.auction.seed = sale.seed;
    kind.auction.bids = sale.bids;
  }
  ClearWithinMeans(auctions, snapshot.means, snapshot.work_max, clear);
  Decision decision;
  for (size_t k = 0; k < auctions.size(); ++k) {
    const KindAuction& kind = auctions[k];
    ResourcePrice price = PriceOf(snapshot.kinds[k]);
    price.unit_price_microcredits = kind.clearing.clearing_unit_price_microcredits;
    price.highest_rejected_unit_price_microcredits =
        kind.clearing.highest_rejected_unit_price_microcredits;
    price.bound_by = kind.clearing.bound_by;
    price.method = kind.clearing.method;
    // The most that each would take at any price: with the supply it says how scarce the kind is,
    // which units sold cannot.
    for (const policies::Bid& bid : kind.auction.bids) price.demand_units += UnitsMax(bid.ranges);
    for (const policies::Award& award : kind.clearing.awards) {
      price.sold_units += award.units;
      decision.awards.push_back(
          KindAward{award.guest_id, price.kind, award.units, award.charge_microcredits});
    }
    const bool learns = kind.resource->reserve_kind == policies::ReserveKind::kLearnt;
    price.measures = MeasuresOf(kind.auction, kind.clearing, learns);
    price.measures->moved_units = MovedOf(snapshot, price.kind, decision.awards);
    NoteAsked(price.kind, AskedUnits(kind.auction), decision);
    // After its bids were scaled to what their owners can pay: cleared again from this text, by
    // whoever doubts it, the auction gives these awards.
    decision.records.push_back(AuctionRecord{.host_id = snapshot.host_id,
                                             .round_id = snapshot.round_id,
                                             .kind = price.kind,
                                             .rule = price.rule,
                                             .method = price.method,
                                             .auction = policies::ToText(kind.auction),
                                             .fault = kind.fault,
                                             .work_max = kind.work_max});
    decision.prices.push_back(std::move(price));
  }
  return decision;
}

Decision DecideJointly(const RoundSnapshot& snapshot, const JointClearFunction& clear) {
  JointRound round;
  std::vector<ResourceKind> kinds;
  policies::JointAuction& auction = round.auction;
  auction.resource_count = static_cast<int>(snapshot.kinds.size());
  for (size_t r = 0; r < snapshot.kinds.size(); ++r) {
    const RoundSnapshot::OnSale& sale = snapshot.kinds[r];
    kinds.push_back(sale.resource.kind);
    auction.capacity_units[r] = sale.supply_units;
    auction.reserve_unit_prices_microcredits[r] = sale.reserve_unit_price_microcredits;
    auction.reclaim_penalties_microcredits[r] = sale.resource.reclaim_penalty_microcredits;
  }
  // There is one auction, and so one order of ties; each kind has a seed, and the first will do.
  auction.seed = snapshot.kinds.front().seed;
  auction.bids = snapshot.items;
  ClearWithinMeans(round, snapshot.means, snapshot.work_max, clear);

  const policies::JointClearing& clearing = round.cleared.clearing;
  Decision decision;
  decision.awards = AwardsByKind(auction, clearing, kinds);
  decision.certificate = CertificateOf(round.cleared);
  for (size_t r = 0; r < kinds.size(); ++r) {
    ResourcePrice price = PriceOf(snapshot.kinds[r]);
    price.unit_price_microcredits = clearing.clearing_unit_prices_microcredits[r];
    price.bound_by = clearing.bound_by[r];
    price.method = round.cleared.method;
    for (const policies::JointBid& bid : auction.bids) price.demand_units += UnitsMax(bid)[r];
    // Summed over awards and not over bidders, as one guest may be several bidders, one for each
    // kind.
    std::vector<KindAward> awards;
    for (const KindAward& award : decision.awards) {
      if (award.kind != price.kind) continue;
      price.sold_units += award.units;
      awards.push_back(award);
    }
    price.measures = MeasuresOf(auction, r, awards);
    price.measures->moved_units = MovedOf(snapshot, price.kind, awards);
    NoteAsked(price.kind, AskedUnits(auction, r), decision);
    decision.prices.push_back(std::move(price));
  }
  decision.records.push_back(AuctionRecord{.host_id = snapshot.host_id,
                                           .round_id = snapshot.round_id,
                                           .kind = kSeveralKinds,
                                           .rule = std::string(policies::kJointVcg),
                                           .method = round.cleared.method,
                                           .auction = policies::ToText(auction),
                                           .fault = round.fault,
                                           .work_max = round.work_max});
  return decision;
}

// What a tier bids for each of the host's guests that has one: for what they do not hold by
// contracts already, of which a floor counts against the ceiling.
MadeBids BidsOfTiers(const State& state, const HostConfig& host, RoundId round_id,
                     const UnitPrices& prices) {
  MadeBids made;
  if (host.tiers.empty()) return made;
  for (const GuestId guest_id : state.GuestsOf(host.host_id)) {
    const auto tier = state.tiers.find(guest_id);
    if (tier == state.tiers.end()) continue;
    GuestTier wish = tier->second;
    for (UnitsOfKind& most : wish.most) {
      most.units -= state.contracts.HeldUnits(guest_id, most.kind, round_id);
    }
    std::erase_if(wish.most, [](const UnitsOfKind& most) { return most.units <= 0; });
    Microcredits floor = 0;
    for (const Contract* contract : state.contracts.AliveIn(guest_id, round_id)) {
      if (IsFloor(*contract)) floor = SaturatingAdd(floor, ChargeOf(*contract));
    }
    for (StandingBid& bid : TierBids(host.tiers, wish, prices, floor)) {
      const BidKey key{guest_id, bid.kind};
      made[key] = std::move(bid);
    }
  }
  return made;
}

// Gives each owner's bids the weight of its share.
void WeighBids(const HostBook& book, const Objective& objective, RoundSnapshot& snapshot) {
  for (RoundSnapshot::OnSale& sale : snapshot.kinds) {
    const auto weights =
        WeightsOf(book, objective, snapshot.round_id, sale.resource.kind, snapshot.tenants,
                  sale.bids, sale.supply_units, sale.reserve_unit_price_microcredits);
    for (policies::Bid& bid : sale.bids) bid.weight_ppm = weights.at(bid.owner_id);
  }
}

}  // namespace

RoundSnapshot TakeSnapshot(const State& state, const HostConfig& host, uint64_t market_seed,
                           size_t hosts, absl::Span<const Resource> resources,
                           const std::map<ResourceKind, int64_t>& supply,
                           const std::map<BidKey, int64_t>& held, RoundId round_id) {
  static const HostBook kNone;
  const auto found = state.hosts.find(host.host_id);
  const HostBook& book = found == state.hosts.end() ? kNone : found->second;
  Owners owners = OwnersOf(state, host.host_id);

  RoundSnapshot snapshot;
  snapshot.host_id = host.host_id;
  snapshot.round_id = round_id;
  snapshot.is_joint = !host.joint_rule.empty();
  snapshot.work_max = ClearingWorkMax(host, hosts);
  UnitPrices prices;
  for (const ResourcePrice& last : book.prices) prices[last.kind] = last.unit_price_microcredits;
  const std::map<ResourceKind, policies::ReserveOutput> reserves =
      ReservesOfRound(resources, market_seed, host.host_id, round_id, book);
  for (const Resource& resource : resources) {
    const policies::ReserveOutput& reserve = reserves.at(resource.kind);
    snapshot.kinds.push_back(RoundSnapshot::OnSale{
        .resource = resource,
        .supply_units = supply.at(resource.kind),
        .contracted_units = state.Host(host.host_id).PromisedUnits(resource.kind, round_id),
        .reserve_policy = std::string(policies::ReserveName(resource.reserve_kind)),
        .reserve_unit_price_microcredits = reserve.reserve_unit_price_microcredits,
        .reserve_change_microcredits = reserve.change_microcredits,
        .seed = AuctionSeed(market_seed, host.host_id, round_id, resource.kind),
        .bids = {}});
    prices[resource.kind] =
        std::max(prices[resource.kind], reserve.reserve_unit_price_microcredits);
  }
  // One auction for all kinds keeps what is worth no more to a bidder than to the operator: a tier
  // that bids the price must be able to win at it.
  if (snapshot.is_joint) {
    for (auto& [kind, price] : prices) price = SaturatingAdd(price, 1);
  }
  const MadeBids made = BidsOfTiers(state, host, round_id, prices);
  if (snapshot.is_joint) {
    snapshot.items = ItemsForRound(state, host.host_id, round_id, resources, supply, owners, held,
                                   GuestReadingSteps(snapshot.work_max, host.guests_max), made);
  } else {
    std::map<ResourceKind, std::vector<policies::Bid>> bids =
        BidsForRound(state, host.host_id, round_id, resources, supply, owners, held, made);
    for (RoundSnapshot::OnSale& sale : snapshot.kinds) {
      sale.bids = std::move(bids[sale.resource.kind]);
    }
  }
  for (const auto& [tenant_id, owner_id] : owners.ids) snapshot.tenants[owner_id] = tenant_id;
  snapshot.objective = std::string(ObjectiveName(host.objective.kind));
  if (host.objective.kind == ObjectiveKind::kLeastSatisfied) {
    WeighBids(book, host.objective, snapshot);
  }
  snapshot.held = held;
  snapshot.means = std::move(owners.means);
  return snapshot;
}

Certificate CertificateOf(const policies::JointCleared& cleared) {
  return Certificate{.method = cleared.method,
                     .welfare_microcredits = cleared.clearing.welfare_microcredits,
                     .welfare_bound_microcredits = cleared.clearing.welfare_bound_microcredits,
                     .charges_are_exact = cleared.clearing.charges_are_exact};
}

bool StillHolds(const RoundSnapshot& snapshot, const Decision& decision, const State& state,
                const std::map<ResourceKind, int64_t>& supply) {
  std::map<TenantId, Microcredits> charges;
  for (const KindAward& award : decision.awards) {
    // A guest that won nothing and has ended since does not make the decision void.
    if (award.units == 0) continue;
    if (!IsRunning(state, award.guest_id)) return false;
    Microcredits& sum = charges[state.guests.at(award.guest_id).tenant_id];
    sum = SaturatingAdd(sum, award.charge_microcredits);
  }
  for (const auto& [tenant_id, charge] : charges) {
    // All of it is set aside at once, so that what is in escrow for other contracts does not count.
    if (charge > state.PurseOf(tenant_id).available) return false;
  }
  // Units may have been promised to somebody in the meantime, or the machine have become smaller.
  return decision.prices.size() == snapshot.kinds.size() &&
         std::all_of(decision.prices.begin(), decision.prices.end(),
                     [&supply](const ResourcePrice& price) {
                       const auto now = supply.find(price.kind);
                       return now != supply.end() && price.sold_units <= now->second;
                     });
}

RoundSnapshot AsOfNow(RoundSnapshot snapshot, const State& state,
                      const std::map<ResourceKind, int64_t>& supply) {
  // No bid is added or changed, though it may be: close is close, also where a round is cleared
  // twice.
  for (RoundSnapshot::OnSale& sale : snapshot.kinds) {
    sale.supply_units = supply.at(sale.resource.kind);
    sale.contracted_units =
        state.Host(snapshot.host_id).PromisedUnits(sale.resource.kind, snapshot.round_id);
    std::erase_if(sale.bids,
                  [&state](const policies::Bid& bid) { return !IsRunning(state, bid.guest_id); });
  }
  std::erase_if(snapshot.items, [&state](const policies::JointBid& item) {
    return !IsRunning(state, OfItem(item.guest_id).first);
  });
  for (auto& [owner_id, means] : snapshot.means) {
    means = state.PurseOf(snapshot.tenants.at(owner_id)).available;
  }
  return snapshot;
}

Decision Decide(const RoundSnapshot& snapshot, const ClearFunctions& clear) {
  return snapshot.is_joint ? DecideJointly(snapshot, clear.joint)
                           : DecideByKind(snapshot, clear.of_kind);
}

}  // namespace nom::market
