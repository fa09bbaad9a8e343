// SPDX-License-Identifier: Apache-2.0
#include "marketd/services/convert.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/base/clock.h"
#include "marketd/base/status.h"
#include "marketd/services/contract_messages.h"
#include "marketd/services/guest_messages.h"

namespace nom::marketd {
namespace {

// Far above what the market takes, and low enough to refuse nonsense before it is copied.
constexpr int kRangesInMessageMax = 1024;
constexpr int kSeedsInMessageMax = 16;

market_pb::BoundBy ToProto(policies::BoundBy bound_by) {
  return bound_by == policies::BoundBy::kBids ? market_pb::BOUND_BY_BIDS
                                              : market_pb::BOUND_BY_RESERVE;
}

market_pb::RoundPhase ToProto(market::RoundPhase phase) {
  switch (phase) {
    case market::RoundPhase::kCollect:
      return market_pb::ROUND_PHASE_COLLECT;
    case market::RoundPhase::kGrace:
      return market_pb::ROUND_PHASE_GRACE;
    case market::RoundPhase::kEffective:
      return market_pb::ROUND_PHASE_EFFECTIVE;
    case market::RoundPhase::kSettled:
      return market_pb::ROUND_PHASE_SETTLED;
    case market::RoundPhase::kReleased:
      return market_pb::ROUND_PHASE_RELEASED;
  }
  return market_pb::ROUND_PHASE_UNSPECIFIED;
}

market_pb::GuestState StateToProto(const market::Guest& guest) {
  switch (guest.state) {
    case market::GuestState::kAdmitted:
      return market_pb::GUEST_STATE_ADMITTED;
    case market::GuestState::kRunning:
      return market_pb::GUEST_STATE_RUNNING;
    case market::GuestState::kEnded: {
      // One state in the market, as both hold nothing; two for those who want to be told of
      // crashes.
      const bool is_as_meant = guest.end_cause == market::EndCause::kExited ||
                               guest.end_cause == market::EndCause::kStopped;
      return is_as_meant ? market_pb::GUEST_STATE_ENDED : market_pb::GUEST_STATE_CRASHED;
    }
    case market::GuestState::kEvicted:
      return market_pb::GUEST_STATE_EVICTED;
    case market::GuestState::kEvicting:
      return market_pb::GUEST_STATE_EVICTING;
  }
  return market_pb::GUEST_STATE_UNSPECIFIED;
}

void AddRanges(const std::vector<policies::Range>& ranges,
               google::protobuf::RepeatedPtrField<market_pb::BidRange>* out) {
  for (const policies::Range& range : ranges) {
    market_pb::BidRange* const to = out->Add();
    to->set_min_units(range.min_units);
    to->set_max_units(range.max_units);
    to->set_value_at_min_microcredits(range.value_at_min_microcredits);
    to->set_unit_price_microcredits(range.unit_price_microcredits);
  }
}

absl::StatusOr<std::vector<policies::Range>> RangesFromProto(
    const google::protobuf::RepeatedPtrField<market_pb::BidRange>& ranges,
    absl::string_view field) {
  if (ranges.size() > kRangesInMessageMax) {
    return absl::InvalidArgumentError(absl::StrCat(field, ": ", ranges.size(), " are too many"));
  }
  std::vector<policies::Range> out;
  out.reserve(static_cast<size_t>(ranges.size()));
  for (const market_pb::BidRange& range : ranges) {
    out.push_back({.min_units = range.min_units(),
                   .max_units = range.max_units(),
                   .value_at_min_microcredits = range.value_at_min_microcredits(),
                   .unit_price_microcredits = range.unit_price_microcredits()});
  }
  return out;
}

market::ResourceKind KindAt(size_t entry) { return static_cast<market::ResourceKind>(entry + 1); }
size_t EntryOf(market::ResourceKind kind) { return static_cast<size_t>(kind) - 1; }

market_pb::Valuation ToProto(const market::Valuation& valuation) {
  market_pb::Valuation out;
  if (valuation.curves) {
    out.set_combination(
        static_cast<market_pb::Combination>(static_cast<int>(valuation.curves->combination) + 1));
    out.set_whole_value_microcredits(valuation.curves->whole_value_microcredits);
    for (size_t k = 0; k < market::kKindsCount; ++k) {
      if (valuation.curves->curves[k].empty()) continue;
      market_pb::BidCurve* const curve = out.add_curves();
      curve->set_kind(marketd::ToProto(KindAt(k)));
      AddRanges(valuation.curves->curves[k], curve->mutable_ranges());
    }
  }
  std::vector<size_t> used;
  for (size_t k = 0; k < market::kKindsCount; ++k) {
    if (std::none_of(valuation.bundles.begin(), valuation.bundles.end(),
                     [k](const policies::Bundle& bundle) { return bundle.units[k] != 0; })) {
      continue;
    }
    // Bundles are rows under the kinds that any of them has: most hosts sell two of six.
    used.push_back(k);
    out.add_bundle_kinds(marketd::ToProto(KindAt(k)));
  }
  for (const policies::Bundle& bundle : valuation.bundles) {
    market_pb::BidBundle* const to = out.add_bundles();
    for (const size_t k : used) to->add_units(bundle.units[k]);
    to->set_value_microcredits(bundle.value_microcredits);
  }
  return out;
}

absl::StatusOr<policies::CurveFamily> CurvesFromProto(const market_pb::Valuation& valuation) {
  policies::CurveFamily family;
  if (valuation.combination() < market_pb::COMBINATION_SUM ||
      valuation.combination() > market_pb::COMBINATION_PRODUCT) {
    return absl::InvalidArgumentError(
        absl::StrCat("bid.valuation.combination: ", static_cast<int>(valuation.combination()),
                     " is no way to combine curves"));
  }
  family.combination =
      static_cast<policies::Combination>(static_cast<int>(valuation.combination()) - 1);
  family.whole_value_microcredits = valuation.whole_value_microcredits();
  for (int i = 0; i < valuation.curves_size(); ++i) {
    const std::string at = absl::StrCat("bid.valuation.curves[", i, "].");
    NOM_ASSIGN_OR_RETURN(const market::ResourceKind kind,
                         KindFromProto(valuation.curves(i).kind(), absl::StrCat(at, "kind")));
    std::vector<policies::Range>& curve = family.curves[EntryOf(kind)];
    if (!curve.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(at, "kind: a second curve for ", market::KindName(kind)));
    }
    NOM_ASSIGN_OR_RETURN(curve,
                         RangesFromProto(valuation.curves(i).ranges(), absl::StrCat(at, "ranges")));
    if (curve.empty())
      return absl::InvalidArgumentError(absl::StrCat(at, "ranges: there are none"));
  }
  return family;
}

absl::StatusOr<std::vector<policies::Bundle>> BundlesFromProto(
    const market_pb::Valuation& valuation) {
  std::vector<size_t> entries;
  for (int i = 0; i < valuation.bundle_kinds_size(); ++i) {
    const std::string at = absl::StrCat("bid.valuation.bundle_kinds[", i, "]");
    NOM_ASSIGN_OR_RETURN(const market::ResourceKind kind,
                         KindFromProto(valuation.bundle_kinds(i), at));
    if (std::find(entries.begin(), entries.end(), EntryOf(kind)) != entries.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat(at, ": ", market::KindName(kind), " is there twice"));
    }
    entries.push_back(EntryOf(kind));
  }
  if (valuation.bundles_size() > policies::kBundlesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("bid.valuation.bundles: ", valuation.bundles_size(), " are more than ",
                     policies::kBundlesMax));
  }
  std::vector<policies::Bundle> bundles;
  bundles.reserve(static_cast<size_t>(valuation.bundles_size()));
  for (int i = 0; i < valuation.bundles_size(); ++i) {
    const market_pb::BidBundle& from = valuation.bundles(i);
    if (from.units_size() != static_cast<int>(entries.size())) {
      return absl::InvalidArgumentError(absl::StrCat("bid.valuation.bundles[", i,
                                                     "].units: ", from.units_size(), " for ",
                                                     entries.size(), " bundle_kinds"));
    }
    policies::Bundle& to = bundles.emplace_back();
    for (int r = 0; r < from.units_size(); ++r) {
      to.units[entries[static_cast<size_t>(r)]] = from.units(r);
    }
    to.value_microcredits = from.value_microcredits();
  }
  return bundles;
}

