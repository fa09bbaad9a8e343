// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/rounds.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"
#include "marketd/market/award_reason.h"
#include "marketd/market/promises.h"
#include "marketd/market/settlement.h"

namespace nom::market {
namespace {

void CountClearings(HostCounters& counters, const Decision& decision) {
  for (const ResourcePrice& price : decision.prices) {
    switch (price.method) {
      case policies::Method::kExact:
        ++counters.clearings_exact;
        break;
      case policies::Method::kBounded:
        ++counters.clearings_bounded;
        break;
      case policies::Method::kCoarser:
        ++counters.clearings_coarser;
        break;
      case policies::Method::kGreedy:
        ++counters.clearings_greedy;
        break;
      case policies::Method::kRepeatLast:
        ++counters.clearings_repeat_last;
        break;
    }
  }
}

// What the host's contracts that go on in the round will take, before anybody bids: whoever holds
// one can't spend that money twice. Nothing is promised by it; what counts is looked at again when
// the round is decided.
void LeaveForContracts(const State& state, RoundSnapshot& snapshot) {
  std::map<TenantId, policies::OwnerId> owners;
  for (const auto& [owner_id, tenant_id] : snapshot.tenants) owners[tenant_id] = owner_id;
  const Round* const in_force = RoundInForce(BookOf(state, snapshot.host_id));
  for (const GuestId guest_id : state.GuestsOf(snapshot.host_id)) {
    const GuestState guest = state.guests.at(guest_id).state;
    if (guest == GuestState::kEnded || guest == GuestState::kEvicting) continue;
    for (const Contract* contract : state.contracts.AliveIn(guest_id, snapshot.round_id)) {
      Microcredits& means = snapshot.means.at(owners.at(contract->tenant_id));
      const Microcredits missing = MissingFor(*contract, snapshot.round_id, in_force);
      // A contract that cannot be paid will be left (CoverContracts), and takes no money.
      if (missing <= means) means -= missing;
    }
  }
}

Round RoundOf(const HostMarket& host, absl::Time now) {
  const Schedule& schedule = host.clock.schedule();
  Round round;
  round.host_id = host.id();
  round.round_id = host.clock.round_id();
  round.phase = RoundPhase::kGrace;
  round.start_time = schedule.start();
  round.close_time = schedule.close();
  round.decided_time = now;
  round.effective_time = schedule.effective();
  round.applied_time = absl::UnixEpoch();
  round.period = schedule.period();
  return round;
}

}  // namespace

Rounds::Rounds(Options options, LiveBook& book, BidLeases& leases, Notices& notices,
               NotesOfGuests& notes, GuestLives& lives, BidDesk& desk, ProductDesk& products,
               TierDesk& tiers)
    : options_(std::move(options)),
      book_(book),
      leases_(leases),
      notices_(notices),
      notes_(notes),
      lives_(lives),
      desk_(desk),
      products_(products),
      tiers_(tiers) {}

void Rounds::Begin(HostMarket& host) {
  const State& state = book_.state();
  if (const Round* decided = host.Decided(state)) {
    host.clock.BeginDecided(decided->round_id, decided->effective_time, book_.now());
    TellNotices(book_, host, notices_);
  } else {
    host.clock.BeginCollecting(host.Book(state).last_decided_round_id + 1, book_.now());
  }
  TellGrants(book_, host);  // Also where nothing is decided: boards may tell of a released round.
  TellBoard(book_, host, options_.market_seed);
  book_.changes().TouchAny();
}

void Rounds::Advance(HostMarket& host) {
  desk_.WritePages(host, /*at_close=*/false);
  switch (host.clock.WhatIsDue(book_.now())) {
    case RoundClock::Due::kNothing:
      return;
    case RoundClock::Due::kDecide:
      Decide(host);
      return;
    case RoundClock::Due::kSkip:
      host.counters.rounds_skipped += static_cast<uint64_t>(host.clock.SkipPast(book_.now()));
      TellBoard(book_, host, options_.market_seed);
      book_.changes().TouchAny();
      return;
    case RoundClock::Due::kApply:
      Apply(host);
      return;
    case RoundClock::Due::kRelease:
      Release(host, "its time had passed");
      // What the machine did all that time is known from its own account alone, which attaching
      // asks for.
      LetGo(book_, host, "the market stood still past a round's end", /*counts=*/false);
      return;
  }
}

// --- From close to decision. ---

RoundSnapshot Rounds::Snapshot(const HostMarket& host) const {
  const State& state = book_.state();
  const HostShares shares = host.Shares(state);
  const RoundId round_id = host.clock.round_id();
  return TakeSnapshot(state, host.config, options_.market_seed, options_.hosts,
                      host.link.resources(), SupplyOf(shares, round_id),
                      HeldByAwards(shares, round_id), round_id);
}

void Rounds::Decide(HostMarket& host) {
  desk_.WritePages(host, /*at_close=*/true);
  products_.Renew(host);
  tiers_.GiveFloors(host);
  // First the contracts of several rounds, then who bids with what is left: the other way round an
  // award could take the money that a promise needs.
  if (!options_.beside) {
    Scribe scribe = book_.Begin("round decided");
    CoverContracts(scribe, host.id(), host.clock.round_id());
    const RoundSnapshot snapshot = Snapshot(host);
    Conclude(host, snapshot, market::Decide(snapshot, options_.clear), std::move(scribe));
    return;
  }
  RoundSnapshot bids = Snapshot(host);
  LeaveForContracts(book_.state(), bids);
  const auto snapshot = std::make_shared<const RoundSnapshot>(std::move(bids));
  const uint64_t clear_id = next_clear_id_++;
  host.clock.BeginClearing(clear_id, snapshot);
  book_.AskToClear({host.id(), clear_id, snapshot});
}

void Rounds::OnCleared(HostMarket& host, const ClearDone& done) {
  const std::shared_ptr<const RoundSnapshot> snapshot = host.clock.EndClearing(done.clear_id);
  if (snapshot == nullptr) return;  // Of before the host was lost, or the round was skipped.
  const State& state = book_.state();
  Scribe scribe = book_.Begin("round decided");
  CoverContracts(scribe, host.id(), host.clock.round_id());
  const Units supply = SupplyOf(host.Shares(state), host.clock.round_id());
  if (StillHolds(*snapshot, done.decision, state, supply)) {
    Conclude(host, *snapshot, done.decision, std::move(scribe));
    return;
  }
  // Here and now, on the engine's thread: another clearing beside could be overtaken as well.
  ++host.counters.clearings_again;
  const RoundSnapshot as_of_now = AsOfNow(*snapshot, state, supply);
  Conclude(host, as_of_now, market::Decide(as_of_now, options_.clear), std::move(scribe));
}

void Rounds::Conclude(HostMarket& host, const RoundSnapshot& snapshot, Decision decision,
                      Scribe&& scribe) {
  CountClearings(host.counters, decision);
  products_.Lapse(host, scribe);
  WriteDecision(host, snapshot, std::move(decision), scribe);
  book_.Commit(std::move(scribe));
  ++host.counters.rounds_decided;
  host.last_decided_time = book_.now();
  host.clock.Decided();
  TellDecision(host);
}

void Rounds::WriteDecision(HostMarket& host, const RoundSnapshot& snapshot, Decision decision,
                           Scribe& scribe) {
  const State& state = book_.state();
  PutRound put{.round = RoundOf(host, book_.now()), .auctions = std::move(decision.records)};
  put.round.prices = std::move(decision.prices);
  put.round.certificate = decision.certificate;
  put.round.objective = snapshot.objective;
  std::map<BidKey, KindAward> awards;
  for (const KindAward& award : decision.awards) awards[{award.guest_id, award.kind}] = award;
  for (const GuestId guest_id : state.GuestsOf(host.id())) {
    const Guest& guest = state.guests.at(guest_id);
    if (guest.state == GuestState::kEvicting) continue;
    GuestNotes& notes = notes_[guest_id];
    notes.decided.clear();
    notes.decided_round_id = put.round.round_id;
    // Also of a guest that took no part: an older decision must not go on being shown as its last
    // one.
    if (guest.state == GuestState::kEnded) continue;  // It took no part.
    WriteAwards(host, snapshot, guest, awards, decision.asked, put.round, scribe);
  }
  scribe.Write(std::move(put));
}

void Rounds::WriteAwards(const HostMarket& host, const RoundSnapshot& snapshot, const Guest& guest,
                         const std::map<BidKey, KindAward>& awards,
                         const std::map<BidKey, int64_t>& asked, Round& round, Scribe& scribe) {
  const State& state = book_.state();
  const GuestId guest_id = guest.guest_id;
  Contract contract{.contract_id = state.last_contract_id + 1,
                    .guest_id = guest_id,
                    .tenant_id = guest.tenant_id,
                    .from_round_id = round.round_id,
                    .until_round_id = round.round_id + 1,
                    .period = round.period};
  for (const Resource& resource : host.link.resources()) {
    Outcome outcome{
        .guest_id = guest_id,
        .kind = resource.kind,
        .tenant_id = guest.tenant_id,
        .seed_units = guest.seed_units(resource.kind),
        .contracted_units = state.contracts.HeldUnits(guest_id, resource.kind, round.round_id)};
    const auto award = awards.find({guest_id, resource.kind});
    if (award != awards.end() && award->second.units > 0) {
      outcome.award_units = award->second.units;
      outcome.charge_microcredits = award->second.charge_microcredits;
      contract.lots.push_back({resource.kind, outcome.award_units, outcome.charge_microcredits});
    }
    const auto wanted = asked.find({guest_id, resource.kind});
    if (wanted != asked.end()) outcome.asked_units = wanted->second;
    // There is an outcome of each kind, also of who won nothing: a program wants to know why.
    outcome.reason = ReasonOf(snapshot, round.prices, state, guest, outcome);
    notes_[guest_id].decided.push_back({.kind = resource.kind,
                                        .seed_units = outcome.seed_units,
                                        .award_units = outcome.award_units,
                                        .charge_microcredits = outcome.charge_microcredits,
                                        .reason = outcome.reason});
    round.outcomes.push_back(std::move(outcome));
  }
  if (!contract.lots.empty()) OpenAward(scribe, std::move(contract));
}

void Rounds::TellDecision(HostMarket& host) {
  TellNotices(book_, host, notices_);
  TellGrants(book_, host);
  TellBoard(book_, host, options_.market_seed);
}

// --- From its time to its being in force. ---

void Rounds::Apply(HostMarket& host) {
  const State& state = book_.state();
  GrantSet told = GrantsIn(host.Shares(state), *host.Decided(state));
  host.clock.BeginApplying(told);
  host.link.Apply(std::move(told));
}

void Rounds::OnApplied(HostMarket& host, const HostCommandDone& done) {
  if (!done.status.ok()) {
    Refused(host, std::string(done.status.message()));
    return;
  }
  host.counters.forced_units +=
      static_cast<uint64_t>(std::max<int64_t>(0, done.report.forced_units));
  TakeEffect(host, done.report.meters);
  CheckTold(host);
  host.link.set_sums(done.report.sums);
  host.link.Worked();
  Next(host);
}

void Rounds::Refused(HostMarket& host, const std::string& why) {
  ++host.counters.applies_refused;
  // In this order: that the round is released is told to the machine while there is one.
  Release(host, why);
  LetGo(book_, host, why, /*counts=*/true);
}

void Rounds::TakeEffect(HostMarket& host, const std::vector<GuestMeters>& meters) {
  const State& state = book_.state();
  const Round* const decided = host.Decided(state);
  NOM_CHECK(decided != nullptr, "a round took effect that nobody decided");
  const RoundId round_id = decided->round_id;
  // By contracts as they were when the machine was told: those that end now change nothing of that.
  HoldNext(host, *decided);
  Scribe scribe = book_.Begin("round settled");
  const TookEffect took = SettleAndPutInForce(scribe, host.id(), host.link.resources(), meters);
  // Not at the close: a round that is released gives bids their round back, and they must still be
  // there.
  DropUsedBids(host, round_id, scribe);
  book_.Commit(std::move(scribe));
  Count(host, took.uncharged);
  if (took.settled_round_id != 0) {
    NoteSettled(took);
    ++host.counters.rounds_settled;
  }
  // After the settlement, with what was paid in it.
  EvictInArrears(host);
}

void Rounds::CheckTold(HostMarket& host) {
  const State& state = book_.state();
  const GrantSet told = host.clock.EndApplying();
  host.counters.differences += static_cast<uint64_t>(HoldAsTold(told, state, host.link.holdings()));
  const std::string wrong = FirstUntold(told, state, host.link.holdings());
  // A guest that holds other than it was told is a broken promise of ours, and no state to go on
  // from.
  NOM_CHECK(wrong.empty(), absl::StrCat("round ", host.Book(state).in_force_round_id, ": ", wrong));
}

void Rounds::HoldNext(HostMarket& host, const Round& next) {
  const State& state = book_.state();
  for (const GuestId guest_id : state.GuestsOf(host.id())) {
    const Guest& guest = state.guests.at(guest_id);
    if (guest.state != GuestState::kRunning) continue;
    host.link.holdings().Set(guest_id, HoldingsIn(host.Shares(state), guest, &next));
  }
}

void Rounds::NoteSettled(const TookEffect& took) {
  for (const Outcome& outcome : took.settled) {
    const auto it = notes_.find(outcome.guest_id);
    if (it == notes_.end()) continue;
    GuestNotes& notes = it->second;
    // Outcomes come one kind after another: the first one of a round clears the list.
    if (notes.last_settled_round_id != took.settled_round_id) notes.last_settled.clear();
    notes.last_settled_round_id = took.settled_round_id;
    notes.last_settled.push_back(outcome);
  }
}

void Rounds::DropUsedBids(HostMarket& host, RoundId in_force, Scribe& scribe) {
  const State& state = book_.state();
  for (const GuestId guest_id : state.GuestsOf(host.id())) {
    for (const BidKey& key : state.BidsOf(guest_id)) {
      const RoundId last = leases_.LastRound(state.bids.at(key));
      if (last != 0 && last <= in_force) scribe.Write(DropBid{key, {}});
    }
  }
}

void Rounds::EvictInArrears(HostMarket& host) {
  const uint32_t grace = host.config.arrears_grace_rounds;
  for (const GuestId guest_id : GuestsInArrears(book_.state(), host.id(), grace)) {
    const Guest& guest = book_.state().guests.at(guest_id);
    const std::string why = absl::StrCat("tenant ", guest.tenant_id, " owed rent for ",
                                         guest.arrears_rounds, " rounds; ", grace, " are allowed");
    Scribe scribe = book_.Begin("guest evicting");
    scribe.Write(LogEvent{{.kind = "guest_evicted_for_arrears",
                           .by = kTheMarket,
                           .tenant_id = guest.tenant_id,
                           .host_id = guest.host_id,
                           .guest_id = guest_id,
                           .detail = why}});
    lives_.BeginEviction(host, std::move(scribe), guest_id, EndCause::kArrears, why);
    ++host.counters.evictions_for_arrears;
  }
}

void Rounds::Next(HostMarket& host) {
  const RoundId round_id = host.Book(book_.state()).last_decided_round_id + 1;
  host.counters.rounds_skipped += static_cast<uint64_t>(host.clock.Next(round_id, book_.now()));
  // Losers have given back what they lost, so that a guest which waits for room may find it now.
  lives_.CreateWhatFits(host);
  TellBoard(book_, host, options_.market_seed);
  book_.changes().TouchAny();
}

// --- Or not. ---

void Rounds::Release(HostMarket& host, const std::string& why) {
  const Round* const decided = host.Decided(book_.state());
  if (decided == nullptr) return;
  const RoundId round_id = decided->round_id;
  Scribe scribe = book_.Begin("round released");
  ReleaseRound(scribe, *decided, why);
  GiveRoundBack(host, round_id, scribe);
  book_.Commit(std::move(scribe));
  ++host.counters.rounds_released;
  host.link.set_detail(absl::StrCat("round ", round_id, " was released: ", why));
  WithdrawNotices(host, round_id);
}

// It counts for nobody: bids for a number of rounds that took part in it get another one.
void Rounds::GiveRoundBack(const HostMarket& host, RoundId round_id, Scribe& scribe) {
  const State& state = book_.state();
  for (const GuestId guest_id : state.GuestsOf(host.id())) {
    for (const BidKey& key : state.BidsOf(guest_id)) {
      StandingBid bid = state.bids.at(key);
      if (bid.last_round_id == 0 || bid.first_round_id > round_id) continue;
      // Also of what a lease keeps, whose last round this process alone knows.
      ++bid.last_round_id;
      leases_.GiveRoundBack(key);
      scribe.Write(PutBid{std::move(bid)});
    }
  }
}

void Rounds::WithdrawNotices(HostMarket& host, RoundId round_id) {
  const State& state = book_.state();
  for (const GuestId guest_id : state.GuestsOf(host.id())) {
    notices_.Withdraw(guest_id, round_id,
                      HoldingsNow(host.Shares(state), state.guests.at(guest_id)));
  }
  if (host.link.is_running()) TellGrants(book_, host);
}

}  // namespace nom::market
