// SPDX-License-Identifier: Apache-2.0
#include "client/cli/errors.h"

#include <algorithm>
#include <cctype>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/types/optional.h"

namespace nom::cli {
namespace {

constexpr char kRequestIdPayload[] = "nom.cli.request_id";
constexpr char kRequestIdFlag[] = "--request-id";

std::string CodeWords(absl::StatusCode code) {
  std::string words = absl::AsciiStrToLower(absl::StatusCodeToString(code));
  std::replace(words.begin(), words.end(), '_', ' ');
  return words;
}

struct Advice {
  std::string what;   // Empty: the market's own message says it best.
  std::string to_do;  // Empty: nothing that we know of.
};

// gRPC tells what happened inside of it; people want to know what that means.
Advice OfConnection(absl::string_view message) {
  const auto says = [&](absl::string_view text) {
    return absl::StrContains(absl::AsciiStrToLower(message), absl::AsciiStrToLower(text));
  };
  if (says("C-ares") || says("DNS resolution failed") || says("name resolution")) {
    return {"no machine of this name is known",
            "see that the market's name is right: --target, NOM_TARGET, or \"target = ...\" in the "
            "config file"};
  }
  if (says("CERTIFICATE_VERIFY_FAILED") || says("handshake") || says("SSL_ERROR") ||
      says("WRONG_VERSION_NUMBER")) {
    return {
        "no secure connection came about: the certificate shown is not one that can be trusted, "
        "or the market speaks without TLS",
        "give the certificate that signed the market's with --tls-roots FILE"};
  }
  if (says("Failed parsing HTTP/2") || says("http1") || says("missing selected ALPN")) {
    return {"something else than a market answers there",
            "see that this is where marketd listens for calls (listen in its configuration, not "
            "metrics_listen or page_listen): --target, NOM_TARGET, or \"target = ...\" in the "
            "config file"};
  }
  if (says("failed to connect") && (says("Socket closed") || says("Connection reset"))) {
    return {"whoever listens there ends the connection at once",
            "if the market speaks TLS, say so with --tls-roots FILE; if not, see that this is "
            "marketd's address"};
  }
  if (says("failed to connect") || says("Connection refused") || says("No such file")) {
    return {"nobody answers there",
            "see that marketd runs (systemctl status nom-marketd) and that this is its address: "
            "--target, NOM_TARGET, or \"target = ...\" in the config file"};
  }
  if (says("Socket closed") || says("Connection reset") || says("Broken pipe") || says("GOAWAY")) {
    return {"the connection broke", "try again; marketd may be restarting"};
  }
  return {};
}

Advice AdviceFor(const CallFailure& failure) {
  switch (failure.status.code()) {
    case absl::StatusCode::kUnavailable:
      return OfConnection(failure.status.message());
    case absl::StatusCode::kDeadlineExceeded:
      return {"no answer in time", "try again, or wait for longer with --timeout SECONDS"};
    case absl::StatusCode::kUnauthenticated:
      return {"", failure.has_token
                      ? "see that the token is this market's and has not been revoked"
                      : "say who you are with --token-file FILE, NOM_TOKEN_FILE, or \"token_file = "
                        "...\" in the config file"};
    case absl::StatusCode::kPermissionDenied:
      return {"", "use a token that may do this: the operator's, for what operators do"};
    default:
      return {};
  }
}

// True if such an answer leaves open whether the market has done what it was asked.
bool LeavesOpen(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::string ShellQuoted(absl::string_view argument) {
  const bool plain =
      !argument.empty() && std::all_of(argument.begin(), argument.end(), [](unsigned char c) {
        return std::isalnum(c) || absl::StrContains("_-./:=@,+%", static_cast<char>(c));
      });
  if (plain) return std::string(argument);
  return absl::StrCat("'", absl::StrReplaceAll(argument, {{"'", "'\\''"}}), "'");
}

absl::Status WithRequestId(absl::Status status, absl::string_view request_id) {
  if (!status.ok()) status.SetPayload(kRequestIdPayload, absl::Cord(request_id));
  return status;
}

std::string Explain(const CallFailure& failure) {
  const Advice advice = AdviceFor(failure);
  std::string text =
      absl::StrCat(failure.target, ": ",
                   advice.what.empty() ? std::string(failure.status.message()) : advice.what, " (",
                   CodeWords(failure.status.code()), ")\n");
  if (!advice.to_do.empty()) absl::StrAppend(&text, "  What to do: ", advice.to_do, ".\n");
  const absl::optional<absl::Cord> request_id = failure.status.GetPayload(kRequestIdPayload);
  if (request_id && LeavesOpen(failure.status.code())) {
    absl::StrAppend(&text,
                    "  It is not known whether this was done. To try again without doing it twice, "
                    "type:\n  nomctl");
    bool has_id = false;
    for (const std::string& argument : failure.arguments) {
      absl::StrAppend(&text, " ", ShellQuoted(argument));
      has_id = has_id || absl::StartsWith(argument, kRequestIdFlag);
    }
    if (!has_id) absl::StrAppend(&text, " ", kRequestIdFlag, " ", std::string(*request_id));
    absl::StrAppend(&text, "\n");
  }
  return text;
}

}  // namespace nom::cli
