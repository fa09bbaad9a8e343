// SPDX-License-Identifier: Apache-2.0
// The agent beside a program: brings its size to what its guest holds, in time, and bids what its
// work is worth.
//
//   told that memory shrinks     the program is resized at once: it has until the deadline
//   more memory is in force      the program is resized then, never before
//   a round has been priced      what the program did meanwhile is noted, and the next bid placed
//
// An agent that is late, wrong or dead harms its own program only: the host looks at the memory
// that is used, takes what is missing, and ends the guest if it must.

#ifndef CLIENT_AGENTS_AGENT_H_
#define CLIENT_AGENTS_AGENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/agents/program.h"
#include "client/agents/worth.h"
#include "nom/session.h"

namespace nom::agents {

struct AgentOptions {
  uint64_t guest_id = 0;  // 0: the only one of the session.
  // What is learnt and bid; unset: the agent resizes and leaves bids to others.
  std::optional<WorthOptions> worth;
  // What a growth, which nobody waits for, may take.
  absl::Duration grow_timeout = absl::Seconds(10);
  std::function<void(const std::string&)> say;  // One line for people, for each thing done.
};

// One thread.
class Agent {
 public:
  // All outlive it. Errors: INVALID_ARGUMENT of AgentOptions::worth.
  static absl::StatusOr<std::unique_ptr<Agent>> Create(Session& session, Program& program,
                                                       AgentOptions options);

  // Looks once at what has changed and does what is due; returns at once if there is nothing. May
  // take as long as a resize. Call it some times a second.
  void Step(absl::Time now);

  int64_t size_bytes() const { return size_bytes_; }  // The program's, as last asked of it.

 private:
  Agent(Session& session, Program& program, AgentOptions options,
        std::optional<WorthLearner> learner);

  struct Held {
    int64_t now_units = 0;
    int64_t seed_units = 0;
    int64_t unit_bytes = 0;
  };
  std::optional<Held> LookAtGrant() const;
  void Resize(int64_t bytes, absl::Duration timeout, absl::Time now);
  void Measure(int64_t award_units, absl::Time now);
  void PlaceBid();

  Session& session_;
  Program& program_;
  const AgentOptions options_;
  std::optional<WorthLearner> learner_;

  int64_t size_bytes_ = -1;
  int64_t failed_bytes_ = -1;  // What was asked of it last, if that failed; not before:
  absl::Time retry_at_;
  uint64_t priced_round_id_ = 0;
  // What is being measured: since when, with how much, and the counts then.
  absl::Time measured_since_;
  int64_t measured_award_units_ = 0;
  std::optional<Work> measured_work_;

  struct Shared;  // What callbacks of the session leave for Step().
  std::shared_ptr<Shared> shared_;
};

}  // namespace nom::agents

#endif  // CLIENT_AGENTS_AGENT_H_
