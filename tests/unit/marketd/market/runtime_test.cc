// SPDX-License-Identifier: Apache-2.0
// The threads around the engine; run under TSan.

#include "marketd/market/runtime.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/sim/world.h"

namespace nom::market {
namespace {

class FailingLedger : public Ledger {
 public:
  explicit FailingLedger(Ledger& ledger) : ledger_(ledger) {}
  absl::StatusOr<State> Load(const Lead& lead) override { return ledger_.Load(lead); }
  absl::Status Commit(const Lead& lead, absl::Span<const Transaction> transactions) override {
    if (fails) return absl::ResourceExhaustedError("disk full");
    if (busy) {
      ++busy_answers;
      return absl::UnavailableError("locked");
    }
    return ledger_.Commit(lead, transactions);
  }
  LedgerReader& reader() override { return ledger_.reader(); }
  std::atomic<bool> fails{false};
  std::atomic<bool> busy{false};
  std::atomic<int> busy_answers{0};

 private:
  Ledger& ledger_;
};

class RuntimeTest : public testing::Test {
 protected:
  RuntimeTest() {
    ledger_ = *OpenSqliteLedger({.path = directory_.File("ledger"), .sync_to_disk = false});
    failing_ = std::make_unique<FailingLedger>(*ledger_);
    SimulatedHostOptions host = TestHostOptions(3);
    host.clock = &clock_;
    host_ = std::make_unique<SimulatedHost>(host);
  }

  void Start(Runtime::Options options = {}) {
    options.config.hosts = {TestHostConfig("h", absl::Seconds(1))};
    options.poll_interval = absl::Milliseconds(1);
    auto runtime = Runtime::Start(std::move(options), clock_, *failing_, {{"h", host_.get()}});
    ASSERT_TRUE(runtime.ok()) << runtime.status();
    runtime_ = *std::move(runtime);
  }

  Reply Ask(Call call, Caller caller = {.is_operator = true}) {
    auto promise = std::make_shared<std::promise<Reply>>();
    runtime_->Submit(std::move(caller), std::move(call),
                     [promise](const Reply& reply) { promise->set_value(reply); });
    return promise->get_future().get();
  }

