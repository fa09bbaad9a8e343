// SPDX-License-Identifier: Apache-2.0
#include "client/cli/bundle_options.h"

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/options.h"

namespace nom::cli {

absl::Status BundleArguments::Read(const std::function<absl::StatusOr<UnitSizes>()>& sizes,
                                   market::v1::Bundle* bundle) const {
  if (lots.empty() || ceiling_microcredits == 0) {
    return UsageError(absl::InvalidArgumentError("give --bundle and --ceiling together"));
  }
  if (absl::Status s = ReadQuantities(lots, sizes, bundle->mutable_lots()); !s.ok()) return s;
  bundle->set_rounds(rounds);
  bundle->set_ceiling_microcredits(ceiling_microcredits);
  return absl::OkStatus();
}

void AddBundle(CLI::App* app, BundleArguments& arguments) {
  app->add_option("--bundle", arguments.lots,
                  "RESOURCE=UNITS,... that it holds by a contract, as cpu=50,memory=256MiB: it is "
                  "admitted with that or not at all");
  AddMoney(app, "--ceiling", arguments.ceiling_microcredits,
           "With --bundle: a round of it may cost that, at first and when it is renewed", 1);
  AddWhole(app, "--bundle-rounds", arguments.rounds,
           "With --bundle: after so many rounds it is renewed, at the price of the day; by default "
           "60",
           1, kWholeMax);
}

std::string ContractText(uint64_t contract_id) {
  return contract_id == 0 ? "" : absl::StrCat(", by contract ", contract_id);
}

}  // namespace nom::cli
