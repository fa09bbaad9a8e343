// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/reconciler.h"

#include <set>
#include <utility>

#include "marketd/market/settlement.h"

namespace nom::market {

void Reconciler::OnAttached(HostMarket& host, const HostCommandDone& done) {
  absl::Status status = done.status;
  if (status.ok()) {
    status = host.link.Attached(done.facts, [&](GuestId guest_id) {
      const auto known = book_.state().guests.find(guest_id);
      return known != book_.state().guests.end() && known->second.host_id == host.id();
    });
  }
  if (!status.ok()) {
    LetGo(book_, host, std::string(status.message()), /*counts=*/true);
    return;
  }
  ++host.counters.attaches;
  Reconcile(host, done.facts);
  book_.changes().TouchGuestsOf(host.id(), book_.state());
  rounds_.Begin(host);
}

void Reconciler::Reconcile(HostMarket& host, const HostFacts& facts) {
  const State& state = book_.state();
  for (const HostGuest& guest : facts.guests) lives_.Saw(guest.guest_id);
  const Found found = FindOurs(host, facts);
  const std::vector<GuestId> guest_ids = state.GuestsOf(host.id());  // A copy: it changes below.
  if (host.Book(state).boot_id != facts.boot_id) {
    NoteRestart(host, facts.boot_id);
  } else {
    TakeEffectLate(host, facts, found);
  }
  for (const GuestId guest_id : guest_ids) {
    const auto it = found.find(guest_id);
    lives_.Reconcile(host, Guest(state.guests.at(guest_id)),
                     it == found.end() ? nullptr : it->second);
  }
  const Round* const decided = host.Decided(state);
  if (decided != nullptr && book_.now() >= decided->effective_time + decided->period) {
    rounds_.Release(host, "the host was away past the round's end");
  }
  lives_.CreateWhatFits(host);
}

Reconciler::Found Reconciler::FindOurs(const HostMarket& host, const HostFacts& facts) {
  Found found;
  for (const HostGuest& guest : facts.guests) {
    const auto known = book_.state().guests.find(guest.guest_id);
    if (known == book_.state().guests.end() || known->second.host_id != host.id()) continue;
    found[guest.guest_id] = &guest;
  }
  return found;
}

// The machine forgot its guests, and its meters with them.
void Reconciler::NoteRestart(HostMarket& host, uint64_t boot_id) {
  Scribe scribe = book_.Begin("host booted");
  Count(host, BillRestart(scribe, host.id(), host.link.resources()));
  scribe.Write(PutHost{host.id(), boot_id, host.Book(book_.state()).in_force_round_id});
  book_.Commit(std::move(scribe));
}

// The host was told, and did it; only its answer, or our note of it, was lost.
void Reconciler::TakeEffectLate(HostMarket& host, const HostFacts& facts, const Found& found) {
  const Round* const decided = host.Decided(book_.state());
  if (decided == nullptr || facts.applied_round_id != decided->round_id) return;
  rounds_.TakeEffect(host, facts.applied_meters);
  for (const auto& [guest_id, guest] : found) {
    if (!guest->ended) host.link.holdings().Set(guest_id, guest->holdings);
  }
}

}  // namespace nom::market
