// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/product_desk.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/market/billing.h"
#include "marketd/market/money.h"
#include "marketd/market/requests.h"

namespace nom::market {
namespace {

Reply Refused(absl::Status status) { return Reply{.status = std::move(status)}; }

absl::Status NoSuchContract(ContractId contract_id) {
  return absl::NotFoundError(absl::StrCat("contract_id: no open contract ", contract_id));
}

// What a caller did to a contract, for ever.
LogEvent EventOf(const char* kind, const Caller& caller, const Contract& contract,
                 const HostId& host_id) {
  std::string detail = absl::StrCat("contract ", contract.contract_id);
  if (contract.part_of != 0) absl::StrAppend(&detail, " out of contract ", contract.part_of);
  for (const Lot& lot : contract.lots) {
    absl::StrAppend(&detail, ", ", KindName(lot.kind), "=", lot.units);
  }
  absl::StrAppend(&detail, ", rounds ", contract.from_round_id, " to ",
                  contract.until_round_id - 1);
  return LogEvent{{.kind = kind,
                   .by = caller.is_operator ? kOperator : caller.tenant_id,
                   .by_token_id = caller.token_id,
                   .tenant_id = contract.tenant_id,
                   .host_id = host_id,
                   .guest_id = contract.guest_id,
                   .amount_microcredits = ChargeOf(contract),
                   .detail = std::move(detail)}};
}

const Caller kTheMarketItself{.is_operator = true, .tenant_id = ""};

}  // namespace

ProductDesk::ProductDesk(LiveBook& book, HostMarkets& hosts, Notices& notices, uint64_t market_seed)
    : book_(book), hosts_(hosts), notices_(notices), market_seed_(market_seed) {}

Reply ProductDesk::Do(const CallEvent& event, const Request& request) {
  const Caller& caller = event.caller;
  if (const auto* quote = std::get_if<GetQuote>(&event.call)) {
    return Quote(*quote, caller, request);
  }
  if (const auto* sublet = std::get_if<OfferSublet>(&event.call)) {
    return Sublet(*sublet, caller, request);
  }
  if (const auto* take = std::get_if<TakeOffer>(&event.call)) {
    return Take(*take, caller, request);
  }
  if (const auto* withdraw = std::get_if<WithdrawOffer>(&event.call)) {
    return Withdraw(*withdraw, caller, request);
  }
  if (const auto* leave = std::get_if<LeaveContract>(&event.call)) {
    return Leave(*leave, caller, request);
  }
  return SetCeiling(std::get<SetRenewal>(event.call), caller, request);
}

HostSales ProductDesk::SalesOf(const HostMarket& host,
                               const std::vector<ResourcePrice>& prices) const {
  // Grants of a decided round may still be changed until its host is told to put it in force.
  const Round* const decided = host.Decided(book_.state());
  const bool may_change_decided = decided != nullptr && !host.clock.is_applying();
  return HostSales{.config = host.config,
                   .shares = host.Shares(book_.state()),
                   .prices = prices,
                   .next_round_id = RoundOfNewBids(book_.state(), host),
                   .next_change_round_id = may_change_decided
                                               ? decided->round_id
                                               : host.Book(book_.state()).last_decided_round_id + 1,
                   .now = book_.now()};
}

const Contract* ProductDesk::FindContract(ContractId contract_id, const Caller& caller) const {
  const Contract* const contract = book_.state().contracts.Find(contract_id);
  if (contract == nullptr || hosts_.FindGuest(book_.state(), contract->guest_id, caller) == nullptr)
    return nullptr;
  return contract;
}

Reply ProductDesk::PutOffer(Offer offer, const std::string& kind, const Request& request) {
  const auto open = std::count_if(
      book_.state().offers.begin(), book_.state().offers.end(),
      [&offer](const auto& other) { return other.second.tenant_id == offer.tenant_id; });
  if (static_cast<size_t>(open) >= kOpenOffersMax) {
    return Refused(absl::ResourceExhaustedError(
        absl::StrCat("tenant ", offer.tenant_id, " has ", open,
                     " open quotes and offers: take or withdraw some, or wait until they lapse")));
  }
  offer.offer_id = book_.state().last_offer_id + 1;
  // Ledgers keep microseconds.
  offer.valid_until = absl::FromUnixMicros(absl::ToUnixMicros(offer.valid_until));
  Reply reply{.offer_id = offer.offer_id};
  Scribe scribe = book_.Begin(kind);
  scribe.Write(OpenOffer{offer});
  Remember(scribe, request, reply);
  book_.Commit(std::move(scribe));
  reply.offer = std::make_shared<const Offer>(std::move(offer));
  return reply;
}

Reply ProductDesk::Quote(const GetQuote& call, const Caller& caller, const Request& request) {
  const Guest* const guest = hosts_.FindGuest(book_.state(), call.guest_id, caller);
  if (guest == nullptr) {
    return Refused(absl::NotFoundError(absl::StrCat("guest_id: no guest ", call.guest_id)));
  }
  const HostMarket& host = *hosts_.Find(guest->host_id);
  const std::vector<ResourcePrice> prices = PricesOf(book_.state(), host, market_seed_);
  absl::StatusOr<Offer> offer = MakeQuote(SalesOf(host, prices), *guest, call);
  if (!offer.ok()) return Refused(offer.status());
  return PutOffer(*std::move(offer), "quote given", request);
}

Reply ProductDesk::Sublet(const OfferSublet& call, const Caller& caller, const Request& request) {
  const Contract* const whole = FindContract(call.contract_id, caller);
  if (whole == nullptr) return Refused(NoSuchContract(call.contract_id));
  const HostMarket& host = *hosts_.Find(book_.state().guests.at(whole->guest_id).host_id);
  absl::StatusOr<Offer> offer = MakeSublet(SalesOf(host, {}), *whole, call);
  if (!offer.ok()) return Refused(offer.status());
  return PutOffer(*std::move(offer), "sublet offered", request);
}

Reply ProductDesk::Take(const TakeOffer& call, const Caller& caller, const Request& request) {
  const Guest* const guest = hosts_.FindGuest(book_.state(), call.guest_id, caller);
  if (guest == nullptr) {
    return Refused(absl::NotFoundError(absl::StrCat("guest_id: no guest ", call.guest_id)));
  }
  const auto found = book_.state().offers.find(call.offer_id);
  if (found == book_.state().offers.end()) {
    return Refused(absl::NotFoundError(absl::StrCat("offer_id: no open offer ", call.offer_id)));
  }
  HostMarket& host = *hosts_.Find(guest->host_id);
  const std::vector<ResourcePrice> prices = PricesOf(book_.state(), host, market_seed_);
  absl::StatusOr<Contract> contract =
      TakeAs(SalesOf(host, prices), found->second, *guest, call.renew_ceiling_microcredits);
  if (!contract.ok()) return Refused(contract.status());
  contract->contract_id = book_.state().last_contract_id + 1;
  const Reply reply{.round_id = contract->from_round_id, .contract_id = contract->contract_id};
  Offer offer = found->second;
  offer.taken_as = contract->contract_id;
  offer.closed = kOfferTaken;
  Scribe scribe = book_.Begin("contract bought");
  PostEscrow(scribe, *contract, ToCover(*contract, /*round_id=*/0));
  scribe.Write(OpenContract{*contract});
  scribe.Write(EventOf("contract_bought", caller, *contract, host.id()));
  scribe.Write(UpdateOffer{std::move(offer)});
  Remember(scribe, request, reply);
  book_.Commit(std::move(scribe));
  ++(IsForward(*contract) ? host.counters.contracts_bought : host.counters.sublets_taken);
  // Units change hands in a round whose grants are known already: all are told anew.
  if (const Round* const decided = host.Decided(book_.state());
      decided != nullptr && AliveIn(*contract, decided->round_id)) {
    TellNotices(book_, host, notices_);
    if (host.link.is_running()) TellGrants(book_, host);
  }
  return reply;
}

Reply ProductDesk::Withdraw(const WithdrawOffer& call, const Caller& caller,
                            const Request& request) {
  const auto found = book_.state().offers.find(call.offer_id);
  if (found == book_.state().offers.end() ||
      (!caller.is_operator && found->second.tenant_id != caller.tenant_id)) {
    return Refused(absl::NotFoundError(absl::StrCat("offer_id: no open offer ", call.offer_id)));
  }
  Offer offer = found->second;
  offer.closed = kOfferWithdrawn;
  const Reply reply{.offer_id = call.offer_id};
  Scribe scribe = book_.Begin("offer withdrawn");
  scribe.Write(UpdateOffer{std::move(offer)});
  Remember(scribe, request, reply);
  book_.Commit(std::move(scribe));
  return reply;
}

Reply ProductDesk::Leave(const LeaveContract& call, const Caller& caller, const Request& request) {
  const Contract* const contract = FindContract(call.contract_id, caller);
  if (contract == nullptr) return Refused(NoSuchContract(call.contract_id));
  HostMarket& host = *hosts_.Find(book_.state().guests.at(contract->guest_id).host_id);
  const RoundId from = RoundOfNewBids(book_.state(), host);
  if (IsAward(*contract) || IsFloor(*contract)) {
    return Refused(absl::FailedPreconditionError(absl::StrCat(
        "contract ", call.contract_id, IsFloor(*contract) ? " is a tier's floor" : " is an award",
        ": it is over with its round")));
  }
  if (from >= EndOf(*contract)) {
    return Refused(absl::FailedPreconditionError(
        absl::StrCat("contract ", call.contract_id, " ends before round ", EndOf(*contract),
                     ", the next that could be left is ", from)));
  }
  const Reply reply{.round_id = std::max(from, contract->from_round_id),
                    .contract_id = call.contract_id};
  Scribe scribe = book_.Begin("contract left");
  scribe.Write(EventOf("contract_left", caller, *contract, host.id()));
  LeaveFrom(scribe, *contract, from, kEndedLeft);
  Remember(scribe, request, reply);
  book_.Commit(std::move(scribe));
  ++host.counters.contracts_left;
  return reply;
}

Reply ProductDesk::SetCeiling(const SetRenewal& call, const Caller& caller,
                              const Request& request) {
  const Contract* const found = FindContract(call.contract_id, caller);
  if (found == nullptr) return Refused(NoSuchContract(call.contract_id));
  if (!IsForward(*found) || found->left_from_round_id != 0) {
    return Refused(absl::FailedPreconditionError(
        absl::StrCat("contract ", call.contract_id, " is not one that is renewed")));
  }
  const Microcredits ceiling = call.renew_ceiling_microcredits;
  if (ceiling < 0 || ceiling > policies::kValueMaxMicrocredits) {
    return Refused(absl::InvalidArgumentError(absl::StrCat("renew_ceiling_microcredits: ", ceiling,
                                                           " is outside [0, ",
                                                           policies::kValueMaxMicrocredits, "]")));
  }
  Contract contract = *found;
  contract.renew_ceiling_microcredits = ceiling;
  const Reply reply{.contract_id = call.contract_id};
  Scribe scribe = book_.Begin("renewal set");
  scribe.Write(UpdateContract{std::move(contract)});
  Remember(scribe, request, reply);
  book_.Commit(std::move(scribe));
  return reply;
}

absl::StatusOr<Contract> ProductDesk::Bundled(const HostMarket& host, const Guest& guest,
                                              const Bundle& bundle) const {
  const std::vector<ResourcePrice> prices = PricesOf(book_.state(), host, market_seed_);
  absl::StatusOr<Contract> contract = BundleFor(SalesOf(host, prices), guest, bundle);
  if (contract.ok()) contract->contract_id = book_.state().last_contract_id + 1;
  return contract;
}

void ProductDesk::OpenBundle(Scribe& scribe, HostMarket& host, const Caller& caller,
                             Contract contract) const {
  PostEscrow(scribe, contract, ToCover(contract, /*round_id=*/0));
  scribe.Write(EventOf("contract_bought", caller, contract, host.id()));
  scribe.Write(OpenContract{std::move(contract)});
  ++host.counters.contracts_bought;
}

void ProductDesk::Renew(HostMarket& host) {
  std::vector<Contract> due;
  for (const GuestId guest_id : book_.state().GuestsOf(host.id())) {
    for (const Contract* contract : book_.state().contracts.Of(guest_id)) {
      if (IsDueForRenewal(*contract, host.clock.round_id())) due.push_back(*contract);
    }
  }
  if (due.empty()) return;
  const std::vector<ResourcePrice> prices = PricesOf(book_.state(), host, market_seed_);
  Scribe scribe = book_.Begin("contracts renewed");
  for (Contract& contract : due) {
    absl::StatusOr<Contract> next = RenewalOf(SalesOf(host, prices), contract);
    // Whichever it is, its holder is asked no more, and why stays with it to its end.
    contract.renew_ceiling_microcredits = 0;
    contract.left_because =
        next.ok() ? kEndedOver : absl::StrCat(kEndedNotRenewed, ": ", next.status().message());
    const Contract ends = contract;
    scribe.Write(UpdateContract{std::move(contract)});
    if (!next.ok()) {
      LogEvent told = EventOf("contract_not_renewed", kTheMarketItself, ends, host.id());
      told.event.by = kTheMarket;
      absl::StrAppend(&told.event.detail, ": ", next.status().message());
      scribe.Write(std::move(told));
      ++host.counters.contracts_not_renewed;
      continue;
    }
    ++host.counters.contracts_renewed;
    next->contract_id = book_.state().last_contract_id + 1;
    LogEvent told = EventOf("contract_renewed", kTheMarketItself, *next, host.id());
    told.event.by = kTheMarket;
    absl::StrAppend(&told.event.detail, ", after contract ", ends.contract_id);
    scribe.Write(std::move(told));
    PostEscrow(scribe, *next, ToCover(*next, /*round_id=*/0));
    scribe.Write(OpenContract{*std::move(next)});
  }
  book_.Commit(std::move(scribe));
}

void ProductDesk::Lapse(const HostMarket& host, Scribe& scribe) const {
  std::vector<Offer> over;
  for (const auto& [offer_id, offer] : book_.state().offers) {
    if (offer.host_id != host.id()) continue;
    const bool is_gone =
        !IsQuote(offer) && book_.state().contracts.Find(offer.contract.part_of) == nullptr;
    if (offer.valid_until >= book_.now() && !is_gone) continue;
    over.push_back(offer);
    over.back().closed = is_gone ? kOfferGone : kOfferLapsed;
  }
  for (Offer& offer : over) scribe.Write(UpdateOffer{std::move(offer)});
}

}  // namespace nom::market
