// SPDX-License-Identifier: Apache-2.0
#include "client/agents/agent.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"

namespace nom::agents {
namespace {

constexpr absl::Duration kRetryInterval = absl::Seconds(1);
constexpr int kMeasurementShare = 10;  // At least so much of a round, one in so many, is measured.

}  // namespace

struct Agent::Shared {
  std::mutex mutex;
  std::optional<Notice> notice;  // The latest of memory that has not taken effect.
};

Agent::Agent(Session& session, Program& program, AgentOptions options,
             std::optional<WorthLearner> learner)
    : session_(session),
      program_(program),
      options_(std::move(options)),
      learner_(std::move(learner)),
      shared_(std::make_shared<Shared>()) {}

absl::StatusOr<std::unique_ptr<Agent>> Agent::Create(Session& session, Program& program,
                                                     AgentOptions options) {
  std::optional<WorthLearner> learner;
  if (options.worth) {
    absl::StatusOr<WorthLearner> made = WorthLearner::Create(*options.worth);
    if (!made.ok()) return made.status();
    learner = *std::move(made);
  }
  std::unique_ptr<Agent> agent(new Agent(session, program, std::move(options), std::move(learner)));
  session.OnNotice([shared = agent->shared_, guest_id = agent->options_.guest_id](const Notice& n) {
    if (n.resource != Resource::kMemory || (guest_id != 0 && n.guest_id != guest_id)) return;
    std::lock_guard lock(shared->mutex);
    shared->notice = n;
    if (n.withdrawn) shared->notice.reset();
  });
  return agent;
}

std::optional<Agent::Held> Agent::LookAtGrant() const {
  Held held;
  for (const Grant& grant : session_.grants(options_.guest_id)) {
    if (grant.resource != Resource::kMemory) continue;
    held.now_units = grant.units();
    held.seed_units = grant.seed_units;
  }
  for (const ResourceState& resource : session_.market().resources) {
    if (resource.resource == Resource::kMemory) held.unit_bytes = resource.unit_size;
  }
  if (held.now_units <= 0 || held.unit_bytes <= 0) return std::nullopt;
  return held;
}

void Agent::Resize(int64_t bytes, absl::Duration timeout, absl::Time now) {
  if (bytes == failed_bytes_ && now < retry_at_) return;
  const bool keeps = bytes == size_bytes_;
  const absl::Status status = keeps ? program_.Keep(bytes) : program_.Resize(bytes, timeout);
  if (keeps && status.ok()) return;
  if (options_.say) {
    options_.say(absl::StrCat(bytes >> 20, " MiB", status.ok() ? "" : ": ", status.message()));
  }
  // What failed is tried again, but not at each step: a try may cost the program much.
  size_bytes_ = status.ok() ? bytes : -1;
  failed_bytes_ = status.ok() ? -1 : bytes;
  retry_at_ = now + kRetryInterval;
}

// Ends one measurement and begins the next. What was measured while a grant changed, or for too
// short a time, says nothing.
void Agent::Measure(int64_t award_units, absl::Time now) {
  const absl::StatusOr<Work> work = program_.ReadWork();
  if (!work.ok() && options_.say) options_.say(std::string(work.status().message()));
  if (work.ok() && measured_work_ && work->done >= measured_work_->done &&
      work->offered >= measured_work_->offered &&
      now - measured_since_ >= session_.market().period / kMeasurementShare) {
    const absl::Status noted = learner_->Note(measured_award_units_,
                                              {.done = work->done - measured_work_->done,
                                               .offered = work->offered - measured_work_->offered},
                                              now - measured_since_);
    if (!noted.ok() && options_.say) options_.say(std::string(noted.message()));
  }
  measured_work_ = work.ok() ? std::optional(*work) : std::nullopt;
  measured_award_units_ = award_units;
  measured_since_ = now;
}

void Agent::PlaceBid() {
  const Prices prices = session_.prices();
  if (prices.stale) return;
  const absl::StatusOr<std::vector<BidRange>> ranges =
      learner_->BidFor(prices, session_.market().period);
  absl::Status status = ranges.status();
  if (ranges.ok()) {
    status =
        session_
            .Bid({.guest_id = options_.guest_id, .resource = Resource::kMemory, .ranges = *ranges})
            .status();
  }
  if (!status.ok() && options_.say) {
    options_.say(absl::StrCat("bid after round ", prices.round_id, ": ", status.message()));
  }
}

void Agent::Step(absl::Time now) {
  const std::optional<Held> held = LookAtGrant();
  if (!held) return;
  int64_t units = held->now_units;
  absl::Duration timeout = options_.grow_timeout;
  {
    std::lock_guard lock(shared_->mutex);
    if (shared_->notice && shared_->notice->effective_time <= now &&
        held->now_units == shared_->notice->units_next) {
      shared_->notice.reset();
    }
    if (shared_->notice && shared_->notice->units_next < units) {
      units = shared_->notice->units_next;
      timeout = std::max(shared_->notice->effective_time - now, absl::Milliseconds(100));
    }
  }
  Resize(units * held->unit_bytes, timeout, now);
  if (!learner_) return;
  const int64_t award_units = held->now_units - held->seed_units;
  const uint64_t round_id = session_.prices().round_id;
  const bool priced = round_id != priced_round_id_;
  if (priced || !measured_work_ || award_units != measured_award_units_) {
    Measure(award_units, now);
  }
  priced_round_id_ = round_id;
  if (priced) PlaceBid();
}

}  // namespace nom::agents
