// SPDX-License-Identifier: Apache-2.0
#include "marketd/page/history.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/status/status.h"
#include "marketd/base/log.h"

namespace nom::marketd {
namespace {

// Old rounds are read in pieces with pauses between them: nobody hurries.
constexpr int kRoundsAtOnce = 128;
constexpr std::chrono::milliseconds kPause(20);

}  // namespace

History::History(market::LedgerReader& reader) : reader_(reader), thread_([this] { Run(); }) {}

History::~History() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void History::OnView(std::shared_ptr<const market::View> view) {
  {
    std::lock_guard lock(mutex_);
    view_ = std::move(view);
  }
  changed_.notify_all();
}

History::Rounds History::RoundsOf(const market::HostId& host_id, market::RoundId before_round_id,
                                  size_t count) const {
  Rounds out;
  std::lock_guard lock(mutex_);
  const auto host = hosts_.find(host_id);
  if (host == hosts_.end()) return out;
  const std::deque<PricedRound>& kept = host->second.rounds;
  const auto end = before_round_id == 0
                       ? kept.end()
                       : std::partition_point(kept.begin(), kept.end(), [&](const auto& round) {
                           return round.round_id < before_round_id;
                         });
  const auto below = static_cast<size_t>(end - kept.begin());
  const size_t taken = std::min(count, below);
  out.rounds.assign(end - static_cast<std::ptrdiff_t>(taken), end);
  out.more = taken < below;
  out.complete = host->second.complete;
  return out;
}

std::vector<WorkSample> History::WorkOf(market::GuestId guest_id) const {
  std::lock_guard lock(mutex_);
  const auto work = work_.find(guest_id);
  if (work == work_.end()) return {};
  return {work->second.begin(), work->second.end()};
}

void History::Run() {
  bool older_left = false;
  for (;;) {
    std::shared_ptr<const market::View> view;
    {
      std::unique_lock lock(mutex_);
      const auto woken = [this] { return stopping_ || view_ != nullptr; };
      if (older_left) {
        changed_.wait_for(lock, kPause, woken);
      } else {
        changed_.wait(lock, woken);
      }
      if (stopping_) return;
      view = std::move(view_);
      view_ = nullptr;
    }
    if (view != nullptr) Sample(*view);
    older_left = ReadOlder();
  }
}

void History::Sample(const market::View& view) {
  std::lock_guard lock(mutex_);
  for (const std::shared_ptr<const market::HostView>& host : view.hosts) {
    std::deque<PricedRound>& rounds = hosts_[host->host_id].rounds;
    // What was decided before this process began has no time here: it is read from the ledger.
    if (host->priced_round_id == 0 || host->last_decided_time <= absl::UnixEpoch()) continue;
    if (!rounds.empty() && rounds.back().round_id >= host->priced_round_id) continue;
    rounds.push_back({.round_id = host->priced_round_id,
                      .close_time = host->last_decided_time,
                      .prices = host->prices,
                      .forward = host->forward});
    if (rounds.size() > kRoundsKept) rounds.pop_front();
  }
  std::map<market::GuestId, std::deque<WorkSample>> work;
  for (const std::shared_ptr<const market::GuestView>& guest : view.guests) {
    if (work.size() >= kGuestsKept) break;
    // Who has gone is left behind here.
    std::deque<WorkSample>& samples = work[guest->guest.guest_id];
    if (const auto old = work_.find(guest->guest.guest_id); old != work_.end()) {
      samples = std::move(old->second);
    }
    const market::HostView* const host = view.FindHost(guest->guest.host_id);
    if (host == nullptr || host->in_force_round_id == 0) continue;
    if (!samples.empty() && samples.back().round_id >= host->in_force_round_id) continue;
    samples.push_back({.round_id = host->in_force_round_id,
                       .time = view.time,
                       .work_done = guest->report.work_done,
                       .value_microcredits = guest->report.value_microcredits});
    if (samples.size() > kSamplesKept) samples.pop_front();
  }
  work_ = std::move(work);
}

bool History::ReadOlder() {
  market::HostId host_id;
  market::RoundId before = 0;
  int wanted = 0;
  {
    std::lock_guard lock(mutex_);
    const auto host = std::find_if(hosts_.begin(), hosts_.end(),
                                   [](const auto& entry) { return !entry.second.complete; });
    if (host == hosts_.end()) return false;
    host_id = host->first;
    const std::deque<PricedRound>& kept = host->second.rounds;
    before = kept.empty() ? 0 : kept.front().round_id;
    wanted = static_cast<int>(std::min<size_t>(kRoundsAtOnce, kRoundsKept - kept.size()));
  }
  absl::StatusOr<std::vector<market::Round>> older = std::vector<market::Round>();
  if (wanted > 0) {
    older =
        reader_.ListPrices({.host_id = host_id, .before_round_id = before, .rounds_max = wanted});
  }
  if (!older.ok()) {
    Log(LogLevel::kWarning, "page_history_unread",
        {{"host", host_id}, {"msg", older.status().message()}});
    older = std::vector<market::Round>();  // What there is is shown.
  }
  std::lock_guard lock(mutex_);
  OfHost& host = hosts_[host_id];
  for (market::Round& round : *older) {
    host.rounds.push_front({.round_id = round.round_id,
                            .close_time = round.close_time,
                            .prices = std::move(round.prices),
                            .forward = {}});
  }
  host.complete = older->size() < static_cast<size_t>(wanted) || wanted == 0 || older->empty();
  return true;
}

}  // namespace nom::marketd
