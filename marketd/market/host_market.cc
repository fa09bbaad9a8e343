// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/host_market.h"

#include <algorithm>
#include <string>
#include <utility>

#include "marketd/market/reserves.h"

namespace nom::market {

HostMarkets::HostMarkets(const MarketConfig& config, const HostLink::Send& send) {
  for (const HostConfig& host : config.hosts) hosts_.try_emplace(host.host_id, host, send);
}

HostMarket* HostMarkets::Find(const HostId& host_id) {
  const auto it = hosts_.find(host_id);
  return it == hosts_.end() ? nullptr : &it->second;
}

const HostMarket* HostMarkets::Find(const HostId& host_id) const {
  const auto it = hosts_.find(host_id);
  return it == hosts_.end() ? nullptr : &it->second;
}

const Guest* HostMarkets::FindGuest(const State& state, GuestId guest_id,
                                    const Caller& caller) const {
  const auto it = state.guests.find(guest_id);
  if (it == state.guests.end() || Find(it->second.host_id) == nullptr) return nullptr;
  if (!caller.is_operator && it->second.tenant_id != caller.tenant_id) return nullptr;
  return &it->second;
}

RoundId RoundOfNewBids(const State& state, const HostMarket& host) {
  // While it is cleared, a round is closed and not yet the last decided.
  return host.Book(state).last_decided_round_id + (host.clock.is_clearing() ? 2 : 1);
}

std::vector<ResourcePrice> PricesOf(const State& state, const HostMarket& host,
                                    uint64_t market_seed) {
  std::vector<ResourcePrice> prices = host.Book(state).prices;
  if (!prices.empty()) return prices;
  // Nothing was ever decided here: who asks what things cost is told what they cost at the least.
  const RoundId round_id = host.clock.round_id();
  const Units supply = SupplyOf(host.Shares(state), round_id);
  for (const Resource& resource : host.link.resources()) {
    const policies::ReservePolicy policy = ReservePolicyOf(resource, market_seed, host.id());
    const Microcredits reserve =
        ReserveOfRound(policy, round_id, nullptr).reserve_unit_price_microcredits;
    prices.push_back(
        ResourcePrice{.kind = resource.kind,
                      .unit_price_microcredits = reserve,
                      .reserve_unit_price_microcredits = reserve,
                      .reserve_policy = std::string(policies::ReserveName(policy.kind)),
                      .supply_units = supply.at(resource.kind),
                      .rule = resource.rule});
  }
  return prices;
}

int64_t UsedUnits(const State& state, const HostMarket& host, ResourceKind kind) {
  const HostIndex& index = state.Host(host.id());
  int64_t beside = 0;  // What does not change when the round takes effect.
  for (const GuestId guest_id : host.link.creating()) {
    const auto guest = state.guests.find(guest_id);
    if (guest != state.guests.end()) beside += guest->second.seed_units(kind);
  }
  for (const HostGuest& guest : host.link.unmanaged()) {
    for (const Holding& holding : guest.holdings) {
      if (!guest.ended && holding.kind == kind) beside += holding.units();
    }
  }
  const int64_t now = host.link.holdings().Sum(kind);
  const Round* const decided = host.Decided(state);
  if (decided == nullptr) return now + beside;
  const int64_t next = index.SeedUnits(kind, GuestState::kRunning) +
                       index.SeedUnits(kind, GuestState::kEvicting) +
                       index.PromisedUnits(kind, decided->round_id);
  // Until the round is in force guests hold some of the one and some of the other, as losers shrink
  // before winners grow: whoever wants room must find it in both.
  return std::max(now, next) + beside;
}

void TellGrants(LiveBook& book, HostMarket& host) {
  host.link.Prepare(GrantsUntil(host.Shares(book.state()), host.Decided(book.state())),
                    host.clock.runs() ? host.clock.schedule().effective() : book.now());
}

void TellNotices(LiveBook& book, const HostMarket& host, Notices& notices) {
  const State& state = book.state();
  const Round& round = *host.Decided(state);
  const HostShares shares = host.Shares(state);
  for (const GuestId guest_id : state.GuestsOf(host.id())) {
    const Guest& guest = state.guests.at(guest_id);
    if (guest.state != GuestState::kRunning) continue;
    notices.Tell(guest, round.round_id, host.clock.schedule().effective(),
                 HoldingsNow(shares, guest), HoldingsIn(shares, guest, &round));
  }
}

void TellBoard(LiveBook& book, HostMarket& host, uint64_t market_seed) {
  const Schedule& schedule = host.clock.schedule();
  PublishCommand publish{.valid_until = schedule.effective() + schedule.period(),
                         .close_time = schedule.close(),
                         .effective_time = schedule.effective()};
  publish.board.round_id = host.clock.round_id();
  publish.board.priced_round_id = host.Book(book.state()).last_decided_round_id;
  publish.board.period = schedule.period();
  publish.board.ledger_id = book.state().ledger.id;
  publish.board.host_id = host.id();
  for (const ResourcePrice& price : PricesOf(book.state(), host, market_seed)) {
    BoardPrice& out = publish.board.prices.emplace_back();
    out.kind = price.kind;
    out.bound_by = price.bound_by;
    for (const Resource& resource : host.link.resources()) {
      if (resource.kind == price.kind) out.unit_size = resource.unit_size;
    }
    out.unit_price_microcredits = price.unit_price_microcredits;
    out.reserve_unit_price_microcredits = price.reserve_unit_price_microcredits;
    if (host.config.publish_border_prices) {
      out.highest_rejected_unit_price_microcredits = price.highest_rejected_unit_price_microcredits;
    }
    out.supply_units = price.supply_units;
    out.demand_units = price.demand_units;
    out.sold_units = price.sold_units;
  }
  host.link.Publish(std::move(publish));
}

void LetGo(LiveBook& book, HostMarket& host, const std::string& why, bool counts) {
  // A machine that fails again and again is given more time before each try. One that this market
  // let go of by itself is there, and is attached at once.
  if (counts) {
    host.link.Fail(book.now(), why);
  } else {
    host.link.Detach(book.now(), why, absl::ZeroDuration());
  }
  host.clock.Stop();
  book.changes().TouchGuestsOf(host.id(), book.state());
  book.changes().TouchAny();
}

void Lose(LiveBook& book, HostMarket& host, const std::string& why) {
  ++host.counters.losses;
  LetGo(book, host, why, /*counts=*/true);
}

}  // namespace nom::market
