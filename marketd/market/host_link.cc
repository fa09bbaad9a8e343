// The engine's tie to its hosts: attaching, finding out what they hold, losing them; guests coming
// and going.
//
// A machine goes on while nobody drives it: its guests keep what they hold, and its meters count.
// So a lost host changes nothing in the books. When it is attached again it says what it holds and
// which round it was last made to apply; that is where everything goes on from, and nothing is put
// in force by attaching. Where it differs from the ledger the next round puts it right, with
// notices.

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"
#include "marketd/market/bids.h"
#include "marketd/market/engine_impl.h"
#include "marketd/market/money.h"

namespace nom::market {
namespace {

constexpr absl::Duration kAttachRetryMin = absl::Milliseconds(100);
constexpr absl::Duration kAttachRetryMax = absl::Seconds(5);
// Between two bid pages of one guest that are written.
constexpr absl::Duration kBidPageInterval = absl::Seconds(1);

}  // namespace

absl::Duration RetryAfter(int failures) {
  return std::min(kAttachRetryMax, kAttachRetryMin * (int64_t{1} << std::min(failures, 10)));
}

void Engine::Impl::AdvanceLink(HostRun& host) {
  if (host.link != Link::kDetached || now_ < host.next_attach) return;
  host.link = Link::kAttaching;
  view_dirty_ = true;
  Send(host, {PendingCommand::Kind::kAttach}, AttachCommand{host.resources});
}

void Engine::Impl::Detach(HostRun& host, const std::string& why, absl::Duration retry_after) {
  host.link = Link::kDetached;
  host.detail = why;
  host.next_attach = now_ + retry_after;
  host.pending.clear();
  host.schedule.reset();
  host.clearing.reset();
  host.decided = false;
  host.applying = false;
  host.creating.clear();
  TouchHost(host.config->host_id);
  view_dirty_ = true;
}

void Engine::Impl::Lose(HostRun& host, const std::string& why) {
  ++host.counters.losses;
  ++host.attach_failures;
  Detach(host, why, RetryAfter(host.attach_failures));
}

void Engine::Impl::OnAttached(HostRun& host, const HostCommandDone& done) {
  absl::Status status = done.status;
  if (status.ok()) status = UseCapacities(host, done.facts);
  if (!status.ok()) {
    ++host.attach_failures;
    Detach(host, std::string(status.message()), RetryAfter(host.attach_failures));
    return;
  }
  host.attach_failures = 0;
  ++host.counters.attaches;
  host.detail = done.facts.detail;
  host.link = Link::kRunning;
  Reconcile(host, done.facts);
  TouchHost(host.config->host_id);
  BeginRounds(host);
}

absl::Status Engine::Impl::UseCapacities(HostRun& host, const HostFacts& facts) {
  for (Resource& resource : host.resources) {
    const auto has = std::find_if(facts.capacities.begin(), facts.capacities.end(),
                                  [&](const auto& c) { return c.first == resource.kind; });
    if (has == facts.capacities.end()) {
      return absl::FailedPreconditionError(
          absl::StrCat("the host has no resource ", static_cast<int>(resource.kind)));
    }
    const int64_t all =
        std::clamp<int64_t>(has->second / resource.unit_size, 0, policies::kUnitsMax);
    const auto configured =
        std::find_if(host.config->resources.begin(), host.config->resources.end(),
                     [&](const Resource& r) { return r.kind == resource.kind; });
    resource.capacity_units =
        configured->capacity_units == 0 ? all : std::min(all, configured->capacity_units);
  }
  return absl::OkStatus();
}

void Engine::Impl::Reconcile(HostRun& host, const HostFacts& facts) {
  const HostId& host_id = host.config->host_id;
  std::map<GuestId, const HostGuest*> found;
  host.unmanaged.clear();
  host.holdings.Clear();
  host.sums = facts.sums;
  for (const HostGuest& guest : facts.guests) {
    // Ids are counted up from what any host has; one that no marketd would give must not end that.
    if (BookOrdinalOf(guest.guest_id) == BookOrdinalOf(state_.last_guest_id)) {
      guest_id_seen_max_ = std::max(guest_id_seen_max_, guest.guest_id);
    }
    const auto known = state_.guests.find(guest.guest_id);
    if (known == state_.guests.end() || known->second.host_id != host_id) {
      host.unmanaged.push_back(guest);
      continue;
    }
    found[guest.guest_id] = &guest;
    if (!guest.ended) host.holdings.Set(guest.guest_id, guest.holdings);
  }
  const std::set<GuestId> guest_ids = state_.GuestsOf(host_id);  // A copy: the state changes below.

  if (Book(host).boot_id != facts.boot_id) {
    // The machine forgot its guests, and its meters with them.
    Scribe scribe(state_, now_, "host booted");
    const RoundId decided_id = Decided(host) == nullptr ? 0 : Decided(host)->round_id;
    if (const Round* in_force = InForce(host)) {
      Round round = *in_force;
      for (const GuestId guest_id : guest_ids) {
        Count(host, BillGuest(scribe, guest_id, nullptr, host.resources, &round, decided_id));
        EndAwards(scribe, guest_id, round.round_id, "the machine restarted");
      }
      CloseOutcomes(round);
      round.reason = "the machine restarted";
      scribe.Write(UpdateRound{round});
    }
    scribe.Write(PutHost{host_id, facts.boot_id, Book(host).in_force_round_id});
    Commit(std::move(scribe));
  } else if (Decided(host) != nullptr && facts.applied_round_id == Decided(host)->round_id) {
    // The host was told, and did it; only its answer, or our note of it, was lost.
    TakeEffect(host, facts.applied_meters);
    for (const auto& [guest_id, guest] : found) {
      if (!guest->ended) host.holdings.Set(guest_id, guest->holdings);
    }
  }

  for (const GuestId guest_id : guest_ids) {
    const auto it = found.find(guest_id);
    ReconcileGuest(host, Guest(state_.guests.at(guest_id)),
                   it == found.end() ? nullptr : it->second);
  }
  const Round* decided = Decided(host);
  if (decided != nullptr && now_ >= decided->effective_time + decided->period) {
    ReleaseDecided(host, "the host was away past the round's end");
  }
  TryCreate(host);
}

void Engine::Impl::ReconcileGuest(HostRun& host, const Guest& guest, const HostGuest* has) {
  switch (guest.state) {
    case GuestState::kEvicting:
      SendDestroy(host, guest.guest_id);  // NOT_FOUND is as good.
      return;
    case GuestState::kAdmitted:
      if (has == nullptr) return;
      if (has->ended && guest.has_run) {  // What is there is of before it was to be started.
        ClearAwayForStart(host, guest.guest_id);
        return;
      }
      host.creating.insert(guest.guest_id);
      OnCreated(host, guest.guest_id, absl::OkStatus());
      host.holdings.Set(guest.guest_id, has->holdings);
      if (has->ended) {
        OnGuestEnded(host, GuestEnded{guest.guest_id, has->exit_reason, has->exited});
      }
      return;
    case GuestState::kRunning:
      if (has == nullptr) {
        Guest again = guest;
        again.state = GuestState::kAdmitted;
        Scribe scribe(state_, now_, "guest to be created anew");
        if (const Round* in_force = InForce(host);
            in_force != nullptr && guest.metered != LostMeters(guest.guest_id)) {
          // Gone without the machine having restarted: what it held last is not known.
          Round round = *in_force;
          const RoundId decided_id = Decided(host) == nullptr ? 0 : Decided(host)->round_id;
          Count(host,
                BillGuest(scribe, guest.guest_id, nullptr, host.resources, &round, decided_id));
          EndAwards(scribe, guest.guest_id, round.round_id, "the machine lost the guest");
          again.metered = scribe.state().guests.at(guest.guest_id).metered;
          scribe.Write(UpdateRound{round});
        }
        scribe.Write(PutGuest{again});
        Commit(std::move(scribe));
        return;
      }
      if (has->ended) {
        OnGuestEnded(host, GuestEnded{guest.guest_id, has->exit_reason, has->exited});
        return;
      }
      for (const Holding& should : HoldingsIn(Shares(host), guest, InForce(host))) {
        if (host.holdings.Units(guest.guest_id, should.kind) == should.units()) continue;
        ++host.counters.differences;
        break;
      }
      return;
    case GuestState::kEnded:
      // To be ended, and the host did not confirm it.
      if (has != nullptr && !has->ended) SendDestroy(host, guest.guest_id);
      return;
    case GuestState::kEvicted:
      return;
  }
}

void Engine::Impl::TryCreate(HostRun& host) {
  if (host.link != Link::kRunning) return;
  const auto fits = [&](const Guest& guest) {
    for (const Resource& resource : host.resources) {
      const int64_t seed = guest.seed_units(resource.kind);
      if (seed != 0 && UsedUnits(host, resource.kind) + seed > resource.capacity_units)
        return false;
    }
    return true;
  };
  for (const GuestId guest_id : state_.Host(host.config->host_id).admitted()) {
    const Guest& guest = state_.guests.at(guest_id);
    // After the next round it will fit: its seed is no longer auctioned.
    if (host.creating.contains(guest_id) || !fits(guest)) continue;
    host.creating.insert(guest_id);
    Send(host, {PendingCommand::Kind::kCreate, guest_id},
         CreateCommand{GuestSpec{.guest_id = guest_id,
                                 .name = guest.name,
                                 .image = guest.image,
                                 .arguments = guest.arguments,
                                 .seeds = guest.seeds,
                                 .memory_max_units = guest.memory_max_units}});
  }
}

void Engine::Impl::OnCreated(HostRun& host, GuestId guest_id, const absl::Status& status) {
  const auto it = state_.guests.find(guest_id);
  host.creating.erase(guest_id);
  if (it == state_.guests.end() || it->second.state != GuestState::kAdmitted) return;
  Guest guest = it->second;
  if (status.ok() || absl::IsAlreadyExists(status)) {
    guest.state = GuestState::kRunning;
    guest.end_cause = EndCause::kNone;
    guest.exit_reason.clear();
    guest.has_run = true;
    guest.metered = GuestMeters{.guest_id = guest_id};
    host.holdings.Set(guest_id, guest.seeds);
    Scribe scribe(state_, now_, "guest running");
    scribe.Write(PutGuest{guest});
    Commit(std::move(scribe));
    guest_runs_[guest_id].started_by.reset();
    AnswerWaiting(guest_id, Reply{.guest_id = guest_id});
    if (host.decided && !host.applying) SendPrepare(host);
    return;
  }
  if (guest.has_run) {  // It ran before: an operator must look at it.
    Scribe scribe(state_, now_, "guest ended");
    EndLife(scribe, guest_id, GuestState::kEnded, EndCause::kCrashed,
            absl::StrCat("could not be created anew: ", status.message()));
    GuestRun& run = guest_runs_[guest_id];
    if (run.started_by) {  // Whoever retries is told the same.
      Request again = state_.requests.at(*std::exchange(run.started_by, std::nullopt));
      Remember(scribe, std::move(again), Reply{.status = status});
    }
    Commit(std::move(scribe));
    ++host.counters.guests_ended;
    AnswerWaiting(guest_id, Reply{.status = status});
    return;
  }
  // Never ran: it leaves as if it had not been asked for, and a retry gets the same answer.
  const Reply reply{.status = status};
  std::optional<Request> admission;
  if (const auto key = state_.admissions.find(guest_id); key != state_.admissions.end()) {
    admission = state_.requests.at(key->second);
  }
  Scribe scribe(state_, now_, "guest refused");
  EndLife(scribe, guest_id, GuestState::kEvicted, EndCause::kNone, "");
  if (admission) Remember(scribe, *std::move(admission), reply);
  Commit(std::move(scribe));
  AnswerWaiting(guest_id, reply);
  ForgetRun(host, guest_id);
}

void Engine::Impl::SendDestroy(HostRun& host, GuestId guest_id) {
  for (const auto& [id, pending] : host.pending) {
    if (pending.kind == PendingCommand::Kind::kDestroy && pending.guest_id == guest_id) return;
  }
  Send(host, {PendingCommand::Kind::kDestroy, guest_id}, DestroyCommand{guest_id});
}

void Engine::Impl::ClearAwayForStart(HostRun& host, GuestId guest_id) {
  host.creating.insert(guest_id);  // Not before the host has said that nothing is left.
  SendDestroy(host, guest_id);
}

void Engine::Impl::OnDestroyed(HostRun& host, GuestId guest_id, const HostCommandDone& done) {
  const auto it = state_.guests.find(guest_id);
  if (it == state_.guests.end() || it->second.state == GuestState::kRunning) return;
  if (!done.status.ok() && !absl::IsNotFound(done.status)) {
    AnswerWaiting(guest_id, Reply{.status = done.status, .guest_id = guest_id});
    // It may be there or not; attaching anew finds out and tries again.
    Lose(host, std::string(done.status.message()));
    return;
  }
  const GuestMeters* const reading = done.status.ok() ? &done.meters : nullptr;
  if (it->second.state == GuestState::kEvicting) {
    Evict(host, guest_id, reading);
    AnswerWaiting(guest_id, Reply{.guest_id = guest_id});
    ForgetRun(host, guest_id);
  } else {
    host.holdings.Remove(guest_id);
    // Before the first round there is nothing to bill, and no transaction that would tell.
    guests_seen_.Touch(guest_id);
    view_dirty_ = true;
    Scribe scribe(state_, now_, "guest cleared away");
    BillDestroyed(host, guest_id, reading, scribe, "the guest was ended");
    Commit(std::move(scribe));
    if (it->second.state == GuestState::kEnded) {
      AnswerWaiting(guest_id, Reply{.guest_id = guest_id});
    } else {  // To be started: whoever asked waits for it to run.
      host.creating.erase(guest_id);
    }
  }
  TryCreate(host);
}

void Engine::Impl::BillDestroyed(HostRun& host, GuestId guest_id, const GuestMeters* reading,
                                 Scribe& scribe, const std::string& why) {
  std::map<RoundId, Round> open = Book(host).open_rounds;
  if (!open.empty()) {  // The older is the one in force, if there is one.
    Round& billed = open.begin()->second;
    const RoundId decided_id = Decided(host) == nullptr ? 0 : Decided(host)->round_id;
    Count(host, BillGuest(scribe, guest_id, reading, host.resources, &billed, decided_id));
  }
  EndContracts(scribe, guest_id, why);
  for (auto& [round_id, round] : open) {
    for (Outcome& outcome : round.outcomes) {
      if (outcome.guest_id == guest_id) outcome.settled = true;
    }
    scribe.Write(UpdateRound{round});
  }
}

void Engine::Impl::Evict(HostRun& host, GuestId guest_id, const GuestMeters* reading) {
  host.holdings.Remove(guest_id);
  Scribe scribe(state_, now_, "guest evicted");
  BillDestroyed(host, guest_id, reading, scribe, "the guest was evicted");
  const Guest guest = state_.guests.at(guest_id);  // Why it leaves was said when that began.
  EndLife(scribe, guest_id, GuestState::kEvicted, guest.end_cause, guest.exit_reason);
  Commit(std::move(scribe));
}

void Engine::Impl::EndAwards(Scribe& scribe, GuestId guest_id, RoundId round_id,
                             const std::string& why) {
  for (const Contract* contract : state_.contracts.AliveIn(guest_id, round_id)) {
    if (contract->until_round_id == round_id + 1) EndContract(scribe, *contract, why);
  }
}

void Engine::Impl::BeginEviction(HostRun& host, Scribe&& scribe, GuestId guest_id, EndCause cause,
                                 const std::string& reason) {
  EndLife(scribe, guest_id, GuestState::kEvicting, cause, reason);
  Commit(std::move(scribe));
  // Without the machine it waits: whoever attaches to it next destroys the guest first of all.
  if (host.link == Link::kRunning) SendDestroy(host, guest_id);
}

void Engine::Impl::EndLife(Scribe& scribe, GuestId guest_id, GuestState state, EndCause cause,
                           const std::string& reason) {
  Guest guest = state_.guests.at(guest_id);
  guest.state = state;
  guest.end_cause = cause;
  guest.exit_reason = reason;
  for (const BidKey& key : state_.BidsOf(guest_id)) {
    scribe.Write(DropBid{key, {}});
    renewed_through_.erase(key);
  }
  const auto closed = closed_through_.lower_bound({guest_id, ResourceKind{0}});
  closed_through_.erase(closed, closed_through_.lower_bound({guest_id + 1, ResourceKind{0}}));
  scribe.Write(PutGuest{guest});
  for (auto notice = notices_.lower_bound({guest_id, ResourceKind{0}});
       notice != notices_.end() && notice->first.first == guest_id;) {
    notice = notices_.erase(notice);
    notices_changed_ = true;
  }
}

void Engine::Impl::OnGuestEnded(HostRun& host, const GuestEnded& ended) {
  const auto it = state_.guests.find(ended.guest_id);
  if (it == state_.guests.end() || it->second.host_id != host.config->host_id ||
      it->second.state != GuestState::kRunning) {
    for (HostGuest& guest : host.unmanaged) {
      if (guest.guest_id != ended.guest_id) continue;
      guest.ended = true;
      guest.exit_reason = ended.reason;
    }
    return;
  }
  ++host.counters.guests_ended;
  host.holdings.Remove(ended.guest_id);
  Scribe scribe(state_, now_, "guest ended");
  EndLife(scribe, ended.guest_id, GuestState::kEnded,
          ended.exited ? EndCause::kExited : EndCause::kCrashed, ended.reason);
  Commit(std::move(scribe));
}

void Engine::Impl::OnGuestBids(HostRun& host, const GuestBids& page) {
  const auto it = state_.guests.find(page.guest_id);
  if (it == state_.guests.end() || it->second.host_id != host.config->host_id ||
      it->second.state != GuestState::kRunning) {
    return;
  }
  GuestRun& run = guest_runs_[page.guest_id];
  guests_seen_.Touch(page.guest_id);
  absl::Status status =
      page.error.empty() ? absl::OkStatus() : absl::InvalidArgumentError(page.error);
  std::set<ResourceKind> kinds;
  const bool is_several = std::any_of(page.bids.begin(), page.bids.end(),
                                      [](const auto& bid) { return bid.valuation != nullptr; });
  for (size_t i = 0; i < page.bids.size() && status.ok(); ++i) {
    const GuestBids::Bid& bid = page.bids[i];
    const bool is_sold = bid.kind == kSeveralKinds ||
                         std::any_of(host.resources.begin(), host.resources.end(),
                                     [&bid](const Resource& r) { return r.kind == bid.kind; });
    if (!is_sold) {
      status = absl::InvalidArgumentError("kind: is not sold on this host");
    } else if (!kinds.insert(bid.kind).second) {
      status = absl::InvalidArgumentError("kind: is there twice");
    } else if (bid.budget_microcredits < 0) {
      status = absl::InvalidArgumentError("budget_microcredits: is negative");
    } else if (!bid.ranges.empty() || bid.valuation != nullptr) {
      status =
          CheckForm(host, page.guest_id, bid.kind, bid.ranges, bid.valuation.get(), std::nullopt);
    }
    if (status.ok() && bid.kind != kSeveralKinds && !bid.ranges.empty() && is_several) {
      status =
          absl::InvalidArgumentError("kind: does not go together with a bid for several kinds");
    }
    if (!status.ok()) {
      status = absl::InvalidArgumentError(absl::StrCat("bids[", i, "].", status.message()));
    }
  }
  if (!status.ok()) {  // The whole page: half of a page is not what the guest meant.
    ++host.counters.bid_pages_refused;
    run.bid_page_error = std::string(status.message());
    return;
  }
  run.bid_page_error.clear();
  // A guest may write its page as often as it likes; what counts is what stands at close. So pages
  // that follow each other fast are written together.
  run.page_waiting = page;
  host.pages_waiting.insert({run.page_next, page.guest_id});
  WriteWaitingPages(host, /*all=*/false);
}

void Engine::Impl::WriteWaitingPages(HostRun& host, bool all) {
  while (!host.pages_waiting.empty()) {
    const auto [due, guest_id] = *host.pages_waiting.begin();
    if (!all && now_ < due) return;
    host.pages_waiting.erase(host.pages_waiting.begin());
    GuestRun& run = guest_runs_[guest_id];
    const GuestBids page = *std::exchange(run.page_waiting, std::nullopt);
    const auto guest = state_.guests.find(guest_id);
    if (guest == state_.guests.end() || guest->second.state != GuestState::kRunning) continue;
    run.page_next = now_ + kBidPageInterval;
    WritePage(host, guest_id, page);
  }
}

void Engine::Impl::ForgetRun(HostRun& host, GuestId guest_id) {
  const auto run = guest_runs_.find(guest_id);
  if (run == guest_runs_.end()) return;
  host.pages_waiting.erase({run->second.page_next, guest_id});
  guest_runs_.erase(run);
}

void Engine::Impl::WritePage(HostRun& host, GuestId guest_id, const GuestBids& page) {
  Scribe scribe(state_, now_, "bid page");
  for (const GuestBids::Bid& from : page.bids) {
    const BidKey key{guest_id, from.kind};
    const auto standing = state_.bids.find(key);
    if (from.ranges.empty() && from.valuation == nullptr) {
      if (standing != state_.bids.end()) scribe.Write(DropBid{key, NextFence()});
      continue;
    }
    StandingBid bid{.guest_id = guest_id,
                    .kind = from.kind,
                    .ranges = from.ranges,
                    .valuation = from.valuation};
    if (from.budget_microcredits != 0) bid.budget_microcredits = from.budget_microcredits;
    if (standing != state_.bids.end()) {
      // The same bid again, whoever first made it: nothing to write.
      bid.first_round_id = standing->second.first_round_id;
      bid.fence = standing->second.fence;
      if (standing->second == bid) continue;
    }
    bid.fence = NextFence();
    bid.first_round_id = RoundOfNewBids(host);
    DropReplaced(scribe, guest_id, from.kind, bid.fence);
    scribe.Write(PutBid{std::move(bid)});
    ++host.counters.bids_accepted;
  }
  Commit(std::move(scribe));
}

}  // namespace nom::market
