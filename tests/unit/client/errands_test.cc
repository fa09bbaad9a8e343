// SPDX-License-Identifier: Apache-2.0
// Calls that go on by themselves, in simulated time, to a market that comes back when a test says
// so.

#include "client/src/errands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>
#include <vector>

#include "tests/unit/client/simulated_clock.h"

namespace nom::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Simulated time, of which is seen until when it is waited for.
class WatchedClock final : public SessionClock {
 public:
  absl::Time Wall() const override { return time_.Wall(); }
  absl::Duration Steady() const override { return time_.Steady(); }
  void WaitUntil(std::unique_lock<std::mutex>& lock, std::condition_variable& condition,
                 absl::Duration deadline) override {
    {
      std::lock_guard own(mutex_);
      deadline_ = deadline;
      ++waits_;
      changed_.notify_all();
    }
    if (only_when_told_) {
      condition.wait(lock);
    } else {
      time_.WaitUntil(lock, condition, deadline);
    }
  }

  void Advance(absl::Duration by) { time_.Advance(by); }
  // From here on nobody who waits comes back without having been told to.
  void WakeOnlyWhenTold() { only_when_told_ = true; }
  // How long from now it is waited, by who has looked at all that was there before this call.
  absl::Duration NextIn() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this, enough = waits_ + 2] { return waits_ >= enough; });
    return deadline_ - time_.Steady();
  }

 private:
  client_test::SimulatedSessionClock time_;
  std::atomic<bool> only_when_told_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  absl::Duration deadline_;
  uint64_t waits_ = 0;
};

class ErrandsTest : public ::testing::Test {
 protected:
  // What is under way of one errand, and what became of it.
  struct Seen {
    std::vector<std::function<void(grpc::Status)>> came_back;
    std::vector<absl::Duration> times;  // That each attempt was given, at most.
    std::vector<absl::Status> finished;
  };

  explicit ErrandsTest(bool connected = true)
      : endpoints_({{.target = "127.0.0.1:1", .plaintext = true}}) {
    if (connected) {
      EXPECT_TRUE(endpoints_.Reopen(/*next=*/false).ok());
    }
    errands_.emplace(Errands::Options{.endpoints = &endpoints_,
                                      .clock = &clock_,
                                      .token =
                                          [this] {
                                            if (on_token_) on_token_();
                                            return token_;
                                          },
                                      .attempt_timeout = absl::Seconds(3),
                                      .backoff_min = absl::Milliseconds(100),
                                      .backoff_max = absl::Milliseconds(300),
                                      .random = [] { return 0.5; }});
  }

  uint64_t Send(Seen& seen, absl::Duration timeout = absl::Seconds(60)) {
    return Send(seen, timeout, [](const absl::Status&) {});
  }
  uint64_t Send(Seen& seen, absl::Duration timeout, Errands::Finish then) {
    return errands_->Send(
        [this, &seen](Endpoints::Stub&, grpc::ClientContext* context,
                      std::function<void(grpc::Status)> came_back) {
          const auto time = context->deadline() - std::chrono::system_clock::now();
          std::lock_guard lock(mutex_);
          seen.times.push_back(absl::FromChrono(time));
          seen.came_back.push_back(std::move(came_back));
          changed_.notify_all();
        },
        [this, &seen, then = std::move(then)](const absl::Status& status) {
          {
            std::lock_guard lock(mutex_);
            seen.finished.push_back(status);
            changed_.notify_all();
          }
          then(status);
        },
        clock_.Steady() + timeout);
  }
  // The latest attempt, once there are so many, comes back.
  void ComeBack(Seen& seen, size_t attempts, grpc::StatusCode code) {
    std::function<void(grpc::Status)> came_back;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return seen.came_back.size() == attempts; });
      came_back = seen.came_back.back();
    }
    came_back(grpc::Status(code, code == grpc::StatusCode::OK ? "" : "said the market"));
  }
  void WaitForAttempts(const Seen& seen, size_t attempts) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return seen.came_back.size() == attempts; });
  }
  std::vector<absl::Status> Finished(const Seen& seen) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !seen.finished.empty(); });
    return seen.finished;
  }

  WatchedClock clock_;
  Endpoints endpoints_;
  absl::StatusOr<std::string> token_ = std::string("token");
  std::function<void()> on_token_;  // Called while it is read.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Errands> errands_;
};

