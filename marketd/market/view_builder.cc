// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/view_builder.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/base/random.h"
#include "marketd/market/products.h"

namespace nom::market {

namespace {

// Above all that a process before this one gave out: views get 2^40 at each start. Where in the
// lower half of these a process begins is by its ledger and its start, so that a number from
// another history (another ledger, or one that was put back from a copy) is not taken for one of
// this one's.
uint64_t FirstSequence(const LedgerIdentity& ledger, absl::Time now) {
  const uint64_t place =
      Hash64(ledger.id, Mix64(static_cast<uint64_t>(absl::ToUnixMicros(now)))) >> 25;
  return (ledger.openings << 40) + place + 1;
}

}  // namespace

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

ViewBuilder::ViewBuilder(LiveBook& book, const HostMarkets& hosts, const NotesOfGuests& notes,
                         Notices& notices, uint64_t market_seed)
    : book_(book), hosts_(hosts), notes_(notes), notices_(notices), market_seed_(market_seed) {}

void ViewBuilder::ShowChanges() {
  if (sequence_ == 0) sequence_ = FirstSequence(book_.state().ledger, book_.now());
  // One that waits for its transaction is not followed by another: what changes meanwhile is shown
  // when that was.
  if (!book_.changes().any() || book_.view_waits()) return;
  last_ = Build();
  book_.Show(last_);
}

std::shared_ptr<const View> ViewBuilder::Build() {
  const State& state = book_.state();
  auto view = std::make_shared<View>();
  view->sequence = ++sequence_;
  view->transaction_id = state.last_transaction_id;
  view->time = book_.now();
  for (const auto& [host_id, host] : hosts_.all()) view->hosts.push_back(BuildHost(host));
  book_.changes().Refresh(
      [&](GuestId guest_id) -> std::shared_ptr<const GuestView> {
        const auto guest = state.guests.find(guest_id);
        return guest == state.guests.end() ? nullptr : BuildGuest(guest->second);
      },
      [&](const TenantId& tenant_id) -> std::shared_ptr<const TenantView> {
        const auto tenant = state.tenants.find(tenant_id);
        if (tenant == state.tenants.end()) return nullptr;
        return std::make_shared<const TenantView>(
            TenantView{tenant->second, state.PurseOf(tenant_id)});
      },
      [&](OfferId offer_id) -> std::shared_ptr<const Offer> {
        const auto offer = state.offers.find(offer_id);
        return offer == state.offers.end() ? nullptr : std::make_shared<const Offer>(offer->second);
      },
      *view);
  view->operator_purse = state.PurseOf(kOperator);
  view->contracts_ended = book_.contracts_ended();
  view->notices = notices_.list();
  return view;
}

std::string ViewBuilder::FirstStale() const {
  if (book_.changes().any() || last_ == nullptr) return "";
  const State& state = book_.state();
  for (const auto& [guest_id, guest] : state.guests) {
    const GuestView* const seen = last_->FindGuest(guest_id);
    if (seen == nullptr || *seen != *BuildGuest(guest)) {
      return absl::StrCat("guest ", guest_id, ": what is shown of it is not how it stands");
    }
  }
  for (const auto& [tenant_id, tenant] : state.tenants) {
    const TenantView* const seen = last_->FindTenant(tenant_id);
    if (seen == nullptr || *seen != TenantView{tenant, state.PurseOf(tenant_id)}) {
      return absl::StrCat(tenant_id, ": what is shown of it is not how it stands");
    }
  }
  auto offered = last_->offers.begin();
  for (const auto& [offer_id, offer] : state.offers) {
    if (offered == last_->offers.end() || *offered != offer) {
      return absl::StrCat("offer ", offer_id, ": what is shown of it is not how it stands");
    }
    ++offered;
  }
  if (offered != last_->offers.end()) return "an offer is shown that is closed";
  if (last_->guests.size() != state.guests.size()) return "a guest is shown that is gone";
  for (const auto& [host_id, host] : hosts_.all()) {
    const std::vector<GuestId>& guests = state.GuestsOf(host_id);
    const std::vector<GuestId>& shown = last_->FindHost(host_id)->guest_ids;
    if (guests != shown) {
      return absl::StrCat("host ", host_id, ": the guests shown are not those that it has");
    }
  }
  if (last_->notices.size() != notices_.size()) return "notices are shown that do not stand";
  return "";
}

std::shared_ptr<const HostView> ViewBuilder::BuildHost(const HostMarket& host) {
  const State& state = book_.state();
  const HostBook& book = host.Book(state);
  auto view = std::make_shared<HostView>();
  view->host_id = host.id();
  view->ledger_id = state.ledger.id;
  view->kind = host.config.kind;
  view->connected = host.link.is_running();
  view->detail = host.link.detail();
  view->period = host.config.period;
  if (host.clock.runs()) {
    const Schedule& schedule = host.clock.schedule();
    view->round_id = host.clock.round_id();
    view->phase = host.clock.is_decided() ? RoundPhase::kGrace : RoundPhase::kCollect;
    view->start_time = schedule.start();
    view->close_time = schedule.close();
    view->effective_time = schedule.effective();
    // Prices are believed for a period longer than they hold, so that a market which is late by
    // less makes nobody flee.
    view->valid_until = schedule.effective() + schedule.period();
  }
  const absl::Span<const Resource> resources = host.link.resources();
  view->resources.assign(resources.begin(), resources.end());
  view->prices = PricesOf(state, host, market_seed_);
  view->forward = BuildForward(host, view->prices);
  view->tiers = host.config.tiers;
  view->quota = host.config.quota;
  view->tenant_quotas = host.config.tenant_quotas;
  view->priced_round_id = book.last_decided_round_id;
  view->last_decided_time = host.last_decided_time;
  view->in_force_round_id = book.in_force_round_id;
  view->sums = host.link.sums();
  view->unmanaged_guests = host.link.unmanaged();
  view->guest_ids = state.GuestsOf(host.id());
  view->arrears_grace_rounds = host.config.arrears_grace_rounds;
  view->publish_border_prices = host.config.publish_border_prices;
  view->objective = std::string(ObjectiveName(host.config.objective.kind));
  view->counters = host.counters;
  return view;
}

std::vector<ForwardOnSale> ViewBuilder::BuildForward(const HostMarket& host,
                                                     const std::vector<ResourcePrice>& prices) {
  const State& state = book_.state();
  const HostSales sales{.config = host.config,
                        .shares = host.Shares(state),
                        .prices = prices,
                        .next_round_id = RoundOfNewBids(state, host),
                        .now = book_.now()};
  const RoundId last = host.Book(state).last_decided_round_id;
  std::vector<ForwardOnSale> out;
  for (const Resource& resource : sales.shares.resources) {
    if (!resource.forward) continue;
    auto [at, is_new] = forecasts_.try_emplace({host.id(), resource.kind});
    Forecast& forecast = at->second;
    if (is_new || forecast.last_decided_round_id != last || forecast.sale != *resource.forward) {
      forecast = {last, *resource.forward, ForecastOf(state, host.id(), resource)};
    }
    out.push_back(OnSale(sales, resource, forecast.unit_price_microcredits));
  }
  return out;
}

std::shared_ptr<const GuestView> ViewBuilder::BuildGuest(const Guest& guest) const {
  const State& state = book_.state();
  const HostMarket* const host = hosts_.Find(guest.host_id);
  auto view = std::make_shared<GuestView>();
  view->guest = guest;
  if (host != nullptr) {
    const Round* const decided = host->Decided(state);
    view->now = HoldingsNow(host->Shares(state), guest);
    // Where nothing is decided what is held goes on: awards end with their round only when the next
    // one takes effect.
    view->next = decided != nullptr ? HoldingsIn(host->Shares(state), guest, decided) : view->now;
  }
  for (const BidKey& key : state.BidsOf(guest.guest_id)) view->bids.push_back(state.bids.at(key));
  if (const auto tier = state.tiers.find(guest.guest_id); tier != state.tiers.end()) {
    view->tier = tier->second;
  }
  for (const Contract* contract : state.contracts.Of(guest.guest_id)) {
    view->contracts.push_back(*contract);
  }
  if (const auto it = notes_.find(guest.guest_id); it != notes_.end()) {
    const GuestNotes& notes = it->second;
    view->report = notes.report;
    view->bid_page_error = notes.bid_page_error;
    view->last_settled = notes.last_settled;
    view->last_settled_round_id = notes.last_settled_round_id;
    view->decided = notes.decided;
    view->decided_round_id = notes.decided_round_id;
  }
  // Notes are of this process. What one before it decided, and the ledger still holds open, is read
  // from there.
  if (host != nullptr && view->decided_round_id == 0) AddDecidedBefore(*host, *view);
  return view;
}

void ViewBuilder::AddDecidedBefore(const HostMarket& host, GuestView& view) const {
  const HostBook& book = host.Book(book_.state());
  const auto round = book.open_rounds.find(book.last_decided_round_id);
  if (round == book.open_rounds.end()) return;
  view.decided_round_id = round->first;
  for (const Outcome& outcome : round->second.outcomes) {
    if (outcome.guest_id != view.guest.guest_id) continue;
    view.decided.push_back({.kind = outcome.kind,
                            .seed_units = outcome.seed_units,
                            .award_units = outcome.award_units,
                            .charge_microcredits = outcome.charge_microcredits,
                            .reason = outcome.reason});
  }
}

}  // namespace nom::market
