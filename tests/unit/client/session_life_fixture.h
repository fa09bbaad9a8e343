// SPDX-License-Identifier: Apache-2.0
// A session and the market that it talks to, in one process and in real time.

#ifndef TESTS_UNIT_CLIENT_SESSION_LIFE_FIXTURE_H_
#define TESTS_UNIT_CLIENT_SESSION_LIFE_FIXTURE_H_

#include <gtest/gtest.h>
#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "nom/session.h"
#include "nom/testing/fake_market.h"
#include "tests/unit/client/sleeps.h"

namespace nom {

// What threads tell each other in a test.
class Shared {
 public:
  // Changes what is shared, or looks at it, and wakes who waits. Looking without the lock would be
  // a race with what a callback writes next: that a message went to the market and back in between
  // is not seen by the thread sanitizer.
  void Do(const std::function<void()>& change) {
    std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }
  void WaitUntil(const std::function<bool()>& so) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, so);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

// Waits for what a session comes to by itself; a test that never gets there ends by its time limit.
inline void Until(const std::function<bool()>& so) {
  while (!so()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

class SessionLifeTest : public ::testing::Test {
 protected:
  SessionLifeTest() { guest_ = market_.AddGuest("cache"); }

  SessionOptions Options() {
    SessionOptions options = market_.Options();
    options.backoff_min = absl::Milliseconds(1);
    options.backoff_max = absl::Milliseconds(20);
    options.random = [] { return 0.0; };  // Renewals are not put off.
    return options;
  }
  std::unique_ptr<Session> Connect(SessionOptions options) {
    absl::StatusOr<std::unique_ptr<Session>> session = Session::Connect(std::move(options));
    EXPECT_TRUE(session.ok()) << session.status();
    return session.ok() ? *std::move(session) : nullptr;
  }
  std::unique_ptr<Session> Connect() { return Connect(Options()); }
  static Bid MemoryBid(int64_t units) {
    return {.resource = Resource::kMemory, .ranges = {{1, units, 100, 100}}};
  }

  testing::FakeMarket market_;
  uint64_t guest_ = 0;
};

}  // namespace nom

#endif  // TESTS_UNIT_CLIENT_SESSION_LIFE_FIXTURE_H_
