// SPDX-License-Identifier: Apache-2.0
// Lines of the log for what callers did, or tried to do.

#ifndef MARKETD_SERVICES_CALL_LOG_H_
#define MARKETD_SERVICES_CALL_LOG_H_

#include <grpcpp/server_context.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "marketd/base/log.h"

namespace nom::marketd {

// One line: what was done, by whom ("operator" or a tenant's id) and from where, to what, and how
// it went. Credentials are never among the fields.
void LogDone(absl::string_view event, const grpc::CallbackServerContext& context,
             absl::string_view by, const absl::Status& status, std::vector<LogField> fields);

}  // namespace nom::marketd

#endif  // MARKETD_SERVICES_CALL_LOG_H_
