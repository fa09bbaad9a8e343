// SPDX-License-Identifier: Apache-2.0
// What the fake market tells, and how it decides a round.

#include <algorithm>

#include "client/testing/fake_market_impl.h"
#include "client/testing/posted_prices.h"

namespace nom::testing {
namespace {

int64_t UnitsIn(const google::protobuf::RepeatedPtrField<pb::Quantity>& quantities,
                pb::ResourceKind kind) {
  for (const pb::Quantity& quantity : quantities) {
    if (quantity.kind() == kind) return quantity.units();
  }
  return 0;
}

}  // namespace

void FakeMarket::Impl::Changed() {
  ++version;
  changed.notify_all();
}

pb::WatchResponse FakeMarket::Impl::Snapshot() const {
  pb::WatchResponse response;
  response.set_sequence(version);
  response.set_guests_told(true);
  response.set_accounts_told(true);
  *response.mutable_market_time() = ToProto(absl::Now());
  pb::MarketState& state = *response.mutable_state();
  state.set_host_id("fake");
  state.set_ledger_id(ledger_id);
  state.set_round_id(round);
  state.set_phase(pb::ROUND_PHASE_COLLECT);
  state.set_period_ms(absl::ToInt64Milliseconds(period));
  *state.mutable_close_time() = ToProto(begun + period);
  *state.mutable_effective_time() = ToProto(begun + period);
  *state.mutable_valid_until() = ToProto(valid_until);
  state.set_priced_round_id(round - 1);
  for (const auto& [kind, of] : sold) {
    pb::ResourceInfo& info = *state.add_resources();
    info.set_kind(kind);
    info.set_unit_size(1);
    info.set_capacity_units(of.supply);
    info.set_policy(joint ? "joint_vcg/1" : "posted_price/1");
    *state.add_prices() = PriceOf(kind, of);
    pb::ForwardOnSale& forward = *state.add_forward();
    forward.set_kind(kind);
    forward.set_round_id(round);
    forward.set_share_units(of.supply);
    forward.set_sold_units(Promised(kind, round, round + 1));
    forward.set_forecast_unit_price_microcredits(of.price);
    forward.set_unit_price_microcredits(ForwardPrice(kind));
    forward.set_rounds_max(100'000);
  }
  for (const pb::Tier& tier : tiers) *state.add_tiers() = tier;
  for (const auto& [guest_id, guest] : guests) {
    DescribeGuest(guest_id, guest, *response.add_guests());
  }
  return response;
}

void FakeMarket::Impl::DescribeGuest(uint64_t guest_id, const Guest& guest,
                                     pb::GuestInfo& info) const {
  info.set_guest_id(guest_id);
  info.set_name(guest.name);
  info.set_host_id("fake");
  info.set_state(pb::GUEST_STATE_RUNNING);
  info.set_decided_round_id(round - 1);
  if (guest.tier) *info.mutable_tier() = *guest.tier;
  for (const auto& [kind, of] : sold) {
    pb::Grant& grant = *info.add_grants();
    grant.set_kind(kind);
    grant.set_seed_units(guest.SeedOf(kind));
    const auto won = guest.won.find(kind);
    if (won == guest.won.end()) continue;
    grant.set_award_units(won->second.award_units());
    grant.set_charge_microcredits(won->second.charge_microcredits());
    *info.add_decided() = won->second;
  }
  for (const auto& [key, standing] : standing_bids) {
    if (key.first == guest_id) *info.add_bids() = standing.bid;
  }
}

pb::ResourcePrice FakeMarket::Impl::PriceOf(pb::ResourceKind kind, const Sold& of) {
  pb::ResourcePrice price;
  price.set_kind(kind);
  price.set_unit_price_microcredits(of.price);
  price.set_reserve_unit_price_microcredits(of.price);
  price.set_supply_units(of.supply);
  price.set_demand_units(of.demand);
  price.set_sold_units(of.sold);
  price.set_bound_by(pb::BOUND_BY_RESERVE);
  return price;
}

void FakeMarket::Impl::Award(uint64_t guest_id, Guest& guest, pb::ResourceKind kind, Sold& of,
                             int64_t units, pb::AwardReason reason) {
  pb::GuestOutcome& won = guest.won[kind];
  won.Clear();
  won.set_guest_id(guest_id);
  won.set_kind(kind);
  won.set_seed_units(guest.SeedOf(kind));
  won.set_award_units(units);
  won.set_charge_microcredits(units * of.price);
  won.set_reason(reason);
  of.sold += units;
}

void FakeMarket::Impl::DecideSingle(uint64_t guest_id, Guest& guest, pb::ResourceKind kind,
                                    Sold& of) {
  const auto bid = standing_bids.find({guest_id, kind});
  if (bid == standing_bids.end()) {
    Award(guest_id, guest, kind, of, 0, pb::AWARD_REASON_NO_BID);
    return;
  }
  const pb::Bid& asked = bid->second.bid;
  const int64_t most = asked.ranges(asked.ranges_size() - 1).max_units();
  of.demand += most;
  const int64_t units = BestUnits(asked, {of.price, of.supply - of.sold});
  Award(guest_id, guest, kind, of, units,
        units == most ? pb::AWARD_REASON_SERVED
        : units > 0   ? pb::AWARD_REASON_PARTLY_SERVED
                      : pb::AWARD_REASON_BELOW_RESERVE);
}

void FakeMarket::Impl::DecideSeveral(uint64_t guest_id, Guest& guest) {
  const auto standing = standing_bids.find({guest_id, pb::RESOURCE_KIND_UNSPECIFIED});
  if (standing == standing_bids.end()) return;
  std::map<pb::ResourceKind, Offer> offers;
  for (const auto& [kind, of] : sold) offers[kind] = {of.price, of.supply - of.sold};
  Units best = BestUnitsOfSeveral(standing->second.bid, offers);
  const bool wins =
      std::any_of(best.begin(), best.end(), [](const auto& of) { return of.second > 0; });
  for (auto& [kind, of] : sold) {
    of.demand += best[kind];
    Award(guest_id, guest, kind, of, best[kind],
          wins ? pb::AWARD_REASON_SERVED : pb::AWARD_REASON_BELOW_RESERVE);
  }
}

void FakeMarket::Impl::DecideTier(uint64_t guest_id, Guest& guest) {
  const pb::Tier* const tier = FindTier(guest.tier->tier());
  const bool is_floor_round = tier != nullptr && tier->floor_every_rounds() > 0 &&
                              round % static_cast<uint64_t>(tier->floor_every_rounds()) == 0;
  int64_t left = guest.tier->ceiling_microcredits();
  for (auto& [kind, of] : sold) {
    const int64_t most = UnitsIn(guest.tier->most(), kind);
    of.demand += most;
    int64_t units = 0;
    // At a posted price who bids it wins.
    if (tier != nullptr && tier->price_multiple_ppm() >= 1'000'000) units = most;
    if (is_floor_round) units = std::max(units, std::min(most, UnitsIn(tier->floor(), kind)));
    units = std::min(units, of.supply - of.sold);
    if (of.price > 0) units = std::min(units, left / of.price);
    left -= units * of.price;
    Award(guest_id, guest, kind, of, units,
          most == 0       ? pb::AWARD_REASON_NO_BID
          : units == most ? pb::AWARD_REASON_SERVED
          : units > 0     ? pb::AWARD_REASON_PARTLY_SERVED
                          : pb::AWARD_REASON_BELOW_RESERVE);
  }
}

void FakeMarket::Impl::DecideLocked() {
  pb::Round record;
  record.set_round_id(round);
  record.set_host_id("fake");
  record.set_phase(pb::ROUND_PHASE_SETTLED);
  *record.mutable_close_time() = ToProto(absl::Now());
  *record.mutable_effective_time() = ToProto(absl::Now());
  // The auction is of what contracts leave.
  std::map<pb::ResourceKind, int64_t> promised;
  for (auto& [kind, of] : sold) {
    of.demand = of.sold = 0;
    promised[kind] = std::min(of.supply, Promised(kind, round, round + 1));
    of.supply -= promised[kind];
  }
  for (auto& [guest_id, guest] : guests) {
    if (guest.tier) DecideTier(guest_id, guest);
    DecideSeveral(guest_id, guest);
  }
  for (auto& [kind, of] : sold) {
    for (auto& [guest_id, guest] : guests) {
      if (!guest.tier && !standing_bids.contains({guest_id, pb::RESOURCE_KIND_UNSPECIFIED})) {
        DecideSingle(guest_id, guest, kind, of);
      }
    }
  }
  HoldContracts();
  for (auto& [kind, of] : sold) {
    for (auto& [guest_id, guest] : guests) {
      pb::GuestOutcome& outcome = *record.add_outcomes();
      outcome = guest.won[kind];
      outcome.set_settled(true);
      outcome.set_settled_microcredits(outcome.charge_microcredits());
    }
    *record.add_prices() = PriceOf(kind, of);
    of.supply += promised[kind];
  }
  records[round] = std::move(record);
  if (records.size() > 1'000) records.erase(records.begin());
  ++round;
  EndContracts();
  begun = absl::Now();
  valid_until = begun + 2 * period;
  std::erase_if(standing_bids, [&](const auto& bid) {
    return bid.second.last_round_id != 0 && bid.second.last_round_id < round;
  });
  Changed();
}

}  // namespace nom::testing
