// SPDX-License-Identifier: Apache-2.0
#include "client/cli/names.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "client/cli/table.h"

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
std::string ContractKindName(market::v1::ContractKind kind) {
  return Word(market::v1::ContractKind_Name(kind), "CONTRACT_KIND_");
}
std::string PhaseName(market::v1::RoundPhase phase) {
  return Word(market::v1::RoundPhase_Name(phase), "ROUND_PHASE_");
}
std::string GuestStateName(market::v1::GuestState state) {
  return Word(market::v1::GuestState_Name(state), "GUEST_STATE_");
}

std::string GuestStateText(const market::v1::GuestInfo& guest) {
  std::string text = GuestStateName(guest.state());
  if (!guest.exit_reason().empty()) absl::StrAppend(&text, ": ", Printable(guest.exit_reason()));
  if (guest.arrears_rounds() > 0 && guest.exit_reason().empty()) {
    absl::StrAppend(&text, ", owes rent since ", guest.arrears_rounds(), " rounds");
  }
  return text;
}

std::string AwardReasonText(market::v1::AwardReason reason,
                            const market::v1::ResourcePrice* price) {
  const auto with = [price](absl::string_view words, absl::string_view joint, int64_t figure) {
    return price == nullptr ? std::string(words) : absl::StrCat(words, joint, figure);
  };
  switch (reason) {
    case market::v1::AWARD_REASON_SERVED:
      return "all that it asked for";
    case market::v1::AWARD_REASON_PARTLY_SERVED:
      return with("others offered more for the rest", ", at ",
                  price == nullptr ? 0 : price->unit_price_microcredits());
    case market::v1::AWARD_REASON_OUTBID:
      return with("outbid", " at ", price == nullptr ? 0 : price->unit_price_microcredits());
    case market::v1::AWARD_REASON_BELOW_RESERVE:
      return with("below the reserve", " of ",
                  price == nullptr ? 0 : price->reserve_unit_price_microcredits());
    case market::v1::AWARD_REASON_LARGER_THAN_SUPPLY:
      return with("larger than the supply", " of ", price == nullptr ? 0 : price->supply_units());
    case market::v1::AWARD_REASON_NO_MEANS:
      return "no means to pay";
    case market::v1::AWARD_REASON_NO_BID:
      return "no bid";
    case market::v1::AWARD_REASON_NOT_RUNNING:
      return "does not run";
    default:
      return "";
  }
}

const market::v1::ResourcePrice* FindPrice(
    const google::protobuf::RepeatedPtrField<market::v1::ResourcePrice>& prices,
    market::v1::ResourceKind kind) {
  for (const market::v1::ResourcePrice& price : prices) {
    if (price.kind() == kind) return &price;
  }
  return nullptr;
}

}  // namespace nom::cli
