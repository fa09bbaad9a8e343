// SPDX-License-Identifier: Apache-2.0
// Several books, each led by a runtime of its own, on one ledger; several hosts in one book. What
// happens to one holds up no other. Run under TSan.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/market/clearing.h"
#include "marketd/market/runtime.h"
#include "tests/sim/world.h"

namespace nom::market {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A gate that is open, or holds whoever comes until it is.
class Gate {
 public:
  void Pass() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    --waiting_;
  }
  void Shut() {
    std::lock_guard lock(mutex_);
    open_ = false;
  }
  void Open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void AwaitWaiting(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this, count] { return waiting_ >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  int waiting_ = 0;
};

// A ledger whose books change hands, as FLEET's database has them: a leader by an older fence than
// the book's is refused. Behind it SQLite, which knows one fence.
class FencedLedger : public Ledger {
 public:
  explicit FencedLedger(Ledger& ledger) : ledger_(ledger) {}

  absl::StatusOr<State> Load(const Lead& lead) override {
    if (!IsCurrent(lead)) return absl::AbortedError("fence is not current");
    return ledger_.Load({.book_id = lead.book_id});
  }
  absl::Status Commit(const Lead& lead, absl::Span<const Transaction> transactions) override {
    GateOf(lead.book_id).Pass();
    if (!IsCurrent(lead)) return absl::AbortedError("fence is not current");
    return ledger_.Commit({.book_id = lead.book_id}, transactions);
  }
  LedgerReader& reader() override { return ledger_.reader(); }

  void Take(const BookId& book_id, uint64_t fence) {
    std::lock_guard lock(mutex_);
    fences_[book_id] = fence;
  }
  Gate& GateOf(const BookId& book_id) {
    std::lock_guard lock(mutex_);
    return gates_[book_id];
  }

 private:
  bool IsCurrent(const Lead& lead) {
    std::lock_guard lock(mutex_);
    return lead.fence == fences_.try_emplace(lead.book_id, 1).first->second;
  }

  Ledger& ledger_;
  std::mutex mutex_;
  std::map<BookId, uint64_t> fences_;
  std::map<BookId, Gate> gates_;
};

// A machine that counts what it is told.
class CountingHost : public Host {
 public:
  explicit CountingHost(Host& host) : host_(host) {}
  absl::StatusOr<HostFacts> Attach() override { return host_.Attach(); }
  void SetResources(absl::Span<const Resource> r) override { host_.SetResources(r); }
  absl::Status CreateGuest(const GuestSpec& spec) override { return host_.CreateGuest(spec); }
  absl::StatusOr<GuestMeters> DestroyGuest(GuestId id) override { return host_.DestroyGuest(id); }
  absl::Status Prepare(const GrantSet& grants, absl::Duration until) override {
    ++told;
    return host_.Prepare(grants, until);
  }
  absl::StatusOr<RoundReport> Apply(const GrantSet& grants) override {
    ++told;
    return host_.Apply(grants);
  }
  absl::Status Publish(const BoardContents& board) override {
    ++told;
    {
      std::lock_guard lock(mutex_);
      heads_.push_back(board.head);
      markets_.insert({board.ledger_id, board.host_id});
    }
    return host_.Publish(board);
  }
  std::vector<HostNews> Poll() override { return host_.Poll(); }

  // That boards have told, in order.
  std::vector<ChainHead> heads() {
    std::lock_guard lock(mutex_);
    return heads_;
  }
  // Whose boards they were: ledger and host.
  std::set<std::pair<std::string, HostId>> markets() {
    std::lock_guard lock(mutex_);
    return markets_;
  }

  std::atomic<int> told{0};

 private:
  Host& host_;
  std::mutex mutex_;
  std::vector<ChainHead> heads_;
  std::set<std::pair<std::string, HostId>> markets_;
};

class RuntimeBooksTest : public testing::Test {
 protected:
  // One host, and the book of its market.
  struct Market {
    std::unique_ptr<SimulatedHost> machine;
    std::unique_ptr<CountingHost> host;
    std::promise<absl::Status> fatal;
    std::unique_ptr<Runtime> runtime;
  };

  RuntimeBooksTest() {
    sqlite_ = *OpenSqliteLedger({.path = directory_.File("ledger"), .sync_to_disk = false});
    ledger_ = std::make_unique<FencedLedger>(*sqlite_);
  }

