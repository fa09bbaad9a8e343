// SPDX-License-Identifier: Apache-2.0
#include "client/src/errands.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/src/channel.h"
#include "client/src/convert.h"
#include "client/src/threads.h"

namespace nom::client {
namespace {

absl::Status Closed() { return absl::CancelledError("the session is closed"); }

// Where the same may be answered when it is asked again. Not RESOURCE_EXHAUSTED: of contracts that
// says that others were first, which no haste puts right.
// CANCELLED: by a market that ends. An errand that is cancelled here is over before its call is.
bool MayHelpToTryAgain(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsCancelled(status);
}

}  // namespace

Errands::Errands(Options options) : options_(std::move(options)) {}

Errands::~Errands() { Stop(); }

uint64_t Errands::Send(Attempt attempt, Finish finish, absl::Duration deadline) {
  absl::Status refused;
  uint64_t id = 0;
  {
    std::lock_guard lock(mutex_);
    if (stopping_) refused = Closed();
    if (refused.ok() && errands_.size() >= kErrandsMax) {
      refused = absl::ResourceExhaustedError(
          absl::StrCat(kErrandsMax, " calls are under way; wait for some of them"));
    }
    if (refused.ok()) {
      auto errand = std::make_shared<Errand>();
      errand->attempt = std::move(attempt);
      errand->finish = finish;
      errand->deadline = deadline;
      errand->backoff =
          std::make_unique<Backoff>(options_.backoff_min, options_.backoff_max, options_.random);
      id = ++last_id_;
      errands_[id] = std::move(errand);
      if (!thread_.joinable()) thread_ = StartThread([this] { Run(); });
      changed_.notify_all();
    }
  }
  if (!refused.ok()) finish(refused);
  return id;
}

void Errands::Cancel(uint64_t id) {
  std::unique_lock lock(mutex_);
  const auto found = errands_.find(id);
  if (found == errands_.end()) return;
  const Entry errand = found->second;
  End(lock, errand, absl::CancelledError("the call was cancelled"));
}

bool Errands::idle() const {
  std::lock_guard lock(mutex_);
  return errands_.empty();
}

bool Errands::WaitIdle(absl::Duration deadline) {
  std::unique_lock lock(mutex_);
  while (!errands_.empty() && options_.clock->Steady() < deadline) {
    options_.clock->WaitUntil(lock, idle_, deadline);
  }
  return errands_.empty();
}

void Errands::Stop() {
  std::thread thread;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
    thread = std::move(thread_);
  }
  if (thread.joinable()) thread.join();
}

void Errands::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    absl::Duration next = absl::InfiniteDuration();
    std::vector<uint64_t> ids;
    for (const auto& [id, errand] : errands_) ids.push_back(id);
    for (const uint64_t id : ids) {
      const auto found = errands_.find(id);
      if (found == errands_.end()) continue;
      const Entry errand = found->second;
      if (!Step(lock, errand, &next)) errands_.erase(id);
    }
    if (errands_.empty()) idle_.notify_all();
    // Who cancels may still be telling so: what it tells must not go meanwhile.
    if (stopping_ && errands_.empty() && finishing_ == 0) return;
    // What came while the lock was not held is looked at before anything is waited for.
    const bool missed = std::any_of(errands_.begin(), errands_.end(), [&](const auto& entry) {
      return entry.second->came_back || (entry.second->over && !entry.second->in_flight) ||
             (!entry.second->over && stopping_) ||
             std::find(ids.begin(), ids.end(), entry.first) == ids.end();
    });
    if (!missed) options_.clock->WaitUntil(lock, changed_, next);
  }
}

bool Errands::Step(std::unique_lock<std::mutex>& lock, const Entry& errand, absl::Duration* next) {
  if (std::exchange(errand->came_back, false)) {
    errand->context = nullptr;
    lock.unlock();
    errand->stub = nullptr;
    lock.lock();
    const absl::Status status = ToAbsl(errand->brought);
    if (status.ok() || !MayHelpToTryAgain(status)) {
      End(lock, errand, status);
    } else {
      errand->last = status;
      errand->not_before = options_.clock->Steady() + errand->backoff->Next();
    }
  }
  if (!errand->over) {
    const absl::Duration now = options_.clock->Steady();
    if (stopping_) {
      End(lock, errand, Closed());
    } else if (now >= errand->deadline) {
      End(lock, errand,
          absl::DeadlineExceededError(
              errand->last.ok() ? "the market has not answered in time"
                                : absl::StrCat("the market has not answered in time; last: ",
                                               errand->last.message())));
    } else if (!errand->in_flight && now >= errand->not_before) {
      Begin(lock, errand);
    }
  }
  if (errand->over) return errand->in_flight || errand->came_back;
  *next = std::min(*next, errand->deadline);
  if (!errand->in_flight && !errand->came_back) *next = std::min(*next, errand->not_before);
  return true;
}

void Errands::Begin(std::unique_lock<std::mutex>& lock, const Entry& errand) {
  // It may be read from a file, for which nobody who sends or cancels waits.
  lock.unlock();
  const absl::StatusOr<std::string> token = options_.token();
  lock.lock();
  if (errand->over) return;
  if (!token.ok()) {
    End(lock, errand, token.status());
    return;
  }
  const std::shared_ptr<Endpoints::Stub> stub = options_.endpoints->stub();
  if (stub == nullptr) {
    errand->last = absl::UnavailableError("not connected yet");
    errand->not_before = options_.clock->Steady() + errand->backoff->Next();
    return;
  }
  errand->context = std::make_unique<grpc::ClientContext>();
  AddToken(*token, *errand->context);
  const absl::Duration time =
      std::min(options_.attempt_timeout, errand->deadline - options_.clock->Steady());
  errand->context->set_deadline(std::chrono::system_clock::now() +
                                absl::ToChronoMicroseconds(time));
  errand->in_flight = true;
  grpc::ClientContext* const context = errand->context.get();
  errand->stub = stub;
  lock.unlock();
  errand->attempt(*stub, context, [this, errand](grpc::Status status) {
    std::lock_guard back(mutex_);
    errand->brought = std::move(status);
    errand->in_flight = false;
    errand->came_back = true;
    changed_.notify_all();
  });
  // A context that is cancelled just before its call begins ends that all the same.
  lock.lock();
}

void Errands::End(std::unique_lock<std::mutex>& lock, const Entry& errand,
                  const absl::Status& status) {
  if (std::exchange(errand->over, true)) return;
  if (errand->in_flight && errand->context != nullptr) errand->context->TryCancel();
  ++finishing_;
  changed_.notify_all();
  lock.unlock();
  errand->finish(status);
  lock.lock();
  --finishing_;
  changed_.notify_all();
}

}  // namespace nom::client
