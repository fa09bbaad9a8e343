// SPDX-License-Identifier: Apache-2.0
#include "marketd/services/call_log.h"

#include <utility>

namespace nom::marketd {

void LogDone(absl::string_view event, const grpc::CallbackServerContext& context,
             absl::string_view by, const absl::Status& status, std::vector<LogField> fields) {
  fields.insert(fields.begin(), {{"by", by}, {"peer", context.peer()}});
  if (!status.ok()) {
    fields.emplace_back("refused", absl::StatusCodeToString(status.code()));
    fields.emplace_back("msg", status.message());
  }
  Log(status.ok() ? LogLevel::kInfo : LogLevel::kWarning, event, std::move(fields));
}

}  // namespace nom::marketd
