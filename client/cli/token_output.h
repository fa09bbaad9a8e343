// SPDX-License-Identifier: Apache-2.0
// What a command does with a token that the market made for it.

#ifndef CLIENT_CLI_TOKEN_OUTPUT_H_
#define CLIENT_CLI_TOKEN_OUTPUT_H_

#include <unistd.h>

#include <optional>
#include <string>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/secret_file.h"

namespace nom::cli {

struct TokenOutput {
  std::string file;         // Where it is written; empty: to standard output.
  bool token_only = false;  // And nothing else.
};

inline void AddTokenOutput(CLI::App* app, TokenOutput& output) {
  app->add_option("--write", output.file,
                  "Write the token to this new file, which its owner alone can read, and print "
                  "none of it");
  app->add_flag("--token-only", output.token_only, "Print the token and nothing else");
}

// Runs `call`, which fills a response that has a token, and puts the token where it was asked for.
// `text` is what is said beside it. Nothing is asked for unless there is a place for the answer.
template <typename Response, typename Call>
absl::StatusOr<int> WithNewToken(const Output& out, const TokenOutput& output,
                                 const std::string& text, const Call& call) {
  std::optional<SecretFile> file;
  if (!output.file.empty()) {
    absl::StatusOr<SecretFile> made = SecretFile::Make(output.file);
    if (!made.ok()) return UsageError(made.status());
    file.emplace(*std::move(made));
  } else if (absl::Status status = CheckNotReadByOthers(STDOUT_FILENO); !status.ok()) {
    return UsageError(status);
  }
  Response response;
  if (absl::Status status = call(response); !status.ok()) return status;
  if (file) {
    if (absl::Status status = file->WriteLine(response.token()); !status.ok()) return status;
    response.clear_token();
    if (output.token_only) return kExitOk;
    return out.Done(response, absl::StrCat(text, "token in ", output.file, "\n"));
  }
  if (output.token_only) {
    out.data << response.token() << '\n';
    return kExitOk;
  }
  out.talk << "The token is shown this once. Keep it in a file that only its owner reads.\n";
  return out.Done(response, absl::StrCat(text, "token ", response.token(), "\n"));
}

}  // namespace nom::cli

#endif  // CLIENT_CLI_TOKEN_OUTPUT_H_
