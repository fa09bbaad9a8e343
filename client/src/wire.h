// SPDX-License-Identifier: Apache-2.0
// Writes and renewals of the bid book in the market's messages, and back.

#ifndef CLIENT_SRC_WIRE_H_
#define CLIENT_SRC_WIRE_H_

#include <vector>

#include "client/src/bid_book.h"
#include "nom/market/v1/market.pb.h"

namespace nom::client {

// Bids without rounds of their own stand for `lifetime_rounds` after each renewal.
market::v1::PlaceBidsRequest ToProto(const BidBook::Write& write, uint32_t lifetime_rounds);
std::vector<BidBook::Placed> FromProto(const market::v1::PlaceBidsResponse& response);
market::v1::RenewLeaseRequest ToProto(const BidBook::Renewal& renewal);
std::vector<BidBook::Leased> FromProto(const market::v1::RenewLeaseResponse& response);

}  // namespace nom::client

#endif  // CLIENT_SRC_WIRE_H_
