// SPDX-License-Identifier: Apache-2.0
// A disk that is full or broken, at each thing that is done to it in turn: what was acknowledged is
// there afterwards, what is served is true, and whoever asks is told what is wrong.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>
#include <iostream>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"
#include "marketd/ledger/sqlite/archiver.h"
#include "marketd/ledger/sqlite/keep.h"
#include "marketd/ledger/sqlite/sqlite_ledger.h"
#include "marketd/market/audit.h"
#include "marketd/market/clearing.h"
#include "marketd/market/money.h"
#include "marketd/market/runtime.h"
#include "tests/sanitized.h"
#include "tests/sim/failing_vfs.h"
#include "tests/sim/world.h"

namespace nom::market {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

constexpr Microcredits kDeposit = 1'000;
// From one write that fails to the next that is tried.
constexpr int64_t kStep = kIsSanitized ? 5 : 1;

struct Mode {
  const char* name;
  bool is_full;
  bool for_good;
};
constexpr Mode kModes[] = {
    {"full for good", true, true}, {"broken for good", false, true}, {"broken once", false, false}};
constexpr Mode kBrokenOnce = kModes[2];

class DiskFaults : public testing::Test {
 protected:
  // Thousands of ledgers are made: in memory, where that is to be had, as nothing here is about
  // what a real disk does.
  static void SetUpTestSuite() {
    if (access("/dev/shm", W_OK) == 0) setenv("TMPDIR", "/dev/shm", 1);
  }
  DiskFaults() { disk_.Mend(); }
  ~DiskFaults() override { disk_.Mend(); }

  static DiskFault FaultAt(const Mode& mode, int64_t nth, uint32_t ops = kDiskWrites) {
    return {.ops = ops, .nth = nth, .is_full = mode.is_full, .for_good = mode.for_good};
  }

  // A clear sentence says which ledger, and what is the matter with it.
  static void ExpectSaysWhatIsWrong(const absl::Status& status, const std::string& path) {
    EXPECT_THAT(std::string(status.message()), HasSubstr(path));
    EXPECT_THAT(std::string(status.message()),
                AnyOf(HasSubstr("disk is full"), HasSubstr("disk I/O error"),
                      HasSubstr("unable to open database")));
    EXPECT_FALSE(absl::IsDataLoss(status)) << "nothing is lost: " << status;
  }

