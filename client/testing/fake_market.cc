// SPDX-License-Identifier: Apache-2.0
#include "nom/testing/fake_market.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "client/src/contracts.h"
#include "client/testing/fake_market_impl.h"

namespace nom::testing {

FakeMarket::FakeMarket(absl::Duration period) : impl_(std::make_unique<Impl>(period)) {}
FakeMarket::~FakeMarket() = default;

std::string FakeMarket::target() const {
  std::lock_guard lock(impl_->start_mutex);
  return absl::StrCat("127.0.0.1:", impl_->port);
}
SessionOptions FakeMarket::Options() const {
  SessionOptions options;
  options.target = target();
  options.plaintext = true;
  return options;
}

uint64_t FakeMarket::AddGuest(const std::string& name, int64_t seed_units) {
  std::lock_guard lock(impl_->mutex);
  const uint64_t guest_id = ++impl_->last_guest_id;
  Impl::Guest& guest = impl_->guests[guest_id];
  guest.name = name;
  guest.seed = seed_units;
  impl_->Changed();
  return guest_id;
}
void FakeMarket::RemoveGuest(uint64_t guest_id) {
  std::lock_guard lock(impl_->mutex);
  impl_->guests.erase(guest_id);
  std::erase_if(impl_->standing_bids, [&](const auto& bid) { return bid.first.first == guest_id; });
  impl_->Changed();
}

void FakeMarket::SetPrice(Resource resource, int64_t unit_price_microcredits) {
  std::lock_guard lock(impl_->mutex);
  impl_->sold[KindOf(resource)].price = unit_price_microcredits;
}
void FakeMarket::SetSupply(Resource resource, int64_t units) {
  std::lock_guard lock(impl_->mutex);
  impl_->sold[KindOf(resource)].supply = units;
}
void FakeMarket::StopSelling(Resource resource) {
  std::lock_guard lock(impl_->mutex);
  impl_->sold.erase(KindOf(resource));
}
void FakeMarket::SetForwardPrice(Resource resource, int64_t unit_price_microcredits) {
  std::lock_guard lock(impl_->mutex);
  impl_->forward_prices[KindOf(resource)] = unit_price_microcredits;
}
void FakeMarket::AddTier(const Tier& tier) {
  std::lock_guard lock(impl_->mutex);
  pb::Tier& row = impl_->tiers.emplace_back();
  row.set_name(tier.name);
  row.set_price_multiple_ppm(tier.price_multiple_ppm);
  row.set_floor_every_rounds(tier.floor_every_rounds);
  for (const auto& [resource, units] : tier.floor_units) {
    pb::Quantity& floor = *row.add_floor();
    floor.set_kind(KindOf(resource));
    floor.set_units(units);
  }
  impl_->Changed();
}
void FakeMarket::SetQuota(int64_t guests_max, const std::map<Resource, int64_t>& seeds_max) {
  std::lock_guard lock(impl_->mutex);
  impl_->quota_guests = guests_max;
  impl_->quota_seeds.clear();
  for (const auto& [resource, units] : seeds_max) impl_->quota_seeds[KindOf(resource)] = units;
}
void FakeMarket::ClearJointly() {
  std::lock_guard lock(impl_->mutex);
  impl_->joint = true;
  impl_->Changed();
}

uint64_t FakeMarket::Decide() {
  std::lock_guard lock(impl_->mutex);
  impl_->DecideLocked();
  return impl_->round;
}
uint64_t FakeMarket::round_id() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->round;
}
void FakeMarket::Refresh() {
  std::lock_guard lock(impl_->mutex);
  impl_->valid_until = absl::Now() + 2 * impl_->period;
  impl_->Changed();
}

std::vector<Bid> FakeMarket::bids() const {
  std::lock_guard lock(impl_->mutex);
  std::vector<Bid> bids;
  for (const auto& [key, standing] : impl_->standing_bids) {
    Bid& bid = bids.emplace_back();
    bid.guest_id = key.first;
    if (standing.bid.has_valuation()) {
      bid.valuation = FromProto(standing.bid.valuation());
    } else {
      bid.resource = static_cast<Resource>(key.second);
      bid.ranges = FromProto(standing.bid.ranges());
    }
    if (standing.bid.has_budget_microcredits()) {
      bid.budget_microcredits = standing.bid.budget_microcredits();
    }
    if (!standing.bid.renewed()) bid.rounds = standing.bid.expires_after_rounds();
  }
  return bids;
}
std::vector<Contract> FakeMarket::contracts() const {
  std::lock_guard lock(impl_->mutex);
  std::vector<Contract> contracts;
  for (const auto& [id, contract] : impl_->contracts) {
    contracts.push_back(client::FromProto(contract));
  }
  return contracts;
}
int64_t FakeMarket::award_units(uint64_t guest_id, Resource resource) const {
  std::lock_guard lock(impl_->mutex);
  const auto guest = impl_->guests.find(guest_id);
  if (guest == impl_->guests.end()) return 0;
  const auto won = guest->second.won.find(KindOf(resource));
  return won == guest->second.won.end() ? 0 : won->second.award_units();
}
int64_t FakeMarket::charge_microcredits(uint64_t guest_id, Resource resource) const {
  std::lock_guard lock(impl_->mutex);
  const auto guest = impl_->guests.find(guest_id);
  if (guest == impl_->guests.end()) return 0;
  const auto won = guest->second.won.find(KindOf(resource));
  return won == guest->second.won.end() ? 0 : won->second.charge_microcredits();
}
int64_t FakeMarket::write_calls() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->writes;
}
int64_t FakeMarket::renewals() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->renewals;
}

void FakeMarket::WithdrawAsOwner(uint64_t guest_id, Resource resource) {
  std::lock_guard lock(impl_->mutex);
  const Key key(guest_id, KindOf(resource));
  impl_->standing_bids.erase(key);
  impl_->fences[key] = {++impl_->last_fence, 0};
  impl_->Changed();
}
void FakeMarket::LoseAnswers(int calls) {
  std::lock_guard lock(impl_->mutex);
  impl_->lose_answers = calls;
}
void FakeMarket::LoseCalls(int calls) {
  std::lock_guard lock(impl_->mutex);
  impl_->lose_calls = calls;
}
void FakeMarket::RefuseBids(int calls, const absl::Status& status) {
  std::lock_guard lock(impl_->mutex);
  impl_->refuse_bids = calls;
  impl_->refusal = status;
}
void FakeMarket::LimitRate(bool limited) {
  std::lock_guard lock(impl_->mutex);
  impl_->limited = limited;
}
void FakeMarket::GoStale() {
  std::lock_guard lock(impl_->mutex);
  impl_->valid_until = absl::Now() - absl::Seconds(1);
  impl_->Changed();
}
void FakeMarket::Stop() { impl_->Stop(); }
void FakeMarket::Start() { impl_->Start(); }
void FakeMarket::BeginAnotherLedger() {
  std::lock_guard lock(impl_->mutex);
  impl_->ledger_id += "x";
  impl_->standing_bids.clear();
  impl_->fences.clear();
  impl_->closed.clear();
  impl_->records.clear();
  impl_->contracts.clear();
  impl_->ended.clear();
  impl_->open_offers.clear();
  impl_->answers.clear();
  for (auto& [guest_id, guest] : impl_->guests) {
    guest.won.clear();
    guest.tier.reset();
  }
  impl_->round = 1;
  impl_->Changed();
}
void FakeMarket::SetOnCall(std::function<void()> on_call) {
  std::lock_guard lock(impl_->mutex);
  impl_->on_call = std::move(on_call);
}

}  // namespace nom::testing
