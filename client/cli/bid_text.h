// SPDX-License-Identifier: Apache-2.0
// Bids that stand, as tables show them.

#ifndef CLIENT_CLI_BID_TEXT_H_
#define CLIENT_CLI_BID_TEXT_H_

#include <string>

#include "nom/market/v1/market.pb.h"

namespace nom::cli {

// What stands for a resource of a guest, by itself or as part of a bid for several: "32@90"; "-" if
// nothing does.
std::string BidText(const market::v1::GuestInfo& guest, market::v1::ResourceKind kind);

}  // namespace nom::cli

#endif  // CLIENT_CLI_BID_TEXT_H_