  FailingDisk& disk_ = FailingDisk::Get();
};

// What a ledger said it took.
struct Story {
  uint64_t acknowledged = 0;
  uint64_t tried = 0;
  absl::Status wrong;
};

// Two lives of one ledger: each opens it, commits groups of deposits, looks, and closes. Ends at
// the first error.
Story Live(const std::string& path) {
  Story story;
  for (int life = 0; life < 2; ++life) {
    absl::StatusOr<std::unique_ptr<Ledger>> ledger = OpenSqliteLedger({.path = path});
    if (!ledger.ok()) {
      story.wrong = ledger.status();
      return story;
    }
    absl::StatusOr<State> state = (*ledger)->Load({});
    if (!state.ok()) {
      story.wrong = state.status();
      return story;
    }
    for (int group = 0; group < 2; ++group) {
      std::vector<Transaction> transactions;
      for (int i = 0; i < 2; ++i) {
        Scribe scribe(*state, absl::FromUnixSeconds(1'800'000'000), "deposit");
        if (state->tenants.empty()) {
          scribe.Write(PutTenant{{.tenant_id = "alice"}});
        }
        PostDeposit(scribe, "alice", kDeposit);
        // Some of them take many pages.
        scribe.Write(PutRequest{
            {.key = {"alice", absl::StrCat("r-", scribe.transaction_id())},
             .reply = {.status = absl::InternalError(std::string(group == 1 ? 9'000 : 10, 'x'))},
             .transaction_id = scribe.transaction_id()}});
        transactions.push_back(std::move(scribe).Finish());
      }
      story.tried = transactions.back().transaction_id;
      story.wrong = (*ledger)->Commit({}, transactions);
      // Nobody sees what was not written; what was acknowledged everybody sees.
      if (const auto look = (*ledger)->reader().Look(kMarketBook); look.ok()) {
        const absl::StatusOr<ChainHead> head = (*look)->Head();
        if (head.ok()) {
          EXPECT_GE(head->transaction_id, story.acknowledged);
          EXPECT_LE(head->transaction_id, story.tried);
          if (story.wrong.ok()) {
            EXPECT_EQ(head->transaction_id, story.tried);
          }
        }
      }
      if (!story.wrong.ok()) return story;
      story.acknowledged = story.tried;
    }
  }
  return story;
}

void ExpectTrue(const std::string& path, const Story& story) {
  const auto ledger = OpenSqliteLedger({.path = path});
  ASSERT_TRUE(ledger.ok()) << ledger.status();
  const absl::StatusOr<State> state = (*ledger)->Load({});
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_GE(state->last_transaction_id, story.acknowledged) << "what was acknowledged is lost";
  EXPECT_LE(state->last_transaction_id, story.tried);
  EXPECT_EQ(state->PurseOf("alice").available,
            static_cast<Microcredits>(state->last_transaction_id) * kDeposit)
      << "and all of a small ledger is proven when it is loaded";
}

TEST_F(DiskFaults, ALedgerIsMadeWholeOrNotAtAll) {
  const auto open = [](const std::string& path) {
    return OpenSqliteLedger({.path = path}).status();
  };
  int64_t writes = 0;
  {
    const TempDirectory directory;
    disk_.Break({.ops = kDiskWrites});
    ASSERT_TRUE(open(directory.File("ledger")).ok());
    writes = disk_.counted();
  }
  for (const Mode& mode : kModes) {
    for (int64_t nth = 1; nth <= writes && !HasFailure(); nth += kStep) {
      const TempDirectory directory;
      const std::string path = directory.File("ledger");
      disk_.Break(FaultAt(mode, nth));
      const absl::Status status = open(path);
      SCOPED_TRACE(
          absl::StrCat(mode.name, " at ", nth, " of ", writes, ": ", disk_.first_failed()));
      if (!status.ok()) ExpectSaysWhatIsWrong(status, path);
      disk_.Mend();
      EXPECT_TRUE(open(path).ok()) << open(path);
    }
  }
}

TEST_F(DiskFaults, NothingAcknowledgedIsLostAtAnyWrite) {
  // Each run begins with a ledger that is there.
  const TempDirectory made;
  ASSERT_TRUE(OpenSqliteLedger({.path = made.File("ledger")}).ok());
  const auto copy_to = [&made](const std::string& path) {
    std::filesystem::copy_file(made.File("ledger"), path);
  };
  int64_t writes = 0;
  {
    const TempDirectory directory;
    copy_to(directory.File("ledger"));
    disk_.Break({.ops = kDiskWrites});
    const Story story = Live(directory.File("ledger"));
    writes = disk_.counted();
    ASSERT_TRUE(story.wrong.ok()) << story.wrong;
    ASSERT_EQ(story.acknowledged, 8u);
  }
  ASSERT_GT(writes, 50);
  int64_t refused = 0;
  for (const Mode& mode : kModes) {
    for (int64_t nth = 1; nth <= writes && !HasFailure(); nth += kStep) {
      const TempDirectory directory;
      const std::string path = directory.File("ledger");
      copy_to(path);
      disk_.Break(FaultAt(mode, nth));
      const Story story = Live(path);
      SCOPED_TRACE(
          absl::StrCat(mode.name, " at ", nth, " of ", writes, ": ", disk_.first_failed()));
      if (!story.wrong.ok()) {
        ++refused;
        EXPECT_GT(disk_.failed(), 0);
        ExpectSaysWhatIsWrong(story.wrong, path);
      }
      disk_.Mend();
      ExpectTrue(path, story);
    }
  }
  EXPECT_GT(refused, writes / kStep) << "most faults were noticed";
}

TEST_F(DiskFaults, AStartFromADiskThatCannotBeReadSaysSoAndHarmsNothing) {
  const TempDirectory directory;
  const std::string path = directory.File("ledger");
  disk_.Break({.ops = kDiskWrites});
  const Story story = Live(path);
  ASSERT_TRUE(story.wrong.ok()) << story.wrong;
  const auto open_and_load = [&path]() -> absl::Status {
    absl::StatusOr<std::unique_ptr<Ledger>> ledger = OpenSqliteLedger({.path = path});
    return ledger.ok() ? (*ledger)->Load({}).status() : ledger.status();
  };
  const uint32_t ops = kDiskWrites | OpBit(DiskOp::kRead);
  disk_.Break({.ops = ops});
  ASSERT_TRUE(open_and_load().ok());
  const int64_t all = disk_.counted();
  int refused = 0;
  for (int64_t nth = 1; nth <= all && !HasFailure(); nth += kStep) {
    disk_.Break(FaultAt(kBrokenOnce, nth, ops));
    const absl::Status status = open_and_load();
    SCOPED_TRACE(absl::StrCat(nth, " of ", all, ": ", disk_.first_failed()));
    if (!status.ok()) {
      ++refused;
      ExpectSaysWhatIsWrong(status, path);
    }
    disk_.Mend();
  }
  EXPECT_GT(refused, 10 / kStep);
  ExpectTrue(path, story);
}

// The threads around the engine, on such a disk.
class DiskFaultsUnderRuntime : public DiskFaults {
 protected:
  struct Outcome {
    int tried = 0;
    int acknowledged = 0;
    absl::Status fatal;
    Microcredits shown = 0;  // The most that a view showed of what was put in.
  };

  // Deposits, each after the one before was answered, until the market refuses.
  Outcome Run(const std::string& path, const DiskFault& fault) {
    Outcome outcome;
    const std::unique_ptr<Ledger> ledger = *OpenSqliteLedger({.path = path});
    SimulatedClock clock;
    SimulatedHostOptions host_options = TestHostOptions(3);
    host_options.clock = &clock;
    SimulatedHost host(host_options);
    std::mutex mutex;
    absl::Status fatal;
    std::atomic<Microcredits> shown{0};
    Runtime::Options options;
    options.config.hosts = {TestHostConfig("h", absl::Hours(1))};
    options.poll_interval = absl::Milliseconds(1);
    options.on_fatal = [&](const absl::Status& status) {
      std::lock_guard lock(mutex);
      fatal = status;
    };
    options.on_view = [&](const std::shared_ptr<const View>& view) {
      if (const TenantView* alice = view->FindTenant("alice")) shown = alice->purse.available;
    };
    auto runtime = *Runtime::Start(std::move(options), clock, *ledger, {{"h", &host}});
    const auto ask = [&](Call call) {
      auto promise = std::make_shared<std::promise<Reply>>();
      std::future<Reply> answer = promise->get_future();
      runtime->Submit(Caller{.is_operator = true}, std::move(call),
                      [promise](const Reply& reply) { promise->set_value(reply); });
      for (;;) {
        if (answer.wait_for(std::chrono::milliseconds(1)) == std::future_status::ready) {
          return answer.get();
        }
        std::lock_guard lock(mutex);
        if (fatal.ok()) continue;
        return Reply{.status = absl::UnavailableError("the market has ended")};
      }
    };
    EXPECT_TRUE(ask(CreateTenant{.request_id = "t", .tenant_id = "alice"}).status.ok());
    disk_.Break(fault);
    for (int i = 0; i < 4; ++i) {
      ++outcome.tried;
      const Reply reply = ask(Deposit{absl::StrCat("d-", i), "alice", kDeposit});
      if (!reply.status.ok()) break;
      ++outcome.acknowledged;
      EXPECT_EQ(reply.account.available, outcome.acknowledged * kDeposit);
    }
    runtime->Stop();
    outcome.shown = shown;
    outcome.fatal = fatal;
    return outcome;
  }
};

TEST_F(DiskFaultsUnderRuntime, WhoWasAnsweredHasItAndTheRestIsRefused) {
  int64_t writes = 0;
  {
    const TempDirectory directory;
    const Outcome outcome = Run(directory.File("ledger"), {.ops = kDiskWrites});
    writes = disk_.counted();
    ASSERT_EQ(outcome.acknowledged, 4);
    ASSERT_TRUE(outcome.fatal.ok()) << outcome.fatal;
  }
  int ended = 0;
  for (const Mode& mode : kModes) {
    for (int64_t nth = 1; nth <= writes && !HasFailure(); nth += kStep) {
      const TempDirectory directory;
      const std::string path = directory.File("ledger");
      const Outcome outcome = Run(path, FaultAt(mode, nth));
      SCOPED_TRACE(
          absl::StrCat(mode.name, " at ", nth, " of ", writes, ": ", disk_.first_failed()));
      disk_.Mend();
      if (!outcome.fatal.ok()) {
        ++ended;
        ExpectSaysWhatIsWrong(outcome.fatal, path);
      } else {
        EXPECT_EQ(outcome.acknowledged, outcome.tried) << "refused, and nothing was wrong";
      }
      const auto ledger = OpenSqliteLedger({.path = path});
      ASSERT_TRUE(ledger.ok()) << ledger.status();
      const absl::StatusOr<State> state = (*ledger)->Load({});
      ASSERT_TRUE(state.ok()) << state.status();
      const Microcredits is = state->PurseOf("alice").available;
      EXPECT_GE(is, outcome.acknowledged * kDeposit) << "what was acknowledged is lost";
      EXPECT_LE(is, outcome.tried * kDeposit);
      EXPECT_LE(outcome.shown, is) << "what was shown is not true";
    }
  }
  EXPECT_GT(ended, 10 / kStep);
}

// A ledger that is moved to its archive, on such a disk.
class DiskFaultsWhileArchiving : public DiskFaults {
 protected:
  DiskFaultsWhileArchiving() {
    World::Options options;
    options.config.hosts = {TestHostConfig("h", absl::Seconds(1))};
    options.hosts["h"] = TestHostOptions(5);
    World world(options);
    EXPECT_TRUE(world.AskAsOperator(CreateTenant{"1", "ann"}).status.ok());
    EXPECT_TRUE(world.AskAsOperator(Deposit{"2", "ann", 1'000'000'000'000}).status.ok());
    EXPECT_TRUE(world
                    .AskAsOperator(AdmitGuest{
                        "3", "h", "ann", "one", "image", "", {{ResourceKind::kMemory, 8}}})
                    .status.ok());
    world.Run(absl::Seconds(100));
    now_ = world.clock.Now();
    EXPECT_TRUE(BackUpLedger(world.ledger_path(), made_.File("ledger")).ok());
    const auto ledger = *OpenSqliteLedger({.path = made_.File("ledger")});
    rounds_ = *ledger->reader().ListRounds("h", 0, 1'000);
    audit_ = *Audit(ledger->reader(), ClearByRule);
    EXPECT_TRUE(audit_.balanced());
    EXPECT_GT(audit_.transactions, kTransactionsKept + 20);
  }

  // As marketd does, until nothing is left or something fails; then all of it dies.
  absl::Status Archive(const std::string& path) {
    NOM_ASSIGN_OR_RETURN(const auto ledger, OpenSqliteLedger({.path = path}));
    NOM_RETURN_IF_ERROR(ledger->Load({}).status());
    std::mutex writing;
    NOM_ASSIGN_OR_RETURN(const auto archiver,
                         Archiver::Open(path, path + ".archive", true, writing));
    for (;;) {
      NOM_ASSIGN_OR_RETURN(const bool did, archiver->Step(now_ - absl::Seconds(20)));
      if (!did) return absl::OkStatus();
    }
  }

  // Nothing is lost, and nothing is there twice.
  void ExpectAllThere(const std::string& path) {
    const auto ledger = OpenSqliteLedger({.path = path});
    ASSERT_TRUE(ledger.ok()) << ledger.status();
    const absl::Status loaded = (*ledger)->Load({}).status();
    ASSERT_TRUE(loaded.ok()) << loaded;
    const auto rounds = (*ledger)->reader().ListRounds("h", 0, 1'000);
    ASSERT_TRUE(rounds.ok()) << rounds.status();
    EXPECT_EQ(*rounds, rounds_);
    const auto audit = Audit((*ledger)->reader(), ClearByRule);
    ASSERT_TRUE(audit.ok()) << audit.status();
    EXPECT_THAT(audit->findings, testing::IsEmpty());
    EXPECT_EQ(audit->transactions, audit_.transactions);
    EXPECT_EQ(audit->entries, audit_.entries);
    EXPECT_EQ(audit->rounds_replayed, audit_.rounds_replayed);
  }

  const TempDirectory made_;
  absl::Time now_;
  std::vector<Round> rounds_;
  AuditResult audit_;
};

TEST_F(DiskFaultsWhileArchiving, NothingIsLostAndNothingIsThereTwice) {
  int64_t writes = 0;
  {
    const TempDirectory directory;
    const std::string path = directory.File("ledger");
    std::filesystem::copy_file(made_.File("ledger"), path);
    disk_.Break({.ops = kDiskWrites});
    ASSERT_TRUE(Archive(path).ok());
    writes = disk_.counted();
    ExpectAllThere(path);
  }
  ASSERT_GT(writes, 100);
  // Some sixty faults a run (a fifth under sanitizers), not always at the same writes: NOM_SEED, or
  // a new one.
  const char* const given = std::getenv("NOM_SEED");
  const uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::cout << "NOM_SEED=" << seed << std::endl;
  const int64_t stride = std::max<int64_t>(1, kStep * writes / 20);
  int refused = 0;
  for (const Mode& mode : kModes) {
    for (int64_t nth = 1 + static_cast<int64_t>(seed % static_cast<uint64_t>(stride));
         nth <= writes && !HasFailure(); nth += stride) {
      const TempDirectory directory;
      const std::string path = directory.File("ledger");
      std::filesystem::copy_file(made_.File("ledger"), path);
      disk_.Break(FaultAt(mode, nth));
      const absl::Status status = Archive(path);
      SCOPED_TRACE(
          absl::StrCat(mode.name, " at ", nth, " of ", writes, ": ", disk_.first_failed()));
      if (!status.ok()) {
        ++refused;
        ExpectSaysWhatIsWrong(status, path);
      }
      disk_.Mend();
      ExpectAllThere(path);
      const absl::Status again = Archive(path);
      EXPECT_TRUE(again.ok()) << "and it goes on where it was: " << again;
      ExpectAllThere(path);
    }
  }
  EXPECT_GT(refused, 20 / kStep) << "most faults were noticed";
}

// A disk that is full for the archive alone ends nothing.
TEST_F(DiskFaultsUnderRuntime, TheMarketGoesOnWhileItsArchiveCannotBeWritten) {
  const TempDirectory directory;
  const std::string path = directory.File("ledger");
  const std::string archive = directory.File("archive");
  SimulatedClock clock;
  const std::unique_ptr<Ledger> ledger = *OpenSqliteLedger(
      {.path = path, .archive_path = archive, .retention = absl::Seconds(1), .now = [&clock] {
         return clock.Now();
       }});
  absl::StatusOr<State> state = ledger->Load({});
  ASSERT_TRUE(state.ok()) << state.status();
  const auto deposit = [&] {
    Scribe scribe(*state, clock.Now(), "deposit");
    if (state->tenants.empty()) scribe.Write(PutTenant{{.tenant_id = "alice"}});
    PostDeposit(scribe, "alice", kDeposit);
    std::vector<Transaction> group;
    group.push_back(std::move(scribe).Finish());
    clock.Advance(absl::Seconds(1));
    return ledger->Commit({}, group);
  };
  const auto deposit_until = [&](const std::function<bool(const ArchiveFigures&)>& enough) {
    while (!enough(ledger->archive_figures())) {
      ASSERT_TRUE(deposit().ok());
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  };
  disk_.Break({.ops = kDiskWrites, .nth = 1, .is_full = true, .for_good = true, .only = archive});
  for (int i = 0; i < 400; ++i) ASSERT_TRUE(deposit().ok());
  deposit_until([](const ArchiveFigures& figures) { return figures.failures > 1; });
  EXPECT_THAT(disk_.first_failed(), HasSubstr(archive));
  EXPECT_EQ(ledger->archive_figures().rows_moved, 0u);
  disk_.Mend();
  // Whoever holds the archive's lock is as much in the way.
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(archive.c_str(), &other), SQLITE_OK);
  sqlite3_busy_timeout(other, 60'000);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  const ArchiveFigures locked = ledger->archive_figures();
  deposit_until([&](const ArchiveFigures& figures) { return figures.failures > locked.failures; });
  ASSERT_EQ(sqlite3_exec(other, "ROLLBACK", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
  // There is room again.
  deposit_until(
      [&](const ArchiveFigures& figures) { return figures.rows_moved > locked.rows_moved; });
  const auto audit = Audit(ledger->reader(), ClearByRule);
  ASSERT_TRUE(audit.ok()) << audit.status();
  EXPECT_THAT(audit->findings, testing::IsEmpty());
}

}  // namespace
}  // namespace nom::market
