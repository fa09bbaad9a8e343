#include "marketd/market/engine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/base/random.h"
#include "marketd/base/status.h"
#include "marketd/market/engine_impl.h"
#include "marketd/market/money.h"

namespace nom::market {

namespace {

// Above all that a process before this one gave out: views get 2^40 at each start. Where in the
// lower half of these a process begins is by its ledger and its start, so that a number from
// another history (another ledger, or one that was put back from a copy) is not taken for one of
// this one's.
uint64_t FirstViewSequence(const LedgerIdentity& ledger, absl::Time now) {
  const uint64_t place =
      Hash64(ledger.id, Mix64(static_cast<uint64_t>(absl::ToUnixMicros(now)))) >> 25;
  return (ledger.openings << 40) + place + 1;
}

}  // namespace

Engine::Engine(MarketConfig config, State state, ClearFunctions clear, Clearing clearing)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(state), std::move(clear),
                                   clearing)) {}
Engine::~Engine() = default;

Effects Engine::Handle(const Event& event, absl::Time now) { return impl_->Handle(event, now); }
const State& Engine::state() const { return impl_->state(); }
std::string Engine::FirstBrokenPromise() const { return impl_->FirstBrokenPromise(); }

std::string Engine::Impl::FirstBrokenPromise() const {
  if (std::string wrong = market::FirstBrokenPromise(state_); !wrong.empty()) return wrong;
  State anew = state_;
  anew.RebuildIndexes();
  if (anew.host_index != state_.host_index || anew.admissions != state_.admissions) {
    return "an index is not what it is an index of";
  }
  return FirstStaleView();
}

Engine::Impl::Impl(MarketConfig config, State state, ClearFunctions clear, Clearing clearing)
    : config_(std::move(config)),
      clear_(std::move(clear)),
      clearing_(clearing),
      state_(std::move(state)),
      money_promises_(state_) {
  durable_transaction_id_ = state_.last_transaction_id;
  guest_id_seen_max_ = state_.last_guest_id;
  // Above all that a process before this one gave out: it is given 2^40 at each start.
  last_fence_ = state_.ledger.openings << 40;
  for (const auto& [key, fence] : state_.bid_fences) {
    last_fence_ = std::max(last_fence_, fence.fence);
  }
  PresumeLeasesRenewed();
  for (const HostConfig& host : config_.hosts) {
    HostRun& run = hosts_[host.host_id];
    run.config = &host;
    run.resources = host.resources;
    std::sort(run.resources.begin(), run.resources.end(),
              [](const Resource& a, const Resource& b) { return a.kind < b.kind; });
  }
}

Effects Engine::Impl::Handle(const Event& event, absl::Time now) {
  now = absl::FromUnixMicros(absl::ToUnixMicros(now));
  if (now < now_) ClockMoved(now - now_);
  now_ = now;
  if (view_sequence_ == 0) view_sequence_ = FirstViewSequence(state_.ledger, now);
  effects_ = Effects{};
  if (!std::exchange(started_, true)) {
    TouchAll();
    CloseAbsentHosts();
  }
  // What was due before this event comes before it, however late it was handed in: close is close.
  Advance();
  std::visit([this](const auto& e) { On(e); }, event);
  Advance();
  Flush();
  if (view_dirty_ && !view_waiting_) {
    last_view_ = BuildView();
    outbox_.push_back({state_.last_transaction_id, last_view_});
    view_waiting_ = true;
    view_dirty_ = false;
  }
  Flush();
  effects_.next_tick = NextTick();
  return std::move(effects_);
}

void Engine::Impl::Advance() {
  for (auto& [host_id, host] : hosts_) {
    AdvanceLink(host);
    AdvanceRound(host);
  }
}

void Engine::Impl::CloseAbsentHosts() {
  static constexpr char kWhy[] = "the host is no longer in the config";
  std::vector<HostId> absent;
  for (const auto& [host_id, book] : state_.hosts) {
    if (!hosts_.contains(host_id) && !book.open_rounds.empty()) absent.push_back(host_id);
  }
  for (const HostId& host_id : absent) {
    const HostBook book = state_.hosts.at(host_id);
    Scribe scribe(state_, now_, "host closed");
    for (const GuestId guest_id : state_.GuestsOf(host_id)) EndContracts(scribe, guest_id, kWhy);
    for (auto [round_id, round] : book.open_rounds) {
      CloseOutcomes(round);
      const bool decided = round.phase == RoundPhase::kGrace;
      round.phase = decided ? RoundPhase::kReleased : RoundPhase::kSettled;
      round.reason = kWhy;
      scribe.Write(UpdateRound{round});
    }
    scribe.Write(PutHost{host_id, book.boot_id, 0});
    Commit(std::move(scribe));
  }
}

void Engine::Impl::On(const Tick&) {}

void Engine::Impl::On(const CommitDone& done) {
  durable_transaction_id_ = std::max(
      durable_transaction_id_, std::min(done.through_transaction_id, state_.last_transaction_id));
}

