// SPDX-License-Identifier: Apache-2.0
// What the engine wants done: its only output.
//
// The engine applies events in memory at once. Everything that is told to anyone (replies, views,
// commands to hosts) is held back by the engine itself until the transactions it rests on are
// durable, so whoever carries effects out can do so without thinking. Transactions must be
// committed in order; if one can't be, the engine's memory is ahead of the truth and the process
// must end.

#ifndef MARKETD_MARKET_EFFECT_H_
#define MARKETD_MARKET_EFFECT_H_

#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "marketd/market/decision.h"
#include "marketd/market/event.h"
#include "marketd/market/host.h"
#include "marketd/market/transaction.h"
#include "marketd/market/view.h"

namespace nom::market {

struct ReplyEffect {
  CallId call_id = 0;
  Reply reply;
};

// What a host thread is to do, in order. Times are absolute: the host thread turns them into
// durations when it gets there.
struct AttachCommand {
  std::vector<Resource> resources;  // For SetResources, after Attach has said yes.
};
struct CreateCommand {
  GuestSpec spec;
};
struct DestroyCommand {
  GuestId guest_id = 0;
};
struct PrepareCommand {
  GrantSet grants;
  absl::Time effective_time;
};
struct ApplyCommand {
  GrantSet grants;
};
struct PublishCommand {
  BoardContents board;  // Its durations are of the times below, its head of when it is told.
  absl::Time valid_until;
  absl::Time close_time;
  absl::Time effective_time;
};

struct HostCommand {
  HostId host_id;
  uint64_t command_id = 0;  // Echoed by HostCommandDone.
  std::variant<AttachCommand, CreateCommand, DestroyCommand, PrepareCommand, ApplyCommand,
               PublishCommand>
      command;
};

// A round whose bids are closed, to be cleared beside the engine: ClearDone is the answer.
struct ClearRequest {
  HostId host_id;
  uint64_t clear_id = 0;
  std::shared_ptr<const RoundSnapshot> snapshot;
};

struct Effects {
  std::vector<Transaction> transactions;
  std::vector<ReplyEffect> replies;
  std::vector<HostCommand> commands;
  std::vector<ClearRequest> clearings;
  std::shared_ptr<const View> view;  // Null: unchanged.
  // When to send the next Tick; InfiniteFuture if never.
  absl::Time next_tick = absl::InfiniteFuture();
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_EFFECT_H_
