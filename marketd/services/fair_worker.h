// SPDX-License-Identifier: Apache-2.0
// One thread for work of many owners that may block (reading the ledger): nobody's work stands
// behind a heap of another's.
//
// Each owner has a queue of its own, bounded, and the queues take turns; the operator has every
// second turn. So one owner's next job waits for as many jobs as there are owners with work, not
// for as many as there are jobs.

#ifndef MARKETD_SERVICES_FAIR_WORKER_H_
#define MARKETD_SERVICES_FAIR_WORKER_H_

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>

namespace nom::marketd {

// Thread-safe.
class FairWorker {
 public:
  explicit FairWorker(size_t queued_per_owner_max);
  ~FairWorker();  // Does what is queued first.

  // `owner` is "" for the operator. False, and `job` is dropped, if the owner's queue is full.
  bool Post(const std::string& owner, std::function<void()> job);

 private:
  using Jobs = std::deque<std::function<void()>>;
  void Run();
  std::function<void()> TakeLocked();

  const size_t queued_per_owner_max_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Jobs> jobs_;  // No empty ones.
  std::string last_;                  // The tenant that had the last turn.
  bool operators_turn_ = true;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace nom::marketd

#endif  // MARKETD_SERVICES_FAIR_WORKER_H_
