// SPDX-License-Identifier: Apache-2.0
// Starting, serving, stopping: exit codes, health, reflection, what is wrong with files and ports.

#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "marketd/ledger/sqlite/sqlite_ledger.h"
#include "marketd/market/transaction.h"
#include "tests/net/http_get.h"
#include "tests/net/sockets.h"
#include "tests/service/market_fixture.h"
#include "tests/service/raw_call.h"

namespace nom::testing {
namespace {

using ::grpc::StatusCode;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr auto kMemory = market_pb::RESOURCE_KIND_MEMORY;
constexpr char kMarketName[] = "nom.market.v1.MarketService";
constexpr char kOperatorsName[] = "nom.operators.v1.OperatorService";

// As a person with a SQLite shell would. Returns the error, or "".
std::string Shell(const std::string& path, const std::string& sql) {
  sqlite3* connection = nullptr;
  EXPECT_EQ(sqlite3_open(path.c_str(), &connection), SQLITE_OK);
  char* error = nullptr;
  sqlite3_exec(connection, sql.c_str(), nullptr, nullptr, &error);
  const std::string out = error == nullptr ? "" : error;
  sqlite3_free(error);
  sqlite3_close(connection);
  return out;
}

class LifecycleTest : public ::testing::Test {
 protected:
  // Runs marketd with this configuration, which it is to refuse.
  Exit Refused(const std::string& config) {
    return RunToEnd({NOM_MARKETD, "--config", dir_.Write("c.yaml", config)});
  }
  const TempDir dir_;
};

TEST_F(LifecycleTest, HelpVersionAndBadUsage) {
  Exit exit = RunToEnd({NOM_MARKETD, "--help"});
  EXPECT_EQ(exit.code, 0);
  EXPECT_THAT(exit.out,
              AllOf(HasSubstr("Examples"), HasSubstr("Exit codes"), HasSubstr("--check")));
  exit = RunToEnd({NOM_MARKETD, "--version"});
  EXPECT_EQ(exit.code, 0);
  EXPECT_THAT(exit.out, HasSubstr("marketd "));
  EXPECT_EQ(RunToEnd({NOM_MARKETD}).code, 2);
  EXPECT_EQ(RunToEnd({NOM_MARKETD, "--frobnicate"}).code, 2);
  exit = RunToEnd({NOM_MARKETD, "--config", "/nonexistent/marketd.yaml"});
  EXPECT_EQ(exit.code, 2);
  EXPECT_THAT(exit.out, HasSubstr("/nonexistent/marketd.yaml: cannot be read"));
}

TEST_F(LifecycleTest, CheckSaysAllThatIsWrongAndTouchesNothing) {
  const std::string good = SampleConfig(dir_);
  Exit exit = RunToEnd({NOM_MARKETD, "--check", "--config", dir_.Write("c.yaml", good)});
  EXPECT_EQ(exit.code, 0) << exit.out;
  EXPECT_FALSE(std::filesystem::exists(dir_.File("ledger.sqlite")));
  const std::string bad =
      absl::StrReplaceAll(good, {{"period_ms: 1000", "perod_ms: 1000"}, {"true", "maybe"}});
  exit = RunToEnd({NOM_MARKETD, "--check", "--config", dir_.Write("c.yaml", bad)});
  EXPECT_EQ(exit.code, 2);
  EXPECT_THAT(exit.out, AllOf(HasSubstr("c.yaml:2:12: plaintext: must be true or false"),
                              HasSubstr(": hosts[0].perod_ms: unknown key"),
                              HasSubstr(": hosts[0].period_ms: missing")));
}

TEST_F(LifecycleTest, TokenFileMustBeThereAndPrivate) {
  const std::string config = SampleConfig(dir_);
  ASSERT_EQ(::chmod(dir_.File("token").c_str(), 0644), 0);
  Exit exit = Refused(config);
  EXPECT_EQ(exit.code, 2);
  EXPECT_THAT(exit.out, HasSubstr("token: others than its owner may use it"));
  ASSERT_EQ(::unlink(dir_.File("token").c_str()), 0);
  exit = Refused(config);
  EXPECT_EQ(exit.code, 2);
  EXPECT_THAT(exit.out, HasSubstr("token: cannot be read"));
}

TEST_F(LifecycleTest, CorruptAndForeignLedgersAreRefusedAndLeftAsTheyAre) {
  const std::string config = SampleConfig(dir_);
  const std::string garbage = "this is no ledger, and long enough not to be an empty file";
  dir_.Write("ledger.sqlite", garbage);
  Exit exit = Refused(config);
  EXPECT_EQ(exit.code, 1);
  EXPECT_THAT(exit.out, AllOf(HasSubstr("cannot start"), HasSubstr("ledger.sqlite")));
  EXPECT_EQ(ReadWholeFile(dir_.File("ledger.sqlite")), garbage);

  // A good ledger, damaged in the middle.
  ASSERT_EQ(::unlink(dir_.File("ledger.sqlite").c_str()), 0);
  {
    MarketdProcess marketd(dir_, config);
    ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
    ASSERT_EQ(marketd.Terminate().code, 0);
  }
  std::string ledger = ReadWholeFile(dir_.File("ledger.sqlite"));
  ASSERT_GT(ledger.size(), 8192u);
  for (size_t i = 4096; i < ledger.size(); ++i) ledger[i] = static_cast<char>(i * 7);
  dir_.Write("ledger.sqlite", ledger);
  exit = Refused(config);
  EXPECT_EQ(exit.code, 3) << "to start again would not help";
  EXPECT_THAT(exit.out, AllOf(HasSubstr("cannot start"), HasSubstr("ledger.sqlite")));
}

TEST_F(LifecycleTest, DamageFoundBehindEndsItAndIsNoReasonToStartAgain) {
  const std::string config = SampleConfig(dir_);
  const std::string path = dir_.File("ledger.sqlite");
  {
    MarketdProcess marketd(dir_, config);
    ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
    const Client op(marketd.grpc_address());
    ASSERT_THAT(CreateTenant(op, "alice", "t", nullptr), Succeeds());
    for (int i = 0; i < 150; ++i) {
      ASSERT_THAT(Deposit(op, "alice", 7, absl::StrCat("d", i)), Succeeds());
    }
    ASSERT_EQ(marketd.Terminate().code, 0);
  }
  // Large enough not to be gone through before it is ready, and not as it was written.
  ASSERT_EQ(Shell(path,
                  "CREATE TABLE filler (bytes); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT"
                  " i + 1 FROM n WHERE i < 10) INSERT INTO filler SELECT zeroblob(1048576) FROM n;"
                  "DROP TRIGGER entries_kept_u;"
                  "UPDATE entries SET amount_microcredits = 8 WHERE transaction_id = 9"),
            "");
  MarketdProcess marketd(dir_, config);
  ASSERT_TRUE(marketd.Start().ok()) << "it is ready at once: " << marketd.Output();
  const Exit exit = marketd.Wait();
  EXPECT_EQ(exit.code, 3) << exit.out;
  EXPECT_THAT(exit.out, AllOf(HasSubstr("event=fatal"), HasSubstr("transaction 9: its digest")));
}

TEST_F(LifecycleTest, OneLedgerOnePortOneMarketd) {
  const std::string config = SampleConfig(dir_);
  MarketdProcess first(dir_, config);
  ASSERT_TRUE(first.Start().ok()) << first.Output();
  Exit exit = Refused(config);
  EXPECT_EQ(exit.code, 1);
  EXPECT_THAT(exit.out, AllOf(HasSubstr("cannot start"), HasSubstr("ledger.sqlite")));

  const TempDir other;
  const std::string same_port = absl::StrReplaceAll(
      SampleConfig(other), {{"\nlisten: 127.0.0.1:0", ""},
                            {"listen: 127.0.0.1:0\nplaintext",
                             absl::StrCat("listen: ", first.grpc_address(), "\nplaintext")}});
  exit = Refused(same_port);
  EXPECT_EQ(exit.code, 1);
  EXPECT_THAT(exit.out, HasSubstr(absl::StrCat("cannot listen on ", first.grpc_address())));
  const std::string same_metrics = absl::StrReplaceAll(
      SampleConfig(other),
      {{"metrics_listen: 127.0.0.1:0", absl::StrCat("metrics_listen: ", first.metrics_address())}});
  exit = Refused(same_metrics);
  EXPECT_EQ(exit.code, 1);
  EXPECT_THAT(exit.out, HasSubstr(absl::StrCat("cannot listen on ", first.metrics_address())));
  const std::string same_page = absl::StrReplaceAll(
      SampleConfig(other),
      {{"metrics_listen: 127.0.0.1:0",
        absl::StrCat("metrics_listen: 127.0.0.1:0\npage_listen: ", first.metrics_address())}});
  exit = Refused(same_page);
  EXPECT_EQ(exit.code, 1);
  EXPECT_THAT(exit.out, HasSubstr(absl::StrCat("cannot listen on ", first.metrics_address())));
  EXPECT_EQ(HealthOf(Client(first.grpc_address()).channel, ""), 1) << "the first goes on";
}

// A backup tool, or somebody's shell, that holds the ledger's lock for longer than calls wait.
TEST_F(LifecycleTest, AForeignLockOnTheLedgerIsWaitedFor) {
  MarketdProcess marketd(dir_);
  ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
  const Client op(marketd.grpc_address());
  ASSERT_THAT(CreateTenant(op, "alice", "t1", nullptr), Succeeds());
  sqlite3* connection = nullptr;
  ASSERT_EQ(sqlite3_open(dir_.File("ledger.sqlite").c_str(), &connection), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(connection, "PRAGMA busy_timeout=60000; BEGIN IMMEDIATE", nullptr, nullptr,
                         nullptr),
            SQLITE_OK);
  EXPECT_THAT(Deposit(op, "alice", 5, "d1"), Fails(StatusCode::UNAVAILABLE, "ledger"))
      << "after ten seconds it is told";
  EXPECT_EQ(HealthOf(op.channel, ""), 1) << "what only reads goes on";
  EXPECT_THAT(HttpGet(marketd.metrics_address(), "/metrics"),
              ::testing::ContainsRegex("\nnom_market_ledger_commit_retries_total [1-9]"))
      << "and it is counted";
  std::thread retry(
      [&] { EXPECT_THAT(Deposit(op, "alice", 5, "d2"), Succeeds()) << "a call waits"; });
  EXPECT_EQ(sqlite3_exec(connection, "ROLLBACK", nullptr, nullptr, nullptr), SQLITE_OK);
  retry.join();
  EXPECT_THAT(Deposit(op, "alice", 5, "d1"), Succeeds());
  operators_pb::AuditResponse audit;
  ASSERT_THAT(Audit(op, &audit), Succeeds());
  EXPECT_EQ(audit.deposits_microcredits(), 10) << "each of them once";
  sqlite3_close(connection);
  const Exit exit = marketd.Terminate();
  EXPECT_EQ(exit.code, 0);
  EXPECT_THAT(exit.out, AllOf(HasSubstr("event=ledger_busy"), HasSubstr("event=ledger_free")));
}

TEST_F(LifecycleTest, ACheckTriesWhatAStartTries) {
  std::filesystem::create_directory(dir_.File("locked.sqlite.lock"));
  for (const auto& [from, to, why] : std::vector<std::tuple<std::string, std::string, std::string>>{
           {"\nmetrics_listen: 127.0.0.1:0", "\nmetrics_listen: 192.0.2.1:9464",
            "cannot listen on 192.0.2.1:9464: Cannot assign requested address"},
           {"listen: 127.0.0.1:0\nplaintext", "listen: unix:/nonexistent/socket\nplaintext",
            "cannot listen on unix:/nonexistent/socket"},
           {dir_.File("ledger.sqlite"), "/nonexistent/ledger.sqlite", "No such file or directory"},
           {dir_.File("ledger.sqlite"), dir_.path(), "is not a file"},
           {dir_.File("ledger.sqlite"), dir_.File("token"), "is not a SQLite database"},
           {dir_.File("ledger.sqlite"), dir_.File("locked.sqlite"), "locked.sqlite.lock"}}) {
    const std::string config = absl::StrReplaceAll(SampleConfig(dir_), {{from, to}});
    Exit exit = RunToEnd({NOM_MARKETD, "--check", "--config", dir_.Write("c.yaml", config)});
    EXPECT_EQ(exit.code, 2);
    EXPECT_THAT(exit.out, HasSubstr(why));
    exit = Refused(config);
    EXPECT_EQ(exit.code, 1);
    EXPECT_THAT(exit.out, HasSubstr(why)) << "and for the same reason";
  }
}

// What it writes then is lost when it ends, and until then it can be moved back.
TEST_F(LifecycleTest, ALedgerThatIsMovedAwayIsToldOf) {
  MarketdProcess marketd(dir_);
  ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
  const auto wait_for = [&](const std::string& event) {
    while (marketd.Output().find("event=" + event) == std::string::npos) ::usleep(10'000);
  };
  std::filesystem::rename(dir_.File("ledger.sqlite"), dir_.File("elsewhere"));
  wait_for("ledger_gone");
  const Client op(marketd.grpc_address());
  EXPECT_THAT(CreateTenant(op, "alice", "t1", nullptr), Succeeds()) << "the market goes on";
  std::filesystem::rename(dir_.File("elsewhere"), dir_.File("ledger.sqlite"));
  wait_for("ledger_back");
  EXPECT_EQ(marketd.Terminate().code, 0);
}

// Each of them is free, and together they are not.
TEST_F(LifecycleTest, ACheckListensOnAllAddressesAtOnce) {
  std::string address;
  { const Socket free_again = ListenOnLoopback(&address); }
  const std::string port = address.substr(address.rfind(':'));
  for (const char* name : {"127.0.0.1", "localhost", "0.0.0.0"}) {
    const std::string config = absl::StrReplaceAll(
        SampleConfig(dir_),
        {{"metrics_listen: 127.0.0.1:0", absl::StrCat("metrics_listen: ", name, port)},
         {"listen: 127.0.0.1:0\nplaintext", absl::StrCat("listen: ", address, "\nplaintext")}});
    const std::string why = absl::StrCat("cannot listen on ", name, port);
    Exit exit = RunToEnd({NOM_MARKETD, "--check", "--config", dir_.Write("c.yaml", config)});
    EXPECT_EQ(exit.code, 2) << name;
    EXPECT_THAT(exit.out, HasSubstr(why));
    exit = Refused(config);
    EXPECT_EQ(exit.code, 1) << name;
    EXPECT_THAT(exit.out, HasSubstr(why));
  }
}

// A page that was asked for and can't be shown is no reason for a market not to start.
TEST_F(LifecycleTest, ACheckReadsThePage) {
  const std::string page = dir_.File("page");
  const std::string config = absl::StrCat(SampleConfig(dir_), "page_listen: 127.0.0.1:0\n",
                                          "page_directory: ", page, "\n");
  const std::vector<std::string> check = {NOM_MARKETD, "--check", "--config",
                                          dir_.Write("c.yaml", config)};
  const auto expect_refused = [&](const std::string& why) {
    const Exit exit = RunToEnd(check);
    EXPECT_EQ(exit.code, 2);
    EXPECT_THAT(exit.out, HasSubstr(absl::StrCat("page_directory: ", page, why)));
  };
  expect_refused(": is not there");
  std::filesystem::create_directory(page);
  expect_refused(": there is no index.html");
  std::filesystem::create_symlink(page + "/self", page + "/self");
  std::filesystem::create_symlink(page + "/self", page + "/assets");
  expect_refused("/assets: cannot be read");
  std::filesystem::remove(page + "/assets");
  dir_.Write("page/index.html", "hello");
  Exit exit = RunToEnd(check);
  EXPECT_EQ(exit.code, 0) << exit.out;
  std::filesystem::remove(page + "/index.html");
  MarketdProcess marketd(dir_, config);
  ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
  EXPECT_THAT(marketd.Output(), HasSubstr("event=page_without_files"));
  // What is nowhere because it was built without npm is told to whoever looks at it.
  exit = RunToEnd({NOM_MARKETD, "--check", "--config",
                   dir_.Write("c.yaml", SampleConfig(dir_) + "page_listen: 127.0.0.1:0\n")});
  EXPECT_EQ(exit.code, 0) << exit.out;
}

// Whoever starts it may have closed what people write to and read from: the log is not sent to a
// caller instead, whose socket would have that number.
TEST_F(LifecycleTest, WithoutStandardFilesNothingElseGetsTheirNumbers) {
  const std::string config = dir_.Write("c.yaml", SampleConfig(dir_));
  const Exit exit = RunToEnd(
      {"/bin/sh", "-c",
       absl::StrCat(NOM_MARKETD, " --config ", config, " --ready-file ", dir_.File("ready"),
                    " <&- >&- 2>&- & p=$!; while kill -0 $p && [ ! -s ", dir_.File("ready"),
                    " ]; do sleep 0.05; done; for n in 0 1 2; do readlink /proc/$p/fd/$n; done; "
                    "kill $p; wait $p; echo ended $?")});
  EXPECT_EQ(exit.out, "/dev/null\n/dev/null\n/dev/null\nended 0\n");
}

TEST_F(LifecycleTest, HealthIsServingUntilTheEnd) {
  MarketdProcess marketd(dir_);
  ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
  const Client client(marketd.grpc_address());
  for (const char* service : {"", kMarketName, kOperatorsName}) {
    EXPECT_EQ(HealthOf(client.channel, service), 1) << service;
  }
  grpc::Status status;
  EXPECT_EQ(HealthOf(client.channel, "no.such.Service", &status), -1);
  EXPECT_THAT(status, Fails(StatusCode::NOT_FOUND, ""));
  EXPECT_EQ(marketd.Terminate().code, 0);
}

TEST_F(LifecycleTest, ReflectionOnlyIfAsked) {
  // ServerReflectionRequest{list_services: "*"}.
  const std::string request = "\x3a\x01*";
  const char* const method = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
  {
    MarketdProcess marketd(dir_);
    ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
    std::string response;
    EXPECT_THAT(
        RawStreamingCall(Client(marketd.grpc_address()).channel, method, request, &response),
        Fails(StatusCode::UNIMPLEMENTED, ""));
  }
  MarketdProcess marketd(dir_, SampleConfig(dir_) + "reflection: true\n");
  ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
  std::string response;
  EXPECT_THAT(RawStreamingCall(Client(marketd.grpc_address()).channel, method, request, &response),
              Succeeds());
  EXPECT_THAT(response, AllOf(HasSubstr(kMarketName), HasSubstr(kOperatorsName)));
}

TEST_F(LifecycleTest, AUnixSocket) {
  const std::string config = absl::StrReplaceAll(
      SampleConfig(dir_), {{"listen: 127.0.0.1:0\nplaintext",
                            absl::StrCat("listen: unix:", dir_.File("socket"), "\nplaintext")}});
  MarketdProcess marketd(dir_, config);
  ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
  EXPECT_EQ(marketd.grpc_address(), absl::StrCat("unix:", dir_.File("socket")));
  const Client client(marketd.grpc_address());
  EXPECT_THAT(CreateTenant(client, "alice", "t1", nullptr), Succeeds());
}

TEST_F(LifecycleTest, GoesOnFromTheLedger) {
  MarketdProcess marketd(dir_);
  ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
  std::string token;
  uint64_t guest_id = 0;
  {
    const Client op(marketd.grpc_address());
    ASSERT_THAT(CreateTenant(op, "alice", "t1", &token), Succeeds());
    ASSERT_THAT(Deposit(op, "alice", 123'456, "d1"), Succeeds());
    ASSERT_THAT(Admit(op, AdmitRequest("alice", "cache"), &guest_id), Succeeds());
    ASSERT_THAT(PlaceBid(op, BidRequest(guest_id, kMemory, 2, 50, "b1")), Succeeds());
  }
  ASSERT_EQ(marketd.Terminate().code, 0);
  ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
  const Client alice(marketd.grpc_address(), token);
  market_pb::ListGuestsResponse guests;
  ASSERT_THAT(alice.market->ListGuests(alice.Context().get(), {}, &guests), Succeeds());
  ASSERT_EQ(guests.guests_size(), 1);
  EXPECT_EQ(guests.guests(0).guest_id(), guest_id);
  // The simulated machine forgot its guests, as one that was switched off would: what was bid for a
  // guest that is no more is no more.
  const Client op(marketd.grpc_address());
  EXPECT_THAT(Deposit(op, "alice", 123'456, "d1"), Succeeds()) << "a retry over the restart";
  operators_pb::AuditResponse audit;
  ASSERT_THAT(Audit(op, &audit), Succeeds());
  EXPECT_TRUE(audit.balanced());
  EXPECT_EQ(audit.deposits_microcredits(), 123'456);
}

TEST_F(LifecycleTest, ShutdownUnderLoadAnswersEverybody) {
  MarketdProcess marketd(dir_);
  ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
  const Client op(marketd.grpc_address());
  ASSERT_THAT(CreateTenant(op, "alice", "t1", nullptr), Succeeds());
  std::atomic<int64_t> acknowledged{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&, caller] {
      const Client client(marketd.grpc_address());
      for (int i = 0;; ++i) {
        const grpc::Status status = Deposit(client, "alice", 1, absl::StrCat("d-", caller, "-", i));
        if (status.ok()) {
          ++acknowledged;
          continue;
        }
        // The server is going, or its end of the line is gone: worth another try, either way.
        EXPECT_THAT(status, Fails(StatusCode::UNAVAILABLE, ""));
        return;
      }
    });
  }
  while (acknowledged < 100) std::this_thread::yield();
  const Exit exit = marketd.Terminate();
  EXPECT_EQ(exit.code, 0) << exit.out;
  for (std::thread& caller : callers) caller.join();
  ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
  const Client again(marketd.grpc_address());
  operators_pb::AuditResponse audit;
  ASSERT_THAT(Audit(again, &audit), Succeeds());
  EXPECT_TRUE(audit.balanced());
  EXPECT_GE(audit.deposits_microcredits(), acknowledged);
  // At most one call of each was cut off between its commit and its answer.
  EXPECT_LE(audit.deposits_microcredits(), acknowledged + 4);
}

TEST_F(LifecycleTest, AMissingMailboxIsToldAndDoesNotStopTheOthers) {
  std::string config = SampleConfig(dir_);
  absl::StrAppend(&config, R"(  - id: metal
    kind: nomhv
    mailbox: )",
                  dir_.File("no-such-mailbox"), R"(
    image_directory: )",
                  dir_.path(), R"(
    period_ms: 1000
    resources:
      - {kind: memory, unit_size: 1048576, rule: uniform_price/1, reserve_unit_price_microcredits: 1}
)");
  MarketdProcess marketd(dir_, config);
  ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
  const Client op(marketd.grpc_address());
  operators_pb::ListHostsResponse hosts;
  // What is wrong is known once it was tried.
  do {
    ASSERT_THAT(op.operators->ListHosts(op.Context().get(), {}, &hosts), Succeeds());
    ASSERT_EQ(hosts.hosts_size(), 2);
  } while (hosts.hosts(0).detail().find("no-such-mailbox") == std::string::npos ||
           !hosts.hosts(1).connected());
  EXPECT_EQ(hosts.hosts(0).host_id(), "metal");
  EXPECT_FALSE(hosts.hosts(0).connected());
  EXPECT_EQ(hosts.hosts(1).host_id(), "sim");
  EXPECT_TRUE(hosts.hosts(1).connected());
  ASSERT_THAT(CreateTenant(op, "alice", "t1", nullptr), Succeeds());
  operators_pb::AdmitGuestRequest admit = AdmitRequest("alice", "cache");
  EXPECT_THAT(Admit(op, admit, nullptr), Succeeds());
  admit.set_host_id("metal");
  admit.set_request_id("a2");
  EXPECT_THAT(Admit(op, admit, nullptr), Fails(StatusCode::UNAVAILABLE, "metal"));
  // Which host, if there are several, must be said.
  market_pb::ListRoundsResponse rounds;
  EXPECT_THAT(op.market->ListRounds(op.Context().get(), {}, &rounds),
              Fails(StatusCode::INVALID_ARGUMENT, "host_id: must be given"));
}

TEST_F(LifecycleTest, AnArchiveThatCannotBeMadeIsSaidByCheckAndAtTheStart) {
  const std::string config =
      absl::StrCat(SampleConfig(dir_), "retention: 30d\narchive: ", dir_.File("no/place"), "\n");
  const Exit check =
      RunToEnd({NOM_MARKETD, "--check", "--config", dir_.Write("check.yaml", config)});
  EXPECT_EQ(check.code, 2);
  EXPECT_THAT(check.out, AllOf(HasSubstr(dir_.File("no/place")), HasSubstr("can't be written")));
  const Exit start = Refused(config);
  EXPECT_EQ(start.code, 1);
  EXPECT_THAT(start.out, HasSubstr(dir_.File("no/place")));
  const std::string good = absl::StrCat(SampleConfig(dir_), "retention: 30d\n");
  EXPECT_EQ(RunToEnd({NOM_MARKETD, "--check", "--config", dir_.Write("good.yaml", good)}).code, 0);
}

// Of a ledger that takes many seconds to go through, which the check behind does meanwhile, too.
TEST_F(LifecycleTest, EndsWithinASecondWhateverIsBeingAudited) {
  {
    const auto ledger =
        market::OpenSqliteLedger({.path = dir_.File("ledger.sqlite"), .sync_to_disk = false});
    ASSERT_TRUE(ledger.ok()) << ledger.status();
    market::State state = *(*ledger)->Load({});
    const market::Account issued{market::kOperator, market::AccountKind::kIssued};
    for (int group = 0; group < 60; ++group) {
      std::vector<market::Transaction> transactions;
      for (int i = 0; i < 1'000; ++i) {
        market::Scribe scribe(state, absl::FromUnixSeconds(1'800'000'000), "deposit");
        if (state.tenants.empty()) {
          scribe.Write(market::PutTenant{{.tenant_id = "a"}});
          scribe.Write(market::PutTenant{{.tenant_id = "b"}});
        }
        for (int entry = 0; entry < 10; ++entry) {
          scribe.Move(issued, {entry % 2 == 0 ? "a" : "b", market::AccountKind::kAvailable}, 0, 1);
        }
        transactions.push_back(std::move(scribe).Finish());
      }
      ASSERT_TRUE((*ledger)->Commit({}, transactions).ok());
    }
  }
  MarketdProcess marketd(dir_);
  ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
  const Client op(marketd.grpc_address());
  std::atomic<bool> asking{false};
  grpc::Status audited;
  std::thread asker([&] {
    asking = true;
    operators_pb::AuditResponse response;
    audited = Audit(op, &response);
  });
  while (!asking) std::this_thread::yield();
  // Others are answered while it goes on; then it is under way for sure.
  operators_pb::ListHostsResponse hosts;
  for (int i = 0; i < 20; ++i) {
    ASSERT_THAT(op.operators->ListHosts(op.Context().get(), {}, &hosts), Succeeds());
  }
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(marketd.Terminate().code, 0);
  const auto took = std::chrono::steady_clock::now() - begin;
  asker.join();
  EXPECT_FALSE(audited.ok()) << "it was done before it could be cancelled";
  EXPECT_LT(took, std::chrono::seconds(1));
}

}  // namespace
}  // namespace nom::testing
