// SPDX-License-Identifier: Apache-2.0
// What people are told when a call failed: what, where, and what to do. Pure functions.

#ifndef CLIENT_CLI_ERRORS_H_
#define CLIENT_CLI_ERRORS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace nom::cli {

struct CallFailure {
  absl::Status status;
  std::string target;
  bool has_token = false;
  // The command line as it was typed, without the program's name.
  std::vector<std::string> arguments;
};

// One line "TARGET: what (code)", and where something can be done, a second one that says what.
// gRPC's words for its own insides are replaced by ours.
std::string Explain(const CallFailure& failure);

// Remembers in a failed write's Status under which id it was sent. If it is not known whether the
// write was carried out, Explain() then says what to type: the same id again does nothing twice.
absl::Status WithRequestId(absl::Status status, absl::string_view request_id);

// An argument so that a shell reads it as it is.
std::string ShellQuoted(absl::string_view argument);

}  // namespace nom::cli

#endif  // CLIENT_CLI_ERRORS_H_
