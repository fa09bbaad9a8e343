// nomctl: a market from the command line.

#include <unistd.h>

#include <cctype>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/settings.h"

namespace nom::cli {
namespace {

constexpr char kExamples[] = R"(Examples:
  nomctl status                           the market now
  nomctl top                              a live table
  nomctl bid cache memory 16@900 17-64@400 --budget 30000
                                          up to 16 units at 900 micro-credits each a round, and up
                                          to 48 more at 400, for 30000 a round at the most
  nomctl withdraw cache memory
  nomctl rounds --limit 5 --json
  nomctl tenant create shop --token-only > shop.token
  nomctl admit --tenant shop --name cache --image cache.elf --seed memory=8 --seed cpu=10
  nomctl top --rounds 10 --check          ten rounds, then a verdict
  nomctl clear auction.yaml --rule all    an auction of yours, by every rule
)";

constexpr char kFooter[] = R"(
Money is whole micro-credits; quantities are counts of units (see "unit" in nomctl status).

Where the market is: --target, else NOM_TARGET, else "target = ..." in the config file, else
localhost:7070. Who you are: --token-file, else NOM_TOKEN_FILE, else "token_file = ..."; a file with
the token on one line. TLS, except to this machine: then only if --tls-roots, NOM_TLS_ROOTS or
"tls_roots = ..." is given. A market that asks for a certificate: --tls-cert and --tls-key, or
NOM_TLS_CERT and NOM_TLS_KEY, or "tls_cert = ..." and "tls_key = ...". The config file is
~/.config/nom/nomctl.conf.

Ends with 0 if all is well, 1 if a call failed, 2 if the command line, a token file or the config
file is wrong, 3 if a check (top --check, audit, clear) found something.
)";

std::string Lower(std::string text) {
  for (char& c : text) c = c == '_' ? ' ' : static_cast<char>(std::tolower(c));
  return text;
}

int Fail(const absl::Status& status, int code) {
  std::cerr << "nomctl: " << status.message();
  if (code == kExitCallFailed) {
    std::cerr << " (" << Lower(absl::StatusCodeToString(status.code())) << ")";
  }
  std::cerr << '\n';
  return code;
}

int Main(int argc, char** argv) {
  CLI::App app(kExamples, "nomctl");
  app.footer(kFooter);
  app.require_subcommand(1);
  app.fallthrough();
  Settings flags;
  std::string config_file;
  bool json = false;
  double timeout_seconds = 20;
  app.add_option("--target", flags.target, "The market: host:port or unix:PATH");
  app.add_option("--token-file", flags.token_file, "A file with your token");
  app.add_option("--tls-roots", flags.tls_roots, "Certificates to check the market's against");
  app.add_option("--tls-cert", flags.tls_cert, "Your certificate, if the market asks for one");
  app.add_option("--tls-key", flags.tls_key, "The key of your certificate");
  app.add_option("--config", config_file, "Another config file");
  app.add_option("--timeout", timeout_seconds, "Seconds that a call may take")
      ->check(CLI::Range(0.001, 86'400.0));
  app.add_flag("--json", json, "Print what the market said, as protobuf JSON");
  Run run;
  AddMarketCommands(app, run);
  AddTopCommand(app, run);
  AddOperatorCommands(app, run);
  AddClearCommand(app, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error, std::cout, std::cerr) == 0 ? kExitOk : kExitUsage;
  }

  const absl::StatusOr<Settings> file = LoadSettings(config_file, ProcessEnvironment);
  if (!file.ok()) return Fail(file.status(), kExitUsage);
  const Settings settings = Resolve(flags, ProcessEnvironment, *file);
  absl::StatusOr<Connection> connection =
      Connection::Open(settings, absl::Seconds(timeout_seconds));
  if (!connection.ok()) return Fail(connection.status(), kExitUsage);
  const Output out{
      .data = std::cout, .talk = std::cerr, .json = json, .terminal = isatty(STDOUT_FILENO) != 0};
  const absl::StatusOr<int> code = run(*connection, out);
  if (!code.ok()) {
    if (IsUsageError(code.status())) return Fail(code.status(), kExitUsage);
    return Fail(absl::Status(code.status().code(),
                             absl::StrCat(connection->target(), ": ", code.status().message())),
                kExitCallFailed);
  }
  std::cout.flush();
  if (!std::cout) {
    std::cerr << "nomctl: standard output cannot be written\n";
    return kExitCallFailed;
  }
  return *code;
}

}  // namespace
}  // namespace nom::cli

int main(int argc, char** argv) {
  try {
    return nom::cli::Main(argc, argv);
  } catch (const std::exception& error) {  // Out of memory, or a promise of a library broken.
    std::fprintf(stderr, "nomctl: %s\n", error.what());
    return nom::cli::kExitCallFailed;
  }
}