TEST_F(ErrandsTest, WhatMayBeAnsweredLaterIsTriedAgainAfterPausesThatGrow) {
  Seen seen;
  Send(seen);
  ComeBack(seen, 1, grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(clock_.NextIn(), absl::Milliseconds(75));
  clock_.Advance(absl::Milliseconds(74));
  EXPECT_EQ(clock_.NextIn(), absl::Milliseconds(1));
  EXPECT_THAT(seen.came_back, SizeIs(1)) << "not before";
  clock_.Advance(absl::Milliseconds(1));
  ComeBack(seen, 2, grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(clock_.NextIn(), absl::Milliseconds(150));
  clock_.Advance(absl::Milliseconds(150));
  ComeBack(seen, 3, grpc::StatusCode::CANCELLED);
  EXPECT_EQ(clock_.NextIn(), absl::Milliseconds(225)) << "the most, drawn from its upper half";
  clock_.Advance(absl::Milliseconds(225));
  ComeBack(seen, 4, grpc::StatusCode::OK);
  EXPECT_THAT(Finished(seen), ElementsAre(absl::OkStatus()));
  EXPECT_TRUE(errands_->WaitIdle(absl::InfiniteDuration()));
  EXPECT_THAT(seen.came_back, SizeIs(4));
}

TEST_F(ErrandsTest, AnythingElseIsTheAnswer) {
  for (int code = 1; code <= 16; ++code) {
    if (code == static_cast<int>(grpc::StatusCode::UNAVAILABLE) ||
        code == static_cast<int>(grpc::StatusCode::DEADLINE_EXCEEDED) ||
        code == static_cast<int>(grpc::StatusCode::CANCELLED)) {
      continue;
    }
    Seen seen;
    Send(seen);
    ComeBack(seen, 1, static_cast<grpc::StatusCode>(code));
    EXPECT_THAT(Finished(seen),
                ElementsAre(absl::Status(static_cast<absl::StatusCode>(code), "said the market")));
    EXPECT_TRUE(errands_->WaitIdle(absl::InfiniteDuration()));
    EXPECT_THAT(seen.came_back, SizeIs(1));
  }
}

TEST_F(ErrandsTest, AnAttemptHasItsOwnTimeAndNoMoreThanIsLeft) {
  Seen seen;
  Send(seen, absl::Seconds(10));
  WaitForAttempts(seen, 1);
  EXPECT_LE(seen.times[0], absl::Seconds(3));
  EXPECT_EQ(clock_.NextIn(), absl::Seconds(10)) << "nothing is to be done until then";
  clock_.Advance(absl::Seconds(8));
  ComeBack(seen, 1, grpc::StatusCode::UNAVAILABLE);
  (void)clock_.NextIn();
  clock_.Advance(absl::Seconds(1));
  WaitForAttempts(seen, 2);
  EXPECT_LE(seen.times[1], absl::Seconds(1));
  ComeBack(seen, 2, grpc::StatusCode::OK);
  EXPECT_TRUE(Finished(seen)[0].ok());
}

TEST_F(ErrandsTest, WhenItsTimeIsOverItSaysWhatStoodInTheWay) {
  Seen in_pause;
  Send(in_pause, absl::Milliseconds(110));
  ComeBack(in_pause, 1, grpc::StatusCode::UNAVAILABLE);
  (void)clock_.NextIn();
  clock_.Advance(absl::Milliseconds(75));
  ComeBack(in_pause, 2, grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(clock_.NextIn(), absl::Milliseconds(35)) << "its time is over before the pause";
  clock_.Advance(absl::Milliseconds(35));
  ASSERT_THAT(Finished(in_pause), SizeIs(1));
  EXPECT_TRUE(absl::IsDeadlineExceeded(in_pause.finished[0]));
  EXPECT_THAT(in_pause.finished[0].message(), HasSubstr("last: said the market"));

  Seen under_way;
  const uint64_t id = Send(under_way, absl::Seconds(1));
  WaitForAttempts(under_way, 1);
  clock_.Advance(absl::Seconds(1));
  ASSERT_THAT(Finished(under_way), SizeIs(1));
  EXPECT_TRUE(absl::IsDeadlineExceeded(under_way.finished[0]));
  EXPECT_FALSE(errands_->idle()) << "the attempt is still to come back";
  errands_->Cancel(id);
  ComeBack(under_way, 1, grpc::StatusCode::OK);
  EXPECT_TRUE(errands_->WaitIdle(absl::InfiniteDuration()));
  EXPECT_THAT(under_way.finished, SizeIs(1)) << "the first that it was told counts";

  Seen never;
  Send(never, absl::ZeroDuration());
  EXPECT_TRUE(absl::IsDeadlineExceeded(Finished(never)[0]));
  EXPECT_THAT(never.came_back, IsEmpty());
}

TEST_F(ErrandsTest, OneThatIsCancelledIsOverAtOnce) {
  Seen under_way;
  Seen in_pause;
  const uint64_t first = Send(under_way);
  const uint64_t second = Send(in_pause);
  WaitForAttempts(under_way, 1);
  ComeBack(in_pause, 1, grpc::StatusCode::UNAVAILABLE);
  (void)clock_.NextIn();
  for (const uint64_t id : {first, second, second, second + 1, uint64_t{0}}) errands_->Cancel(id);
  for (const Seen* seen : {&under_way, &in_pause}) {
    ASSERT_THAT(seen->finished, SizeIs(1));
    EXPECT_TRUE(absl::IsCancelled(seen->finished[0]));
  }
  ComeBack(under_way, 1, grpc::StatusCode::OK);
  EXPECT_TRUE(errands_->WaitIdle(absl::InfiniteDuration()));
  EXPECT_THAT(under_way.finished, SizeIs(1));
  EXPECT_THAT(in_pause.came_back, SizeIs(1));
}

TEST_F(ErrandsTest, TheyGoOnSideBySideUpToSoMany) {
  std::vector<Seen> seen(kErrandsMax);
  for (Seen& each : seen) EXPECT_NE(Send(each), 0u);
  for (Seen& each : seen) WaitForAttempts(each, 1);
  Seen more;
  EXPECT_EQ(Send(more), 0u);
  ASSERT_THAT(more.finished, SizeIs(1));
  EXPECT_TRUE(absl::IsResourceExhausted(more.finished[0]));
  // None waits for those before it.
  ComeBack(seen.back(), 1, grpc::StatusCode::OK);
  EXPECT_TRUE(Finished(seen.back())[0].ok());
  EXPECT_FALSE(errands_->WaitIdle(clock_.Steady())) << "the others are under way";
  for (Seen& each : seen) {
    if (&each != &seen.back()) ComeBack(each, 1, grpc::StatusCode::OK);
  }
  EXPECT_TRUE(errands_->WaitIdle(absl::InfiniteDuration()));
  Seen after;
  EXPECT_NE(Send(after), 0u);
  ComeBack(after, 1, grpc::StatusCode::OK);
  EXPECT_TRUE(Finished(after)[0].ok());
}

TEST_F(ErrandsTest, WhoHasNoTokenIsTold) {
  token_ = absl::NotFoundError("token file: it is gone");
  Seen seen;
  Send(seen);
  EXPECT_THAT(Finished(seen), ElementsAre(absl::NotFoundError("token file: it is gone")));
  EXPECT_THAT(seen.came_back, IsEmpty());
}

TEST_F(ErrandsTest, ATokenThatIsSlowToReadHoldsUpNobodyWhoSendsOrCancels) {
  bool is_read = false;
  bool let_go = false;
  on_token_ = [&] {
    std::unique_lock lock(mutex_);
    is_read = true;
    changed_.notify_all();
    changed_.wait(lock, [&] { return let_go; });
  };
  Seen first;
  Seen second;
  const uint64_t id = Send(first);
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return is_read; });
  }
  Send(second);
  errands_->Cancel(id);
  EXPECT_TRUE(absl::IsCancelled(Finished(first)[0]));
  {
    std::lock_guard lock(mutex_);
    let_go = true;
    changed_.notify_all();
  }
  ComeBack(second, 1, grpc::StatusCode::OK);
  EXPECT_TRUE(Finished(second)[0].ok());
  EXPECT_TRUE(errands_->WaitIdle(absl::InfiniteDuration()));
  EXPECT_THAT(first.came_back, IsEmpty()) << "nobody wanted it any more";
}

