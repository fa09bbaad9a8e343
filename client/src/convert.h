// SPDX-License-Identifier: Apache-2.0
// Between the market's messages and the SDK's own types. What comes from the wire is copied, and
// what this side does not know (a newer resource, a missing time) is left out or left empty.

#ifndef CLIENT_SRC_CONVERT_H_
#define CLIENT_SRC_CONVERT_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/protobuf/timestamp.pb.h"
#include "grpcpp/support/status.h"
#include "nom/market/v1/market.pb.h"
#include "nom/types.h"

namespace nom::client {

absl::Status ToAbsl(const grpc::Status& status);

// nullopt for kinds that this version does not know.
std::optional<Resource> FromProto(market::v1::ResourceKind kind);
market::v1::ResourceKind ToProto(Resource resource);

// A time out of range is the nearest that can be told.
absl::Time FromProto(const google::protobuf::Timestamp& time);

RoundPhase FromProto(market::v1::RoundPhase phase);
// nullopt for kinds that this version does not know.
std::optional<Award> FromProto(const market::v1::GuestOutcome& outcome);
// Without unit sizes and capacities, which a round does not say.
Round FromProto(const market::v1::Round& round);
MarketStatus FromProto(const market::v1::MarketState& state);
GuestStatus FromProto(const market::v1::GuestInfo& info);
AccountStatus FromProto(const market::v1::Account& account);
std::optional<Notice> FromProto(const market::v1::Notice& notice);
market::v1::Valuation ToProto(const Valuation& valuation);
market::v1::Bid ToProto(const Bid& bid);

}  // namespace nom::client

#endif  // CLIENT_SRC_CONVERT_H_
