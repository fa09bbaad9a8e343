// SPDX-License-Identifier: Apache-2.0
#include "marketd/services/contract_messages.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"
#include "marketd/services/convert.h"
#include "marketd/services/pages.h"

namespace nom::marketd {
namespace {

constexpr int kLotsInMessageMax = 16;
constexpr int kPageSizeMax = 1000;

absl::Status CheckLots(int count) {
  if (count <= kLotsInMessageMax) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("lots: ", count, " are too many"));
}

std::string KindField(int lot) { return absl::StrCat("lots[", lot, "].kind"); }

template <typename Message>
void AddLots(const market::Contract& contract, Message& out) {
  for (const market::Lot& lot : contract.lots) {
    market_pb::Lot* const to = out.add_lots();
    to->set_kind(ToProto(lot.kind));
    to->set_units(lot.units);
    to->set_charge_microcredits(lot.charge_microcredits);
  }
}

absl::StatusOr<int> PageSize(int asked) {
  if (asked < 0 || asked > kPageSizeMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("page_size: must be from 0 to ", kPageSizeMax, ", is ", asked));
  }
  return asked == 0 ? kPageSizeMax : asked;
}

// The caller's guest of that id. Null with OK: 0 was given.
absl::StatusOr<const market::GuestView*> GuestOrAll(const market::View& view,
                                                    const market::Caller& caller,
                                                    market::GuestId guest_id) {
  if (guest_id == 0) return nullptr;
  const market::GuestView* const guest = view.FindGuest(guest_id);
  if (guest != nullptr && Owns(caller, guest->guest)) return guest;
  return absl::NotFoundError(absl::StrCat("guest_id: you have no guest ", guest_id));
}

bool MayTake(const market::Guest& guest, const market::Offer& offer) {
  return offer.host_id == guest.host_id &&
         (offer.guest_id == 0 || offer.guest_id == guest.guest_id);
}

// Adds `message` unless the page is full.
template <typename Message>
bool AddToPage(Message message, int page_size, size_t* bytes,
               google::protobuf::RepeatedPtrField<Message>* page) {
  *bytes += message.ByteSizeLong();
  // The first goes whatever its size: who asks must get on.
  if (page->size() >= page_size || (*bytes > kPageBytesMax && !page->empty())) return false;
  *page->Add() = std::move(message);
  return true;
}

}  // namespace

absl::StatusOr<market::GetQuote> FromProto(const market_pb::GetQuoteRequest& request) {
  NOM_RETURN_IF_ERROR(CheckLots(request.lots_size()));
  market::GetQuote out{.request_id = request.request_id(),
                       .guest_id = request.guest_id(),
                       .lots = {},
                       .from_round_id = request.from_round_id(),
                       .rounds = request.rounds()};
  for (int i = 0; i < request.lots_size(); ++i) {
    NOM_ASSIGN_OR_RETURN(const market::ResourceKind kind,
                         KindFromProto(request.lots(i).kind(), KindField(i)));
    out.lots.emplace_back(kind, request.lots(i).units());
  }
  return out;
}

absl::StatusOr<market::OfferSublet> FromProto(const market_pb::OfferSubletRequest& request) {
  NOM_RETURN_IF_ERROR(CheckLots(request.lots_size()));
  market::OfferSublet out{.request_id = request.request_id(),
                          .contract_id = request.contract_id(),
                          .lots = {},
                          .to_guest_id = request.to_guest_id(),
                          .from_round_id = request.from_round_id(),
                          .rounds = request.rounds(),
                          .valid_for = absl::Seconds(request.valid_for_seconds())};
  for (int i = 0; i < request.lots_size(); ++i) {
    const market_pb::Lot& lot = request.lots(i);
    NOM_ASSIGN_OR_RETURN(const market::ResourceKind kind, KindFromProto(lot.kind(), KindField(i)));
    out.lots.push_back({kind, lot.units(), lot.charge_microcredits()});
  }
  return out;
}

