// SPDX-License-Identifier: Apache-2.0
// Between the market's messages about guests that do not bid, or are asked for, and the SDK's own
// types.

#ifndef CLIENT_SRC_GUESTS_H_
#define CLIENT_SRC_GUESTS_H_

#include <optional>

#include "nom/guests.h"
#include "nom/market/v1/market.pb.h"
#include "nom/types.h"

namespace nom::client {

GuestTier FromProto(const market::v1::GuestTier& tier);
Tier FromProto(const market::v1::Tier& tier);
// nullopt for resources that this version does not know.
std::optional<ForwardState> FromProto(const market::v1::ForwardOnSale& forward);
GuestQuota FromProto(const market::v1::GetQuotaResponse& quota);
market::v1::SetTierRequest ToProto(const TierOptions& tier);
market::v1::RequestGuestRequest ToProto(const GuestRequest& guest);

}  // namespace nom::client

#endif  // CLIENT_SRC_GUESTS_H_
