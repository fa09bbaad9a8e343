// SPDX-License-Identifier: Apache-2.0
#include "client/src/session_options.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace nom::client {
namespace {

constexpr uint32_t kLifetimeRoundsMax = 1'000;

}  // namespace

absl::Status CheckOptions(const SessionOptions& options) {
  const auto positive = [](absl::string_view name, absl::Duration value) {
    if (value > absl::ZeroDuration()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(name, ": must be above zero"));
  };
  if (!options.token.empty() && !options.token_file.empty()) {
    return absl::InvalidArgumentError("token, token_file: give one of them");
  }
  if (!options.token.empty()) {
    if (absl::Status status = CheckToken(options.token); !status.ok()) return status;
  }
  if (options.plaintext && !(options.tls_roots_file.empty() && options.tls_cert_file.empty() &&
                             options.tls_key_file.empty())) {
    return absl::InvalidArgumentError("plaintext, tls_..._file: give one or the other");
  }
  for (size_t i = 0; i < options.other_targets.size(); ++i) {
    if (options.other_targets[i].empty()) {
      return absl::InvalidArgumentError(absl::StrCat("other_targets[", i, "]: is empty"));
    }
  }
  for (auto [name, value] : {std::pair("call_timeout", options.call_timeout),
                             std::pair("attempt_timeout", options.attempt_timeout),
                             std::pair("backoff_min", options.backoff_min)}) {
    if (absl::Status status = positive(name, value); !status.ok()) return status;
  }
  if (options.backoff_max < options.backoff_min) {
    return absl::InvalidArgumentError("backoff_max: must not be less than backoff_min");
  }
  if (options.backoff_max == absl::InfiniteDuration()) {
    return absl::InvalidArgumentError("backoff_max: must be finite");
  }
  if (options.bid_lifetime_rounds < 2 || options.bid_lifetime_rounds > kLifetimeRoundsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("bid_lifetime_rounds: must be at least 2 and at most ", kLifetimeRoundsMax));
  }
  if (options.budget_per_round_microcredits.value_or(0) < 0) {
    return absl::InvalidArgumentError("budget_per_round_microcredits: must not be negative");
  }
  for (const auto& [resource, ceiling] : options.unit_price_ceilings_microcredits) {
    if (!ParseResource(ResourceName(resource))) {
      return absl::InvalidArgumentError(absl::StrCat(
          "unit_price_ceilings_microcredits: ", static_cast<int>(resource), " is no resource"));
    }
    if (ceiling < 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "unit_price_ceilings_microcredits[", ResourceName(resource), "]: must not be negative"));
    }
  }
  if (options.pacing) {
    const absl::Status status = BudgetPacer::Create(*options.pacing).status();
    if (!status.ok()) return absl::Status(status.code(), absl::StrCat("pacing.", status.message()));
  }
  return absl::OkStatus();
}

std::vector<Endpoint> EndpointsOf(const SessionOptions& options) {
  std::vector<Endpoint> endpoints;
  const auto add = [&](const std::string& target) {
    Endpoint& endpoint = endpoints.emplace_back();
    endpoint.target = target;
    endpoint.tls_roots_file = options.tls_roots_file;
    endpoint.tls_cert_file = options.tls_cert_file;
    endpoint.tls_key_file = options.tls_key_file;
    endpoint.plaintext = options.plaintext;
  };
  add(options.target);
  for (const std::string& target : options.other_targets) add(target);
  return endpoints;
}

}  // namespace nom::client