  void Lead(Market& market, const std::string& name, uint64_t fence = 1) {
    if (market.machine == nullptr) {
      SimulatedHostOptions options = TestHostOptions(3);
      options.clock = &clock_;
      market.machine = std::make_unique<SimulatedHost>(options);
    }
    market.host = std::make_unique<CountingHost>(*market.machine);
    Runtime::Options options;
    options.config.hosts = {TestHostConfig(name, absl::Seconds(1))};
    options.lead = {.book_id = name, .fence = fence};
    options.poll_interval = absl::Milliseconds(1);
    market.fatal = {};
    options.on_fatal = [&market](absl::Status status) { market.fatal.set_value(status); };
    auto runtime =
        Runtime::Start(std::move(options), clock_, *ledger_, {{name, market.host.get()}});
    ASSERT_TRUE(runtime.ok()) << runtime.status();
    market.runtime = *std::move(runtime);
  }
  static std::future<Reply> Post(Market& market, Call call) {
    auto promise = std::make_shared<std::promise<Reply>>();
    market.runtime->Submit({.is_operator = true}, std::move(call),
                           [promise](const Reply& reply) { promise->set_value(reply); });
    return promise->get_future();
  }
  static absl::Status Ask(Market& market, Call call) {
    return Post(market, std::move(call)).get().status;
  }
  static RoundId InForce(const Market& market) {
    return market.runtime->view()->hosts.at(0)->in_force_round_id;
  }
  // Moves the clock until `done`; a test that hangs is ended by its runner.
  void RunUntil(const std::function<bool()>& done) {
    while (!done()) {
      clock_.Advance(absl::Milliseconds(20));
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  void RunRounds(const Market& market, RoundId count) {
    RunUntil([&, until = InForce(market) + count] { return InForce(market) >= until; });
  }

  TempDirectory directory_;
  SimulatedClock clock_;
  std::unique_ptr<Ledger> sqlite_;
  std::unique_ptr<FencedLedger> ledger_;
};

TEST_F(RuntimeBooksTest, AnOldFenceEndsOneBooksEngineAlone) {
  Market one;
  Market two;
  Lead(one, "one");
  Lead(two, "two");
  for (Market* market : {&one, &two}) {
    ASSERT_TRUE(Ask(*market, CreateTenant{"1", "ann"}).ok());
    ASSERT_TRUE(Ask(*market, Deposit{"2", "ann", 1'000}).ok());
    RunRounds(*market, 1);
  }
  ledger_->Take("one", 2);
  const absl::Status refused = Ask(one, Deposit{"3", "ann", 5});
  EXPECT_TRUE(absl::IsUnavailable(refused)) << refused;
  // A round that was due may have been refused before it: then it was never begun.
  EXPECT_THAT(refused.message(), HasSubstr("ended: fence is not current"));
  EXPECT_TRUE(absl::IsAborted(one.fatal.get_future().get()));
  EXPECT_TRUE(absl::IsAborted(one.runtime->ended()));
  const absl::Status closed = Ask(one, Deposit{"4", "ann", 5});
  EXPECT_THAT(closed.message(), HasSubstr("this market has ended: fence is not current"));
  EXPECT_EQ(one.runtime->view()->FindTenant("ann")->purse.available, 1'000) << "nothing was told";

  const int told = one.host->told;
  RunRounds(two, 3);
  // One command may have been under way as the engine ended; three rounds are many.
  EXPECT_LE(one.host->told, told + 1) << "whoever does not lead the book commands no host";
  EXPECT_TRUE(Ask(two, Deposit{"3", "ann", 5}).ok());
  EXPECT_TRUE(two.runtime->ended().ok());

  // Whoever leads it now goes on from what is durable, and with the same machine.
  one.runtime->Stop();
  Lead(one, "one", 2);
  RunRounds(one, 2);
  EXPECT_TRUE(Ask(one, Deposit{"3", "ann", 5}).ok()) << "it was not done before";
  EXPECT_EQ(one.runtime->view()->FindTenant("ann")->purse.available, 1'005);
  EXPECT_GT(one.host->told, 0);
}

TEST_F(RuntimeBooksTest, ACommitThatDoesNotComeBackHoldsUpItsOwnBookAlone) {
  Market one;
  Market two;
  Lead(one, "one");
  Lead(two, "two");
  for (Market* market : {&one, &two}) {
    ASSERT_TRUE(Ask(*market, CreateTenant{"1", "ann"}).ok());
  }
  ledger_->GateOf("one").Shut();
  std::future<Reply> waits = Post(one, Deposit{"2", "ann", 5});
  ledger_->GateOf("one").AwaitWaiting(1);
  RunRounds(two, 3);
  EXPECT_TRUE(Ask(two, Deposit{"2", "ann", 5}).ok());
  EXPECT_EQ(waits.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  EXPECT_TRUE(one.runtime->counters().committing);
  ledger_->GateOf("one").Open();
  EXPECT_TRUE(waits.get().status.ok());
}

TEST_F(RuntimeBooksTest, BoardsTellTheHeadOfTheirOwnBook) {
  Market one;
  Market two;
  Lead(one, "one");
  Lead(two, "two");
  ASSERT_TRUE(Ask(two, CreateTenant{"1", "ann"}).ok());
  RunRounds(one, 3);
  RunRounds(two, 3);
  one.runtime->Stop();
  two.runtime->Stop();
  for (const auto& [book_id, market] : std::map<BookId, Market*>{{"one", &one}, {"two", &two}}) {
    SCOPED_TRACE(book_id);
    std::map<uint64_t, std::string> digests;
    const auto look = *sqlite_->reader().Look(book_id);
    ASSERT_TRUE(look->ReadTransactions(0, 1'000,
                                       [&](const ChainedTransaction& t) {
                                         digests[t.transaction_id] = t.digest;
                                         return absl::OkStatus();
                                       })
                    .ok());
    const std::vector<ChainHead> heads = market->host->heads();
    ASSERT_GE(heads.size(), 3u);
    uint64_t last = 0;
    for (const ChainHead& head : heads) {
      EXPECT_GT(head.transaction_id, 0u);
      EXPECT_GE(head.transaction_id, last);
      last = head.transaction_id;
      EXPECT_EQ(head.digest, digests.at(head.transaction_id));
    }
    const auto view = market->runtime->view();
    const HostView& host = *view->hosts.at(0);
    EXPECT_FALSE(host.ledger_id.empty());
    EXPECT_THAT(market->host->markets(), ElementsAre(std::pair(host.ledger_id, host.host_id)));
  }
}

TEST_F(RuntimeBooksTest, AHostsClearingHoldsUpNoOthersRounds) {
  // More hosts that are slow than there are processors, and one that is not.
  const int slow = static_cast<int>(std::thread::hardware_concurrency()) + 2;
  constexpr int64_t kSlowUnits = 100;
  Gate gate;
  Runtime::Options options;
  options.clear.of_kind = [&gate](const std::string& rule, const policies::Auction& auction,
                                  int64_t work_max) {
    if (auction.capacity_units == kSlowUnits) gate.Pass();
    return ClearByRule(rule, auction, work_max);
  };
  options.poll_interval = absl::Milliseconds(1);
  std::vector<std::unique_ptr<SimulatedHost>> machines;
  std::map<HostId, Host*> hosts;
  for (int i = 0; i <= slow; ++i) {
    const HostId host_id = i == slow ? "quick" : absl::StrCat("slow", i);
    HostConfig config = TestHostConfig(host_id, absl::Seconds(1));
    if (i < slow) config.resources[1].capacity_units = kSlowUnits;
    options.config.hosts.push_back(config);
    SimulatedHostOptions machine = TestHostOptions(static_cast<uint64_t>(i));
    machine.clock = &clock_;
    hosts[host_id] = machines.emplace_back(std::make_unique<SimulatedHost>(machine)).get();
  }
  gate.Shut();
  const auto runtime = *Runtime::Start(std::move(options), clock_, *ledger_, hosts);
  const auto in_force = [&](const HostId& host_id) {
    return runtime->view()->FindHost(host_id)->in_force_round_id;
  };
  RunUntil([&] { return in_force("quick") >= 3; });
  EXPECT_EQ(in_force("slow0"), 0u);
  EXPECT_GT(runtime->view()->FindHost("slow0")->counters.rounds_skipped, 0u);
  gate.AwaitWaiting(slow);
  gate.Open();
  for (int i = 0; i < slow; ++i) {
    RunUntil([&] { return in_force(absl::StrCat("slow", i)) >= 1; });
  }
}

}  // namespace
}  // namespace nom::market
