// SPDX-License-Identifier: Apache-2.0
#include "client/src/convert.h"

#include <algorithm>
#include <set>

#include "client/src/guests.h"
#include "client/src/shortage.h"

namespace nom::client {

absl::Status ToAbsl(const grpc::Status& status) {
  // The codes are the same numbers by design of both.
  absl::Status out(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  AddShortage(status.error_details(), &out);
  return out;
}

std::optional<Resource> FromProto(market::v1::ResourceKind kind) {
  static_assert(market::v1::ResourceKind_MAX == kResourceCount, "the numbers are the same");
  if (!market::v1::ResourceKind_IsValid(kind) || kind == market::v1::RESOURCE_KIND_UNSPECIFIED) {
    return std::nullopt;
  }
  return static_cast<Resource>(kind);
}

market::v1::ResourceKind ToProto(Resource resource) {
  return static_cast<market::v1::ResourceKind>(resource);
}

absl::Time FromProto(const google::protobuf::Timestamp& time) {
  // What a Timestamp may hold: years 1 to 9999.
  const int64_t seconds = std::clamp<int64_t>(time.seconds(), -62'135'596'800, 253'402'300'799);
  const int64_t nanos = std::clamp<int64_t>(time.nanos(), 0, 999'999'999);
  return absl::FromUnixSeconds(seconds) + absl::Nanoseconds(nanos);
}

namespace {

void SetPrice(const market::v1::ResourcePrice& price, ResourceState& entry) {
  entry.supply_units = price.supply_units();
  entry.demand_units = price.demand_units();
  entry.sold_units = price.sold_units();
  entry.price.offered = true;
  if (price.bound_by() == market::v1::BOUND_BY_RESERVE) entry.price.bound_by = BoundBy::kReserve;
  if (price.bound_by() == market::v1::BOUND_BY_BIDS) entry.price.bound_by = BoundBy::kBids;
  entry.price.unit_price_microcredits = price.unit_price_microcredits();
  entry.price.reserve_unit_price_microcredits = price.reserve_unit_price_microcredits();
  if (price.has_highest_rejected_unit_price_microcredits()) {
    entry.highest_rejected_unit_price_microcredits =
        price.highest_rejected_unit_price_microcredits();
  }
}

}  // namespace

RoundPhase FromProto(market::v1::RoundPhase phase) {
  return market::v1::RoundPhase_IsValid(phase) ? static_cast<RoundPhase>(phase)
                                               : RoundPhase::kUnknown;
}

std::optional<Award> FromProto(const market::v1::GuestOutcome& outcome) {
  const std::optional<Resource> resource = FromProto(outcome.kind());
  if (!resource) return std::nullopt;
  return Award{.guest_id = outcome.guest_id(),
               .resource = *resource,
               .seed_units = outcome.seed_units(),
               .award_units = outcome.award_units(),
               .charge_microcredits = outcome.charge_microcredits(),
               .contracted_units = outcome.contracted_units(),
               .reason = market::v1::AwardReason_IsValid(outcome.reason())
                             ? static_cast<AwardReason>(outcome.reason())
                             : AwardReason::kUnknown,
               .settled = outcome.settled(),
               .settled_microcredits = outcome.settled_microcredits(),
               .rent_microcredits = outcome.rent_microcredits()};
}

Round FromProto(const market::v1::Round& round) {
  Round out{
      .round_id = round.round_id(), .phase = FromProto(round.phase()), .reason = round.reason()};
  for (const market::v1::ResourcePrice& price : round.prices()) {
    const std::optional<Resource> resource = FromProto(price.kind());
    if (!resource) continue;
    ResourceState& entry = out.resources.emplace_back();
    entry.resource = *resource;
    SetPrice(price, entry);
  }
  for (const market::v1::GuestOutcome& outcome : round.outcomes()) {
    if (const std::optional<Award> award = FromProto(outcome)) out.awards.push_back(*award);
  }
  return out;
}

MarketStatus FromProto(const market::v1::MarketState& state) {
  MarketStatus market;
  market.ledger_id = state.ledger_id();
  market.host_id = state.host_id();
  market.round_id = state.round_id();
  market.phase = FromProto(state.phase());
  market.close_time = FromProto(state.close_time());
  market.effective_time = FromProto(state.effective_time());
  market.period = absl::Milliseconds(state.period_ms());
  market.priced_round_id = state.priced_round_id();
  for (const market::v1::ResourceInfo& info : state.resources()) {
    const std::optional<Resource> resource = FromProto(info.kind());
    if (!resource) continue;
    ResourceState& entry = market.resources.emplace_back();
    entry.resource = *resource;
    entry.unit_size = info.unit_size();
    entry.capacity_units = info.capacity_units();
    entry.rule = info.policy();
    for (const market::v1::ResourcePrice& price : state.prices()) {
      if (price.kind() == info.kind()) SetPrice(price, entry);
    }
  }
  for (const market::v1::ForwardOnSale& forward : state.forward()) {
    if (const auto known = FromProto(forward)) market.forward.push_back(*known);
  }
  for (const market::v1::Tier& tier : state.tiers()) market.tiers.push_back(FromProto(tier));
  return market;
}

GuestStatus FromProto(const market::v1::GuestInfo& info) {
  GuestStatus guest;
  guest.guest_id = info.guest_id();
  guest.name = info.name();
  if (market::v1::GuestState_IsValid(info.state())) {
    guest.state = static_cast<GuestState>(info.state());
  }
  guest.exit_reason = info.exit_reason();
  if (info.has_tier()) guest.tier = FromProto(info.tier());
  for (const market::v1::Grant& grant : info.grants()) {
    const std::optional<Resource> resource = FromProto(grant.kind());
    if (!resource) continue;
    guest.grants.push_back({.resource = *resource,
                            .seed_units = grant.seed_units(),
                            .award_units = grant.award_units(),
                            .charge_microcredits = grant.charge_microcredits()});
  }
  guest.spent_microcredits = info.spent_microcredits();
  guest.work_done = info.work_done();
  guest.work_unit = info.work_unit();
  guest.value_earned_microcredits = info.value_earned_microcredits();
  guest.activity = info.activity();
  return guest;
}

AccountStatus FromProto(const market::v1::Account& account) {
  return {.available_microcredits = account.available_microcredits(),
          .escrow_microcredits = account.escrow_microcredits(),
          .arrears_microcredits = account.arrears_microcredits(),
          .spent_microcredits = account.spent_microcredits()};
}

std::optional<Notice> FromProto(const market::v1::Notice& notice) {
  const std::optional<Resource> resource = FromProto(notice.kind());
  if (!resource) return std::nullopt;
  return Notice{.guest_id = notice.guest_id(),
                .round_id = notice.round_id(),
                .resource = *resource,
                .units_now = notice.units_now(),
                .units_next = notice.units_next(),
                .effective_time = FromProto(notice.effective_time()),
                .charge_microcredits = notice.charge_microcredits(),
                .withdrawn = notice.withdrawn()};
}

namespace {

void AddRanges(const std::vector<BidRange>& ranges,
               google::protobuf::RepeatedPtrField<market::v1::BidRange>* out) {
  for (const BidRange& range : ranges) {
    market::v1::BidRange* to = out->Add();
    to->set_min_units(range.min_units);
    to->set_max_units(range.max_units);
    to->set_value_at_min_microcredits(range.value_at_min_microcredits);
    to->set_unit_price_microcredits(range.unit_price_microcredits);
  }
}

}  // namespace

market::v1::Valuation ToProto(const Valuation& valuation) {
  market::v1::Valuation out;
  if (!valuation.curves.empty()) {
    out.set_combination(static_cast<market::v1::Combination>(valuation.combination));
  }
  out.set_whole_value_microcredits(valuation.whole_value_microcredits);
  for (const auto& [resource, ranges] : valuation.curves) {
    market::v1::BidCurve* curve = out.add_curves();
    curve->set_kind(ToProto(resource));
    AddRanges(ranges, curve->mutable_ranges());
  }
  std::set<Resource> used;
  for (const Bundle& bundle : valuation.bundles) {
    for (const auto& [resource, units] : bundle.units) used.insert(resource);
  }
  for (const Resource resource : used) out.add_bundle_kinds(ToProto(resource));
  for (const Bundle& bundle : valuation.bundles) {
    market::v1::BidBundle* to = out.add_bundles();
    for (const Resource resource : used) {
      const auto units = bundle.units.find(resource);
      to->add_units(units == bundle.units.end() ? 0 : units->second);
    }
    to->set_value_microcredits(bundle.value_microcredits);
  }
  return out;
}

market::v1::Bid ToProto(const Bid& bid) {
  market::v1::Bid out;
  out.set_guest_id(bid.guest_id);
  if (bid.valuation) {
    *out.mutable_valuation() = ToProto(*bid.valuation);
  } else {
    out.set_kind(ToProto(bid.resource));
    AddRanges(bid.ranges, out.mutable_ranges());
  }
  if (bid.budget_microcredits) out.set_budget_microcredits(*bid.budget_microcredits);
  return out;
}

}  // namespace nom::client