absl::StatusOr<market::Valuation> FromProto(const market_pb::Valuation& valuation) {
  market::Valuation out;
  if (valuation.curves_size() > 0 || valuation.combination() != 0) {
    NOM_ASSIGN_OR_RETURN(out.curves, CurvesFromProto(valuation));
  }
  NOM_ASSIGN_OR_RETURN(out.bundles, BundlesFromProto(valuation));
  return out;
}

market_pb::Bid ToProto(const market::StandingBid& bid, market::RoundId round_id) {
  market_pb::Bid out;
  out.set_guest_id(bid.guest_id);
  out.set_kind(marketd::ToProto(bid.kind));
  AddRanges(bid.ranges, out.mutable_ranges());
  if (bid.valuation != nullptr) *out.mutable_valuation() = ToProto(*bid.valuation);
  if (bid.budget_microcredits.has_value()) {
    out.set_budget_microcredits(*bid.budget_microcredits);
  }
  out.set_lease_fence(bid.fence.fence);
  out.set_renewed(bid.lease_rounds != 0);
  if (bid.lease_rounds != 0) {
    out.set_expires_after_rounds(bid.lease_rounds);
  } else if (bid.last_round_id != 0) {
    const uint64_t left = bid.last_round_id >= round_id ? bid.last_round_id - round_id + 1 : 1;
    out.set_expires_after_rounds(static_cast<uint32_t>(std::min<uint64_t>(left, UINT32_MAX)));
  }
  return out;
}

}  // namespace

