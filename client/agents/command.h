// SPDX-License-Identifier: Apache-2.0
// Any program that can be resized by a command: what a person would type.

#ifndef CLIENT_AGENTS_COMMAND_H_
#define CLIENT_AGENTS_COMMAND_H_

#include <string>

#include "client/agents/program.h"

namespace nom::agents {

// Commands run by /bin/sh, with NOM_BYTES (what the program may use) in their environment.
struct CommandOptions {
  std::string resize;  // Ends with 0 when it is done; it is killed when its time is over.
  // Prints two numbers counted up: what was done, and what was offered. Empty: nothing is learnt,
  // and for programs that follow by themselves, such as those that live from page cache.
  std::string work;
};

class Command final : public Program {
 public:
  explicit Command(CommandOptions options) : options_(std::move(options)) {}
  absl::Status Resize(int64_t bytes, absl::Duration timeout) override;
  absl::StatusOr<Work> ReadWork() override;

 private:
  const CommandOptions options_;
};

}  // namespace nom::agents

#endif  // CLIENT_AGENTS_COMMAND_H_
