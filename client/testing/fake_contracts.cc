// SPDX-License-Identifier: Apache-2.0
// The fake market's contracts, sublets and past prices.

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/testing/fake_market_impl.h"

namespace nom::testing {
namespace {

constexpr uint64_t kForEver = 100'000;  // Rounds: the longest contract.

grpc::Status NotFound(const std::string& message) {
  return grpc::Status(grpc::StatusCode::NOT_FOUND, message);
}
grpc::Status Invalid(const std::string& message) {
  return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, message);
}

bool IsAlive(const pb::Contract& contract, uint64_t round_id) {
  return contract.from_round_id() <= round_id && round_id < contract.until_round_id() &&
         (contract.left_from_round_id() == 0 || round_id < contract.left_from_round_id());
}

int64_t UnitsOf(const google::protobuf::RepeatedPtrField<pb::Lot>& lots, pb::ResourceKind kind) {
  for (const pb::Lot& lot : lots) {
    if (lot.kind() == kind) return lot.units();
  }
  return 0;
}

}  // namespace

int64_t FakeMarket::Impl::ForwardPrice(pb::ResourceKind kind) const {
  const auto forward = forward_prices.find(kind);
  if (forward != forward_prices.end()) return forward->second;
  const auto of = sold.find(kind);
  return of == sold.end() ? 0 : of->second.price;
}

int64_t FakeMarket::Impl::Promised(pb::ResourceKind kind, uint64_t from, uint64_t until) const {
  int64_t most = 0;
  // Changes only where one begins: there are few.
  std::vector<uint64_t> rounds = {from};
  for (const auto& [id, contract] : contracts) rounds.push_back(contract.from_round_id());
  for (const uint64_t at : rounds) {
    if (at < from || at >= until) continue;
    int64_t units = 0;
    for (const auto& [id, contract] : contracts) {
      if (contract.part_of() == 0 && IsAlive(contract, at)) {
        units += UnitsOf(contract.lots(), kind);
      }
    }
    most = std::max(most, units);
  }
  return most;
}

int64_t FakeMarket::Impl::PassedOn(uint64_t contract_id, pb::ResourceKind kind,
                                   uint64_t round_id) const {
  int64_t units = 0;
  for (const auto& [id, part] : contracts) {
    if (part.part_of() == contract_id && IsAlive(part, round_id)) {
      units += UnitsOf(part.lots(), kind);
    }
  }
  return units;
}

void FakeMarket::Impl::HoldContracts() {
  for (const auto& [id, contract] : contracts) {
    const auto guest = guests.find(contract.guest_id());
    if (guest == guests.end() || !IsAlive(contract, round)) continue;
    for (const pb::Lot& lot : contract.lots()) {
      pb::GuestOutcome& won = guest->second.won[lot.kind()];
      won.set_award_units(won.award_units() + lot.units() - PassedOn(id, lot.kind(), round));
      won.set_charge_microcredits(won.charge_microcredits() + lot.charge_microcredits());
    }
  }
}