market_pb::ContractEnd EndToProto(absl::string_view reason) {
  static constexpr std::pair<const char*, market_pb::ContractEnd> kEnds[] = {
      {market::kEndedNotRenewed, market_pb::CONTRACT_END_NOT_RENEWED},
      {market::kEndedOver, market_pb::CONTRACT_END_OVER},
      {market::kEndedLeft, market_pb::CONTRACT_END_LEFT},
      {market::kEndedUnpaid, market_pb::CONTRACT_END_UNPAID},
      {market::kEndedGuestStopped, market_pb::CONTRACT_END_GUEST_STOPPED},
      {market::kEndedGuestEnded, market_pb::CONTRACT_END_GUEST_ENDED},
      {market::kEndedGuestEvicted, market_pb::CONTRACT_END_GUEST_EVICTED},
      {market::kEndedReleased, market_pb::CONTRACT_END_RELEASED},
      {market::kEndedMachine, market_pb::CONTRACT_END_MACHINE},
      {market::kEndedLost, market_pb::CONTRACT_END_LOST},
      {market::kEndedHostClosed, market_pb::CONTRACT_END_HOST_CLOSED},
  };
  for (const auto& [text, end] : kEnds) {
    if (reason == text || absl::StartsWith(reason, absl::StrCat(text, ": "))) return end;
  }
  return market_pb::CONTRACT_END_UNSPECIFIED;
}

market_pb::Contract ToProto(const market::Contract& contract) {
  market_pb::Contract out;
  out.set_contract_id(contract.contract_id);
  out.set_guest_id(contract.guest_id);
  out.set_kind(contract.part_of != 0         ? market_pb::CONTRACT_KIND_SUBLET
               : market::IsForward(contract) ? market_pb::CONTRACT_KIND_FORWARD
               : market::IsFloor(contract)   ? market_pb::CONTRACT_KIND_FLOOR
                                             : market_pb::CONTRACT_KIND_AWARD);
  out.set_part_of(contract.part_of);
  AddLots(contract, out);
  out.set_from_round_id(contract.from_round_id);
  out.set_until_round_id(contract.until_round_id);
  out.set_period_ms(absl::ToInt64Milliseconds(contract.period));
  out.set_policy(contract.policy);
  out.set_end_fee_ppm(contract.end_fee_ppm);
  out.set_left_from_round_id(contract.left_from_round_id);
  const std::string& reason = contract.ended.empty() ? contract.left_because : contract.ended;
  out.set_end(EndToProto(reason));
  out.set_end_reason(reason);
  out.set_fees_microcredits(contract.fees_microcredits);
  out.set_renew_ceiling_microcredits(contract.renew_ceiling_microcredits);
  out.set_escrow_microcredits(contract.escrow_microcredits);
  out.set_paid_microcredits(contract.paid_microcredits);
  return out;
}

market_pb::Offer ToProto(const market::Offer& offer, const market::Caller& caller) {
  market_pb::Offer out;
  out.set_offer_id(offer.offer_id);
  out.set_host_id(offer.host_id);
  out.set_guest_id(offer.guest_id);
  out.set_part_of(offer.contract.part_of);
  AddLots(offer.contract, out);
  out.set_from_round_id(offer.contract.from_round_id);
  out.set_rounds(
      static_cast<int64_t>(offer.contract.until_round_id - offer.contract.from_round_id));
  out.set_policy(offer.contract.policy);
  out.set_end_fee_ppm(offer.contract.end_fee_ppm);
  *out.mutable_valid_until() = ToShown(offer.valid_until);
  out.set_own(!caller.is_operator && offer.tenant_id == caller.tenant_id);
  return out;
}

market_pb::ForwardOnSale ToProto(const market::ForwardOnSale& forward) {
  market_pb::ForwardOnSale out;
  out.set_kind(ToProto(forward.kind));
  out.set_round_id(forward.round_id);
  out.set_share_units(forward.share_units);
  out.set_sold_units(forward.sold_units);
  out.set_forecast_unit_price_microcredits(forward.forecast_unit_price_microcredits);
  if (forward.unit_price_microcredits) {
    out.set_unit_price_microcredits(*forward.unit_price_microcredits);
  }
  out.set_rounds_max(forward.rounds_max);
  return out;
}

