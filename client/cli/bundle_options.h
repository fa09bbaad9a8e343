// SPDX-License-Identifier: Apache-2.0
// --bundle, --bundle-rounds and --ceiling: a contract with which a guest is admitted.

#ifndef CLIENT_CLI_BUNDLE_OPTIONS_H_
#define CLIENT_CLI_BUNDLE_OPTIONS_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli/amounts.h"
#include "nom/market/v1/contracts.pb.h"

namespace CLI {
class App;
}

namespace nom::cli {

struct BundleArguments {
  std::string lots;
  int64_t rounds = 60;
  int64_t ceiling_microcredits = 0;

  bool IsGiven() const { return !lots.empty() || ceiling_microcredits != 0; }
  // Errors: usage, and those of ReadQuantities.
  absl::Status Read(const std::function<absl::StatusOr<UnitSizes>()>& sizes,
                    market::v1::Bundle* bundle) const;
};

// `arguments` must outlive the parsing.
void AddBundle(CLI::App* app, BundleArguments& arguments);

// ", by contract 7"; nothing for 0.
std::string ContractText(uint64_t contract_id);

}  // namespace nom::cli

#endif  // CLIENT_CLI_BUNDLE_OPTIONS_H_
