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
#include "marketd/market/reserves.h"

namespace nom::market {
namespace {

// The least that a bid asks for of a kind.
int64_t LeastUnits(const std::vector<policies::Range>& ranges) {
  return std::max<int64_t>(1, ranges.front().min_units);
}

// Whether no bundle of a bid for several kinds fits what is sold.
bool NoBundleFits(const Valuation& valuation, const RoundSnapshot& snapshot) {
  const auto fits = [&snapshot](const policies::Bundle& bundle) {
    policies::Bundle left = bundle;
    for (const RoundSnapshot::OnSale& kind : snapshot.kinds) {
      int64_t& units = left.units[static_cast<size_t>(kind.resource.kind) - 1];
      units = std::max<int64_t>(0, units - kind.supply_units);
    }
    return std::all_of(left.units.begin(), left.units.end(), [](int64_t u) { return u == 0; });
  };
  return !valuation.bundles.empty() &&
         std::none_of(valuation.bundles.begin(), valuation.bundles.end(), fits);
}

// Whether the guest's bid asks for more than there is, whatever others bid.
bool IsLargerThanSupply(const RoundSnapshot& snapshot, const State& state, GuestId guest_id,
                        ResourceKind kind) {
  const auto several = state.bids.find({guest_id, kSeveralKinds});
  if (several != state.bids.end()) return NoBundleFits(*several->second.valuation, snapshot);
  const auto single = state.bids.find({guest_id, kind});
  if (single == state.bids.end() || single->second.ranges.empty()) return false;
  for (const RoundSnapshot::OnSale& sold : snapshot.kinds) {
    if (sold.resource.kind != kind) continue;
    return LeastUnits(single->second.ranges) > sold.supply_units;
  }
  return false;
}

// Why a guest won what it won of a resource.
AwardReason ReasonOf(const RoundSnapshot& snapshot, const std::vector<ResourcePrice>& prices,
                     const State& state, const Guest& guest, const Outcome& outcome) {
  if (guest.state != GuestState::kRunning) return AwardReason::kNotRunning;
  const auto price = std::find_if(prices.begin(), prices.end(),
                                  [&](const ResourcePrice& p) { return p.kind == outcome.kind; });
  const bool by_bids = price != prices.end() && price->bound_by == policies::BoundBy::kBids;
  const bool is_too_large = IsLargerThanSupply(snapshot, state, guest.guest_id, outcome.kind);
  const AwardReason lost = is_too_large ? AwardReason::kLargerThanSupply
                           : by_bids    ? AwardReason::kOutbid
                                        : AwardReason::kBelowReserve;
  for (const RoundSnapshot::OnSale& kind : snapshot.kinds) {
    if (kind.resource.kind != outcome.kind) continue;
    for (const policies::Bid& bid : kind.bids) {
      if (bid.guest_id != guest.guest_id) continue;
      // Nothing is left of a bid whose least is too dear, or is more than there is.
      if (bid.ranges.empty()) return is_too_large ? lost : AwardReason::kNoMeans;
      if (outcome.award_units >= UnitsMax(bid.ranges)) return AwardReason::kServed;
      return outcome.award_units > 0 ? AwardReason::kPartlyServed : lost;
    }
  }
  if (!snapshot.is_joint || state.BidsOf(guest.guest_id).empty()) return AwardReason::kNoBid;
  // Of several kinds at once, one bundle of those that were asked for, or none.
  return outcome.award_units > 0 ? AwardReason::kServed : lost;
}

}  // namespace

int64_t Engine::Impl::UsedUnits(const HostRun& host, ResourceKind kind) const {
  const HostIndex& index = state_.Host(host.config->host_id);
  int64_t beside = 0;  // What does not change when the round takes effect.
  for (const GuestId guest_id : host.creating) {
    const auto guest = state_.guests.find(guest_id);
    if (guest != state_.guests.end()) beside += guest->second.seed_units(kind);
  }
  for (const HostGuest& guest : host.unmanaged) {
    for (const Holding& holding : guest.holdings) {
      if (!guest.ended && holding.kind == kind) beside += holding.units();
    }
  }
  const int64_t now = host.holdings.Sum(kind);
  const Round* const decided = Decided(host);
  if (decided == nullptr) return now + beside;
  const int64_t next = index.SeedUnits(kind, GuestState::kRunning) +
                       index.SeedUnits(kind, GuestState::kEvicting) +
                       index.PromisedUnits(kind, decided->round_id);
  return std::max(now, next) + beside;
}

std::vector<ResourcePrice> Engine::Impl::Prices(const HostRun& host) const {
  std::vector<ResourcePrice> prices = Book(host).prices;
  if (!prices.empty()) return prices;
  const std::map<ResourceKind, int64_t> supply = SupplyOf(Shares(host), host.round_id);
  for (const Resource& resource : host.resources) {
    const policies::ReservePolicy policy =
        ReservePolicyOf(resource, config_.seed, host.config->host_id);
    const Microcredits reserve =
        ReserveOfRound(policy, host.round_id, nullptr).reserve_unit_price_microcredits;
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

void Engine::Impl::BeginRounds(HostRun& host) {
  const Round* decided = Decided(host);
  if (decided != nullptr) {
    // Decided before the host, or this process, was lost. Its time may have been told by another
    // clock: it is never more than a period away. And nobody knows whether the guests were told:
    // the whole grace is theirs from now on.
    absl::Time effective = std::min(decided->effective_time, now_ + host.config->period);
    effective = std::max(effective, now_ + host.config->grace);
    host.schedule.emplace(*host.config, effective - host.config->period);
    host.round_id = decided->round_id;
    host.decided = true;
    TellNotices(host, *decided);
    SendPrepare(host);
  } else {
    host.schedule.emplace(*host.config, now_);
    host.round_id = Book(host).last_decided_round_id + 1;
    host.decided = false;
    SendPrepare(host);  // Boards may tell of a round that has since been released.
  }
  host.applying = false;
  SendBoard(host);
  view_dirty_ = true;
}

void Engine::Impl::AdvanceRound(HostRun& host) {
  WriteWaitingPages(host, /*all=*/false);
  if (host.link != Link::kRunning) return;
  if (!host.decided) {
    if (now_ < host.schedule->close()) return;
    if (now_ <= host.schedule->close_latest()) {
      if (!host.clearing) Decide(host);
      return;
    }
    host.clearing.reset();  // It took too long.
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

void Engine::Impl::ExtendContracts(HostRun& host, Scribe& scribe) {
  for (const GuestId guest_id : state_.GuestsOf(host.config->host_id)) {
    const GuestState guest = state_.guests.at(guest_id).state;
    // What they hold is billed once more, and then their contracts end.
    if (guest == GuestState::kEnded || guest == GuestState::kEvicting) continue;
    for (const Contract* contract : state_.contracts.AliveIn(guest_id, host.round_id)) {
      if (!CoverRound(scribe, *contract)) EndContract(scribe, *contract, "it could not be paid");
    }
  }
}

void Engine::Impl::CountClearings(HostRun& host, const Decision& decision) {
  for (const ResourcePrice& price : decision.prices) {
    switch (price.method) {
      case policies::Method::kExact:
        ++host.counters.clearings_exact;
        break;
      case policies::Method::kBounded:
        ++host.counters.clearings_bounded;
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
}

void Engine::Impl::WriteDecision(HostRun& host, const RoundSnapshot& snapshot, Decision decision,
                                 Scribe& scribe) {
  const HostId& host_id = host.config->host_id;
  PutRound put;
  Round& round = put.round;
  round.host_id = host_id;
  round.round_id = host.round_id;
  round.phase = RoundPhase::kGrace;
  round.start_time = host.schedule->start();
  round.close_time = host.schedule->close();
  round.decided_time = now_;
  round.effective_time = host.schedule->effective();
  round.applied_time = absl::UnixEpoch();
  round.period = host.schedule->period();
  round.prices = std::move(decision.prices);
  round.certificate = decision.certificate;
  put.auctions = std::move(decision.records);
  std::map<BidKey, KindAward> awards;
  for (const KindAward& award : decision.awards) awards[{award.guest_id, award.kind}] = award;

  for (const GuestId guest_id : state_.GuestsOf(host_id)) {
    const Guest& guest = state_.guests.at(guest_id);
    if (guest.state == GuestState::kEvicting) continue;
    GuestRun& run = guest_runs_[guest_id];
    run.decided.clear();
    run.decided_round_id = host.round_id;
    if (guest.state == GuestState::kEnded) continue;  // It took no part.
    Contract contract{.contract_id = state_.last_contract_id + 1,
                      .guest_id = guest_id,
                      .tenant_id = guest.tenant_id,
                      .from_round_id = round.round_id,
                      .until_round_id = round.round_id + 1,
                      .period = round.period};
    for (const Resource& resource : host.resources) {
      Outcome outcome{
          .guest_id = guest_id,
          .kind = resource.kind,
          .tenant_id = guest.tenant_id,
          .seed_units = guest.seed_units(resource.kind),
          .contracted_units = state_.contracts.HeldUnits(guest_id, resource.kind, round.round_id)};
      const auto award = awards.find({guest_id, resource.kind});
      if (award != awards.end() && award->second.units > 0) {
        outcome.award_units = award->second.units;
        outcome.charge_microcredits = award->second.charge_microcredits;
        contract.lots.push_back({resource.kind, outcome.award_units, outcome.charge_microcredits});
      }
      outcome.reason = ReasonOf(snapshot, round.prices, state_, guest, outcome);
      run.decided.push_back({.kind = resource.kind,
                             .seed_units = outcome.seed_units,
                             .award_units = outcome.award_units,
                             .charge_microcredits = outcome.charge_microcredits,
                             .reason = outcome.reason});
      round.outcomes.push_back(std::move(outcome));
    }
    if (contract.lots.empty()) continue;
    PostEscrow(scribe, contract, ChargeOf(contract));
    scribe.Write(OpenContract{std::move(contract)});
  }
  scribe.Write(std::move(put));
}

void Engine::Impl::TellNotices(HostRun& host, const Round& round) {
  for (const GuestId guest_id : state_.GuestsOf(host.config->host_id)) {
    const Guest& guest = state_.guests.at(guest_id);
    if (guest.state != GuestState::kRunning) continue;
    const std::vector<Holding> now = HoldingsNow(Shares(host), guest);
    const std::vector<Holding> next = HoldingsIn(Shares(host), guest, &round);
    for (size_t i = 0; i < now.size(); ++i) {
      if (now[i] == next[i]) continue;
      notices_changed_ = true;
      notices_[{guest_id, now[i].kind}] =
          Notice{.sequence = ++notice_sequence_,
                 .guest_id = guest_id,
                 .host_id = host.config->host_id,
                 .round_id = round.round_id,
                 .kind = now[i].kind,
                 .units_now = now[i].units(),
                 .units_next = next[i].units(),
                 .effective_time = host.schedule->effective(),
                 .charge_microcredits = next[i].charge_microcredits};
    }
  }
}

void Engine::Impl::WithdrawNotices(HostRun& host, const Round& round) {
  for (const GuestId guest_id : state_.GuestsOf(host.config->host_id)) {
    const Guest& guest = state_.guests.at(guest_id);
    for (const Holding& now : HoldingsNow(Shares(host), guest)) {
      const auto it = notices_.find({guest_id, now.kind});
      if (it == notices_.end() || it->second.round_id != round.round_id) continue;
      Notice& notice = it->second;
      notices_changed_ = true;
      notice.sequence = ++notice_sequence_;
      notice.units_now = now.units();
      notice.units_next = now.units();
      notice.charge_microcredits = now.charge_microcredits;
      notice.withdrawn = true;
    }
  }
  if (host.link == Link::kRunning) SendPrepare(host);
}

void Engine::Impl::SendPrepare(HostRun& host) {
  const absl::Time effective = host.schedule ? host.schedule->effective() : now_;
  Send(host, {PendingCommand::Kind::kPrepare},
       PrepareCommand{GrantsUntil(Shares(host), Decided(host)), effective});
}

void Engine::Impl::SendApply(HostRun& host) {
  host.applying = true;
  host.told = GrantsIn(Shares(host), *Decided(host));
  Send(host, {PendingCommand::Kind::kApply}, ApplyCommand{host.told});
}

void Engine::Impl::OnApplied(HostRun& host, const HostCommandDone& done) {
  if (!done.status.ok()) {
    ++host.counters.applies_refused;
    ++host.attach_failures;
    ReleaseDecided(host, std::string(done.status.message()));
    Detach(host, std::string(done.status.message()), RetryAfter(host.attach_failures));
    return;
  }
  host.counters.forced_units +=
      static_cast<uint64_t>(std::max<int64_t>(0, done.report.forced_units));
  TakeEffect(host, done.report.meters);
  const GrantSet told = std::exchange(host.told, {});
  host.counters.differences += static_cast<uint64_t>(HoldAsTold(told, state_, host.holdings));
  const std::string wrong = FirstUntold(told, state_, host.holdings);
  NOM_CHECK(wrong.empty(), absl::StrCat("round ", Book(host).in_force_round_id, ": ", wrong));
  host.sums = done.report.sums;
  host.attach_failures = 0;
  NextRound(host);
}

void Engine::Impl::Count(HostRun& host, const Billed& billed) {
  if (billed.meters_lost) ++host.counters.meters_lost;
  host.counters.forgiven_microcredits =
      SaturatingAdd(host.counters.forgiven_microcredits, billed.forgiven);
}

void Engine::Impl::TakeEffect(HostRun& host, const std::vector<GuestMeters>& meters) {
  NOM_CHECK(Decided(host) != nullptr, "a round took effect that nobody decided");
  Round next = *Decided(host);
  std::optional<Round> past;
  if (const Round* in_force = InForce(host)) past = *in_force;
  Scribe scribe(state_, now_, "round settled");
  BillAll(host, meters, past ? *past : next, next.round_id, scribe);
  HoldNext(host, next);
  if (past) SettlePast(host, *std::move(past), scribe);
  EndPastContracts(host, next.round_id, scribe);
  PutInForce(host, std::move(next), scribe);
  DropUsedBids(host, scribe);
  Commit(std::move(scribe));
  EvictInArrears(host);
}

void Engine::Impl::BillAll(HostRun& host, const std::vector<GuestMeters>& meters, Round& billed,
                           RoundId decided, Scribe& scribe) {
  std::map<GuestId, const GuestMeters*> readings;
  for (const GuestMeters& reading : meters) readings[reading.guest_id] = &reading;
  for (const GuestId guest_id : state_.GuestsOf(host.config->host_id)) {
    if (state_.guests.at(guest_id).state == GuestState::kAdmitted) continue;
    const auto reading = readings.find(guest_id);
    Count(host, BillGuest(scribe, guest_id, reading == readings.end() ? nullptr : reading->second,
                          host.resources, &billed, decided));
  }
}

void Engine::Impl::HoldNext(HostRun& host, const Round& next) {
  for (const GuestId guest_id : state_.GuestsOf(host.config->host_id)) {
    const Guest& guest = state_.guests.at(guest_id);
    if (guest.state == GuestState::kRunning) {
      host.holdings.Set(guest_id, HoldingsIn(Shares(host), guest, &next));
    }
  }
}

void Engine::Impl::SettlePast(HostRun& host, Round past, Scribe& scribe) {
  CloseOutcomes(past);
  for (const Outcome& outcome : past.outcomes) {
    const auto run = guest_runs_.find(outcome.guest_id);
    if (run == guest_runs_.end()) continue;
    if (run->second.last_settled_round_id != past.round_id) run->second.last_settled.clear();
    run->second.last_settled_round_id = past.round_id;
    run->second.last_settled.push_back(outcome);
  }
  past.phase = RoundPhase::kSettled;
  scribe.Write(UpdateRound{std::move(past)});
  ++host.counters.rounds_settled;
}

void Engine::Impl::EndPastContracts(HostRun& host, RoundId next, Scribe& scribe) {
  for (const GuestId guest_id : state_.GuestsOf(host.config->host_id)) {
    const bool runs = state_.guests.at(guest_id).state == GuestState::kRunning;
    for (const Contract* contract : state_.contracts.Of(guest_id)) {
      if (contract->until_round_id <= next) {
        EndContract(scribe, *contract, "its rounds are over");
      } else if (contract->from_round_id <= next && !runs) {
        EndContract(scribe, *contract, "the guest does not run");
      }
    }
  }
}

void Engine::Impl::PutInForce(HostRun& host, Round next, Scribe& scribe) {
  next.phase = RoundPhase::kEffective;
  next.applied_time = now_;
  for (Outcome& outcome : next.outcomes) {
    const auto guest = state_.guests.find(outcome.guest_id);
    if (guest == state_.guests.end() || guest->second.state != GuestState::kRunning) {
      outcome.settled = true;  // It ended during grace: this never took effect.
    }
  }
  CountArrears(host, scribe);
  const RoundId round_id = next.round_id;
  scribe.Write(UpdateRound{std::move(next)});
  scribe.Write(PutHost{host.config->host_id, Book(host).boot_id, round_id});
}

void Engine::Impl::DropUsedBids(HostRun& host, Scribe& scribe) {
  for (const GuestId guest_id : state_.GuestsOf(host.config->host_id)) {
    for (const BidKey& key : state_.BidsOf(guest_id)) {
      const RoundId last = LastRound(state_.bids.at(key));
      if (last != 0 && last <= Book(host).in_force_round_id) scribe.Write(DropBid{key, {}});
    }
  }
}

void Engine::Impl::CountArrears(HostRun& host, Scribe& scribe) {
  for (const GuestId guest_id : state_.GuestsOf(host.config->host_id)) {
    Guest guest = state_.guests.at(guest_id);
    if (guest.state != GuestState::kRunning) continue;  // The others owe nothing more.
    const bool owes = state_.PurseOf(guest.tenant_id).arrears < 0;
    const uint32_t rounds = owes ? guest.arrears_rounds + 1 : 0;
    if (rounds == guest.arrears_rounds) continue;
    guest.arrears_rounds = rounds;
    scribe.Write(PutGuest{guest});
  }
}

void Engine::Impl::EvictInArrears(HostRun& host) {
  const uint32_t grace = host.config->arrears_grace_rounds;
  if (grace == 0) return;
  const std::set<GuestId> guest_ids = state_.GuestsOf(host.config->host_id);  // It changes below.
  for (const GuestId guest_id : guest_ids) {
    const Guest& guest = state_.guests.at(guest_id);
    if (guest.state != GuestState::kRunning || guest.arrears_rounds <= grace) continue;
    const std::string why = absl::StrCat("tenant ", guest.tenant_id, " owed rent for ",
                                         guest.arrears_rounds, " rounds; ", grace, " are allowed");
    Scribe scribe(state_, now_, "guest evicting");
    scribe.Write(LogEvent{{.kind = "guest_evicted_for_arrears",
                           .by = kTheMarket,
                           .tenant_id = guest.tenant_id,
                           .host_id = guest.host_id,
                           .guest_id = guest_id,
                           .detail = why}});
    BeginEviction(host, std::move(scribe), guest_id, EndCause::kArrears, why);
    ++host.counters.evictions_for_arrears;
  }
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
  for (const GuestId guest_id : state_.GuestsOf(host.config->host_id)) {
    for (const Contract* contract : state_.contracts.AliveIn(guest_id, round.round_id)) {
      UncoverRound(host, *contract, round.round_id, why, scribe);
    }
  }
  CloseOutcomes(round);
  round.phase = RoundPhase::kReleased;
  round.reason = why;
  scribe.Write(UpdateRound{round});
  // It counts for nobody: bids for a number of rounds that took part in it get another one.
  for (const GuestId guest_id : state_.GuestsOf(host.config->host_id)) {
    for (const BidKey& key : state_.BidsOf(guest_id)) {
      StandingBid bid = state_.bids.at(key);
      if (bid.last_round_id == 0 || bid.first_round_id > round.round_id) continue;
      ++bid.last_round_id;
      if (const auto renewed = renewed_through_.find(key); renewed != renewed_through_.end()) {
        ++renewed->second;
      }
      scribe.Write(PutBid{std::move(bid)});
    }
  }
  Commit(std::move(scribe));
  ++host.counters.rounds_released;
  host.detail = absl::StrCat("round ", round.round_id, " was released: ", why);
  WithdrawNotices(host, round);
}

void Engine::Impl::UncoverRound(const HostRun& host, const Contract& contract, RoundId round_id,
                                const std::string& why, Scribe& scribe) {
  const Round* const in_force = InForce(host);
  const bool holds = in_force != nullptr && AliveIn(contract, in_force->round_id);
  if (!holds && contract.until_round_id <= round_id + 1) {
    EndContract(scribe, contract, absl::StrCat("its round was released: ", why));
    return;
  }
  Contract standing = contract;
  PostRelease(scribe, standing,
              holds && IsToBeBilled(*in_force, contract) ? ChargeOf(contract) : 0);
  scribe.Write(UpdateContract{std::move(standing)});
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
