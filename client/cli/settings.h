// SPDX-License-Identifier: Apache-2.0
// Where nomctl finds the market and who it is: flag before environment before file before default.

#ifndef CLIENT_CLI_SETTINGS_H_
#define CLIENT_CLI_SETTINGS_H_

#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/src/channel.h"

namespace nom::cli {

inline constexpr char kDefaultTarget[] = "localhost:7070";

struct Settings {
  std::optional<std::string> target;
  std::optional<std::string> token_file;
  std::optional<std::string> tls_roots;
  std::optional<std::string> tls_cert;
  std::optional<std::string> tls_key;
};

// `name = value` lines with the names target, token_file, tls_roots, tls_cert and tls_key; blank
// lines and lines that begin with # say nothing. Errors: INVALID_ARGUMENT "FILE:LINE: what".
absl::StatusOr<Settings> ParseSettings(absl::string_view text, absl::string_view file_name);

// Reads `file_name` if it is given (then it must exist), else nom/nomctl.conf under
// $XDG_CONFIG_HOME or ~/.config, if it is there. `env` looks up a variable.
using Environment = std::function<std::optional<std::string>(const std::string&)>;
absl::StatusOr<Settings> LoadSettings(const std::string& file_name, const Environment& env);

// Field by field the first that is set: flags, NOM_TARGET / NOM_TOKEN_FILE / NOM_TLS_ROOTS /
// NOM_TLS_CERT / NOM_TLS_KEY, file.
Settings Resolve(const Settings& flags, const Environment& env, const Settings& file);

std::optional<std::string> ProcessEnvironment(const std::string& name);

// TLS, unless the target is this machine and neither roots nor a certificate were given: then
// plaintext.
client::Endpoint ToEndpoint(const Settings& settings);

}  // namespace nom::cli

#endif  // CLIENT_CLI_SETTINGS_H_
