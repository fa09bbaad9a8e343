// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/carry_out.h"

#include <algorithm>
#include <utility>
#include <variant>

namespace nom::market {
namespace {

struct Carrier {
  Host& host;
  absl::Time now;
  const HeadSource& head;
  HostCommandDone& done;

  // Machines are told how long from now: their clocks are their own.
  absl::Duration FromNow(absl::Time t) const { return std::max(t - now, absl::ZeroDuration()); }

  void operator()(const AttachCommand& attach) const {
    host.SetResources(attach.resources);
    absl::StatusOr<HostFacts> facts = host.Attach();
    done.status = facts.status();
    if (facts.ok()) done.facts = *std::move(facts);
  }
  void operator()(const CreateCommand& create) const {
    done.status = host.CreateGuest(create.spec);
  }
  void operator()(const DestroyCommand& destroy) const {
    absl::StatusOr<GuestMeters> meters = host.DestroyGuest(destroy.guest_id);
    done.status = meters.status();
    if (meters.ok()) done.meters = *std::move(meters);
  }
  void operator()(const PrepareCommand& prepare) const {
    done.status = host.Prepare(prepare.grants, FromNow(prepare.effective_time));
  }
  void operator()(const ApplyCommand& apply) const {
    absl::StatusOr<RoundReport> report = host.Apply(apply.grants);
    done.status = report.status();
    if (report.ok()) done.report = *std::move(report);
  }
  void operator()(const PublishCommand& publish) const {
    BoardContents board = publish.board;
    board.valid_for = FromNow(publish.valid_until);
    board.close_in = FromNow(publish.close_time);
    board.effective_in = FromNow(publish.effective_time);
    // As late as can be: it is the newest that is durable.
    if (head) board.head = head();
    done.status = host.Publish(board);
  }
};

}  // namespace

HeadSource HeadOf(Ledger& ledger, const BookId& book_id) {
  return [&reader = ledger.reader(), book_id]() -> ChainHead {
    const auto look = reader.Look(book_id);
    if (!look.ok()) return {};
    absl::StatusOr<ChainHead> head = (*look)->Head();
    return head.ok() ? *std::move(head) : ChainHead{};
  };
}

HostCommandDone CarryOut(Host& host, const HostCommand& command, absl::Time now,
                         const HeadSource& head) {
  HostCommandDone done{.host_id = command.host_id, .command_id = command.command_id};
  std::visit(Carrier{host, now, head, done}, command.command);
  return done;
}

}  // namespace nom::market
