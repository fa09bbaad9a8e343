// SPDX-License-Identifier: Apache-2.0
#include "client/src/contracts.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "absl/strings/str_cat.h"
#include "client/src/convert.h"

namespace nom {
namespace {

int64_t SumOf(const std::vector<Lot>& lots) {
  int64_t sum = 0;
  for (const Lot& lot : lots) {
    if (__builtin_add_overflow(sum, lot.charge_microcredits, &sum)) {
      return std::numeric_limits<int64_t>::max();
    }
  }
  return sum;
}

}  // namespace

int64_t ChargeOf(const Offer& offer) { return SumOf(offer.lots); }
int64_t ChargeOf(const Contract& contract) { return SumOf(contract.lots); }

namespace client {
namespace {

namespace pb = market::v1;

std::vector<Lot> LotsOf(const google::protobuf::RepeatedPtrField<pb::Lot>& lots) {
  std::vector<Lot> out;
  for (const pb::Lot& lot : lots) {
    const std::optional<Resource> resource = FromProto(lot.kind());
    if (resource) out.push_back({*resource, lot.units(), lot.charge_microcredits()});
  }
  return out;
}

// Of an enum whose numbers are the market's, from 0 to `last`; 0 for what is not known yet.
template <typename To, typename From>
To Known(From from, To last) {
  const int number = static_cast<int>(from);
  return number >= 0 && number <= static_cast<int>(last) ? static_cast<To>(number) : To{};
}

// Whole microseconds, within what the market takes; rounds are told to no finer time.
void SetTime(absl::Time time, google::protobuf::Timestamp* out) {
  constexpr int64_t kYear1 = -62'135'596'800;
  constexpr int64_t kYear9999 = 253'402'300'799;
  const int64_t seconds = absl::ToUnixSeconds(time);
  out->set_seconds(std::min(std::max(seconds, kYear1), kYear9999));
  if (seconds >= kYear1 && seconds <= kYear9999) {
    out->set_nanos(
        static_cast<int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
  }
}

}  // namespace

Contract FromProto(const pb::Contract& contract) {
  return {.contract_id = contract.contract_id(),
          .guest_id = contract.guest_id(),
          .kind = Known(contract.kind(), ContractKind::kFloor),
          .part_of = contract.part_of(),
          .lots = LotsOf(contract.lots()),
          .from_round_id = contract.from_round_id(),
          .until_round_id = contract.until_round_id(),
          .period = absl::Milliseconds(contract.period_ms()),
          .policy = contract.policy(),
          .end_fee_ppm = contract.end_fee_ppm(),
          .left_from_round_id = contract.left_from_round_id(),
          .end = Known(contract.end(), ContractEnd::kNotRenewed),
          .end_reason = contract.end_reason(),
          .fees_microcredits = contract.fees_microcredits(),
          .renew_ceiling_microcredits = contract.renew_ceiling_microcredits(),
          .escrow_microcredits = contract.escrow_microcredits(),
          .paid_microcredits = contract.paid_microcredits()};
}

Offer FromProto(const pb::Offer& offer) {
  return {.offer_id = offer.offer_id(),
          .guest_id = offer.guest_id(),
          .part_of = offer.part_of(),
          .lots = LotsOf(offer.lots()),
          .from_round_id = offer.from_round_id(),
          .rounds = offer.rounds(),
          .policy = offer.policy(),
          .end_fee_ppm = offer.end_fee_ppm(),
          .valid_until = FromProto(offer.valid_until()),
          .own = offer.own()};
}

PricedRound FromProto(const pb::PricedRound& round) {
  PricedRound out{.round_id = round.round_id(),
                  .close_time = FromProto(round.close_time()),
                  .effective_time = FromProto(round.effective_time()),
                  .released = round.released(),
                  .prices = {}};
  for (const pb::PastPrice& price : round.prices()) {
    const std::optional<Resource> resource = FromProto(price.kind());
    if (!resource) continue;
    out.prices.push_back(
        {.resource = *resource,
         .price = {.offered = true,
                   .bound_by = Known(price.bound_by(), BoundBy::kBids),
                   .unit_price_microcredits = price.unit_price_microcredits(),
                   .reserve_unit_price_microcredits = price.reserve_unit_price_microcredits()},
         .supply_units = price.supply_units(),
         .demand_units = price.demand_units(),
         .sold_units = price.sold_units(),
         .rule = price.policy(),
         .reserve_policy = price.reserve_policy()});
  }
  return out;
}

pb::ListPricesRequest ToProto(const PriceQuery& query) {
  pb::ListPricesRequest request;
  for (const Resource resource : query.resources) request.add_kinds(ToProto(resource));
  if (query.since != absl::InfinitePast()) SetTime(query.since, request.mutable_since_time());
  if (query.until != absl::InfiniteFuture()) SetTime(query.until, request.mutable_until_time());
  request.set_first_round_id(query.first_round_id);
  request.set_last_round_id(query.last_round_id);
  request.set_page_size(query.page_size);
  request.set_page_token(query.page_token);
  return request;
}

pb::GetQuoteRequest ToProto(const QuoteOptions& quote) {
  pb::GetQuoteRequest request;
  request.set_guest_id(quote.guest_id);
  for (const auto& [resource, units] : quote.units) {
    pb::Quantity* const lot = request.add_lots();
    lot->set_kind(ToProto(resource));
    lot->set_units(units);
  }
  request.set_rounds(quote.rounds);
  request.set_from_round_id(quote.from_round_id);
  return request;
}

absl::StatusOr<pb::OfferSubletRequest> ToProto(const SubletOptions& sublet) {
  pb::OfferSubletRequest request;
  request.set_contract_id(sublet.contract_id);
  for (const Lot& lot : sublet.lots) {
    pb::Lot* const out = request.add_lots();
    out->set_kind(ToProto(lot.resource));
    out->set_units(lot.units);
    out->set_charge_microcredits(lot.charge_microcredits);
  }
  request.set_to_guest_id(sublet.to_guest_id);
  request.set_from_round_id(sublet.from_round_id);
  request.set_rounds(sublet.rounds);
  const int64_t seconds = absl::ToInt64Seconds(sublet.valid_for);
  if (absl::Seconds(seconds) != sublet.valid_for) {
    return absl::InvalidArgumentError(absl::StrCat("valid_for: must be whole seconds, is ",
                                                   absl::FormatDuration(sublet.valid_for)));
  }
  request.set_valid_for_seconds(seconds);
  return request;
}

pb::TakeOfferRequest ToProto(const TakeOptions& take) {
  pb::TakeOfferRequest request;
  request.set_offer_id(take.offer_id);
  request.set_guest_id(take.guest_id);
  request.set_renew_ceiling_microcredits(take.renew_ceiling_microcredits);
  return request;
}

}  // namespace client
}  // namespace nom
