#include "client/cli/names.h"

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace nom::cli {
namespace {

// "BOUND_BY_RESERVE" less "BOUND_BY_", in lower case.
std::string Word(const std::string& name, absl::string_view prefix) {
  const absl::string_view word = absl::StripPrefix(name, prefix);
  if (word.empty() || word == "UNSPECIFIED") return "unknown";
  return absl::AsciiStrToLower(word);
}

}  // namespace

std::string KindName(market::v1::ResourceKind kind) {
  return Word(market::v1::ResourceKind_Name(kind), "RESOURCE_KIND_");
}
std::string BoundByName(market::v1::BoundBy bound_by) {
  return Word(market::v1::BoundBy_Name(bound_by), "BOUND_BY_");
}
std::string MethodName(market::v1::ClearingMethod method) {
  return Word(market::v1::ClearingMethod_Name(method), "CLEARING_METHOD_");
}
std::string CombinationName(market::v1::Combination combination) {
  return Word(market::v1::Combination_Name(combination), "COMBINATION_");
}
std::string PhaseName(market::v1::RoundPhase phase) {
  return Word(market::v1::RoundPhase_Name(phase), "ROUND_PHASE_");
}
std::string GuestStateName(market::v1::GuestState state) {
  return Word(market::v1::GuestState_Name(state), "GUEST_STATE_");
}

}  // namespace nom::cli
