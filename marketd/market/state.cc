// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/state.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace nom::market {

AccountSummary Summarize(const Purse& purse) {
  return AccountSummary{.available = purse.available,
                        .escrow = purse.escrow,
                        .arrears = purse.arrears,
                        // Rent that is owed counts as spent in the purse; a tenant is told of what
                        // it paid.
                        .spent = purse.spent + purse.arrears};
}

bool IsGood(const Token& token, absl::Time now) {
  return token.expire_time == absl::UnixEpoch() || now < token.expire_time;
}

const Token* Tenant::FindToken(uint64_t token_id) const {
  for (const Token& token : tokens) {
    if (token.token_id == token_id) return &token;
  }
  return nullptr;
}

int64_t Guest::seed_units(ResourceKind kind) const {
  for (const Holding& seed : seeds) {
    if (seed.kind == kind) return seed.seed_units;
  }
  return 0;
}

bool operator==(const StandingBid& a, const StandingBid& b) {
  const bool same_valuation =
      a.valuation == b.valuation ||
      (a.valuation != nullptr && b.valuation != nullptr && *a.valuation == *b.valuation);
  return same_valuation && a.guest_id == b.guest_id && a.kind == b.kind && a.ranges == b.ranges &&
         a.budget_microcredits == b.budget_microcredits && a.first_round_id == b.first_round_id &&
         a.last_round_id == b.last_round_id && a.fence == b.fence &&
         a.lease_rounds == b.lease_rounds;
}

const Resource* FindResource(absl::Span<const Resource> resources, ResourceKind kind) {
  const auto it = std::find_if(resources.begin(), resources.end(),
                               [kind](const Resource& r) { return r.kind == kind; });
  return it == resources.end() ? nullptr : &*it;
}

absl::string_view ObjectiveName(ObjectiveKind kind) {
  switch (kind) {
    case ObjectiveKind::kWelfare:
      return "welfare/1";
    case ObjectiveKind::kRevenue:
      return "revenue/1";
    case ObjectiveKind::kLeastSatisfied:
      return {policies::kLeastSatisfied.data(), policies::kLeastSatisfied.size()};
  }
  return "";
}

absl::string_view KindName(ResourceKind kind) {
  if (kind == kSeveralKinds) return "several kinds";
  switch (kind) {
    case ResourceKind::kCpu:
      return "cpu";
    case ResourceKind::kMemory:
      return "memory";
    case ResourceKind::kCache:
      return "cache";
    case ResourceKind::kNetwork:
      return "network";
    case ResourceKind::kDisk:
      return "disk";
    case ResourceKind::kDevice:
      return "device";
  }
  return "unknown";
}

void State::RebuildIndexes() {
  host_index.clear();
  admissions.clear();
  for (const auto& [guest_id, guest] : guests) host_index[guest.host_id].Add(guest);
  for (const auto& [contract_id, contract] : contracts.all()) {
    CountAtHost(contract, /*take=*/true);
  }
  for (const auto& [key, request] : requests) {
    if (!Admits(request) || !guests.contains(request.reply.guest_id)) continue;
    RequestKey& admission = admissions.try_emplace(request.reply.guest_id, key).first->second;
    // Several requests may have started a guest again; the first is the one that admitted it.
    if (request.transaction_id < requests.at(admission).transaction_id) admission = key;
  }
}

namespace {

// Whether the index of a host would be another.
bool TakesTheSame(const Contract& a, const Contract& b) {
  return a.ended.empty() == b.ended.empty() && EndOf(a) == EndOf(b) &&
         a.renew_ceiling_microcredits == b.renew_ceiling_microcredits;
}

}  // namespace

void State::CountAtHost(const Contract& contract, bool take) {
  if (!contract.ended.empty()) return;
  const auto guest = guests.find(contract.guest_id);
  if (guest == guests.end()) return;
  HostIndex& host = host_index[guest->second.host_id];
  const RoundId from = contracts.OfHostFrom(contract);
  if (take) {
    host.Promise(contract, from);
  } else {
    host.Release(contract, from);
  }
  if (host.empty()) host_index.erase(guest->second.host_id);
}

void State::PutContract(const Contract& contract) {
  const Contract* const before = contracts.Find(contract.contract_id);
  if (before != nullptr && TakesTheSame(*before, contract)) {
    contracts.Put(contract);
    return;
  }
  // What is part of it comes out of the host's own units from its end on, which may be another now.
  const std::vector<const Contract*> parts = contracts.PartsOf(contract.contract_id);
  for (const Contract* part : parts) CountAtHost(*part, /*take=*/false);
  if (before != nullptr) CountAtHost(*before, /*take=*/false);
  contracts.Put(contract);
  if (contract.ended.empty()) CountAtHost(contract, /*take=*/true);
  for (const Contract* part : parts) CountAtHost(*part, /*take=*/true);
}

std::string FirstBrokenPromise(const State& state) {
  if (std::string wrong = FirstBrokenPromise(state.purses); !wrong.empty()) return wrong;
  for (const auto& [owner, purse] : state.purses) {
    if (std::string wrong = FirstBrokenEscrow(state, owner); !wrong.empty()) return wrong;
  }
  for (const auto& [tenant_id, escrow] : state.contracts.escrows()) {
    if (std::string wrong = FirstBrokenEscrow(state, tenant_id); !wrong.empty()) return wrong;
  }
  return "";
}

std::string FirstBrokenEscrow(const State& state, const Owner& owner) {
  const Microcredits holds = state.PurseOf(owner).escrow;
  const Microcredits should = state.contracts.EscrowOf(owner);
  if (holds == should) return "";
  return absl::StrCat(owner, ": ", holds, " in escrow, for open contracts of ", should);
}

std::vector<BidKey> State::BidsOf(GuestId guest_id) const {
  std::vector<BidKey> keys;
  for (auto bid = bids.lower_bound({guest_id, kSeveralKinds});
       bid != bids.end() && bid->first.first == guest_id; ++bid) {
    keys.push_back(bid->first);
  }
  return keys;
}

const Purse& State::PurseOf(const Owner& owner) const {
  static const Purse kNone;
  const auto it = purses.find(owner);
  return it == purses.end() ? kNone : it->second;
}

const HostIndex& State::Host(const HostId& host_id) const {
  static const HostIndex kNone;
  const auto it = host_index.find(host_id);
  return it == host_index.end() ? kNone : it->second;
}

bool Admits(const Request& request) {
  return request.bid_guest_id == 0 && request.reply.guest_id != 0 && request.reply.status.ok();
}

}  // namespace nom::market
