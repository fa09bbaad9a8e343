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
std::string PhaseName(market::v1::RoundPhase phase);
std::string GuestStateName(market::v1::GuestState state);

}  // namespace nom::cli

#endif  // CLIENT_CLI_NAMES_H_
