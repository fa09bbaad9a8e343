// SPDX-License-Identifier: Apache-2.0
// A queue between threads that cannot grow without bound.

#ifndef MARKETD_MARKET_BOUNDED_QUEUE_H_
#define MARKETD_MARKET_BOUNDED_QUEUE_H_

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <utility>

namespace nom::market {

template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(size_t size_max) : size_max_(size_max) {}

  // Moves `item` in. False, and it is untouched, if the queue is full or closed.
  bool TryPush(T& item) {
    std::lock_guard lock(mutex_);
    if (closed_ || items_.size() >= size_max_) return false;
    items_.push_back(std::move(item));
    filled_.notify_one();
    return true;
  }

  // Waits for room. False if the queue is closed.
  bool Push(T&& item) {
    std::unique_lock lock(mutex_);
    emptied_.wait(lock, [this] { return closed_ || items_.size() < size_max_; });
    if (closed_) return false;
    items_.push_back(std::move(item));
    filled_.notify_one();
    return true;
  }

  // All that there is, waiting up to `wait` for the first. Empty: time is up, woken, or closed and
  // drained.
  std::deque<T> PopAll(std::chrono::microseconds wait) {
    std::unique_lock lock(mutex_);
    filled_.wait_for(lock, wait, [this] { return closed_ || woken_ || !items_.empty(); });
    woken_ = false;
    std::deque<T> out = std::exchange(items_, {});
    emptied_.notify_all();
    return out;
  }

  // Makes the present or the next PopAll return.
  void Wake() {
    std::lock_guard lock(mutex_);
    woken_ = true;
    filled_.notify_all();
  }

  // Nothing more comes in; what is in can still be popped.
  void Close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    filled_.notify_all();
    emptied_.notify_all();
  }

  bool closed() const {
    std::lock_guard lock(mutex_);
    return closed_;
  }
  size_t size() const {
    std::lock_guard lock(mutex_);
    return items_.size();
  }

 private:
  const size_t size_max_;
  mutable std::mutex mutex_;
  std::condition_variable filled_;
  std::condition_variable emptied_;
  std::deque<T> items_;
  bool closed_ = false;
  bool woken_ = false;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_BOUNDED_QUEUE_H_
