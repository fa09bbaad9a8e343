// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/fingerprint.h"

#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "marketd/base/random.h"

namespace nom::market {
namespace {

class Fingerprint {
 public:
  // With its length, so that "ab", "c" and "a", "bc" are two.
  void Add(std::string_view text) { hash_ = Mix64(Hash64(text, hash_) + text.size()); }
  template <typename T>
  requires std::is_integral_v<T>
  void Add(T number) { hash_ = Mix64(hash_ ^ Mix64(static_cast<uint64_t>(number))); }

  void operator()(const CreateTenant& call) {  // The token's hash is no part of it: see event.h.
    Add(call.tenant_id);
    Add(call.display_name);
  }
  void operator()(const Deposit& call) {
    Add(call.tenant_id);
    Add(call.amount_microcredits);
  }
  void operator()(const AdmitGuest& call) {
    for (const std::string& text :
         {call.host_id, call.tenant_id, call.name, call.image, call.arguments}) {
      Add(text);
    }
    for (const auto& [kind, units] : call.seeds) {
      Add(static_cast<int>(kind));
      Add(units);
    }
    Add(call.memory_max_units);
    if (call.by_tenant) Add("by tenant");
    if (!call.bundle) return;
    for (const auto& [kind, units] : call.bundle->lots) Add(Lot{kind, units, 0});
    Add(call.bundle->rounds);
    Add(call.bundle->ceiling_microcredits);
  }
  void operator()(const EvictGuest& call) { Add(call.guest_id); }
  void operator()(const EndGuest& call) {
    Add(call.guest_id);
    if (call.for_good) Add("for good");
  }
  void operator()(const StartGuest& call) { Add(call.guest_id); }
  void operator()(const PlaceBid& call) {
    Add(call.guest_id);
    Add(static_cast<int>(call.kind));
    Add(call.ranges);
    if (call.valuation != nullptr) Add(*call.valuation);
    Add(call.budget_microcredits.has_value() ? 1 : 0);
    Add(call.budget_microcredits.value_or(0));
    Add(call.expires_after_rounds);
  }
  void Add(const std::vector<policies::Range>& ranges) {
    for (const policies::Range& range : ranges) {
      Add(range.min_units);
      Add(range.max_units);
      Add(range.value_at_min_microcredits);
      Add(range.unit_price_microcredits);
    }
  }
  void Add(const Valuation& valuation) {
    for (const policies::Bundle& bundle : valuation.bundles) {
      for (const int64_t units : bundle.units) Add(units);
      Add(bundle.value_microcredits);
    }
    Add(valuation.bundles.size());
    if (!valuation.curves) return;
    Add(static_cast<int>(valuation.curves->combination));
    Add(valuation.curves->whole_value_microcredits);
    for (const std::vector<policies::Range>& curve : valuation.curves->curves) {
      Add(curve.size());
      Add(curve);
    }
  }
  void operator()(const CreateToken& call) {
    Add(call.tenant_id);
    Add(call.label);
    Add(static_cast<int>(call.scope));
    Add(absl::ToInt64Seconds(call.lifetime));
  }
  void operator()(const RevokeToken& call) {
    Add(call.tenant_id);
    Add(call.token_id);
  }
  void operator()(const GetQuote& call) {
    Add(call.guest_id);
    for (const auto& [kind, units] : call.lots) Add(Lot{kind, units, 0});
    Add(call.from_round_id);
    Add(call.rounds);
  }
  void operator()(const OfferSublet& call) {
    Add(call.contract_id);
    for (const Lot& lot : call.lots) Add(lot);
    Add(call.to_guest_id);
    Add(call.from_round_id);
    Add(call.rounds);
    Add(absl::ToInt64Microseconds(call.valid_for));
  }
  void operator()(const TakeOffer& call) {
    Add(call.offer_id);
    Add(call.guest_id);
    Add(call.renew_ceiling_microcredits);
  }
  void operator()(const WithdrawOffer& call) { Add(call.offer_id); }
  void operator()(const LeaveContract& call) { Add(call.contract_id); }
  void operator()(const SetRenewal& call) {
    Add(call.contract_id);
    Add(call.renew_ceiling_microcredits);
  }
  void Add(const Lot& lot) {
    Add(static_cast<int>(lot.kind));
    Add(lot.units);
    Add(lot.charge_microcredits);
  }
  void operator()(const SetTier& call) {
    Add(call.guest_id);
    Add(call.tier);
    for (const auto& [kind, units] : call.most) Add(Lot{kind, units, 0});
    Add(call.ceiling_microcredits);
  }
  void operator()(const ClearTier& call) { Add(call.guest_id); }
  void operator()(const WithdrawBid& call) {
    Add(call.guest_id);
    Add(static_cast<int>(call.kind));
  }

  // Leases' calls are told apart by fence and sequence.
  void operator()(const OpenLease&) {}
  void operator()(const PlaceBids&) {}
  void operator()(const RenewLease&) {}

  uint64_t hash() const { return hash_; }

 private:
  uint64_t hash_ = 0;
};

}  // namespace

uint64_t FingerprintOf(const Call& call) {
  Fingerprint fingerprint;
  // Calls with the same fields are different calls.
  fingerprint.Add(call.index());
  std::visit(fingerprint, call);
  return fingerprint.hash();
}

}  // namespace nom::market
