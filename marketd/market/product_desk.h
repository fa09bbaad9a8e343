// SPDX-License-Identifier: Apache-2.0
// Where products are asked for (products.h), one transaction each, and what contracts and offers
// wait for at each round's close.
//
// Not thread-safe: the engine's thread owns it.

#ifndef MARKETD_MARKET_PRODUCT_DESK_H_
#define MARKETD_MARKET_PRODUCT_DESK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "marketd/market/event.h"
#include "marketd/market/host_market.h"
#include "marketd/market/live_book.h"
#include "marketd/market/notices.h"
#include "marketd/market/products.h"

namespace nom::market {

class ProductDesk {
 public:
  // All outlive it.
  ProductDesk(LiveBook& book, HostMarkets& hosts, Notices& notices, uint64_t market_seed);

  // Requires a call for which IsOfProducts.
  Reply Do(const CallEvent& event, const Request& request);

  // What AdmitGuest's bundle becomes, see BundleFor: its id is given.
  absl::StatusOr<Contract> Bundled(const HostMarket& host, const Guest& guest,
                                   const Bundle& bundle) const;
  // Writes it and what it sets aside.
  void OpenBundle(Scribe& scribe, HostMarket& host, const Caller& caller, Contract contract) const;

  // The host's round is about to be decided: contracts that end before it, and are to be renewed,
  // are, before anybody bids.
  void Renew(HostMarket& host);
  // Closes the host's offers whose time is over, or whose contract is.
  void Lapse(const HostMarket& host, Scribe& scribe) const;

 private:
  Reply Quote(const GetQuote& call, const Caller& caller, const Request& request);
  Reply Sublet(const OfferSublet& call, const Caller& caller, const Request& request);
  Reply Take(const TakeOffer& call, const Caller& caller, const Request& request);
  Reply Withdraw(const WithdrawOffer& call, const Caller& caller, const Request& request);
  Reply Leave(const LeaveContract& call, const Caller& caller, const Request& request);
  Reply SetCeiling(const SetRenewal& call, const Caller& caller, const Request& request);

  HostSales SalesOf(const HostMarket& host, const std::vector<ResourcePrice>& prices) const;
  // Makes the offer durable. RESOURCE_EXHAUSTED: its tenant has kOpenOffersMax.
  Reply PutOffer(Offer offer, const std::string& kind, const Request& request);
  // Null if there is none, or it is not of a guest of the caller's.
  const Contract* FindContract(ContractId contract_id, const Caller& caller) const;

  LiveBook& book_;
  HostMarkets& hosts_;
  Notices& notices_;
  const uint64_t market_seed_;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_PRODUCT_DESK_H_