void FakeMarket::Impl::EndContracts() {
  std::erase_if(open_offers, [&](const auto& offer) {
    return offer.second.from_round_id() != 0 && offer.second.from_round_id() < round;
  });
  for (auto at = contracts.begin(); at != contracts.end();) {
    pb::Contract& contract = at->second;
    const bool over = round >= contract.until_round_id();
    const bool left = contract.left_from_round_id() != 0 && round >= contract.left_from_round_id();
    int64_t again = 0;
    for (const pb::Lot& lot : contract.lots()) again += ForwardPrice(lot.kind()) * lot.units();
    if (over && !left && contract.renew_ceiling_microcredits() >= std::max<int64_t>(again, 1)) {
      const uint64_t rounds = contract.until_round_id() - contract.from_round_id();
      contract.set_from_round_id(round);
      contract.set_until_round_id(round + rounds);
      for (pb::Lot& lot : *contract.mutable_lots()) {
        lot.set_charge_microcredits(ForwardPrice(lot.kind()) * lot.units());
      }
    }
    pb::ContractEnd end = pb::CONTRACT_END_UNSPECIFIED;
    if (!guests.contains(contract.guest_id())) {
      end = pb::CONTRACT_END_GUEST_ENDED;
    } else if (left || (contract.part_of() != 0 && !contracts.contains(contract.part_of()))) {
      end = pb::CONTRACT_END_LEFT;
    } else if (round >= contract.until_round_id()) {
      end = contract.renew_ceiling_microcredits() > 0 ? pb::CONTRACT_END_NOT_RENEWED
                                                      : pb::CONTRACT_END_OVER;
    }
    const bool gone = end != pb::CONTRACT_END_UNSPECIFIED;
    if (gone) {
      contract.set_end(end);
      ended[at->first] = contract;
      if (ended.size() > 1'000) ended.erase(ended.begin());
    }
    at = gone ? contracts.erase(at) : std::next(at);
  }
}

grpc::Status FakeMarket::Impl::GetQuote(grpc::ServerContext* /*context*/,
                                        const pb::GetQuoteRequest* request,
                                        pb::GetQuoteResponse* response) {
  return WriteOnce(*request, response, [&]() -> grpc::Status {
    if (!guests.contains(request->guest_id())) return NotFound("guest_id: no such guest");
    if (request->lots_size() == 0) return Invalid("lots: are none");
    if (request->rounds() < 1 || request->rounds() > static_cast<int64_t>(kForEver)) {
      return Invalid("rounds: out of range");
    }
    const uint64_t from = std::max(request->from_round_id(), round);
    const uint64_t until = from + static_cast<uint64_t>(request->rounds());
    pb::Offer offer;
    for (const pb::Quantity& asked : request->lots()) {
      if (asked.units() < 1 || asked.units() > kBidUnitsMax) return Invalid("lots[0].units");
      const auto of = sold.find(asked.kind());
      if (of == sold.end()) return Invalid("lots[0].kind: is not sold");
      const int64_t free = of->second.supply - Promised(asked.kind(), from, until);
      if (asked.units() > free) {
        return TooLittle(grpc::StatusCode::RESOURCE_EXHAUSTED, "lots[0].units: too many",
                         {pb::SHORT_OF_SHARE, asked.kind(), asked.units(), free});
      }
      pb::Lot& lot = *offer.add_lots();
      lot.set_kind(asked.kind());
      lot.set_units(asked.units());
      lot.set_charge_microcredits(ForwardPrice(asked.kind()) * asked.units());
    }
    offer.set_offer_id(++last_offer_id);
    offer.set_host_id("fake");
    offer.set_guest_id(request->guest_id());
    offer.set_from_round_id(request->from_round_id());
    offer.set_rounds(request->rounds());
    offer.set_policy("forward/1");
    *offer.mutable_valid_until() = ToProto(absl::Now() + period);
    offer.set_own(true);
    open_offers[last_offer_id] = offer;
    response->set_offer_id(last_offer_id);
    *response->mutable_offer() = offer;
    return grpc::Status::OK;
  });
}

grpc::Status FakeMarket::Impl::OfferSublet(grpc::ServerContext* /*context*/,
                                           const pb::OfferSubletRequest* request,
                                           pb::OfferSubletResponse* response) {
  return WriteOnce(*request, response, [&]() -> grpc::Status {
    const auto contract = contracts.find(request->contract_id());
    if (contract == contracts.end()) return NotFound("contract_id: you have no such contract");
    if (request->lots_size() == 0) return Invalid("lots: are none");
    if (request->rounds() < 1) return Invalid("rounds: out of range");
    const uint64_t from = std::max(request->from_round_id(), round);
    if (from + static_cast<uint64_t>(request->rounds()) > contract->second.until_round_id()) {
      return Invalid("rounds: the contract ends before");
    }
    for (const pb::Lot& lot : request->lots()) {
      const int64_t held = UnitsOf(contract->second.lots(), lot.kind()) -
                           PassedOn(contract->first, lot.kind(), from);
      if (lot.units() < 1 || lot.charge_microcredits() < 0) return Invalid("lots[0]");
      if (lot.units() > held) {
        return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "lots[0].units: holds less");
      }
    }
    pb::Offer offer;
    offer.set_offer_id(++last_offer_id);
    offer.set_host_id("fake");
    offer.set_guest_id(request->to_guest_id());
    offer.set_part_of(request->contract_id());
    *offer.mutable_lots() = request->lots();
    offer.set_from_round_id(request->from_round_id());
    offer.set_rounds(request->rounds());
    *offer.mutable_valid_until() = ToProto(absl::Now() + period);
    offer.set_own(true);
    open_offers[last_offer_id] = offer;
    response->set_offer_id(last_offer_id);
    *response->mutable_offer() = offer;
    return grpc::Status::OK;
  });
}

