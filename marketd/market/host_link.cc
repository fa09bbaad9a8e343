// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/host_link.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace nom::market {
namespace {

// Between tries to attach: the one, doubling up to the other.
constexpr absl::Duration kRetryMin = absl::Milliseconds(100);
constexpr absl::Duration kRetryMax = absl::Seconds(5);

absl::Duration RetryAfter(int failures) {
  return std::min(kRetryMax, kRetryMin * (int64_t{1} << std::min(failures, 10)));
}

}  // namespace

HostLink::HostLink(const HostConfig& config, Send send)
    : config_(config), send_(std::move(send)), resources_(config.resources) {
  // Config may have them in any order; whoever goes through them, and through prices beside, relies
  // on one.
  std::sort(resources_.begin(), resources_.end(),
            [](const Resource& a, const Resource& b) { return a.kind < b.kind; });
}

bool HostLink::Advance(absl::Time now) {
  if (phase_ != Phase::kDetached || now < next_attach_) return false;
  phase_ = Phase::kAttaching;
  SendCommand({PendingCommand::Kind::kAttach}, AttachCommand{resources_});
  return true;
}

absl::Time HostLink::next() const {
  return phase_ == Phase::kDetached ? next_attach_ : absl::InfiniteFuture();
}

absl::Status HostLink::Attached(const HostFacts& facts,
                                const std::function<bool(GuestId)>& is_ours) {
  if (absl::Status s = UseCapacities(facts); !s.ok()) return s;
  failures_ = 0;
  detail_ = facts.detail;
  phase_ = Phase::kRunning;
  sums_ = facts.sums;
  // What was known before is of another link: between the two the machine may have done anything.
  unmanaged_.clear();
  holdings_.Clear();
  for (const HostGuest& guest : facts.guests) {
    if (!is_ours(guest.guest_id)) {
      unmanaged_.push_back(guest);
    } else if (!guest.ended) {
      holdings_.Set(guest.guest_id, guest.holdings);
    }
  }
  return absl::OkStatus();
}

absl::Status HostLink::UseCapacities(const HostFacts& facts) {
  // All or nothing: a machine that lacks one kind leaves those of before as they were.
  std::vector<Resource> in_use = resources_;
  for (Resource& resource : in_use) {
    const auto has = std::find_if(facts.capacities.begin(), facts.capacities.end(),
                                  [&](const auto& c) { return c.first == resource.kind; });
    if (has == facts.capacities.end()) {
      return absl::FailedPreconditionError(
          absl::StrCat("the host has no resource ", static_cast<int>(resource.kind)));
    }
    const int64_t all =
        std::clamp<int64_t>(has->second / resource.unit_size, 0, policies::kUnitsMax);
    const auto configured =
        std::find_if(config_.resources.begin(), config_.resources.end(),
                     [&](const Resource& r) { return r.kind == resource.kind; });
    resource.capacity_units =
        configured->capacity_units == 0 ? all : std::min(all, configured->capacity_units);
  }
  resources_ = std::move(in_use);
  return absl::OkStatus();
}

void HostLink::Detach(absl::Time now, const std::string& why, absl::Duration retry_after) {
  phase_ = Phase::kDetached;
  detail_ = why;
  next_attach_ = now + retry_after;
  // An answer that still comes is of nobody's command (Answered), so that it can not be taken for
  // one of after the next attach.
  pending_.clear();
  creating_.clear();
}

void HostLink::Fail(absl::Time now, const std::string& why) {
  ++failures_;
  Detach(now, why, RetryAfter(failures_));
}

void HostLink::Shift(absl::Duration by) {
  if (next_attach_ != absl::InfinitePast()) next_attach_ += by;
}

void HostLink::Create(GuestSpec spec) {
  const GuestId guest_id = spec.guest_id;
  creating_.insert(guest_id);
  SendCommand({PendingCommand::Kind::kCreate, guest_id}, CreateCommand{std::move(spec)});
}

void HostLink::Destroy(GuestId guest_id) {
  for (const auto& [id, pending] : pending_) {
    // Asked for twice, as by an owner and then the operator: the one command answers both.
    if (pending.kind == PendingCommand::Kind::kDestroy && pending.guest_id == guest_id) return;
  }
  SendCommand({PendingCommand::Kind::kDestroy, guest_id}, DestroyCommand{guest_id});
}

void HostLink::Prepare(GrantSet grants, absl::Time effective) {
  SendCommand({PendingCommand::Kind::kPrepare}, PrepareCommand{std::move(grants), effective});
}

void HostLink::Apply(GrantSet grants) {
  SendCommand({PendingCommand::Kind::kApply}, ApplyCommand{std::move(grants)});
}

void HostLink::Publish(PublishCommand board) {
  SendCommand({PendingCommand::Kind::kPublish}, std::move(board));
}

std::optional<PendingCommand> HostLink::Answered(const HostCommandDone& done) {
  const auto it = pending_.find(done.command_id);
  if (it == pending_.end()) return std::nullopt;
  const PendingCommand pending = it->second;
  pending_.erase(it);
  return pending;
}

void HostLink::UnmanagedEnded(const GuestEnded& ended) {
  for (HostGuest& guest : unmanaged_) {
    if (guest.guest_id != ended.guest_id) continue;
    guest.ended = true;
    guest.exit_reason = ended.reason;
  }
}

void HostLink::SendCommand(PendingCommand pending, decltype(HostCommand::command) command) {
  const uint64_t id = next_command_id_++;
  pending_[id] = pending;
  send_(HostCommand{config_.host_id, id, std::move(command)});
}

}  // namespace nom::market
