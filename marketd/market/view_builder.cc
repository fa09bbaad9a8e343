// The picture that readers get of the engine's memory.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
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
  const auto& all = tenants.pointers();
  const auto it = std::lower_bound(
      all.begin(), all.end(), tenant_id,
      [](const auto& tenant, const TenantId& id) { return tenant->tenant_id < id; });
  return it != all.end() && (*it)->tenant_id == tenant_id ? it->get() : nullptr;
}

void Engine::Impl::TouchHost(const HostId& host_id) {
  for (const GuestId guest_id : state_.GuestsOf(host_id)) guests_seen_.Touch(guest_id);
}

void Engine::Impl::TouchAll() {
  for (const auto& [guest_id, guest] : state_.guests) guests_seen_.Touch(guest_id);
  for (const auto& [tenant_id, tenant] : state_.tenants) tenants_seen_.Touch(tenant_id);
}

void Engine::Impl::Touch(const Transaction& transaction) {
  struct Toucher {
    Impl& engine;
    void operator()(const PutTenant& put) { engine.tenants_seen_.Touch(put.tenant.tenant_id); }
    void operator()(const PutGuest& put) { engine.guests_seen_.Touch(put.guest.guest_id); }
    void operator()(const PutBid& put) { engine.guests_seen_.Touch(put.bid.guest_id); }
    void operator()(const DropBid& drop) { engine.guests_seen_.Touch(drop.key.first); }
    // What all guests of a host hold is by its rounds.
    void operator()(const PutRound& put) { engine.TouchHost(put.round.host_id); }
    void operator()(const UpdateRound& update) { engine.TouchHost(update.round.host_id); }
    void operator()(const PutHost& put) { engine.TouchHost(put.host_id); }
    void operator()(const OpenContract& open) { TouchHolders(open.contract); }
    void operator()(const UpdateContract& update) { TouchHolders(update.contract); }
    void operator()(const SendTransfer&) {}
    void operator()(const AcceptTransfer&) {}
    void operator()(const LogEvent&) {}
    void operator()(const PutRequest&) {}

    // A contract that begins or ends changes what is left to the one that it is part of.
    void TouchHolders(const Contract& contract) {
      engine.guests_seen_.Touch(contract.guest_id);
      const Contract* const whole = engine.state_.contracts.Find(contract.part_of);
      if (whole != nullptr) engine.guests_seen_.Touch(whole->guest_id);
    }
  };
  for (const Entry& entry : transaction.entries) {
    for (const Owner& owner : {entry.from.owner, entry.to.owner}) {
      if (owner != kOperator) tenants_seen_.Touch(owner);
    }
    if (entry.guest_id != 0) guests_seen_.Touch(entry.guest_id);
  }
  for (const Change& change : transaction.changes) std::visit(Toucher{*this}, change);
}

std::shared_ptr<const View> Engine::Impl::BuildView() {
  auto view = std::make_shared<View>();
  view->sequence = ++view_sequence_;
  view->transaction_id = state_.last_transaction_id;
  view->time = now_;
  for (const auto& [host_id, host] : hosts_) view->hosts.push_back(BuildHostView(host));
  view->guests = guests_seen_.Refresh(
      [this](GuestId guest_id) -> std::shared_ptr<const GuestView> {
        const auto guest = state_.guests.find(guest_id);
        if (guest == state_.guests.end()) return nullptr;
        return BuildGuestView(FindHost(guest->second.host_id), guest->second);
      },
      [](const GuestView& guest) { return guest.guest.guest_id; });
  view->tenants = SharedList<TenantView>(tenants_seen_.Refresh(
      [this](const TenantId& tenant_id) -> std::shared_ptr<const TenantView> {
        const auto tenant = state_.tenants.find(tenant_id);
        if (tenant == state_.tenants.end()) return nullptr;
        return std::make_shared<const TenantView>(
            TenantView{tenant->second, state_.PurseOf(tenant_id)});
      },
      [](const TenantView& tenant) { return tenant.tenant_id; }));
  view->operator_purse = state_.PurseOf(kOperator);
  if (std::exchange(notices_changed_, false)) {
    std::vector<std::shared_ptr<const Notice>> notices;
    notices.reserve(notices_.size());
    for (const auto& [key, notice] : notices_) {
      notices.push_back(std::make_shared<const Notice>(notice));
    }
    std::sort(notices.begin(), notices.end(),
              [](const auto& a, const auto& b) { return a->sequence < b->sequence; });
    notices_seen_ = SharedList<Notice>(std::move(notices));
  }
  view->notices = notices_seen_;
  return view;
}

std::string Engine::Impl::FirstStaleView() const {
  if (view_dirty_ || last_view_ == nullptr) return "";
  for (const auto& [guest_id, guest] : state_.guests) {
    const auto host = hosts_.find(guest.host_id);
    const GuestView* const seen = last_view_->FindGuest(guest_id);
    if (seen == nullptr ||
        *seen != *BuildGuestView(host == hosts_.end() ? nullptr : &host->second, guest)) {
      return absl::StrCat("guest ", guest_id, ": what is shown of it is not how it stands");
    }
  }
  for (const auto& [tenant_id, tenant] : state_.tenants) {
    const TenantView* const seen = last_view_->FindTenant(tenant_id);
    if (seen == nullptr || *seen != TenantView{tenant, state_.PurseOf(tenant_id)}) {
      return absl::StrCat(tenant_id, ": what is shown of it is not how it stands");
    }
  }
  if (last_view_->guests.size() != state_.guests.size()) return "a guest is shown that is gone";
  if (last_view_->notices.size() != notices_.size()) return "notices are shown that do not stand";
  return "";
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