grpc::Status FakeMarket::Impl::TakeOffer(grpc::ServerContext* /*context*/,
                                         const pb::TakeOfferRequest* request,
                                         pb::TakeOfferResponse* response) {
  return WriteOnce(*request, response, [&]() -> grpc::Status {
    if (!guests.contains(request->guest_id())) return NotFound("guest_id: no such guest");
    const auto found = open_offers.find(request->offer_id());
    if (found == open_offers.end()) return NotFound("offer_id: there is none for you");
    const pb::Offer& offer = found->second;
    if (offer.guest_id() != 0 && offer.guest_id() != request->guest_id()) {
      return NotFound("offer_id: there is none for you");
    }
    const bool is_sublet = offer.part_of() != 0;
    if (is_sublet && request->renew_ceiling_microcredits() != 0) {
      return Invalid("renew_ceiling_microcredits: a sublet is not renewed");
    }
    const uint64_t from = std::max(offer.from_round_id(), round);
    const uint64_t until = from + static_cast<uint64_t>(offer.rounds());
    for (const pb::Lot& lot : offer.lots()) {
      const auto of = sold.find(lot.kind());
      const auto parent = contracts.find(offer.part_of());
      const int64_t free =
          is_sublet
              ? (parent == contracts.end() ? 0
                                           : UnitsOf(parent->second.lots(), lot.kind()) -
                                                 PassedOn(parent->first, lot.kind(), from))
              : (of == sold.end() ? 0 : of->second.supply) - Promised(lot.kind(), from, until);
      if (lot.units() > free) {
        return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "lots: others were first");
      }
    }
    pb::Contract& contract = contracts[++last_contract_id];
    contract.set_contract_id(last_contract_id);
    contract.set_guest_id(request->guest_id());
    contract.set_kind(is_sublet ? pb::CONTRACT_KIND_SUBLET : pb::CONTRACT_KIND_FORWARD);
    contract.set_part_of(offer.part_of());
    *contract.mutable_lots() = offer.lots();
    contract.set_from_round_id(from);
    contract.set_until_round_id(until);
    contract.set_period_ms(absl::ToInt64Milliseconds(period));
    contract.set_policy(offer.policy());
    contract.set_renew_ceiling_microcredits(request->renew_ceiling_microcredits());
    open_offers.erase(found);
    response->set_contract_id(last_contract_id);
    response->set_from_round_id(from);
    return grpc::Status::OK;
  });
}

grpc::Status FakeMarket::Impl::WithdrawOffer(grpc::ServerContext* /*context*/,
                                             const pb::WithdrawOfferRequest* request,
                                             pb::WithdrawOfferResponse* response) {
  return WriteOnce(*request, response, [&]() -> grpc::Status {
    return open_offers.erase(request->offer_id()) > 0
               ? grpc::Status::OK
               : NotFound("offer_id: you have no such offer");
  });
}

grpc::Status FakeMarket::Impl::LeaveContract(grpc::ServerContext* /*context*/,
                                             const pb::LeaveContractRequest* request,
                                             pb::LeaveContractResponse* response) {
  return WriteOnce(*request, response, [&]() -> grpc::Status {
    const auto found = contracts.find(request->contract_id());
    if (found == contracts.end()) return NotFound("contract_id: you have no such contract");
    if (found->second.left_from_round_id() != 0) {
      return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "contract_id: was left before");
    }
    found->second.set_left_from_round_id(round);
    found->second.set_end(pb::CONTRACT_END_LEFT);
    found->second.set_renew_ceiling_microcredits(0);
    response->set_round_id(round);
    return grpc::Status::OK;
  });
}

grpc::Status FakeMarket::Impl::SetRenewal(grpc::ServerContext* /*context*/,
                                          const pb::SetRenewalRequest* request,
                                          pb::SetRenewalResponse* response) {
  return WriteOnce(*request, response, [&]() -> grpc::Status {
    const auto found = contracts.find(request->contract_id());
    if (found == contracts.end()) return NotFound("contract_id: you have no such contract");
    if (request->renew_ceiling_microcredits() < 0) return Invalid("renew_ceiling_microcredits");
    if (found->second.kind() != pb::CONTRACT_KIND_FORWARD) {
      return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION,
                          "contract_id: was not sold forward");
    }
    found->second.set_renew_ceiling_microcredits(request->renew_ceiling_microcredits());
    return grpc::Status::OK;
  });
}