absl::StatusOr<market::ResourceKind> KindFromProto(market_pb::ResourceKind kind,
                                                   absl::string_view field) {
  static_assert(market_pb::ResourceKind_MAX == market::kKindsCount, "the numbers are the same");
  if (!market_pb::ResourceKind_IsValid(kind) || kind == market_pb::RESOURCE_KIND_UNSPECIFIED) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ": ", static_cast<int>(kind), " is no kind of resource"));
  }
  return static_cast<market::ResourceKind>(kind);
}

absl::StatusOr<market::PlaceBid> FromProto(const market_pb::PlaceBidRequest& request) {
  if (!request.has_bid()) return absl::InvalidArgumentError("bid: missing");
  if (request.bid().renewed()) {
    return absl::InvalidArgumentError("bid.renewed: needs a lease; see PlaceBids");
  }
  NOM_ASSIGN_OR_RETURN(market::PlaceBid out, FromProto(request.bid(), "bid"));
  out.request_id = request.request_id();
  return out;
}

absl::StatusOr<market::PlaceBid> FromProto(const market_pb::Bid& bid, absl::string_view field) {
  market::PlaceBid out;
  out.guest_id = bid.guest_id();
  if (bid.has_valuation()) {
    if (bid.kind() != market_pb::RESOURCE_KIND_UNSPECIFIED || bid.ranges_size() > 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          field, ".valuation: does not go together with ", field, ".kind and ", field, ".ranges"));
    }
    out.kind = market::kSeveralKinds;
    NOM_ASSIGN_OR_RETURN(market::Valuation valuation, FromProto(bid.valuation()));
    out.valuation = std::make_shared<const market::Valuation>(std::move(valuation));
  } else {
    NOM_ASSIGN_OR_RETURN(out.kind, KindFromProto(bid.kind(), absl::StrCat(field, ".kind")));
    NOM_ASSIGN_OR_RETURN(out.ranges, RangesFromProto(bid.ranges(), absl::StrCat(field, ".ranges")));
  }
  if (bid.has_budget_microcredits()) out.budget_microcredits = bid.budget_microcredits();
  out.expires_after_rounds = bid.expires_after_rounds();
  out.renewed = bid.renewed();
  return out;
}

