// SPDX-License-Identifier: Apache-2.0
// What needs no market: help, completion, version.

#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/completion.h"
#include "client/cli/json.h"
#include "client/cli/suggest.h"
#include "cmake/build_info/build_info.h"

namespace nom::cli {
namespace {

absl::StatusOr<int> Help(CLI::App& app, const Output& out, const std::vector<std::string>& words) {
  CLI::App* at = &app;
  std::string before;  // The names of the commands above.
  for (const std::string& word : words) {
    CLI::App* next = nullptr;
    for (CLI::App* command : at->get_subcommands([](const CLI::App*) { return true; })) {
      if (command->get_name() == word) next = command;
    }
    if (next == nullptr) {
      const std::string meant = Closest(word, KnownWords(*at, /*options=*/false));
      return UsageError(absl::InvalidArgumentError(
          absl::StrCat("unknown command \"", word, "\"",
                       meant.empty() ? "" : absl::StrCat("; did you mean \"", meant, "\"?"))));
    }
    before += (before.empty() ? "" : " ") + at->get_name();
    at = next;
  }
  // The program's own help() would be that of the command that was parsed: of this one.
  out.data << (at == &app ? app.get_formatter()->make_help(&app, app.get_name(),
                                                           CLI::AppFormatMode::Normal)
                          : at->help(before));
  return kExitOk;
}

}  // namespace

void AddLocalCommands(CLI::App& app, LocalRun& run) {
  CLI::App* help = app.add_subcommand("help", "How a command is used");
  auto words = std::make_shared<std::vector<std::string>>();
  help->add_option("command", *words, "The command, as: help tenant create");
  help->callback([&app, &run, words] {
    run = [&app, words](const Output& out) { return Help(app, out, *words); };
  });

  CLI::App* completion =
      app.add_subcommand("completion", "A script that teaches a shell nomctl's words");
  completion->footer(
      "\nExamples:\n"
      "  source <(nomctl completion bash)\n"
      "  nomctl completion zsh >\"${fpath[1]}/_nomctl\"\n"
      "  nomctl completion fish >~/.config/fish/completions/nomctl.fish");
  auto shell = std::make_shared<std::string>();
  completion->add_option("shell", *shell, "bash, zsh or fish")->required();
  completion->callback([&run, shell] {
    run = [shell](const Output& out) -> absl::StatusOr<int> {
      const absl::StatusOr<std::string> script = CompletionScript(*shell);
      if (!script.ok()) return UsageError(script.status());
      out.data << *script;
      return kExitOk;
    };
  });

  app.add_subcommand("version", "Which build this is")->callback([&run] {
    run = [](const Output& out) -> absl::StatusOr<int> {
      if (out.json) {
        out.data << "{\"version\": " << JsonText(BuildVersion())
                 << ", \"commit\": " << JsonText(BuildCommit())
                 << ", \"build\": " << JsonText(BuildKind()) << "}\n";
      } else {
        out.data << "nomctl " << BuildText() << '\n';
      }
      return kExitOk;
    };
  });
}

}  // namespace nom::cli
