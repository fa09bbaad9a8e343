// SPDX-License-Identifier: Apache-2.0
#include "client/cli/completion.h"

#include <algorithm>

#include "CLI/CLI.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "nom/types.h"
#include "policies/clearing/rules.h"

namespace nom::cli {
namespace {

constexpr char kBash[] = R"sh(# Completion of nomctl for bash: source <(nomctl completion bash)
_nomctl() {
  local IFS=$'\n'
  COMPREPLY=($(nomctl __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
  ((${#COMPREPLY[@]})) || COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o filenames -F _nomctl nomctl
)sh";

constexpr char kZsh[] = R"sh(#compdef nomctl
# Completion of nomctl for zsh: nomctl completion zsh >"${fpath[1]}/_nomctl"
_nomctl() {
  local -a candidates
  candidates=("${(@f)$(nomctl __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "$candidates" ]]; then compadd -- "${candidates[@]}"; else _files; fi
}
if [[ "$funcstack[1]" == _nomctl ]]; then _nomctl "$@"; else compdef _nomctl nomctl; fi
)sh";

constexpr char kFish[] = R"sh(# Completion of nomctl for fish: nomctl completion fish | source
function __nomctl_candidates
  set -l typed (commandline -opc) (commandline -ct)
  nomctl __complete $typed[2..-1] 2>/dev/null
end
complete -c nomctl -f -a '(__nomctl_candidates)'
complete -c nomctl -n 'test -z "$(__nomctl_candidates)"' -F
)sh";

std::vector<CLI::App*> SubcommandsOf(CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

CLI::App* Subcommand(CLI::App& app, const std::string& name) {
  for (CLI::App* command : SubcommandsOf(app)) {
    if (command->get_name() == name) return command;
  }
  return nullptr;
}

bool TakesValue(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

// The option that `word` is; also those of the commands above, which take theirs anywhere.
const CLI::Option* FindOption(CLI::App& app, const std::string& word) {
  for (CLI::App* at = &app; at != nullptr; at = at->get_parent()) {
    if (const CLI::Option* option = at->get_option_no_throw(word)) return option;
  }
  return nullptr;
}

std::vector<std::string> ResourceNames() {
  std::vector<std::string> names;
  for (const Resource resource : kAllResources) names.emplace_back(ResourceName(resource));
  return names;
}

// What may be given for an option or a position of that name; empty: anything.
std::vector<std::string> ValuesOf(const std::string& name) {
  if (name == "resource" || name == "kind") return ResourceNames();
  if (name == "shell") return {"bash", "zsh", "fish"};
  if (name == "rule") {
    std::vector<std::string> names = {"all"};
    for (const policies::RuleInfo& rule : policies::Rules()) names.emplace_back(rule.name);
    return names;
  }
  return {};
}

}  // namespace

std::vector<std::string> KnownWords(CLI::App& app, bool options) {
  std::vector<std::string> known;
  if (!options) {
    for (CLI::App* command : SubcommandsOf(app)) known.push_back(command->get_name());
    return known;
  }
  for (CLI::App* at = &app; at != nullptr; at = at->get_parent()) {
    for (const CLI::Option* option : at->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        if (std::find(known.begin(), known.end(), "--" + name) == known.end()) {
          known.push_back("--" + name);
        }
      }
    }
  }
  return known;
}

std::vector<std::string> Candidates(CLI::App& app, const std::vector<std::string>& words) {
  const std::string typed = words.empty() ? "" : words.back();
  CLI::App* at = &app;
  const CLI::Option* waits = nullptr;  // For its value.
  size_t positions = 0;
  bool only_commands = false;  // nomctl help COMMAND...
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& word = words[i];
    if (waits != nullptr) {
      waits = nullptr;
    } else if (absl::StartsWith(word, "-")) {
      const CLI::Option* option = FindOption(*at, word);
      if (option != nullptr && TakesValue(*option)) waits = option;
    } else if (CLI::App* command = Subcommand(*at, word)) {
      only_commands = only_commands || word == "help";
      if (word != "help") at = command;
      positions = 0;
    } else {
      ++positions;
    }
  }
  std::vector<std::string> known;
  if (waits != nullptr) {
    known = ValuesOf(waits->get_lnames().empty() ? "" : waits->get_lnames()[0]);
  } else if (absl::StartsWith(typed, "-")) {
    known = KnownWords(*at, /*options=*/true);
  } else {
    known = KnownWords(*at, /*options=*/false);
    if (known.empty() && !only_commands) {
      std::vector<const CLI::Option*> positional;
      for (const CLI::Option* option : at->get_options()) {
        if (option->get_positional()) positional.push_back(option);
      }
      if (positions < positional.size()) known = ValuesOf(positional[positions]->get_name(true));
    }
  }
  std::vector<std::string> candidates;
  for (const std::string& word : known) {
    if (absl::StartsWith(word, typed)) candidates.push_back(word);
  }
  return candidates;
}

absl::StatusOr<std::string> CompletionScript(absl::string_view shell) {
  if (shell == "bash") return std::string(kBash);
  if (shell == "zsh") return std::string(kZsh);
  if (shell == "fish") return std::string(kFish);
  return absl::InvalidArgumentError(
      absl::StrCat("shell \"", shell, "\": one of bash, zsh and fish"));
}

}  // namespace nom::cli