absl::StatusOr<market::PlaceBids> FromProto(const market_pb::PlaceBidsRequest& request) {
  market::PlaceBids out{.ledger_id = request.ledger_id(),
                        .fence = {.fence = request.fence(), .sequence = request.sequence()},
                        .bids = {}};
  if (request.bids_size() > static_cast<int>(market::kBidsPerCallMax)) {
    return absl::InvalidArgumentError(absl::StrCat("bids: ", request.bids_size(),
                                                   " are too many; at most ",
                                                   market::kBidsPerCallMax, " in one call"));
  }
  for (int i = 0; i < request.bids_size(); ++i) {
    const market_pb::Bid& asked = request.bids(i);
    if (asked.kind() == market_pb::RESOURCE_KIND_UNSPECIFIED && asked.ranges_size() == 0 &&
        !asked.has_valuation()) {  // Withdraws the bid for several kinds.
      out.bids.push_back({.guest_id = asked.guest_id(), .kind = market::kSeveralKinds});
      continue;
    }
    NOM_ASSIGN_OR_RETURN(market::PlaceBid bid,
                         FromProto(request.bids(i), absl::StrCat("bids[", i, "]")));
    out.bids.push_back(std::move(bid));
  }
  return out;
}

absl::StatusOr<market::RenewLease> FromProto(const market_pb::RenewLeaseRequest& request) {
  market::RenewLease out{.ledger_id = request.ledger_id(),
                         .fence = {.fence = request.fence(), .sequence = request.sequence()},
                         .bids = {}};
  if (request.bids_size() > static_cast<int>(market::kBidsPerRenewalMax)) {
    return absl::InvalidArgumentError(absl::StrCat("bids: ", request.bids_size(),
                                                   " are too many; at most ",
                                                   market::kBidsPerRenewalMax, " in one call"));
  }
  for (int i = 0; i < request.bids_size(); ++i) {
    market::ResourceKind kind = market::kSeveralKinds;
    if (request.bids(i).kind() != market_pb::RESOURCE_KIND_UNSPECIFIED) {
      NOM_ASSIGN_OR_RETURN(
          kind, KindFromProto(request.bids(i).kind(), absl::StrCat("bids[", i, "].kind")));
    }
    out.bids.emplace_back(request.bids(i).guest_id(), kind);
  }
  return out;
}

absl::StatusOr<market::WithdrawBid> FromProto(const market_pb::WithdrawBidRequest& request) {
  market::WithdrawBid out;
  out.request_id = request.request_id();
  out.guest_id = request.guest_id();
  if (request.kind() == market_pb::RESOURCE_KIND_UNSPECIFIED) {
    out.kind = market::kSeveralKinds;
  } else {
    NOM_ASSIGN_OR_RETURN(out.kind, KindFromProto(request.kind(), "kind"));
  }
  return out;
}

absl::StatusOr<market::AdmitGuest> FromProto(const operators_pb::AdmitGuestRequest& request) {
  market::AdmitGuest out;
  out.request_id = request.request_id();
  out.host_id = request.host_id();
  out.tenant_id = request.tenant_id();
  out.name = request.name();
  out.image = request.image();
  out.arguments = request.arguments();
  if (request.seeds_size() > kSeedsInMessageMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("seeds: ", request.seeds_size(), " are too many"));
  }
  for (int i = 0; i < request.seeds_size(); ++i) {
    const operators_pb::Seed& seed = request.seeds(i);
    NOM_ASSIGN_OR_RETURN(const market::ResourceKind kind,
                         KindFromProto(seed.kind(), absl::StrCat("seeds[", i, "].kind")));
    out.seeds.emplace_back(kind, seed.units());
  }
  out.memory_max_units = request.memory_max_units();
  NOM_ASSIGN_OR_RETURN(out.bundle, BundleFromProto(request.has_bundle(), request.bundle()));
  return out;
}

