// SPDX-License-Identifier: Apache-2.0
// Contracts, offers and past prices between the market's messages and the SDK's own types; see
// convert.h.

#ifndef CLIENT_SRC_CONTRACTS_H_
#define CLIENT_SRC_CONTRACTS_H_

#include "absl/status/statusor.h"
#include "nom/contracts.h"
#include "nom/market/v1/market.pb.h"
#include "nom/session.h"

namespace nom::client {

Contract FromProto(const market::v1::Contract& contract);
Offer FromProto(const market::v1::Offer& offer);
PricedRound FromProto(const market::v1::PricedRound& round);

market::v1::ListPricesRequest ToProto(const PriceQuery& query);
market::v1::GetQuoteRequest ToProto(const QuoteOptions& quote);
// INVALID_ARGUMENT for a time that is not whole seconds.
absl::StatusOr<market::v1::OfferSubletRequest> ToProto(const SubletOptions& sublet);
market::v1::TakeOfferRequest ToProto(const TakeOptions& take);

}  // namespace nom::client

#endif  // CLIENT_SRC_CONTRACTS_H_
