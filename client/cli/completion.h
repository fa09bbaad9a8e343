// SPDX-License-Identifier: Apache-2.0
// What a shell offers when Tab is pressed: found in the same tree of commands that parses them, so
// that it can't be out of date.

#ifndef CLIENT_CLI_COMPLETION_H_
#define CLIENT_CLI_COMPLETION_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace CLI {
class App;
}

namespace nom::cli {

// The hidden command that the shells' scripts call: nomctl __complete WORD..., the last word being
// the one at the cursor, perhaps empty. Prints one candidate a line; none: a file is wanted.
inline constexpr char kCompleteCommand[] = "__complete";

// Candidates for the last of `words`, which follow the program's name. May be empty.
std::vector<std::string> Candidates(CLI::App& app, const std::vector<std::string>& words);

// All that could stand where `words` end, for "did you mean": commands, or options if `options`.
std::vector<std::string> KnownWords(CLI::App& app, bool options);

// The script for "bash", "zsh" or "fish". Errors: INVALID_ARGUMENT for another shell.
absl::StatusOr<std::string> CompletionScript(absl::string_view shell);

}  // namespace nom::cli

#endif  // CLIENT_CLI_COMPLETION_H_