market_pb::ClearingMethod ToProto(policies::Method method) {
  switch (method) {
    case policies::Method::kExact:
      return market_pb::CLEARING_METHOD_EXACT;
    case policies::Method::kCoarser:
      return market_pb::CLEARING_METHOD_COARSER;
    case policies::Method::kGreedy:
      return market_pb::CLEARING_METHOD_GREEDY;
    case policies::Method::kRepeatLast:
      return market_pb::CLEARING_METHOD_REPEAT_LAST;
    case policies::Method::kBounded:
      return market_pb::CLEARING_METHOD_BOUNDED;
  }
  return market_pb::CLEARING_METHOD_UNSPECIFIED;
}

google::protobuf::Timestamp ToProto(absl::Time time) {
  google::protobuf::Timestamp out;
  if (time == absl::InfiniteFuture() || time == absl::InfinitePast()) return out;
  const int64_t seconds = absl::ToUnixSeconds(time);
  out.set_seconds(seconds);
  out.set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
  return out;
}

market_pb::ResourceKind ToProto(market::ResourceKind kind) {
  return static_cast<market_pb::ResourceKind>(kind);
}

market_pb::ResourceInfo ToProto(const market::Resource& resource) {
  market_pb::ResourceInfo out;
  out.set_kind(ToProto(resource.kind));
  out.set_unit_size(resource.unit_size);
  out.set_capacity_units(resource.capacity_units);
  out.set_policy(resource.rule);
  return out;
}

market_pb::RoundMeasures ToProto(const market::RoundMeasures& measures, bool border) {
  market_pb::RoundMeasures out;
  out.set_revenue_microcredits(measures.revenue_microcredits);
  out.set_moved_units(measures.moved_units);
  if (measures.jain_index_ppm) out.set_jain_index_ppm(*measures.jain_index_ppm);
  if (!border) return out;
  if (const auto& welfare = measures.welfare_microcredits) {
    out.set_welfare_microcredits(*welfare);
  }
  if (const auto& bound = measures.welfare_bound_microcredits) {
    out.set_welfare_bound_microcredits(*bound);
  }
  if (const auto& maximised = measures.maximised_microcredits) {
    out.set_maximised_microcredits(*maximised);
  }
  if (const auto& bound = measures.maximised_bound_microcredits) {
    out.set_maximised_bound_microcredits(*bound);
  }
  return out;
}

market_pb::ResourcePrice ToProto(const market::ResourcePrice& price, bool border) {
  market_pb::ResourcePrice out;
  out.set_kind(ToProto(price.kind));
  out.set_unit_price_microcredits(price.unit_price_microcredits);
  out.set_reserve_unit_price_microcredits(price.reserve_unit_price_microcredits);
  out.set_reserve_policy(price.reserve_policy);
  out.set_supply_units(price.supply_units);
  out.set_contracted_units(price.contracted_units);
  out.set_demand_units(price.demand_units);
  out.set_sold_units(price.sold_units);
  if (border) {
    out.set_highest_rejected_unit_price_microcredits(
        price.highest_rejected_unit_price_microcredits);
  }
  out.set_bound_by(ToProto(price.bound_by));
  out.set_policy(price.rule);
  out.set_method(ToProto(price.method));
  if (price.measures) *out.mutable_measures() = ToProto(*price.measures, border);
  return out;
}

google::protobuf::Timestamp ToShown(absl::Time time) {
  // The market's clock is never set; a person's is, and compares this with it.
  return marketd::ToProto(time + WallOffset(Clock::Real()));
}

market_pb::Notice ToProto(const market::Notice& notice) {
  market_pb::Notice out;
  out.set_guest_id(notice.guest_id);
  out.set_round_id(notice.round_id);
  out.set_kind(ToProto(notice.kind));
  out.set_units_now(notice.units_now);
  out.set_units_next(notice.units_next);
  *out.mutable_effective_time() = ToShown(notice.effective_time);
  out.set_charge_microcredits(notice.charge_microcredits);
  out.set_withdrawn(notice.withdrawn);
  return out;
}

