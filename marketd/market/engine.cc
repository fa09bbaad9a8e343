// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/engine.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "marketd/market/bid_desk.h"
#include "marketd/market/bid_leases.h"
#include "marketd/market/calls.h"
#include "marketd/market/guest_lives.h"
#include "marketd/market/guest_notes.h"
#include "marketd/market/host_market.h"
#include "marketd/market/live_book.h"
#include "marketd/market/notices.h"
#include "marketd/market/product_desk.h"
#include "marketd/market/promises.h"
#include "marketd/market/reconciler.h"
#include "marketd/market/rounds.h"
#include "marketd/market/settlement.h"
#include "marketd/market/tier_desk.h"
#include "marketd/market/tokens.h"
#include "marketd/market/view_builder.h"
#include "marketd/market/waiting_calls.h"

namespace nom::market {

// Puts the parts together and hands each event to the one that it is for. Decides nothing itself.
class Engine::Impl {
 public:
  Impl(MarketConfig config, State state, ClearFunctions clear, Clearing clearing);

  Effects Handle(const Event& event, absl::Time now);
  const State& state() const { return book_.state(); }
  std::string FirstBrokenPromise() const;

 private:
  void On(const Tick&) {}
  void On(const CallEvent& event) { calls_.On(event); }
  void On(const CommitDone& done) { book_.BecameDurable(done.through_transaction_id); }
  void On(const HostNewsEvent& event);
  void On(const HostCommandDone& done);
  void On(const ClearDone& done);

  // What is due.
  void Advance();
  void ClockMoved(absl::Duration by);
  absl::Time NextTick() const;
  // Hosts in the ledger that the config no longer has: nobody can meter or drive them.
  void CloseAbsentHosts();
  void NoteReport(const HostMarket& host, const GuestReport& report);
  // What `transaction` gives out and no host has, or "".
  std::string FirstOversoldOf(const Transaction& transaction) const;

  const MarketConfig config_;
  LiveBook book_;
  HostMarkets hosts_;
  BidLeases leases_;
  Notices notices_;
  NotesOfGuests notes_;
  WaitingCalls waiting_;
  Tokens tokens_;
  GuestLives lives_;
  BidDesk desk_;
  ProductDesk products_;
  TierDesk tiers_;
  Rounds rounds_;
  Reconciler reconciler_;
  Calls calls_;
  ViewBuilder views_;
  bool started_ = false;
};

Engine::Engine(MarketConfig config, State state, ClearFunctions clear, Clearing clearing)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(state), std::move(clear),
                                   clearing)) {}
Engine::~Engine() = default;

Effects Engine::Handle(const Event& event, absl::Time now) { return impl_->Handle(event, now); }
const State& Engine::state() const { return impl_->state(); }
std::string Engine::FirstBrokenPromise() const { return impl_->FirstBrokenPromise(); }

std::string Engine::Impl::FirstBrokenPromise() const {
  if (std::string wrong = market::FirstBrokenPromise(state()); !wrong.empty()) return wrong;
  State anew = state();
  anew.RebuildIndexes();
  if (anew.host_index != state().host_index || anew.admissions != state().admissions) {
    return "an index is not what it is an index of";
  }
  return views_.FirstStale();
}

Engine::Impl::Impl(MarketConfig config, State state, ClearFunctions clear, Clearing clearing)
    : config_(std::move(config)),
      book_(std::move(state)),
      hosts_(config_, [this](HostCommand command) { book_.Send(std::move(command)); }),
      leases_(book_.state()),
      waiting_(book_),
      tokens_(book_),
      lives_(book_, leases_, notices_, notes_, waiting_),
      desk_(book_, hosts_, leases_, notes_),
      products_(book_, hosts_, notices_, config_.seed),
      tiers_(book_, hosts_, leases_, config_.seed),
      rounds_({.clear = std::move(clear),
               .beside = clearing == Clearing::kBeside,
               .market_seed = config_.seed,
               .hosts = config_.hosts.size()},
              book_, leases_, notices_, notes_, lives_, desk_, products_, tiers_),
      reconciler_(book_, lives_, rounds_),
      calls_(book_, hosts_, leases_, desk_, products_, tiers_, lives_, tokens_, waiting_),
      views_(book_, hosts_, notes_, notices_, config_.seed) {
  book_.SetCheck([this](const Transaction& t) { return FirstOversoldOf(t); });
}

