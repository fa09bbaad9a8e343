// SPDX-License-Identifier: Apache-2.0
// The commands of nomctl: what each takes, calls and prints.

#ifndef CLIENT_CLI_COMMANDS_H_
#define CLIENT_CLI_COMMANDS_H_

#include <functional>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli/table.h"
#include "google/protobuf/message.h"

namespace CLI {
class App;  // Declared only: reading CLI11 takes a compiler seconds.
}

namespace nom::cli {

class Connection;

// What nomctl ends with. Documented in --help.
inline constexpr int kExitOk = 0;
inline constexpr int kExitCallFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitCheckFailed = 3;

// Where a command's data and talk go.
struct Output {
  std::ostream& data;
  std::ostream& talk;
  bool json = false;
  bool terminal = false;  // `data` is a terminal: may be redrawn.
  bool keys = false;      // Standard input is one, too.
  Look look;              // How wide and in what colours.

  // One message as JSON (client/cli/json.h), on one line or several.
  absl::Status Json(const google::protobuf::Message& message, bool one_line = false) const;
  // A response that says that something was done: as JSON, or else `text`.
  absl::StatusOr<int> Done(const google::protobuf::Message& response,
                           const std::string& text) const;
};

// A chosen command: returns the exit code, or the Status that the market or the arguments gave.
// INVALID_ARGUMENT from before any call means usage; see UsageError().
using Run = std::function<absl::StatusOr<int>(Connection&, const Output&)>;
// A chosen command that needs no market.
using LocalRun = std::function<absl::StatusOr<int>(const Output&)>;

// Marks an error as the user's, found before anything was sent.
absl::Status UsageError(const absl::Status& status);
bool IsUsageError(const absl::Status& status);

// Each adds its subcommands to `app`; the one given on the command line is left in `run`.
void AddMarketCommands(CLI::App& app, Run& run);  // Also those of AddBidCommands().
void AddBidCommands(CLI::App& app, Run& run);
void AddOperatorCommands(CLI::App& app, Run& run);
void AddTopCommand(CLI::App& app, Run& run);
void AddClearCommand(CLI::App& app, Run& run);
void AddStatementCommand(CLI::App& app, Run& run);
// quote, buy, contracts, offers, sublet, take, withdraw-offer, leave, renew.
void AddContractCommands(CLI::App& app, Run& run);
// tier, tiers, request, quota.
void AddGuestCommands(CLI::App& app, Run& run);
void AddPricesCommand(CLI::App& app, Run& run);
void AddTokenCommands(CLI::App& app, Run& run);
void AddEventsCommand(CLI::App& app, Run& run);
void AddBackupCommand(CLI::App& app, Run& run);
// host init, run. After AddOperatorCommands(), which has `host`.
void AddHostInitCommand(CLI::App& app, LocalRun& local_run);
void AddRunCommands(CLI::App& app, Run& run);
// help, completion, version.
void AddLocalCommands(CLI::App& app, LocalRun& run);

}  // namespace nom::cli

#endif  // CLIENT_CLI_COMMANDS_H_
