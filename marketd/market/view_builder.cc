// The picture that readers get of the engine's memory.

#include <algorithm>

#include "marketd/market/engine_impl.h"

namespace nom::market {

const HostView* View::FindHost(const HostId& host_id) const {
  for (const auto& host : hosts) {
    if (host->host_id == host_id) return host.get();
  }
  return nullptr;
}

const GuestView* View::FindGuest(GuestId guest_id) const {
  const auto it =
      std::lower_bound(guests.begin(), guests.end(), guest_id,
                       [](const auto& guest, GuestId id) { return guest->guest.guest_id < id; });
  return it != guests.end() && (*it)->guest.guest_id == guest_id ? it->get() : nullptr;
}

const TenantView* View::FindTenant(const TenantId& tenant_id) const {
  const auto it = std::lower_bound(
      tenants.begin(), tenants.end(), tenant_id,
      [](const TenantView& tenant, const TenantId& id) { return tenant.tenant_id < id; });
  return it != tenants.end() && it->tenant_id == tenant_id ? &*it : nullptr;
}

std::shared_ptr<const View> Engine::Impl::BuildView() {
  auto view = std::make_shared<View>();
  view->sequence = ++view_sequence_;
  view->transaction_id = state_.last_transaction_id;
  view->time = now_;
  for (const auto& [host_id, host] : hosts_) view->hosts.push_back(BuildHostView(host));
  view->guests.reserve(state_.guests.size());
  for (const auto& [guest_id, guest] : state_.guests) {
    view->guests.push_back(BuildGuestView(FindHost(guest.host_id), guest));
  }
  view->tenants.reserve(state_.tenants.size());
  for (const auto& [tenant_id, tenant] : state_.tenants) {
    view->tenants.push_back({tenant, state_.PurseOf(tenant_id)});
  }
  view->operator_purse = state_.PurseOf(kOperator);
  for (const auto& [key, notice] : notices_) view->notices.push_back(notice);
  std::sort(view->notices.begin(), view->notices.end(),
            [](const Notice& a, const Notice& b) { return a.sequence < b.sequence; });
  return view;
}

std::shared_ptr<const HostView> Engine::Impl::BuildHostView(const HostRun& host) const {
  auto view = std::make_shared<HostView>();
  const HostBook& book = Book(host);
  view->host_id = host.config->host_id;
  view->ledger_id = state_.ledger.id;
  view->kind = host.config->kind;
  view->connected = host.link == Link::kRunning;
  view->detail = host.detail;
  view->period = host.config->period;
  if (host.schedule) {
    view->round_id = host.round_id;
    view->phase = host.decided ? RoundPhase::kGrace : RoundPhase::kCollect;
    view->start_time = host.schedule->start();
    view->close_time = host.schedule->close();
    view->effective_time = host.schedule->effective();
    view->valid_until = host.schedule->effective() + host.schedule->period();
  }
  view->resources = host.resources;
  view->prices = Prices(host);
  view->priced_round_id = book.last_decided_round_id;
  view->last_decided_time = host.last_decided_time;
  view->in_force_round_id = book.in_force_round_id;
  view->sums = host.sums;
  view->unmanaged_guests = host.unmanaged;
  const std::set<GuestId>& guests = state_.GuestsOf(view->host_id);
  view->guest_ids.assign(guests.begin(), guests.end());
  view->arrears_grace_rounds = host.config->arrears_grace_rounds;
  view->publish_border_prices = host.config->publish_border_prices;
  view->counters = host.counters;
  return view;
}

std::shared_ptr<const GuestView> Engine::Impl::BuildGuestView(const HostRun* host,
                                                              const Guest& guest) const {
  auto view = std::make_shared<GuestView>();
  view->guest = guest;
  if (host != nullptr) {
    const Round* decided = Decided(*host);
    view->now = HoldingsNow(Shares(*host), guest);
    view->next = decided != nullptr ? HoldingsIn(Shares(*host), guest, decided) : view->now;
  }
  for (const BidKey& key : state_.BidsOf(guest.guest_id)) {
    view->bids.push_back(state_.bids.at(key));
  }
  const auto run = guest_runs_.find(guest.guest_id);
  if (run != guest_runs_.end()) {
    view->report = run->second.report;
    view->bid_page_error = run->second.bid_page_error;
    view->last_settled = run->second.last_settled;
    view->last_settled_round_id = run->second.last_settled_round_id;
    view->decided = run->second.decided;
    view->decided_round_id = run->second.decided_round_id;
  }
  if (host != nullptr && view->decided_round_id == 0) {
    // Decided by the process before this one.
    const HostBook& book = Book(*host);
    const auto round = book.open_rounds.find(book.last_decided_round_id);
    if (round != book.open_rounds.end()) {
      view->decided_round_id = round->first;
      for (const Outcome& outcome : round->second.outcomes) {
        if (outcome.guest_id != guest.guest_id) continue;
        view->decided.push_back({.kind = outcome.kind,
                                 .seed_units = outcome.seed_units,
                                 .award_units = outcome.award_units,
                                 .charge_microcredits = outcome.charge_microcredits,
                                 .reason = outcome.reason});
      }
    }
  }
  return view;
}

}  // namespace nom::market
