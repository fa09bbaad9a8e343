// SPDX-License-Identifier: Apache-2.0
// Between the messages about contracts and offers and the market's values; see convert.h.

#ifndef MARKETD_SERVICES_CONTRACT_MESSAGES_H_
#define MARKETD_SERVICES_CONTRACT_MESSAGES_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "marketd/market/event.h"
#include "marketd/market/ledger.h"
#include "marketd/market/view.h"
#include "nom/market/v1/contracts.pb.h"
#include "nom/market/v1/market.pb.h"

namespace nom::marketd {

// In. Errors: INVALID_ARGUMENT naming the field.
absl::StatusOr<market::GetQuote> FromProto(const nom::market::v1::GetQuoteRequest& request);
absl::StatusOr<market::OfferSublet> FromProto(const nom::market::v1::OfferSubletRequest& request);

// Out. `reason` is one of contracts.h's; UNSPECIFIED if it is none or empty.
nom::market::v1::ContractEnd EndToProto(absl::string_view reason);
nom::market::v1::Contract ToProto(const market::Contract& contract);
// As `caller` sees it.
nom::market::v1::Offer ToProto(const market::Offer& offer, const market::Caller& caller);
nom::market::v1::ForwardOnSale ToProto(const market::ForwardOnSale& forward);

// Pages of what the caller sees. Errors: those of ListContracts and ListOffers in market.proto.
absl::Status AddContracts(const market::View& view, const market::Caller& caller,
                          const nom::market::v1::ListContractsRequest& request,
                          nom::market::v1::ListContractsResponse* response);
// Of those that have ended: `tenant_id` is empty for all tenants'. Reads the ledger.
absl::Status AddEndedContracts(market::LedgerReader& reader, const market::TenantId& tenant_id,
                               const nom::market::v1::ListContractsRequest& request,
                               nom::market::v1::ListContractsResponse* response);
// But those whose time is over, and which only wait for the end of a round to be closed.
absl::Status AddOffers(const market::View& view, const market::Caller& caller, absl::Time now,
                       const nom::market::v1::ListOffersRequest& request,
                       nom::market::v1::ListOffersResponse* response);

}  // namespace nom::marketd

#endif  // MARKETD_SERVICES_CONTRACT_MESSAGES_H_
