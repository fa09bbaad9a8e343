// SPDX-License-Identifier: Apache-2.0
#include "client/cli/settings.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace nom::cli {

absl::StatusOr<Settings> ParseSettings(absl::string_view text, absl::string_view file_name) {
  Settings settings;
  int line_number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++line_number;
    const auto wrong = [&](absl::string_view what) {
      return absl::InvalidArgumentError(absl::StrCat(file_name, ":", line_number, ": ", what));
    };
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line[0] == '#') continue;
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits('=', 1));
    const absl::string_view name = absl::StripAsciiWhitespace(parts.first);
    const absl::string_view value = absl::StripAsciiWhitespace(parts.second);
    if (value.empty()) return wrong("expected \"name = value\"");
    std::optional<std::string>* field = nullptr;
    if (name == "target") field = &settings.target;
    if (name == "token_file") field = &settings.token_file;
    if (name == "tls_roots") field = &settings.tls_roots;
    if (name == "tls_cert") field = &settings.tls_cert;
    if (name == "tls_key") field = &settings.tls_key;
    if (field == nullptr) {
      return wrong(
          absl::StrCat("\"", name, "\" is not target, token_file, tls_roots, tls_cert or tls_key"));
    }
    if (field->has_value()) return wrong(absl::StrCat(name, " is given twice"));
    *field = std::string(value);
  }
  return settings;
}

absl::StatusOr<Settings> LoadSettings(const std::string& file_name, const Environment& env) {
  std::string path = file_name;
  if (path.empty()) {
    if (const auto config = env("XDG_CONFIG_HOME"); config && !config->empty()) {
      path = absl::StrCat(*config, "/nom/nomctl.conf");
    } else if (const auto home = env("HOME"); home && !home->empty()) {
      path = absl::StrCat(*home, "/.config/nom/nomctl.conf");
    } else {
      return Settings{};
    }
  }
  std::ifstream file(path);
  if (!file) {
    if (file_name.empty() && errno == ENOENT) return Settings{};
    return absl::NotFoundError(absl::StrCat(path, ": ", std::strerror(errno)));
  }
  std::ostringstream text;
  text << file.rdbuf();
  return ParseSettings(text.str(), path);
}

Settings Resolve(const Settings& flags, const Environment& env, const Settings& file) {
  const auto first = [&](const std::optional<std::string>& flag, const char* variable,
                         const std::optional<std::string>& in_file) {
    if (flag) return flag;
    if (auto value = env(variable); value && !value->empty()) return value;
    return in_file;
  };
  return {.target = first(flags.target, "NOM_TARGET", file.target),
          .token_file = first(flags.token_file, "NOM_TOKEN_FILE", file.token_file),
          .tls_roots = first(flags.tls_roots, "NOM_TLS_ROOTS", file.tls_roots),
          .tls_cert = first(flags.tls_cert, "NOM_TLS_CERT", file.tls_cert),
          .tls_key = first(flags.tls_key, "NOM_TLS_KEY", file.tls_key)};
}

std::optional<std::string> ProcessEnvironment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

client::Endpoint ToEndpoint(const Settings& settings) {
  client::Endpoint endpoint;
  endpoint.target = settings.target.value_or(kDefaultTarget);
  endpoint.tls_roots_file = settings.tls_roots.value_or("");
  endpoint.tls_cert_file = settings.tls_cert.value_or("");
  endpoint.tls_key_file = settings.tls_key.value_or("");
  endpoint.plaintext = endpoint.tls_roots_file.empty() && endpoint.tls_cert_file.empty() &&
                       endpoint.tls_key_file.empty() && client::IsLoopback(endpoint.target);
  return endpoint;
}

}  // namespace nom::cli
