// SPDX-License-Identifier: Apache-2.0
// Calls to the market that go on by themselves until they have an answer: each is tried again where
// that can help, until its deadline, side by side, and none waits for another.
//
// One thread owns time and begins attempts; what comes back is noted by gRPC's threads.
// Thread-safe.

#ifndef CLIENT_SRC_ERRANDS_H_
#define CLIENT_SRC_ERRANDS_H_

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/src/backoff.h"
#include "client/src/endpoints.h"
#include "nom/clock.h"

namespace nom::client {

// More of them at once are refused.
inline constexpr size_t kErrandsMax = 256;

class Errands {
 public:
  struct Options {
    const Endpoints* endpoints = nullptr;  // These must outlive it.
    SessionClock* clock = nullptr;
    std::function<absl::StatusOr<std::string>()> token;
    absl::Duration attempt_timeout;
    absl::Duration backoff_min;
    absl::Duration backoff_max;
    std::function<double()> random;  // As SessionOptions::random.
  };

  // Begins an attempt, and calls `came_back` once it has ended, from another thread.
  using Attempt = std::function<void(Endpoints::Stub& stub, grpc::ClientContext* context,
                                     std::function<void(grpc::Status)> came_back)>;
  // Called once or several times, without a lock; the first counts. OK: the attempt that came back
  // last brought the answer.
  using Finish = std::function<void(const absl::Status& status)>;

  explicit Errands(Options options);
  ~Errands();
  Errands(const Errands&) = delete;
  Errands& operator=(const Errands&) = delete;

  // `deadline` by the clock's steady time. Its number; 0 if it was refused (and finished so).
  uint64_t Send(Attempt attempt, Finish finish, absl::Duration deadline);
  void Cancel(uint64_t id);
  bool idle() const;
  // Waits until none is under way or the deadline has passed; true if none is.
  bool WaitIdle(absl::Duration deadline);
  // Ends all with CANCELLED, and takes no more.
  void Stop();

 private:
  struct Errand {
    Attempt attempt;
    Finish finish;
    absl::Duration deadline;
    absl::Duration not_before = -absl::InfiniteDuration();
    std::unique_ptr<Backoff> backoff;
    absl::Status last;  // What the attempt before ended with.
    // Of the attempt under way, or that has just come back.
    // The session may connect anew meanwhile. Who lets the last of a channel go waits for gRPC's
    // threads to end: never one of these itself, nor with the lock.
    std::shared_ptr<Endpoints::Stub> stub;
    std::unique_ptr<grpc::ClientContext> context;
    bool in_flight = false;
    bool came_back = false;
    grpc::Status brought;
    // Finished; only an attempt is still to come back.
    bool over = false;
  };
  using Entry = std::shared_ptr<Errand>;

  void Run();
  // Does what is due of one, with the lock, or without it while others are called. False: it is
  // gone.
  bool Step(std::unique_lock<std::mutex>& lock, const Entry& errand, absl::Duration* next);
  void Begin(std::unique_lock<std::mutex>& lock, const Entry& errand);
  void End(std::unique_lock<std::mutex>& lock, const Entry& errand, const absl::Status& status);

  const Options options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::condition_variable idle_;
  std::map<uint64_t, Entry> errands_;
  uint64_t last_id_ = 0;
  bool stopping_ = false;
  int finishing_ = 0;   // Calls of Finish that run, in whatever thread.
  std::thread thread_;  // From the first errand on.
};

}  // namespace nom::client

#endif  // CLIENT_SRC_ERRANDS_H_
