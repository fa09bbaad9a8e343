// SPDX-License-Identifier: Apache-2.0
#include "client/cli/commands.h"

#include "absl/strings/cord.h"
#include "client/cli/json.h"

namespace nom::cli {
namespace {

constexpr char kUsagePayload[] = "nom.cli.usage";

}  // namespace

absl::Status Output::Json(const google::protobuf::Message& message, bool one_line) const {
  data << ToJson(message, one_line) << '\n';
  data.flush();
  return absl::OkStatus();
}

absl::StatusOr<int> Output::Done(const google::protobuf::Message& response,
                                 const std::string& text) const {
  if (json) {
    if (absl::Status status = Json(response); !status.ok()) return status;
  } else {
    data << text;
  }
  return kExitOk;
}

absl::Status UsageError(const absl::Status& status) {
  absl::Status marked = status;
  marked.SetPayload(kUsagePayload, absl::Cord());
  return marked;
}

bool IsUsageError(const absl::Status& status) {
  return status.GetPayload(kUsagePayload).has_value();
}

}  // namespace nom::cli