grpc::Status FakeMarket::Impl::ListContracts(grpc::ServerContext* /*context*/,
                                             const pb::ListContractsRequest* request,
                                             pb::ListContractsResponse* response) {
  std::lock_guard lock(mutex);
  const int most = request->page_size() == 0 ? 1'000 : request->page_size();
  if (request->state() == pb::CONTRACT_STATE_ENDED) {
    auto at = request->before_contract_id() == 0 ? ended.end()
                                                 : ended.lower_bound(request->before_contract_id());
    while (at != ended.begin()) {
      --at;
      if (request->guest_id() != 0 && request->guest_id() != at->second.guest_id()) continue;
      if (response->contracts_size() == most) {
        response->set_next_before_contract_id(at->first + 1);
        break;
      }
      *response->add_contracts() = at->second;
    }
    return grpc::Status::OK;
  }
  for (auto at = contracts.upper_bound(request->after_contract_id()); at != contracts.end(); ++at) {
    if (request->guest_id() != 0 && request->guest_id() != at->second.guest_id()) continue;
    if (response->contracts_size() == most) {
      response->set_next_after_contract_id(response->contracts(most - 1).contract_id());
      break;
    }
    *response->add_contracts() = at->second;
  }
  return grpc::Status::OK;
}

grpc::Status FakeMarket::Impl::ListOffers(grpc::ServerContext* /*context*/,
                                          const pb::ListOffersRequest* request,
                                          pb::ListOffersResponse* response) {
  std::lock_guard lock(mutex);
  const int most = request->page_size() == 0 ? 1'000 : request->page_size();
  for (auto at = open_offers.upper_bound(request->after_offer_id()); at != open_offers.end();
       ++at) {
    const uint64_t for_guest = at->second.guest_id();
    if (request->guest_id() != 0 && for_guest != 0 && request->guest_id() != for_guest) continue;
    if (response->offers_size() == most) {
      response->set_next_after_offer_id(response->offers(most - 1).offer_id());
      break;
    }
    *response->add_offers() = at->second;
  }
  return grpc::Status::OK;
}

grpc::Status FakeMarket::Impl::ListPrices(grpc::ServerContext* /*context*/,
                                          const pb::ListPricesRequest* request,
                                          pb::ListPricesResponse* response) {
  std::lock_guard lock(mutex);
  uint64_t before = request->last_round_id() == 0 ? round : request->last_round_id() + 1;
  if (!request->page_token().empty()) {
    uint64_t below = 0;
    if (!absl::SimpleAtoi(absl::StripPrefix(request->page_token(), "r"), &below)) {
      return Invalid("page_token: is none that a page said");
    }
    before = std::min(before, below);
  }
  const auto seconds_of = [](const google::protobuf::Timestamp& time) {
    return std::pair(time.seconds(), time.nanos());
  };
  const int most = request->page_size() == 0 ? 1'000 : request->page_size();
  for (auto at = records.lower_bound(before); at != records.begin();) {
    --at;
    const pb::Round& record = at->second;
    if (record.round_id() < request->first_round_id()) break;
    if (request->has_since_time() &&
        seconds_of(record.close_time()) < seconds_of(request->since_time())) {
      break;
    }
    if (request->has_until_time() &&
        seconds_of(record.close_time()) >= seconds_of(request->until_time())) {
      continue;
    }
    if (response->rounds_size() == most) {
      response->set_next_page_token(absl::StrCat("r", at->first + 1));
      break;
    }
    pb::PricedRound& to = *response->add_rounds();
    to.set_round_id(record.round_id());
    *to.mutable_close_time() = record.close_time();
    *to.mutable_effective_time() = record.effective_time();
    for (const pb::ResourcePrice& price : record.prices()) {
      const auto& kinds = request->kinds();
      if (!kinds.empty() && std::find(kinds.begin(), kinds.end(), price.kind()) == kinds.end()) {
        continue;
      }
      pb::PastPrice& past = *to.add_prices();
      past.set_kind(price.kind());
      past.set_unit_price_microcredits(price.unit_price_microcredits());
      past.set_reserve_unit_price_microcredits(price.reserve_unit_price_microcredits());
      past.set_bound_by(price.bound_by());
      past.set_supply_units(price.supply_units());
      past.set_demand_units(price.demand_units());
      past.set_sold_units(price.sold_units());
      past.set_policy("posted_price/1");
      past.set_reserve_policy("fixed/1");
    }
  }
  return grpc::Status::OK;
}

}  // namespace nom::testing
