// SPDX-License-Identifier: Apache-2.0
// nomctl: a market from the command line.

#include <unistd.h>

#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/completion.h"
#include "client/cli/connection.h"
#include "client/cli/errors.h"
#include "client/cli/options.h"
#include "client/cli/screen.h"
#include "client/cli/settings.h"
#include "client/cli/suggest.h"
#include "cmake/build_info/build_info.h"
#include "cmake/standard_files/standard_files.h"

namespace nom::cli {
namespace {

constexpr char kExamples[] = R"(Examples:
  nomctl status                           the market now
  nomctl top                              a live table
  nomctl bid cache memory 16@900 17-64@400 --budget 30000
                                          up to 16 units at 900 micro-credits each a round, and up
                                          to 48 more at 400, for 30000 a round at the most
  nomctl withdraw cache memory
  nomctl quote cache memory=10 --rounds 60
                                          what ten units cost for 60 rounds; nomctl buy takes it
  nomctl rounds --limit 5 --json
  nomctl prices --kind cpu --since 1h     what a unit cost, as a plot; --csv for a spreadsheet
  nomctl statement                        deposits and what was paid, with the balance
  nomctl events --limit 20                who did what
  nomctl tenant create shop --write shop.token
  nomctl token create --read-only --expires 90d --write dashboard.token
  nomctl deposit shop 1.5cr
  nomctl admit --tenant shop --name cache --image cache.elf --seed memory=8 --seed cpu=10
  nomctl backup market.sqlite             the ledger, while the market goes on
  nomctl top --rounds 10 --check          ten rounds, then a verdict
  nomctl clear auction.yaml --rule all    an auction of yours, by every rule
  nomctl help deposit                     more of one command
)";

constexpr char kFooter[] = R"(
Money is micro-credits, as 1500000, or credits, as 1.5cr; numbers are decimal. Quantities are counts
of units (see "unit" in nomctl status). A guest is given by its name, or by its id as id:7.

Where the market is: --target, else NOM_TARGET, else "target = ..." in the config file, else
localhost:7070. Who you are: --token-file, else NOM_TOKEN_FILE, else "token_file = ..."; a file with
the token on one line. TLS, except to this machine: then only if --tls-roots, NOM_TLS_ROOTS or
"tls_roots = ..." is given. A market that asks for a certificate: --tls-cert and --tls-key, or
NOM_TLS_CERT and NOM_TLS_KEY, or "tls_cert = ..." and "tls_key = ...". The config file is
~/.config/nom/nomctl.conf.

On a terminal tables are fitted to it and coloured, unless NO_COLOR is set; elsewhere nothing is cut.
--json prints one style everywhere: snake_case names, numbers as numbers, enums as in the tables.

Ends with 0 if all is well, 1 if a call failed, 2 if the command line, a token file or the config
file is wrong, 3 if a check (status, top --check, audit, clear) found something: for status, a host
that is not connected or prices that are out of date.
)";

constexpr double kTimeoutSecondsDefault = 20;

int Fail(const absl::Status& status, int code) {
  std::cerr << "nomctl: " << status.message() << '\n';
  return code;
}

// What is wrong with a command line that CLI11 refused, and what was probably meant.
std::string Refusal(CLI::App& app, const CLI::ParseError& error) {
  CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands()[0];
  std::string name;
  for (const CLI::App* each = at; each != nullptr; each = each->get_parent()) {
    name = absl::StrCat(each->get_name(), name.empty() ? "" : " ", name);
  }
  for (const std::string& word : app.remaining(/*recurse=*/true)) {
    const bool option = absl::StartsWith(word, "-");
    const std::vector<std::string> known = KnownWords(*at, option);
    if (!option && known.empty()) continue;
    const std::string meant = Closest(word, known);
    return absl::StrCat(option ? "unknown option \"" : "unknown command \"", word, "\"",
                        meant.empty() ? "" : absl::StrCat("; did you mean \"", meant, "\"?"),
                        "\n  What to do: ", name, " --help lists what there is.\n");
  }
  return absl::StrCat(error.what(), "\n  What to do: ", name, " --help says how it is used.\n");
}

// What is said of every command.
struct Globals {
  Settings flags;
  std::string config_file;
  bool json = false;
  double timeout_seconds = kTimeoutSecondsDefault;
};

