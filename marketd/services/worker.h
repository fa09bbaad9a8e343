// SPDX-License-Identifier: Apache-2.0
// One thread for work that may block (reading the ledger), so that no reaction of gRPC does.

#ifndef MARKETD_SERVICES_WORKER_H_
#define MARKETD_SERVICES_WORKER_H_

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace nom::marketd {

// Thread-safe.
class Worker {
 public:
  explicit Worker(size_t queued_max);
  ~Worker();  // Does what is queued first.

  // False, and `job` is dropped, if the queue is full.
  bool Post(std::function<void()> job);

 private:
  void Run();

  const size_t queued_max_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace nom::marketd

#endif  // MARKETD_SERVICES_WORKER_H_