// Nobody waits any longer than until there is something to do: in this test for ever, if what came
// meanwhile is not looked at.
TEST_F(ErrandsTest, WhatComesWhileAnAnswerIsToldIsNotMissed) {
  clock_.WakeOnlyWhenTold();
  Seen first;
  Seen second;
  Seen third;
  Send(first);
  WaitForAttempts(first, 1);
  Send(second, absl::Seconds(60), [&](const absl::Status&) {
    ComeBack(first, 1, grpc::StatusCode::OK);
    Send(third);
  });
  ComeBack(second, 1, grpc::StatusCode::OK);
  EXPECT_TRUE(Finished(first)[0].ok());
  WaitForAttempts(third, 1);
  std::thread market([&] { ComeBack(third, 1, grpc::StatusCode::OK); });
  EXPECT_TRUE(errands_->WaitIdle(absl::InfiniteDuration()));
  market.join();
}

TEST_F(ErrandsTest, TheEndIsToldToAllAndWaitsForThoseThatAreUnderWayAndForWhoTells) {
  Seen under_way;
  Seen in_pause;
  Seen cancelled;
  std::atomic<bool> let_go{false};
  std::atomic<bool> stopped{false};
  Send(under_way);
  Send(in_pause);
  const uint64_t id = Send(cancelled, absl::Seconds(60), [&](const absl::Status&) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return let_go.load(); });
    EXPECT_FALSE(stopped) << "it is still being told";
  });
  WaitForAttempts(under_way, 1);
  ComeBack(in_pause, 1, grpc::StatusCode::UNAVAILABLE);
  WaitForAttempts(cancelled, 1);
  (void)clock_.NextIn();
  std::thread cancels([&] { errands_->Cancel(id); });
  (void)Finished(cancelled);
  std::thread stops([&] {
    errands_->Stop();
    stopped = true;
  });
  for (const Seen* seen : {&under_way, &in_pause}) {
    EXPECT_TRUE(absl::IsCancelled(Finished(*seen)[0]));
  }
  EXPECT_FALSE(stopped) << "two attempts are still to come back";
  ComeBack(under_way, 1, grpc::StatusCode::OK);
  ComeBack(cancelled, 1, grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(errands_->WaitIdle(absl::InfiniteDuration()));
  // All are gone; whoever looks after them is still there, if it waits again.
  (void)clock_.NextIn();
  EXPECT_FALSE(stopped) << "it is still being told";
  {
    std::lock_guard lock(mutex_);
    let_go = true;
    changed_.notify_all();
  }
  cancels.join();
  stops.join();
  Seen late;
  EXPECT_EQ(Send(late), 0u);
  ASSERT_THAT(late.finished, SizeIs(1));
  EXPECT_TRUE(absl::IsCancelled(late.finished[0]));
}

class UnconnectedErrandsTest : public ErrandsTest {
 protected:
  UnconnectedErrandsTest() : ErrandsTest(/*connected=*/false) {}
};

TEST_F(UnconnectedErrandsTest, OneThatCannotBeginYetIsTriedAgain) {
  Seen seen;
  Send(seen);
  EXPECT_EQ(clock_.NextIn(), absl::Milliseconds(75));
  clock_.Advance(absl::Milliseconds(75));
  EXPECT_EQ(clock_.NextIn(), absl::Milliseconds(150));
  ASSERT_TRUE(endpoints_.Reopen(/*next=*/false).ok());
  clock_.Advance(absl::Milliseconds(150));
  ComeBack(seen, 1, grpc::StatusCode::OK);
  EXPECT_TRUE(Finished(seen)[0].ok());
}

}  // namespace
}  // namespace nom::client