market_pb::MarketState StateToProto(const market::HostView& host) {
  market_pb::MarketState out;
  out.set_host_id(host.host_id);
  out.set_round_id(host.round_id);
  out.set_phase(ToProto(host.phase));
  *out.mutable_close_time() = ToShown(host.close_time);
  *out.mutable_effective_time() = ToShown(host.effective_time);
  out.set_period_ms(absl::ToInt64Milliseconds(host.period));
  *out.mutable_valid_until() = ToShown(host.valid_until);
  for (const market::Resource& resource : host.resources) *out.add_resources() = ToProto(resource);
  for (const market::ResourcePrice& price : host.prices) {
    *out.add_prices() = ToProto(price, host.publish_border_prices);
  }
  out.set_priced_round_id(host.priced_round_id);
  out.set_ledger_id(host.ledger_id);
  out.set_arrears_grace_rounds(host.arrears_grace_rounds);
  out.set_objective(host.objective);
  for (const market::ForwardOnSale& forward : host.forward) {
    *out.add_forward() = ToProto(forward);
  }
  for (const market::Tier& tier : host.tiers) *out.add_tiers() = ToProto(tier);
  return out;
}

market_pb::GuestInfo ToProto(const market::GuestView& guest, market::RoundId round_id) {
  market_pb::GuestInfo out;
  out.set_guest_id(guest.guest.guest_id);
  out.set_name(guest.guest.name);
  out.set_host_id(guest.guest.host_id);
  out.set_tenant_id(guest.guest.tenant_id);
  out.set_state(StateToProto(guest.guest));
  out.set_exit_reason(guest.guest.exit_reason);
  out.set_end_cause(static_cast<market_pb::EndCause>(guest.guest.end_cause));
  out.set_arrears_rounds(guest.guest.arrears_rounds);
  for (const market::Holding& holding : guest.now) {
    market_pb::Grant* const grant = out.add_grants();
    grant->set_kind(ToProto(holding.kind));
    grant->set_seed_units(holding.seed_units);
    grant->set_award_units(holding.award_units);
    grant->set_charge_microcredits(holding.charge_microcredits);
  }
  for (const market::StandingBid& bid : guest.bids) *out.add_bids() = ToProto(bid, round_id);
  if (guest.tier) *out.mutable_tier() = ToProto(*guest.tier);
  out.set_spent_microcredits(guest.guest.spent_microcredits);
  out.set_work_done(guest.report.work_done);
  out.set_work_unit(guest.report.work_unit);
  out.set_value_earned_microcredits(guest.report.value_microcredits);
  out.set_activity(guest.report.activity);
  out.set_decided_round_id(guest.decided_round_id);
  for (const market::Decided& decided : guest.decided) {
    market_pb::GuestOutcome* const to = out.add_decided();
    to->set_guest_id(guest.guest.guest_id);
    to->set_kind(ToProto(decided.kind));
    to->set_seed_units(decided.seed_units);
    to->set_award_units(decided.award_units);
    to->set_charge_microcredits(decided.charge_microcredits);
    to->set_reason(static_cast<market_pb::AwardReason>(decided.reason));
  }
  return out;
}

market_pb::PlacedBid ToProto(const market::PlacedBid& placed) {
  market_pb::PlacedBid out;
  // absl's codes are those of google.rpc, number by number.
  out.set_code(static_cast<int32_t>(placed.status.code()));
  out.set_message(std::string(placed.status.message()));
  out.set_round_id(placed.round_id);
  out.set_removed(placed.removed);
  if (placed.lost_to) out.set_lost_to(static_cast<market_pb::LeasedBidState>(*placed.lost_to));
  return out;
}

market_pb::LeasedBid ToProto(const market::LeasedBid& leased) {
  market_pb::LeasedBid out;
  out.set_state(static_cast<market_pb::LeasedBidState>(leased.state));
  out.set_last_round_id(leased.last_round_id);
  out.set_sequence(leased.sequence);
  return out;
}

market_pb::Account ToProto(const market::TenantId& tenant_id,
                           const market::AccountSummary& account) {
  market_pb::Account out;
  out.set_tenant_id(tenant_id);
  out.set_available_microcredits(account.available);
  out.set_escrow_microcredits(account.escrow);
  out.set_arrears_microcredits(-account.arrears);  // Kept below zero, told as what is owed.
  out.set_spent_microcredits(account.spent);
  return out;
}