absl::Status AddContracts(const market::View& view, const market::Caller& caller,
                          const market_pb::ListContractsRequest& request,
                          market_pb::ListContractsResponse* response) {
  NOM_ASSIGN_OR_RETURN(const int page_size, PageSize(request.page_size()));
  if (request.before_contract_id() != 0) {
    return absl::InvalidArgumentError("before_contract_id: open ones come by rising id");
  }
  NOM_ASSIGN_OR_RETURN(const market::GuestView* const only,
                       GuestOrAll(view, caller, request.guest_id()));
  std::vector<const market::Contract*> seen;
  for (const auto& guest : view.guests) {
    if (only != nullptr ? guest.get() != only : !Owns(caller, guest->guest)) continue;
    for (const market::Contract& contract : guest->contracts) {
      const bool is_award = market::IsAward(contract);
      if (contract.contract_id <= request.after_contract_id() || (is_award && !request.awards())) {
        continue;
      }
      seen.push_back(&contract);
    }
  }
  std::sort(seen.begin(), seen.end(), [](const market::Contract* a, const market::Contract* b) {
    return a->contract_id < b->contract_id;
  });
  size_t bytes = 0;
  for (const market::Contract* contract : seen) {
    if (AddToPage(ToProto(*contract), page_size, &bytes, response->mutable_contracts())) continue;
    response->set_next_after_contract_id(
        response->contracts(response->contracts_size() - 1).contract_id());
    break;
  }
  return absl::OkStatus();
}

absl::Status AddEndedContracts(market::LedgerReader& reader, const market::TenantId& tenant_id,
                               const market_pb::ListContractsRequest& request,
                               market_pb::ListContractsResponse* response) {
  NOM_ASSIGN_OR_RETURN(const int page_size, PageSize(request.page_size()));
  if (request.awards() || request.after_contract_id() != 0) {
    return absl::InvalidArgumentError(
        request.awards() ? "awards: are not listed once they have ended; see the rounds"
                         : "after_contract_id: those that have ended come newest first");
  }
  NOM_ASSIGN_OR_RETURN(const auto look, reader.Look(market::kMarketBook));
  // One more, to know whether there are more.
  NOM_ASSIGN_OR_RETURN(const std::vector<market::Contract> ended,
                       look->ReadEndedContracts(tenant_id, request.guest_id(),
                                                request.before_contract_id(), page_size + 1));
  size_t bytes = 0;
  for (const market::Contract& contract : ended) {
    if (AddToPage(ToProto(contract), page_size, &bytes, response->mutable_contracts())) continue;
    response->set_next_before_contract_id(
        response->contracts(response->contracts_size() - 1).contract_id());
    break;
  }
  return absl::OkStatus();
}

absl::Status AddOffers(const market::View& view, const market::Caller& caller, absl::Time now,
                       const market_pb::ListOffersRequest& request,
                       market_pb::ListOffersResponse* response) {
  NOM_ASSIGN_OR_RETURN(const int page_size, PageSize(request.page_size()));
  NOM_ASSIGN_OR_RETURN(const market::GuestView* const only,
                       GuestOrAll(view, caller, request.guest_id()));
  std::set<market::GuestId> guests;
  std::set<market::HostId> hosts;
  for (const auto& guest : view.guests) {
    if (!Owns(caller, guest->guest)) continue;
    guests.insert(guest->guest.guest_id);
    hosts.insert(guest->guest.host_id);
  }
  const auto sees = [&](const market::Offer& offer) {
    if (only != nullptr) return MayTake(only->guest, offer);
    return caller.is_operator || offer.tenant_id == caller.tenant_id ||
           (offer.guest_id == 0 ? hosts.contains(offer.host_id) : guests.contains(offer.guest_id));
  };
  size_t bytes = 0;
  for (const market::Offer& offer : view.offers) {  // By id.
    if (offer.offer_id <= request.after_offer_id() || offer.valid_until < now || !sees(offer)) {
      continue;
    }
    if (AddToPage(ToProto(offer, caller), page_size, &bytes, response->mutable_offers())) continue;
    response->set_next_after_offer_id(response->offers(response->offers_size() - 1).offer_id());
    break;
  }
  return absl::OkStatus();
}

}  // namespace nom::marketd
