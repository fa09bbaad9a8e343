// SPDX-License-Identifier: Apache-2.0
// A call of a session under way: its answer is waited for, told, or given up.

#ifndef NOM_ASYNC_CALL_H_
#define NOM_ASYNC_CALL_H_

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace nom {

// Copies mean the same call; it goes on if all are gone. Thread-safe.
template <typename Answer>
class AsyncCall {
 public:
  bool done() const { return state_->done(); }
  // Waits until it is done, at most until its deadline.
  absl::StatusOr<Answer> Wait() const { return state_->Wait(); }
  // Ends it: CANCELLED, if it has no answer yet. What was sent may have been carried out.
  void Cancel() const { state_->Cancel(); }

  // Of the session.
  class State {
   public:
    bool done() const {
      std::lock_guard lock(mutex_);
      return answer_.has_value();
    }
    absl::StatusOr<Answer> Wait() const {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return answer_.has_value(); });
      return *answer_;
    }
    void Cancel() {
      std::function<void()> cancel;
      {
        std::lock_guard lock(mutex_);
        if (answer_.has_value()) return;
        cancel = cancel_;
      }
      if (cancel) cancel();
    }
    // The first answer counts: true if this was it.
    bool Finish(absl::StatusOr<Answer> answer) {
      std::lock_guard lock(mutex_);
      if (answer_.has_value()) return false;
      answer_ = std::move(answer);
      cancel_ = nullptr;
      changed_.notify_all();
      return true;
    }
    void SetCancel(std::function<void()> cancel) {
      std::lock_guard lock(mutex_);
      if (!answer_.has_value()) cancel_ = std::move(cancel);
    }

   private:
    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    std::optional<absl::StatusOr<Answer>> answer_;
    std::function<void()> cancel_;
  };
  explicit AsyncCall(std::shared_ptr<State> state) : state_(std::move(state)) {}

 private:
  std::shared_ptr<State> state_;
};

// The answer of a call that has none but whether it was done.
struct Done {
  friend bool operator==(const Done&, const Done&) = default;
};

}  // namespace nom

#endif  // NOM_ASYNC_CALL_H_