  // Moves the clock until `done`; a test that hangs is ended by its runner.
  void RunUntil(const std::function<bool(const View&)>& done) {
    while (!done(*runtime_->view())) {
      clock_.Advance(absl::Milliseconds(20));
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  TempDirectory directory_;
  SimulatedClock clock_;
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<FailingLedger> failing_;
  std::unique_ptr<SimulatedHost> host_;
  std::unique_ptr<Runtime> runtime_;
};

TEST_F(RuntimeTest, RunsAMarket) {
  std::atomic<uint64_t> last_sequence{0};
  std::atomic<bool> in_order{true};
  Runtime::Options options;
  options.on_view = [&](std::shared_ptr<const View> view) {
    if (view->sequence <= last_sequence) in_order = false;
    last_sequence = view->sequence;
  };
  Start(std::move(options));
  RunUntil([](const View& v) { return v.FindHost("h")->connected; });
  ASSERT_TRUE(Ask(CreateTenant{"1", "ann"}).status.ok());
  ASSERT_TRUE(Ask(Deposit{"2", "ann", 1'000'000'000}).status.ok());
  const Reply admitted =
      Ask(AdmitGuest{"3", "h", "ann", "one", "image", "", {{ResourceKind::kMemory, 8}}});
  ASSERT_TRUE(admitted.status.ok()) << admitted.status;
  RunUntil([](const View& v) { return v.FindHost("h")->in_force_round_id >= 5; });
  const auto rounds = ledger_->reader().ListRounds("h", 0, 100);
  ASSERT_TRUE(rounds.ok());
  EXPECT_GE(rounds->size(), 5u);
  EXPECT_TRUE(in_order);
  EXPECT_GT(runtime_->counters().transactions, 5u);
  runtime_->Stop();
  EXPECT_TRUE(absl::IsUnavailable(Ask(Deposit{"4", "ann", 1}).status));
}

TEST_F(RuntimeTest, AnsweredMeansDurable) {
  Start();
  ASSERT_TRUE(Ask(CreateTenant{"1", "ann"}).status.ok());
  constexpr int kThreads = 4;
  constexpr int kCalls = 100;
  std::vector<std::thread> threads;
  std::atomic<int> acknowledged{0};
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this, t, &acknowledged] {
      for (int i = 0; i < kCalls; ++i) {
        if (Ask(Deposit{absl::StrCat(t, "-", i), "ann", 1}).status.ok()) ++acknowledged;
        (void)runtime_->view()->FindTenant("ann");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(acknowledged, kThreads * kCalls);
  EXPECT_EQ(runtime_->view()->FindTenant("ann")->purse.available, kThreads * kCalls);
  runtime_->Stop();
  runtime_.reset();
  const auto state = ledger_->Load({});
  EXPECT_EQ(state->PurseOf("ann").available, kThreads * kCalls);
}

TEST_F(RuntimeTest, StoppingAnswersEverybody) {
  Start();
  ASSERT_TRUE(Ask(CreateTenant{"1", "ann"}).status.ok());
  std::atomic<int> answers{0};
  std::atomic<int64_t> deposited{0};
  for (int i = 0; i < 500; ++i) {
    runtime_->Submit({.is_operator = true}, Deposit{absl::StrCat("d", i), "ann", 1},
                     [&](const Reply& reply) {
                       if (reply.status.ok()) ++deposited;
                       ++answers;
                     });
  }
  runtime_->Stop();
  EXPECT_EQ(answers, 500);
  EXPECT_EQ(ledger_->Load({})->PurseOf("ann").available, deposited);
}

TEST_F(RuntimeTest, AFullQueueRefusesAtOnce) {
  Runtime::Options options;
  options.events_max = 1;
  std::promise<void> release;
  std::shared_future<void> released = release.get_future().share();
  std::atomic<bool> held{false};
  options.on_view = [&held, released](const std::shared_ptr<const View>& view) {
    if (view->FindTenant("ann") == nullptr || held.exchange(true)) return;
    released.wait();  // Holds the engine's thread.
  };
  Start(std::move(options));
  std::atomic<int> refused{0};
  std::atomic<int> answers{0};
  const auto count = [&](const Reply& reply) {
    if (absl::IsResourceExhausted(reply.status)) ++refused;
    ++answers;
  };
  // The host's own events go through the same queue: this one may be refused before it gets in.
  std::atomic<int> turned_away{0};
  for (int asked = 0; !held; std::this_thread::yield()) {
    if (turned_away < asked) continue;
    ++asked;
    runtime_->Submit({.is_operator = true}, CreateTenant{"1", "ann"}, [&](const Reply& reply) {
      if (absl::IsResourceExhausted(reply.status)) ++turned_away;
    });
  }
  for (int i = 0; i < 20; ++i) {
    runtime_->Submit({.is_operator = true}, Deposit{absl::StrCat("d", i), "ann", 1}, count);
  }
  EXPECT_GE(refused, 19);
  release.set_value();
  runtime_->Stop();
  EXPECT_EQ(answers, 20);
}

TEST_F(RuntimeTest, AFailedCommitTellsNobody) {
  std::promise<absl::Status> fatal;
  Runtime::Options options;
  options.on_fatal = [&fatal](absl::Status status) { fatal.set_value(std::move(status)); };
  Start(std::move(options));
  ASSERT_TRUE(Ask(CreateTenant{"1", "ann"}).status.ok());
  failing_->fails = true;
  std::atomic<bool> said_ok{false};
  std::atomic<int> answers{0};
  runtime_->Submit({.is_operator = true}, Deposit{"2", "ann", 5}, [&](const Reply& reply) {
    if (reply.status.ok()) said_ok = true;
    ++answers;
  });
  EXPECT_TRUE(absl::IsResourceExhausted(fatal.get_future().get()));
  EXPECT_EQ(runtime_->view()->FindTenant("ann")->purse.available, 0);
  runtime_->Stop();
  EXPECT_FALSE(said_ok);
  EXPECT_EQ(answers, 1);
}

// Another program holds the ledger's lock: nothing was written, so nothing is lost by waiting.
TEST_F(RuntimeTest, ABusyLedgerIsAskedAgainAndCallsWait) {
  Runtime::Options options;
  options.on_fatal = [](const absl::Status& status) { ADD_FAILURE() << status; };
  Start(std::move(options));
  failing_->busy = true;
  std::promise<Reply> promise;
  runtime_->Submit({.is_operator = true}, CreateTenant{"1", "ann"},
                   [&](const Reply& reply) { promise.set_value(reply); });
  while (failing_->busy_answers < 5) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  LivenessCheck liveness;
  EXPECT_TRUE(liveness.Alive(runtime_->counters()));
  const uint64_t retries = runtime_->counters().commit_retries;
  while (runtime_->counters().commit_retries == retries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_TRUE(liveness.Alive(runtime_->counters())) << "a restart would not help";
  failing_->busy = false;
  EXPECT_TRUE(promise.get_future().get().status.ok());
  EXPECT_GE(runtime_->counters().commit_retries, 5u);
  EXPECT_TRUE(Ask(Deposit{"2", "ann", 5}).status.ok());
}

TEST_F(RuntimeTest, CallsThatWaitedLongForABusyLedgerAreTold) {
  Runtime::Options options;
  options.busy_patience = absl::Milliseconds(50);
  Start(std::move(options));
  ASSERT_TRUE(Ask(CreateTenant{"1", "ann"}).status.ok());
  failing_->busy = true;
  const Reply told = Ask(Deposit{"2", "ann", 5});
  EXPECT_TRUE(absl::IsUnavailable(told.status)) << told.status;
  failing_->busy = false;
  const Reply again = Ask(Deposit{"2", "ann", 5});
  EXPECT_TRUE(again.status.ok()) << again.status;
  EXPECT_EQ(again.account.available, 5) << "once";
  failing_->busy = true;
  EXPECT_TRUE(absl::IsUnavailable(Ask(Deposit{"3", "ann", 5}).status));
  runtime_->Stop();  // Comes back although the ledger is busy still.
}

TEST_F(RuntimeTest, StartSaysWhatIsMissing) {
  Runtime::Options options;
  EXPECT_TRUE(
      absl::IsInvalidArgument(Runtime::Start(std::move(options), clock_, *ledger_, {}).status()));
  Runtime::Options two;
  two.config.hosts = {TestHostConfig("h", absl::Seconds(1))};
  EXPECT_THAT(std::string(Runtime::Start(std::move(two), clock_, *ledger_, {}).status().message()),
              testing::HasSubstr("host h"));
}

TEST(LivenessCheck, SeesAnEngineAndALedgerThatStandStill) {
  LivenessCheck check;
  RuntimeCounters now{.events = 5};
  EXPECT_TRUE(check.Alive(now));
  EXPECT_TRUE(check.Alive(now)) << "nothing to do";
  now.events_queued = 3;
  EXPECT_FALSE(check.Alive(now)) << "and does not do it";
  ++now.events;
  EXPECT_TRUE(check.Alive(now));
  // The engine goes on, and a commit never ends.
  now.committing = true;
  ++now.events;
  EXPECT_TRUE(check.Alive(now));
  ++now.events;
  EXPECT_FALSE(check.Alive(now));
  ++now.events;
  ++now.commits;
  EXPECT_TRUE(check.Alive(now)) << "one ended and another began";
}

}  // namespace
}  // namespace nom::market