market_pb::GuestOutcome ToProto(const market::Outcome& outcome) {
  market_pb::GuestOutcome out;
  out.set_guest_id(outcome.guest_id);
  out.set_kind(ToProto(outcome.kind));
  out.set_seed_units(outcome.seed_units);
  out.set_award_units(outcome.award_units);
  out.set_contracted_units(outcome.contracted_units);
  out.set_asked_units(outcome.asked_units);
  out.set_charge_microcredits(outcome.charge_microcredits);
  out.set_settled(outcome.settled);
  out.set_settled_microcredits(outcome.settled_microcredits);
  out.set_rent_microcredits(outcome.rent_microcredits);
  out.set_delivered_milliunits(outcome.delivered_milliunits);
  out.set_used_milliunits(outcome.used_milliunits);
  out.set_held_ms(absl::ToInt64Milliseconds(outcome.held));
  out.set_reason(static_cast<market_pb::AwardReason>(outcome.reason));
  return out;
}

market_pb::Round ToProto(const market::Round& round, const market::Caller& caller, bool border) {
  market_pb::Round out;
  out.set_round_id(round.round_id);
  out.set_host_id(round.host_id);
  out.set_phase(ToProto(round.phase));
  *out.mutable_start_time() = ToProto(round.start_time);
  *out.mutable_close_time() = ToProto(round.close_time);
  *out.mutable_effective_time() = ToProto(round.effective_time);
  out.set_objective(round.objective);
  out.set_reason(round.reason);
  for (const market::ResourcePrice& price : round.prices) {
    *out.add_prices() = ToProto(price, border);
  }
  if (round.certificate) {
    market_pb::Certificate* const to = out.mutable_certificate();
    to->set_method(ToProto(round.certificate->method));
    to->set_welfare_microcredits(round.certificate->welfare_microcredits);
    to->set_welfare_bound_microcredits(round.certificate->welfare_bound_microcredits);
    to->set_charges_are_exact(round.certificate->charges_are_exact);
  }
  for (const market::Outcome& outcome : round.outcomes) {
    // Prices are everybody's business, what others won is not.
    if (!caller.is_operator && outcome.tenant_id != caller.tenant_id) continue;
    *out.add_outcomes() = ToProto(outcome);
  }
  return out;
}

operators_pb::Host ToProto(const market::HostView& host) {
  operators_pb::Host out;
  out.set_host_id(host.host_id);
  out.set_kind(host.kind);
  out.set_connected(host.connected);
  out.set_detail(host.detail);
  out.set_period_ms(absl::ToInt64Milliseconds(host.period));
  for (const market::Resource& resource : host.resources) *out.add_resources() = ToProto(resource);
  for (const market::HostSum& sum : host.sums) {
    operators_pb::HostUse* const use = out.add_uses();
    use->set_kind(ToProto(sum.kind));
    use->set_granted_units(sum.granted_units);
    use->set_granted_max_units(sum.granted_max_units);
    use->set_capacity_units(sum.capacity_units);
  }
  for (const market::HostGuest& guest : host.unmanaged_guests) {
    out.add_unmanaged_guest_slots(guest.guest_id);
  }
  return out;
}

operators_pb::AuditResponse ToProto(const market::AuditResult& audit) {
  operators_pb::AuditResponse out;
  out.set_balanced(audit.balanced());
  for (const std::string& finding : audit.findings) out.add_findings(finding);
  out.set_transactions(audit.transactions);
  out.set_entries(audit.entries);
  out.set_operator_revenue_microcredits(audit.revenue_microcredits);
  out.set_deposits_microcredits(audit.deposits_microcredits);
  out.set_rounds_replayed(audit.rounds_replayed);
  for (const auto& [book_id, head] : audit.heads) {
    // The market's own also where callers look who know of no other book.
    if (book_id == market::kMarketBook) {
      out.set_head_transaction_id(head.transaction_id);
      out.set_head_digest(head.digest);
    }
    operators_pb::BookHead* const of_book = out.add_heads();
    of_book->set_book_id(book_id);
    of_book->set_transaction_id(head.transaction_id);
    of_book->set_digest(head.digest);
  }
  return out;
}

}  // namespace nom::marketd