void Engine::Impl::On(const HostNewsEvent& event) {
  HostRun* host = FindHost(event.host_id);
  if (host == nullptr) return;
  view_dirty_ = true;
  if (const auto* bids = std::get_if<GuestBids>(&event.news)) {
    OnGuestBids(*host, *bids);
  } else if (const auto* report = std::get_if<GuestReport>(&event.news)) {
    const auto guest = state_.guests.find(report->guest_id);
    if (guest != state_.guests.end() && guest->second.host_id == event.host_id) {
      guest_runs_[report->guest_id].report = *report;
      guests_seen_.Touch(report->guest_id);
    }
  } else if (const auto* ended = std::get_if<GuestEnded>(&event.news)) {
    OnGuestEnded(*host, *ended);
  } else if (const auto* lost = std::get_if<HostLost>(&event.news)) {
    // While Attach is out, this is of the time before: its answer will tell.
    if (host->link == Link::kRunning) Lose(*host, lost->reason);
  }
}

void Engine::Impl::On(const HostCommandDone& done) {
  HostRun* host = FindHost(done.host_id);
  if (host == nullptr) return;
  const auto it = host->pending.find(done.command_id);
  if (it == host->pending.end()) return;  // Of a time before the host was lost.
  const PendingCommand pending = it->second;
  host->pending.erase(it);
  view_dirty_ = true;
  if (pending.kind != PendingCommand::Kind::kAttach && absl::IsUnavailable(done.status)) {
    Lose(*host, std::string(done.status.message()));
    return;
  }
  switch (pending.kind) {
    case PendingCommand::Kind::kAttach:
      OnAttached(*host, done);
      break;
    case PendingCommand::Kind::kCreate:
      OnCreated(*host, pending.guest_id, done.status);
      break;
    case PendingCommand::Kind::kDestroy:
      OnDestroyed(*host, pending.guest_id, done);
      break;
    case PendingCommand::Kind::kApply:
      OnApplied(*host, done);
      break;
    case PendingCommand::Kind::kPrepare:
    case PendingCommand::Kind::kPublish:
      // Guests go without a notice or a price; what counts is Apply, and that will tell.
      if (!done.status.ok()) host->detail = std::string(done.status.message());
      break;
  }
}

void Engine::Impl::ClockMoved(absl::Duration by) {
  for (auto& [host_id, host] : hosts_) {
    if (host.schedule) host.schedule->Shift(by);
    if (host.next_attach != absl::InfinitePast()) host.next_attach += by;
  }
  view_dirty_ = true;
}

absl::Time Engine::Impl::NextTick() const {
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [host_id, host] : hosts_) {
    if (!host.pages_waiting.empty()) next = std::min(next, host.pages_waiting.begin()->first);
    if (host.link == Link::kDetached) next = std::min(next, host.next_attach);
    if (host.link != Link::kRunning) continue;
    if (host.clearing) {
      next = std::min(next, host.schedule->close_latest() + absl::Microseconds(1));
    } else if (!host.decided) {
      next = std::min(next, host.schedule->close());
    } else if (!host.applying) {
      next = std::min(next, host.schedule->effective());
    }
  }
  return next;
}

void Engine::Impl::Commit(Scribe&& scribe) {
  if (scribe.empty()) return;
  effects_.transactions.push_back(std::move(scribe).Finish());
  Touch(effects_.transactions.back());
  CheckPromises(effects_.transactions.back());
  view_dirty_ = true;
}

void Engine::Impl::CheckPromises(const Transaction& transaction) {
  std::string wrong = money_promises_.FirstBroken(transaction, state_);
  for (const auto& [host_id, host] : hosts_) {
    // Of a host that is away nobody gives anything, and it may come back smaller than it was.
    if (!wrong.empty()) break;
    if (host.link != Link::kRunning) continue;
    wrong = FirstOversold(transaction, Shares(host), host.round_id);
  }
  NOM_CHECK(wrong.empty(), absl::StrCat("transaction ", transaction.transaction_id, " (",
                                        transaction.kind, "): ", wrong));
}

void Engine::Impl::Answer(CallId call_id, Reply reply) {
  outbox_.push_back({state_.last_transaction_id, ReplyEffect{call_id, std::move(reply)}});
}

void Engine::Impl::AnswerWaiting(GuestId guest_id, const Reply& reply) {
  const auto run = guest_runs_.find(guest_id);
  if (run == guest_runs_.end()) return;
  for (const CallId call_id : std::exchange(run->second.waiting, {})) Answer(call_id, reply);
}

void Engine::Impl::Send(HostRun& host, PendingCommand pending,
                        decltype(HostCommand::command) command) {
  const uint64_t id = next_command_id_++;
  host.pending[id] = pending;
  outbox_.push_back(
      {state_.last_transaction_id, HostCommand{host.config->host_id, id, std::move(command)}});
}

void Engine::Impl::Flush() {
  while (!outbox_.empty() && outbox_.front().after <= durable_transaction_id_) {
    auto& effect = outbox_.front().effect;
    if (auto* reply = std::get_if<ReplyEffect>(&effect)) {
      effects_.replies.push_back(std::move(*reply));
    } else if (auto* command = std::get_if<HostCommand>(&effect)) {
      effects_.commands.push_back(std::move(*command));
    } else {
      effects_.view = std::move(std::get<std::shared_ptr<const View>>(effect));
      view_waiting_ = false;
    }
    outbox_.pop_front();
  }
}

HostRun* Engine::Impl::FindHost(const HostId& host_id) {
  const auto it = hosts_.find(host_id);
  return it == hosts_.end() ? nullptr : &it->second;
}

}  // namespace nom::market
