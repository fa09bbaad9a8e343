// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/guest_lives.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/base/money.h"
#include "marketd/market/billing.h"
#include "marketd/market/requests.h"

namespace nom::market {

void Count(HostMarket& host, const Uncharged& uncharged) {
  host.counters.meters_lost += uncharged.meters_lost;
  host.counters.forgiven_microcredits =
      SaturatingAdd(host.counters.forgiven_microcredits, uncharged.forgiven);
}

GuestLives::GuestLives(LiveBook& book, BidLeases& leases, Notices& notices, NotesOfGuests& notes,
                       WaitingCalls& waiting)
    : book_(book),
      leases_(leases),
      notices_(notices),
      notes_(notes),
      waiting_(waiting),
      seen_max_(book.state().last_guest_id) {}

GuestId GuestLives::NextGuestId() const {
  return std::max(book_.state().last_guest_id, seen_max_) + 1;
}

void GuestLives::Saw(GuestId guest_id) {
  // Ids are counted up from what any host has; one that no marketd would give must not end that.
  if (BookOrdinalOf(guest_id) != BookOrdinalOf(book_.state().last_guest_id)) return;
  seen_max_ = std::max(seen_max_, guest_id);
}

void GuestLives::CreateWhatFits(HostMarket& host) {
  if (!host.link.is_running()) return;
  const State& state = book_.state();
  const auto fits = [&](const Guest& guest) {
    for (const Resource& resource : host.link.resources()) {
      const int64_t seed = guest.seed_units(resource.kind);
      if (seed != 0 && UsedUnits(state, host, resource.kind) + seed > resource.capacity_units)
        return false;
    }
    return true;
  };
  for (const GuestId guest_id : state.Host(host.id()).admitted()) {
    const Guest& guest = state.guests.at(guest_id);
    // After the next round it will fit: its seed is no longer auctioned.
    if (host.link.IsCreating(guest_id) || !fits(guest)) continue;
    host.link.Create(GuestSpec{.guest_id = guest_id,
                               .name = guest.name,
                               .image = guest.image,
                               .arguments = guest.arguments,
                               .seeds = guest.seeds,
                               .memory_max_units = guest.memory_max_units});
  }
}

void GuestLives::OnCreated(HostMarket& host, GuestId guest_id, const absl::Status& status) {
  const State& state = book_.state();
  const auto it = state.guests.find(guest_id);
  host.link.GiveUpPlace(guest_id);
  if (it == state.guests.end() || it->second.state != GuestState::kAdmitted) return;
  if (!status.ok() && !absl::IsAlreadyExists(status)) {
    if (it->second.has_run) {
      Scribe scribe = book_.Begin("guest ended");
      RefuseStart(host, scribe, guest_id, status);
      book_.Commit(std::move(scribe));
      waiting_.Answer(guest_id, Reply{.status = status});
    } else {
      RefuseAdmission(host, guest_id, status);
    }
    return;
  }
  Guest guest = it->second;
  const bool is_new = !guest.has_run;
  guest.state = GuestState::kRunning;
  guest.end_cause = EndCause::kNone;
  guest.exit_reason.clear();
  guest.has_run = true;
  guest.metered = GuestMeters{.guest_id = guest_id};
  host.link.holdings().Set(guest_id, guest.seeds);
  Scribe scribe = book_.Begin("guest running");
  scribe.Write(PutGuest{guest});
  book_.Commit(std::move(scribe));
  waiting_.EndStart(guest_id);
  Reply reply{.guest_id = guest_id};
  if (const auto key = state.admissions.find(guest_id); is_new && key != state.admissions.end()) {
    reply.contract_id = state.requests.at(key->second).reply.contract_id;
  }
  waiting_.Answer(guest_id, reply);
  if (host.clock.is_decided() && !host.clock.is_applying()) TellGrants(book_, host);
}

// It ran before: an operator must look at it.
void GuestLives::RefuseStart(HostMarket& host, Scribe& scribe, GuestId guest_id,
                             const absl::Status& status) {
  EndLife(scribe, guest_id, GuestState::kEnded, EndCause::kCrashed,
          absl::StrCat("could not be created anew: ", status.message()));
  ++host.counters.guests_ended;
  // Whoever retries is told the same.
  if (const std::optional<RequestKey> start = waiting_.EndStart(guest_id)) {
    Remember(scribe, Request(book_.state().requests.at(*start)), Reply{.status = status});
  }
}

// Never ran: it leaves as if it had not been asked for, and a retry gets the same answer.
void GuestLives::RefuseAdmission(HostMarket& host, GuestId guest_id, const absl::Status& status) {
  const State& state = book_.state();
  const Reply reply{.status = status};
  std::optional<Request> admission;
  if (const auto key = state.admissions.find(guest_id); key != state.admissions.end()) {
    admission = state.requests.at(key->second);
  }
  Scribe scribe = book_.Begin("guest refused");
  // Its bundle was never held, and costs nothing.
  EndContracts(scribe, guest_id, /*from=*/0, kEndedGuestEvicted);
  EndLife(scribe, guest_id, GuestState::kEvicted, EndCause::kNone, "");
  if (admission) Remember(scribe, *std::move(admission), reply);
  book_.Commit(std::move(scribe));
  waiting_.Answer(guest_id, reply);
  Forget(&host, guest_id);
}

void GuestLives::ClearAwayForStart(HostMarket& host, GuestId guest_id) {
  host.link.HoldPlace(guest_id);  // Not before the host has said that nothing is left.
  host.link.Destroy(guest_id);
}

void GuestLives::OnDestroyed(HostMarket& host, GuestId guest_id, const HostCommandDone& done) {
  const State& state = book_.state();
  const auto it = state.guests.find(guest_id);
  if (it == state.guests.end() || it->second.state == GuestState::kRunning) return;
  if (!done.status.ok() && !absl::IsNotFound(done.status)) {
    waiting_.Answer(guest_id, Reply{.status = done.status, .guest_id = guest_id});
    // It may be there or not; attaching anew finds out and tries again.
    Lose(book_, host, std::string(done.status.message()));
    return;
  }
  const GuestMeters* const reading = done.status.ok() ? &done.meters : nullptr;
  const bool was_there = done.status.ok() || host.link.holdings().Has(guest_id);
  host.link.holdings().Remove(guest_id);
  if (it->second.state == GuestState::kEvicting) {
    Scribe scribe = book_.Begin("guest evicted");
    Count(host, BillGone(scribe, guest_id, reading, host.link.resources(), kEndedGuestEvicted));
    const Guest guest = state.guests.at(guest_id);  // Why it leaves was said when that began.
    EndLife(scribe, guest_id, GuestState::kEvicted, guest.end_cause, guest.exit_reason);
    book_.Commit(std::move(scribe));
    waiting_.Answer(guest_id, Reply{.guest_id = guest_id});
    Forget(&host, guest_id);
  } else {
    // Before the first round there is nothing to bill, and no transaction that would tell.
    book_.changes().TouchGuest(guest_id);
    Scribe scribe = book_.Begin("guest cleared away");
    // One that is cleared away once more, to be started, was billed when it went: no meters are
    // lost.
    if (was_there) {
      Count(host, BillGone(scribe, guest_id, reading, host.link.resources(), kEndedGuestEnded));
    }
    book_.Commit(std::move(scribe));
    if (it->second.state == GuestState::kEnded) {
      waiting_.Answer(guest_id, Reply{.guest_id = guest_id});
    } else {  // To be started: whoever asked waits for it to run.
      host.link.GiveUpPlace(guest_id);
    }
  }
  CreateWhatFits(host);
}

void GuestLives::BeginEviction(HostMarket& host, Scribe&& scribe, GuestId guest_id, EndCause cause,
                               const std::string& reason) {
  EndLife(scribe, guest_id, GuestState::kEvicting, cause, reason);
  book_.Commit(std::move(scribe));
  // Without the machine it waits: whoever attaches to it next destroys the guest first of all.
  if (host.link.is_running()) host.link.Destroy(guest_id);
}

void GuestLives::EndLife(Scribe& scribe, GuestId guest_id, GuestState state, EndCause cause,
                         const std::string& reason) {
  Guest guest = book_.state().guests.at(guest_id);
  guest.state = state;
  guest.end_cause = cause;
  guest.exit_reason = reason;
  for (const BidKey& key : book_.state().BidsOf(guest_id)) scribe.Write(DropBid{key, {}});
  leases_.ForgetGuest(guest_id);
  scribe.Write(PutGuest{guest});
  notices_.ForgetGuest(guest_id);
}

void GuestLives::OnEnded(HostMarket& host, const GuestEnded& ended) {
  const State& state = book_.state();
  const auto it = state.guests.find(ended.guest_id);
  if (it == state.guests.end() || it->second.host_id != host.id() ||
      it->second.state != GuestState::kRunning) {
    host.link.UnmanagedEnded(ended);
    return;
  }
  ++host.counters.guests_ended;
  host.link.holdings().Remove(ended.guest_id);
  Scribe scribe = book_.Begin("guest ended");
  EndLife(scribe, ended.guest_id, GuestState::kEnded,
          ended.exited ? EndCause::kExited : EndCause::kCrashed, ended.reason);
  book_.Commit(std::move(scribe));
}

void GuestLives::Reconcile(HostMarket& host, const Guest& guest, const HostGuest* has) {
  const State& state = book_.state();
  switch (guest.state) {
    case GuestState::kEvicting:
      host.link.Destroy(guest.guest_id);  // NOT_FOUND is as good.
      return;
    case GuestState::kAdmitted:
      if (has == nullptr) return;
      if (has->ended && guest.has_run) {  // What is there is of before it was to be started.
        ClearAwayForStart(host, guest.guest_id);
        return;
      }
      host.link.HoldPlace(guest.guest_id);
      OnCreated(host, guest.guest_id, absl::OkStatus());
      host.link.holdings().Set(guest.guest_id, has->holdings);
      if (has->ended) OnEnded(host, GuestEnded{guest.guest_id, has->exit_reason, has->exited});
      return;
    case GuestState::kRunning:
      if (has == nullptr) {
        CreateAnew(host, guest);
        return;
      }
      if (has->ended) {
        OnEnded(host, GuestEnded{guest.guest_id, has->exit_reason, has->exited});
        return;
      }
      for (const Holding& should : HoldingsIn(host.Shares(state), guest, host.InForce(state))) {
        if (host.link.holdings().Units(guest.guest_id, should.kind) == should.units()) continue;
        ++host.counters.differences;
        break;
      }
      return;
    case GuestState::kEnded:
      // To be ended, and the host did not confirm it.
      if (has != nullptr && !has->ended) host.link.Destroy(guest.guest_id);
      return;
    case GuestState::kEvicted:
      return;
  }
}

void GuestLives::CreateAnew(HostMarket& host, const Guest& guest) {
  Scribe scribe = book_.Begin("guest to be created anew");
  Count(host, BillLost(scribe, guest.guest_id, host.link.resources()));
  Guest again = book_.state().guests.at(guest.guest_id);
  again.state = GuestState::kAdmitted;
  scribe.Write(PutGuest{again});
  book_.Commit(std::move(scribe));
}

void GuestLives::Forget(HostMarket* host, GuestId guest_id) {
  if (host != nullptr) host->pages.ForgetGuest(guest_id);
  notes_.erase(guest_id);
  waiting_.ForgetGuest(guest_id);
}

}  // namespace nom::market
