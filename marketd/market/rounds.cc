// A round's life: collect until close, clear and commit, tell, wait for the grace to pass, put in
// force, settle the round before.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/base/money.h"
#include "marketd/base/status.h"
#include "marketd/market/bids.h"
#include "marketd/market/engine_impl.h"
#include "marketd/market/money.h"
#include "policies/cases/case_file.h"

namespace nom::market {
namespace {

// Outcomes are sorted by guest_id and kind.
const Outcome* FindOutcome(const Round& round, GuestId guest_id, ResourceKind kind) {
  const auto it = std::lower_bound(
      round.outcomes.begin(), round.outcomes.end(), std::pair(guest_id, kind),
      [](const Outcome& o, const auto& k) { return std::pair(o.guest_id, o.kind) < k; });
  if (it == round.outcomes.end() || it->guest_id != guest_id || it->kind != kind) return nullptr;
  return &*it;
}

}  // namespace

const Round* Engine::Impl::InForce(const HostRun& host) const {
  const HostBook& book = Book(host);
  const auto it = book.open_rounds.find(book.in_force_round_id);
  return it == book.open_rounds.end() ? nullptr : &it->second;
}

const Round* Engine::Impl::Decided(const HostRun& host) const {
  const HostBook& book = Book(host);
  if (book.open_rounds.empty()) return nullptr;
  const Round& last = book.open_rounds.rbegin()->second;
  return last.phase == RoundPhase::kGrace ? &last : nullptr;
}

std::map<ResourceKind, int64_t> Engine::Impl::Supply(const HostRun& host) const {
  std::map<ResourceKind, int64_t> supply;
  for (const Resource& resource : host.resources) supply[resource.kind] = resource.capacity_units;
  for (const auto& [guest_id, guest] : state_.guests) {
    if (guest.host_id != host.config->host_id) continue;
    for (const Holding& seed : guest.seeds) {
      if (supply.contains(seed.kind)) supply[seed.kind] -= seed.seed_units;
    }
  }
  for (const HostGuest& guest : host.unmanaged) {
    for (const Holding& holding : guest.holdings) {
      if (!guest.ended && supply.contains(holding.kind)) supply[holding.kind] -= holding.units();
    }
  }
  for (auto& [kind, units] : supply) units = std::max<int64_t>(0, units);
  return supply;
}

std::vector<Holding> Engine::Impl::HoldingsIn(const HostRun& host, const Guest& guest,
                                              const Round* round) const {
  std::vector<Holding> out;
  for (const Resource& resource : host.resources) {
    Holding holding{.kind = resource.kind, .seed_units = guest.seed_units(resource.kind)};
    const bool holds = guest.state == GuestState::kRunning || guest.state == GuestState::kEvicting;
    const Outcome* outcome =
        round == nullptr || !holds ? nullptr : FindOutcome(*round, guest.guest_id, resource.kind);
    if (outcome != nullptr) {
      holding.award_units = outcome->award_units;
      holding.charge_microcredits = outcome->charge_microcredits;
    }
    out.push_back(holding);
  }
  return out;
}

std::map<ResourceKind, int64_t> Engine::Impl::Used(const HostRun& host, const Round* round) const {
  std::map<ResourceKind, int64_t> used;
  for (const Resource& resource : host.resources) used[resource.kind] = 0;
  for (const auto& [guest_id, guest] : state_.guests) {
    if (guest.host_id != host.config->host_id) continue;
    if (guest.state == GuestState::kAdmitted) {
      const auto run = guest_runs_.find(guest_id);
      if (run == guest_runs_.end() || !run->second.create_sent) continue;
    }
    for (const Holding& holding : HoldingsIn(host, guest, round)) {
      used[holding.kind] += holding.units();
    }
  }
  for (const HostGuest& guest : host.unmanaged) {
    for (const Holding& holding : guest.holdings) {
      if (!guest.ended && used.contains(holding.kind)) used[holding.kind] += holding.units();
    }
  }
  return used;
}

GrantSet Engine::Impl::Grants(const HostRun& host, const Round* now, const Round* next) const {
  GrantSet set;
  if (next != nullptr) set.round_id = next->round_id;
  for (const auto& [guest_id, guest] : state_.guests) {
    if (guest.host_id != host.config->host_id || guest.state != GuestState::kRunning) continue;
    set.grants.push_back(
        GuestGrant{.guest_id = guest_id,
                   .now = HoldingsIn(host, guest, now),
                   .next = HoldingsIn(host, guest, next),
                   .balance_microcredits = state_.tenants.at(guest.tenant_id).balances.available,
                   .spent_microcredits = guest.spent_microcredits});
  }
  return set;
}

std::vector<ResourcePrice> Engine::Impl::Prices(const HostRun& host) const {
  std::vector<ResourcePrice> prices = Book(host).prices;
  if (!prices.empty()) return prices;
  const std::map<ResourceKind, int64_t> supply = Supply(host);
  for (const Resource& resource : host.resources) {
    prices.push_back(
        ResourcePrice{.kind = resource.kind,
                      .unit_price_microcredits = resource.reserve_unit_price_microcredits,
                      .reserve_unit_price_microcredits = resource.reserve_unit_price_microcredits,
                      .supply_units = supply.at(resource.kind),
                      .rule = resource.rule});
  }
  return prices;
}

void Engine::Impl::BeginRounds(HostRun& host) {
  const Round* decided = Decided(host);
  if (decided != nullptr) {
    // Decided before the host, or this process, was lost. Its time may have been told by another
    // clock: it is never more than a period away.
    const absl::Time start = decided->effective_time - host.config->period;
    host.schedule.emplace(*host.config, std::min(start, now_));
    host.round_id = decided->round_id;
    host.decided = true;
    SendPrepare(host);
  } else {
    host.schedule.emplace(*host.config, now_);
    host.round_id = Book(host).last_decided_round_id + 1;
    host.decided = false;
  }
  host.applying = false;
  SendBoard(host);
  view_dirty_ = true;
}

void Engine::Impl::AdvanceRound(HostRun& host) {
  if (host.link != Link::kRunning) return;
  if (!host.decided) {
    if (now_ < host.schedule->close()) return;
    if (now_ <= host.schedule->close_latest()) {
      Decide(host);
      return;
    }
    host.counters.rounds_skipped += static_cast<uint64_t>(host.schedule->SkipPast(now_));
    SendBoard(host);
    view_dirty_ = true;
    return;
  }
  if (host.applying || now_ < host.schedule->effective()) return;
  if (now_ < host.schedule->effective_latest()) {
    SendApply(host);
    return;
  }
  ReleaseDecided(host, "its time had passed");
  Detach(host, "the market stood still past a round's end", absl::ZeroDuration());
}

void Engine::Impl::Decide(HostRun& host) {
  const HostId& host_id = host.config->host_id;
  const RoundId round_id = host.round_id;
  const Round* in_force = InForce(host);
  std::map<BidKey, int64_t> held;
  if (in_force != nullptr) {
    for (const Outcome& outcome : in_force->outcomes) {
      held[{outcome.guest_id, outcome.kind}] = outcome.award_units;
    }
  }
  const std::map<ResourceKind, int64_t> supply = Supply(host);
  std::map<ResourceKind, std::vector<policies::Bid>> bids =
      BidsForRound(state_, host_id, round_id, host.resources, supply, held);

  PutRound put;
  Round& round = put.round;
  round.host_id = host_id;
  round.round_id = round_id;
  round.phase = RoundPhase::kGrace;
  round.start_time = host.schedule->start();
  round.close_time = host.schedule->close();
  round.decided_time = now_;
  round.effective_time = host.schedule->effective();
  round.applied_time = absl::UnixEpoch();
  round.period = host.schedule->period();

  std::map<BidKey, policies::Award> awards;
  for (const Resource& resource : host.resources) {
    policies::Auction auction;
    auction.capacity_units = supply.at(resource.kind);
    auction.reserve_unit_price_microcredits = resource.reserve_unit_price_microcredits;
    auction.reclaim_penalty_microcredits = resource.reclaim_penalty_microcredits;
    auction.seed = AuctionSeed(config_.seed, host_id, round_id, resource.kind);
    auction.bids = std::move(bids[resource.kind]);

    AuctionRecord record{.host_id = host_id,
                         .round_id = round_id,
                         .kind = resource.kind,
                         .rule = resource.rule,
                         .auction = policies::ToText(auction),
                         .work_max = ClearingWorkMax(*host.config)};
    const policies::Clearing clearing =
        ClearOrRepeat(clear_, resource.rule, auction, record.work_max, &record.fault);
    record.method = clearing.method;

    ResourcePrice price{.kind = resource.kind,
                        .unit_price_microcredits = clearing.clearing_unit_price_microcredits,
                        .reserve_unit_price_microcredits = resource.reserve_unit_price_microcredits,
                        .supply_units = auction.capacity_units,
                        .highest_rejected_unit_price_microcredits =
                            clearing.highest_rejected_unit_price_microcredits,
                        .bound_by = clearing.bound_by,
                        .rule = resource.rule,
                        .method = clearing.method};
    for (const policies::Bid& bid : auction.bids) price.demand_units += UnitsMax(bid.ranges);
    for (const policies::Award& award : clearing.awards) {
      price.sold_units += award.units;
      awards[{award.guest_id, resource.kind}] = award;
    }
    round.prices.push_back(price);
    put.auctions.push_back(std::move(record));
    switch (clearing.method) {
      case policies::Method::kExact:
        ++host.counters.clearings_exact;
        break;
      case policies::Method::kCoarser:
        ++host.counters.clearings_coarser;
        break;
      case policies::Method::kGreedy:
        ++host.counters.clearings_greedy;
        break;
      case policies::Method::kRepeatLast:
        ++host.counters.clearings_repeat_last;
        break;
    }
  }

  Scribe scribe(state_, now_, "round decided");
  for (const auto& [guest_id, guest] : state_.guests) {
    if (guest.host_id != host_id || guest.state == GuestState::kEvicting) continue;
    for (const Resource& resource : host.resources) {
      Outcome outcome{.guest_id = guest_id,
                      .kind = resource.kind,
                      .tenant_id = guest.tenant_id,
                      .seed_units = guest.seed_units(resource.kind)};
      const auto award = awards.find({guest_id, resource.kind});
      if (award != awards.end()) {
        outcome.award_units = award->second.units;
        outcome.charge_microcredits = award->second.charge_microcredits;
        PostEscrow(scribe, outcome);
      }
      round.outcomes.push_back(std::move(outcome));
    }
  }
  std::vector<BidKey> lapsed;
  for (const auto& [key, bid] : state_.bids) {
    if (bid.last_round_id != 0 && bid.last_round_id <= round_id &&
        state_.guests.at(key.first).host_id == host_id) {
      lapsed.push_back(key);
    }
  }
  for (const BidKey& key : lapsed) scribe.Write(DropBid{key});
  scribe.Write(std::move(put));
  Commit(std::move(scribe));

  ++host.counters.rounds_decided;
  host.last_decided_time = now_;
  host.decided = true;
  host.applying = false;
  TellNotices(host, *Decided(host));
  SendPrepare(host);
  SendBoard(host);
}

void Engine::Impl::TellNotices(HostRun& host, const Round& round) {
  for (const auto& [guest_id, guest] : state_.guests) {
    if (guest.host_id != host.config->host_id || guest.state != GuestState::kRunning) continue;
    const std::vector<Holding> now = HoldingsIn(host, guest, InForce(host));
    const std::vector<Holding> next = HoldingsIn(host, guest, &round);
    for (size_t i = 0; i < now.size(); ++i) {
      if (now[i] == next[i]) continue;
      notices_[{guest_id, now[i].kind}] =
          Notice{.sequence = ++notice_sequence_,
                 .guest_id = guest_id,
                 .host_id = host.config->host_id,
                 .round_id = round.round_id,
                 .kind = now[i].kind,
                 .units_now = now[i].units(),
                 .units_next = next[i].units(),
                 .effective_time = round.effective_time,
                 .charge_microcredits = next[i].charge_microcredits};
    }
  }
}

void Engine::Impl::SendPrepare(HostRun& host) {
  Send(host, {PendingCommand::Kind::kPrepare},
       PrepareCommand{Grants(host, InForce(host), Decided(host)), host.schedule->effective()});
}

void Engine::Impl::SendApply(HostRun& host) {
  host.applying = true;
  Send(host, {PendingCommand::Kind::kApply},
       ApplyCommand{Grants(host, Decided(host), Decided(host))});
}

void Engine::Impl::OnApplied(HostRun& host, const HostCommandDone& done) {
  if (!done.status.ok()) {
    ++host.counters.applies_refused;
    ++host.attach_failures;
    ReleaseDecided(host, std::string(done.status.message()));
    Detach(host, std::string(done.status.message()), RetryAfter(host.attach_failures));
    return;
  }
  const RoundReport& report = done.report;
  std::map<BidKey, const Delivered*> delivered;
  for (const Delivered& d : report.delivered) {
    delivered[{d.guest_id, d.kind}] = &d;
    host.counters.forced_units += static_cast<uint64_t>(std::max<int64_t>(0, d.forced_units));
  }

  Scribe scribe(state_, now_, "round settled");
  std::optional<Round> past;
  if (const Round* in_force = InForce(host)) past = *in_force;
  if (past) {
    for (Outcome& outcome : past->outcomes) {
      const auto d = delivered.find({outcome.guest_id, outcome.kind});
      PostSettlement(scribe, d == delivered.end() ? nullptr : d->second, report.interval,
                     past->period, outcome);
    }
  }
  std::map<BidKey, Microcredits> rents;
  std::vector<GuestId> renters;
  for (const auto& [guest_id, guest] : state_.guests) {
    if (guest.host_id == host.config->host_id &&
        (guest.state == GuestState::kRunning || guest.state == GuestState::kCrashed)) {
      renters.push_back(guest_id);
    }
  }
  for (const GuestId guest_id : renters) {
    for (const auto& [kind, rent] :
         PostRent(scribe, guest_id, host.resources, host.config->period)) {
      rents[{guest_id, kind}] = rent;
    }
  }
  if (past) {
    for (Outcome& outcome : past->outcomes) {
      const auto rent = rents.find({outcome.guest_id, outcome.kind});
      if (rent != rents.end()) outcome.rent_microcredits = rent->second;
      const auto run = guest_runs_.find(outcome.guest_id);
      if (run == guest_runs_.end()) continue;
      if (run->second.last_settled_round_id != past->round_id) run->second.last_settled.clear();
      run->second.last_settled_round_id = past->round_id;
      run->second.last_settled.push_back(outcome);
    }
    past->phase = RoundPhase::kSettled;
    scribe.Write(UpdateRound{*past});
    ++host.counters.rounds_settled;
  }
  const Round* decided = Decided(host);
  NOM_CHECK(decided != nullptr, "a round was applied that nobody decided");
  Round next = *decided;
  next.phase = RoundPhase::kEffective;
  next.applied_time = now_;
  for (Outcome& outcome : next.outcomes) {
    const auto guest = state_.guests.find(outcome.guest_id);
    if (guest == state_.guests.end() || guest->second.state != GuestState::kRunning) {
      PostRelease(scribe, outcome);  // It ended during grace: this never took effect.
    }
  }
  scribe.Write(UpdateRound{next});
  scribe.Write(PutHost{host.config->host_id, Book(host).boot_id, next.round_id});
  Commit(std::move(scribe));
  host.sums = report.sums;
  host.attach_failures = 0;
  NextRound(host);
}

void Engine::Impl::NextRound(HostRun& host) {
  host.schedule->Next();
  host.counters.rounds_skipped += static_cast<uint64_t>(host.schedule->SkipPast(now_));
  host.round_id = Book(host).last_decided_round_id + 1;
  host.decided = false;
  host.applying = false;
  TryCreate(host);
  SendBoard(host);
  view_dirty_ = true;
}

void Engine::Impl::ReleaseDecided(HostRun& host, const std::string& why) {
  const Round* decided = Decided(host);
  if (decided == nullptr) return;
  Round round = *decided;
  Scribe scribe(state_, now_, "round released");
  for (Outcome& outcome : round.outcomes) PostRelease(scribe, outcome);
  round.phase = RoundPhase::kReleased;
  scribe.Write(UpdateRound{round});
  Commit(std::move(scribe));
  ++host.counters.rounds_released;
  host.detail = absl::StrCat("round ", round.round_id, " was released: ", why);
}

void Engine::Impl::ReleaseInForce(HostRun& host, Scribe& scribe, bool still_held) {
  const Round* in_force = InForce(host);
  if (in_force == nullptr) return;
  Round round = *in_force;
  bool changed = !still_held;
  for (Outcome& outcome : round.outcomes) {
    changed |= !outcome.settled;
    PostRelease(scribe, outcome);
  }
  if (!still_held) round.phase = RoundPhase::kSettled;
  if (changed) scribe.Write(UpdateRound{round});
  if (!still_held) scribe.Write(PutHost{host.config->host_id, Book(host).boot_id, 0});
}

void Engine::Impl::SendBoard(HostRun& host) {
  PublishCommand publish{.valid_until = host.schedule->effective() + host.schedule->period(),
                         .close_time = host.schedule->close(),
                         .effective_time = host.schedule->effective()};
  publish.board.round_id = host.round_id;
  publish.board.priced_round_id = Book(host).last_decided_round_id;
  publish.board.period = host.schedule->period();
  for (const ResourcePrice& price : Prices(host)) {
    BoardPrice& out = publish.board.prices.emplace_back();
    out.kind = price.kind;
    out.bound_by = price.bound_by;
    for (const Resource& resource : host.resources) {
      if (resource.kind == price.kind) out.unit_size = resource.unit_size;
    }
    out.unit_price_microcredits = price.unit_price_microcredits;
    out.reserve_unit_price_microcredits = price.reserve_unit_price_microcredits;
    if (host.config->publish_border_prices) {
      out.highest_rejected_unit_price_microcredits = price.highest_rejected_unit_price_microcredits;
    }
    out.supply_units = price.supply_units;
    out.demand_units = price.demand_units;
    out.sold_units = price.sold_units;
  }
  Send(host, {PendingCommand::Kind::kPublish}, std::move(publish));
}

}  // namespace nom::market
