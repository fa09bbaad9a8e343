#include "client/cli/commands.h"

#include <google/protobuf/util/json_util.h>

#include <string>

#include "absl/strings/cord.h"

namespace nom::cli {
namespace {

constexpr char kUsagePayload[] = "nom.cli.usage";

}  // namespace

absl::Status Output::Json(const google::protobuf::Message& message, bool one_line) const {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = !one_line;
  options.always_print_primitive_fields = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  if (!status.ok()) return absl::InternalError(std::string(status.message()));
  data << text;
  if (text.empty() || text.back() != '\n') data << '\n';
  data.flush();
  return absl::OkStatus();
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
