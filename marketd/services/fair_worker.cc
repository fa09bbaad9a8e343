// SPDX-License-Identifier: Apache-2.0
#include "marketd/services/fair_worker.h"

#include <utility>

namespace nom::marketd {

FairWorker::FairWorker(size_t queued_per_owner_max)
    : queued_per_owner_max_(queued_per_owner_max), thread_([this] { Run(); }) {}

FairWorker::~FairWorker() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

bool FairWorker::Post(const std::string& owner, std::function<void()> job) {
  {
    std::lock_guard lock(mutex_);
    const auto jobs = jobs_.find(owner);
    if (stopping_ || (jobs != jobs_.end() && jobs->second.size() >= queued_per_owner_max_)) {
      return false;
    }
    jobs_[owner].push_back(std::move(job));
  }
  changed_.notify_all();
  return true;
}

std::function<void()> FairWorker::TakeLocked() {
  const auto operators = jobs_.find("");
  auto next = operators;
  if (operators == jobs_.end() || (!operators_turn_ && jobs_.size() > 1)) {
    next = jobs_.upper_bound(last_);
    if (next == jobs_.end()) next = jobs_.upper_bound("");  // The first tenant again.
    last_ = next->first;
  }
  operators_turn_ = next != operators;
  std::function<void()> job = std::move(next->second.front());
  next->second.pop_front();
  if (next->second.empty()) jobs_.erase(next);
  return job;
}

void FairWorker::Run() {
  for (;;) {
    std::function<void()> job;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      job = TakeLocked();
    }
    job();
  }
}

}  // namespace nom::marketd