Effects Engine::Impl::Handle(const Event& event, absl::Time now) {
  now = absl::FromUnixMicros(absl::ToUnixMicros(now));
  if (now < book_.now()) ClockMoved(now - book_.now());
  book_.SetNow(now);
  if (!std::exchange(started_, true)) {
    book_.changes().TouchAll(state());
    CloseAbsentHosts();
  }
  // What was due before this event comes before it, however late it was handed in: close is close.
  Advance();
  std::visit([this](const auto& e) { On(e); }, event);
  Advance();
  book_.Release();  // A view that waited is out, and there may be another.
  views_.ShowChanges();
  book_.Release();
  Effects effects = book_.TakeEffects();
  effects.next_tick = NextTick();
  return effects;
}

void Engine::Impl::Advance() {
  for (auto& [host_id, host] : hosts_.all()) {
    if (host.link.Advance(book_.now())) book_.changes().TouchAny();
    rounds_.Advance(host);
  }
}

void Engine::Impl::CloseAbsentHosts() {
  std::vector<HostId> absent;
  for (const auto& [host_id, book] : state().hosts) {
    if (hosts_.Find(host_id) == nullptr && !book.open_rounds.empty()) absent.push_back(host_id);
  }
  for (const HostId& host_id : absent) {
    Scribe scribe = book_.Begin("host closed");
    CloseHost(scribe, host_id, kEndedHostClosed);
    book_.Commit(std::move(scribe));
  }
}

void Engine::Impl::On(const HostNewsEvent& event) {
  HostMarket* const host = hosts_.Find(event.host_id);
  if (host == nullptr) return;
  book_.changes().TouchAny();
  if (const auto* page = std::get_if<GuestBids>(&event.news)) {
    desk_.OnPage(*host, *page);
  } else if (const auto* report = std::get_if<GuestReport>(&event.news)) {
    NoteReport(*host, *report);
  } else if (const auto* ended = std::get_if<GuestEnded>(&event.news)) {
    lives_.OnEnded(*host, *ended);
  } else if (const auto* lost = std::get_if<HostLost>(&event.news)) {
    // While Attach is out, this is of the time before: its answer will tell.
    if (host->link.is_running()) Lose(book_, *host, lost->reason);
  }
}

void Engine::Impl::NoteReport(const HostMarket& host, const GuestReport& report) {
  const auto guest = state().guests.find(report.guest_id);
  if (guest == state().guests.end() || guest->second.host_id != host.id()) return;
  notes_[report.guest_id].report = report;
  book_.changes().TouchGuest(report.guest_id);
}

void Engine::Impl::On(const HostCommandDone& done) {
  HostMarket* const host = hosts_.Find(done.host_id);
  if (host == nullptr) return;
  const std::optional<PendingCommand> command = host->link.Answered(done);
  if (!command) return;  // Of a time before the host was lost.
  book_.changes().TouchAny();
  if (command->kind != PendingCommand::Kind::kAttach && absl::IsUnavailable(done.status)) {
    Lose(book_, *host, std::string(done.status.message()));
    return;
  }
  switch (command->kind) {
    case PendingCommand::Kind::kAttach:
      reconciler_.OnAttached(*host, done);
      break;
    case PendingCommand::Kind::kCreate:
      lives_.OnCreated(*host, command->guest_id, done.status);
      break;
    case PendingCommand::Kind::kDestroy:
      lives_.OnDestroyed(*host, command->guest_id, done);
      break;
    case PendingCommand::Kind::kApply:
      rounds_.OnApplied(*host, done);
      break;
    case PendingCommand::Kind::kPrepare:
    case PendingCommand::Kind::kPublish:
      // Guests go without a notice or a price; what counts is Apply, and that will tell.
      if (!done.status.ok()) host->link.set_detail(std::string(done.status.message()));
      break;
  }
}

void Engine::Impl::On(const ClearDone& done) {
  HostMarket* const host = hosts_.Find(done.host_id);
  if (host != nullptr) rounds_.OnCleared(*host, done);
}

void Engine::Impl::ClockMoved(absl::Duration by) {
  for (auto& [host_id, host] : hosts_.all()) {
    host.clock.Shift(by);
    host.link.Shift(by);
  }
  book_.changes().TouchAny();
}

absl::Time Engine::Impl::NextTick() const {
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [host_id, host] : hosts_.all()) {
    next = std::min({next, host.pages.next(), host.link.next(), host.clock.next()});
  }
  return next;
}

std::string Engine::Impl::FirstOversoldOf(const Transaction& transaction) const {
  for (const HostId& host_id : HostsGivenOut(transaction, state())) {
    const HostMarket* const host = hosts_.Find(host_id);
    // Of a host that is away nobody gives anything, and it may come back smaller than it was.
    if (host == nullptr || !host->link.is_running()) continue;
    std::string wrong = FirstOversold(transaction, host->Shares(state()), host->clock.round_id());
    if (!wrong.empty()) return wrong;
  }
  return "";
}

}  // namespace nom::market
