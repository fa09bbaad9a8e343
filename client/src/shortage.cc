// SPDX-License-Identifier: Apache-2.0
#include "client/src/shortage.h"

#include <optional>

#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "client/src/convert.h"
#include "nom/contracts.h"
#include "nom/market/v1/market.pb.h"

namespace nom {
namespace {

namespace pb = market::v1;

constexpr absl::string_view kShortageUrl = "type.googleapis.com/nom.market.v1.Shortage";

}  // namespace

namespace client {

void AddShortage(const std::string& details, absl::Status* status) {
  pb::StatusDetails parsed;
  if (details.empty() || !parsed.ParseFromString(details)) return;
  for (const google::protobuf::Any& detail : parsed.details()) {
    if (detail.Is<pb::Shortage>()) status->SetPayload(kShortageUrl, absl::Cord(detail.value()));
  }
}

}  // namespace client

std::optional<Shortage> ShortageOf(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kShortageUrl);
  pb::Shortage shortage;
  if (!payload || !shortage.ParseFromString(std::string(*payload))) return std::nullopt;
  return Shortage{.short_of = pb::ShortOf_IsValid(shortage.short_of())
                                  ? static_cast<ShortOf>(shortage.short_of())
                                  : ShortOf::kUnknown,
                  .resource = client::FromProto(shortage.kind()),
                  .asked = shortage.asked(),
                  .free = shortage.free(),
                  .until_round_id = shortage.until_round_id()};
}

}  // namespace nom