void AddGlobals(CLI::App& app, Globals& globals) {
  app.set_version_flag("--version", absl::StrCat("nomctl ", BuildText()));
  app.add_option("--target", globals.flags.target, "The market: host:port or unix:PATH");
  app.add_option("--token-file", globals.flags.token_file, "A file with your token");
  app.add_option("--tls-roots", globals.flags.tls_roots,
                 "Certificates to check the market's against");
  app.add_option("--tls-cert", globals.flags.tls_cert,
                 "Your certificate, if the market asks for one");
  app.add_option("--tls-key", globals.flags.tls_key, "The key of your certificate");
  app.add_option("--config", globals.config_file, "Another config file");
  app.add_option_function<std::string>(
         "--timeout",
         [&globals](const std::string& text) {
           globals.timeout_seconds = OrUsage("--timeout", ParseSeconds(text, 0.001, 86'400.0));
         },
         "Seconds that a call may take")
      ->type_name("SECONDS");
  app.add_flag("--json", globals.json, "Print what the market said as JSON");
}

void AddCommands(CLI::App& app, Run& run, LocalRun& local_run) {
  AddMarketCommands(app, run);
  AddPricesCommand(app, run);
  AddStatementCommand(app, run);
  AddTopCommand(app, run);
  AddOperatorCommands(app, run);
  AddTokenCommands(app, run);
  AddContractCommands(app, run);
  AddGuestCommands(app, run);
  AddEventsCommand(app, run);
  AddBackupCommand(app, run);
  AddHostInitCommand(app, local_run);
  AddRunCommands(app, run);
  AddClearCommand(app, run);
  AddLocalCommands(app, local_run);
}

// Runs the command that was chosen, and says what became of it.
int Execute(const Globals& globals, const Run& run, const LocalRun& local_run,
            const std::vector<std::string>& arguments) {
  const bool terminal = isatty(STDOUT_FILENO) != 0;
  const Output out{.data = std::cout,
                   .talk = std::cerr,
                   .json = globals.json,
                   .terminal = terminal && CanDraw(),
                   .keys = terminal && isatty(STDIN_FILENO) != 0,
                   .look = {.width = terminal ? SizeOf(STDOUT_FILENO).columns : 0,
                            .colour = MayColour(STDOUT_FILENO)}};
  absl::StatusOr<int> code = kExitOk;
  std::string target;
  bool has_token = false;
  if (local_run) {
    code = local_run(out);
  } else {
    const absl::StatusOr<Settings> file = LoadSettings(globals.config_file, ProcessEnvironment);
    if (!file.ok()) return Fail(file.status(), kExitUsage);
    const Settings settings = Resolve(globals.flags, ProcessEnvironment, *file);
    absl::StatusOr<Connection> connection =
        Connection::Open(settings, absl::Seconds(globals.timeout_seconds));
    if (!connection.ok()) return Fail(connection.status(), kExitUsage);
    target = connection->target();
    has_token = connection->has_token();
    code = run(*connection, out);
  }
  if (!code.ok()) {
    if (IsUsageError(code.status())) return Fail(code.status(), kExitUsage);
    std::cerr << "nomctl: "
              << Explain({.status = code.status(),
                          .target = target,
                          .has_token = has_token,
                          .arguments = arguments});
    return kExitCallFailed;
  }
  std::cout.flush();
  if (!std::cout) {
    std::cerr << "nomctl: standard output cannot be written\n";
    return kExitCallFailed;
  }
  return *code;
}

int Main(int argc, char** argv) {
  CLI::App app(kExamples, "nomctl");
  app.require_subcommand(1);
  app.fallthrough();
  Globals globals;
  AddGlobals(app, globals);
  Run run;
  LocalRun local_run;
  AddCommands(app, run, local_run);
  app.footer(kFooter);  // Now: commands take over the footer that there is when they are added.
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (!arguments.empty() && arguments[0] == kCompleteCommand) {
    for (const std::string& word : Candidates(app, {arguments.begin() + 1, arguments.end()})) {
      std::cout << word << '\n';
    }
    return kExitOk;
  }
  if (arguments.empty()) {
    std::cerr << app.help();
    return kExitUsage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error, std::cout, std::cerr);
    std::cerr << "nomctl: " << Refusal(app, error);
    return kExitUsage;
  }
  return Execute(globals, run, local_run, arguments);
}

}  // namespace
}  // namespace nom::cli

int main(int argc, char** argv) {
  nom::TakeStandardFiles();
  // What gRPC says of connections is told in words of our own (errors.cc), once.
  ::setenv("GRPC_VERBOSITY", "NONE", /*replace=*/0);
  try {
    return nom::cli::Main(argc, argv);
  } catch (const std::exception& error) {  // Out of memory, or a promise of a library broken.
    std::fprintf(stderr, "nomctl: %s\n", error.what());
    return nom::cli::kExitCallFailed;
  }
}
