// SPDX-License-Identifier: Apache-2.0
// The market's enums in lower-case words, for people. "unknown" for what this version does not
// know.

#ifndef CLIENT_CLI_NAMES_H_
#define CLIENT_CLI_NAMES_H_

#include <string>

#include "nom/market/v1/market.pb.h"

namespace nom::cli {

std::string KindName(market::v1::ResourceKind kind);
std::string BoundByName(market::v1::BoundBy bound_by);
std::string MethodName(market::v1::ClearingMethod method);
std::string CombinationName(market::v1::Combination combination);
std::string ContractKindName(market::v1::ContractKind kind);
std::string PhaseName(market::v1::RoundPhase phase);
std::string GuestStateName(market::v1::GuestState state);
// With why it ended, or that its tenant owes rent: "crashed: triple fault". For tables.
std::string GuestStateText(const market::v1::GuestInfo& guest);
// Why a guest won what it won, with the price or the supply that decided it: "outbid at 1200".
// Empty if it is not known. `price`: of the same round and resource; null if that is not known.
std::string AwardReasonText(market::v1::AwardReason reason, const market::v1::ResourcePrice* price);
// The price of a resource among a round's; null if there is none.
const market::v1::ResourcePrice* FindPrice(
    const google::protobuf::RepeatedPtrField<market::v1::ResourcePrice>& prices,
    market::v1::ResourceKind kind);

}  // namespace nom::cli

#endif  // CLIENT_CLI_NAMES_H_
