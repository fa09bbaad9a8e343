// SPDX-License-Identifier: Apache-2.0
// A market that loses its disk: backed up while it runs, killed, restored, and the books balance.

#include <filesystem>
#include <memory>
#include <regex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/service/market_fixture.h"

namespace nom::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(KeepTest, BackupWhileItRunsAndRestoreAfterTheDiskIsLost) {
  const TempDir dir;
  MarketdProcess marketd(dir);
  ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
  const std::string config = dir.File("marketd.yaml");
  const std::string ledger = dir.File("ledger.sqlite");
  const std::string backup = dir.File("backup.sqlite");
  const auto keep = [&](const char* flag) {
    return RunToEnd({NOM_MARKETD, "--config", config, flag, backup});
  };
  operators_pb::AuditResponse audit;
  {
    const Client op(marketd.grpc_address());
    ASSERT_THAT(CreateTenant(op, "alice", "t1", nullptr), Succeeds());
    ASSERT_THAT(Deposit(op, "alice", 5'000, "d1"), Succeeds());
    const Exit exit = keep("--backup");
    EXPECT_EQ(exit.code, 0) << exit.out;
    EXPECT_TRUE(std::regex_search(exit.out,
                                  std::regex("proven, head is transaction [0-9]+ [0-9a-f]{64}\n")))
        << exit.out;
    // It goes on, and what comes later is not in the backup.
    ASSERT_THAT(Deposit(op, "alice", 700, "d2"), Succeeds());
    EXPECT_EQ(keep("--backup").code, 1) << "a backup is not written over";
    const Exit refused = keep("--restore");
    EXPECT_EQ(refused.code, 1);
    EXPECT_THAT(refused.out, HasSubstr("stop marketd first"));
  }
  marketd.Kill();
  for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(ledger + end);
  const Exit exit = keep("--restore");
  EXPECT_EQ(exit.code, 0) << exit.out;
  ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
  const Client op(marketd.grpc_address());
  ASSERT_THAT(Audit(op, &audit), Succeeds());
  EXPECT_TRUE(audit.balanced()) << audit.ShortDebugString();
  EXPECT_EQ(audit.deposits_microcredits(), 5'000);
  // What was asked for before the backup is known; what came after it can be asked for again.
  ASSERT_THAT(Deposit(op, "alice", 5'000, "d1"), Succeeds());
  ASSERT_THAT(Deposit(op, "alice", 700, "d2"), Succeeds());
  ASSERT_THAT(Audit(op, &audit), Succeeds());
  EXPECT_EQ(audit.deposits_microcredits(), 5'700);
}

Exit Nomctl(const MarketdProcess& marketd, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {NOM_NOMCTL, "--target", marketd.grpc_address()});
  return RunToEnd(arguments);
}

TEST(KeepTest, AnOperatorFetchesABackupFromTheRunningMarketAndTheDiskIsLost) {
  const TempDir dir;
  MarketdProcess marketd(dir);
  ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
  const std::string ledger = dir.File("ledger.sqlite");
  const std::string backup = dir.File("fetched.sqlite");
  const std::string token = dir.File("token");
  {
    const Client op(marketd.grpc_address());
    std::string alices;
    ASSERT_THAT(CreateTenant(op, "alice", "t1", &alices), Succeeds());
    ASSERT_THAT(Deposit(op, "alice", 5'000, "d1"), Succeeds());
    dir.Write("alice.token", alices + "\n");
    const Exit refused =
        Nomctl(marketd, {"--token-file", dir.File("alice.token"), "backup", backup});
    EXPECT_EQ(refused.code, 1);
    EXPECT_THAT(refused.out, HasSubstr("for operators"));
    EXPECT_FALSE(std::filesystem::exists(backup));
    const Exit fetched = Nomctl(marketd, {"--token-file", token, "backup", backup});
    ASSERT_EQ(fetched.code, 0) << fetched.out;
    EXPECT_TRUE(std::regex_search(
        fetched.out,
        std::regex(": [0-9]+ bytes, proven, head is transaction [0-9]+ [0-9a-f]{64}\n")))
        << fetched.out;
    EXPECT_EQ(std::filesystem::status(backup).permissions(),
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    // Later than the backup, and not in it.
    ASSERT_THAT(Deposit(op, "alice", 700, "d2"), Succeeds());
    const Exit again = Nomctl(marketd, {"--token-file", token, "backup", backup});
    EXPECT_EQ(again.code, 2);
    EXPECT_THAT(again.out, HasSubstr("no backup is written over"));
  }
  for (const auto& entry : std::filesystem::directory_iterator(dir.path())) {
    const std::string name = entry.path().filename();
    EXPECT_TRUE(name.find("sending") == std::string::npos && name.find("part") == std::string::npos)
        << name << " is left";
  }
  EXPECT_THAT(marketd.Output(), HasSubstr("event=backup by=operator"));
  marketd.Kill();
  for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(ledger + end);
  const Exit restored =
      RunToEnd({NOM_MARKETD, "--config", dir.File("marketd.yaml"), "--restore", backup});
  ASSERT_EQ(restored.code, 0) << restored.out;
  ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
  const Client op(marketd.grpc_address());
  operators_pb::AuditResponse audit;
  ASSERT_THAT(Audit(op, &audit), Succeeds());
  EXPECT_TRUE(audit.balanced()) << audit.ShortDebugString();
  EXPECT_EQ(audit.deposits_microcredits(), 5'000);
}

TEST(KeepTest, TheArchiveComesWithTheLedgerAndBothAreLost) {
  const TempDir dir;
  MarketdProcess marketd(dir, SampleConfig(dir) + "retention: 1s\n");
  ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
  const auto client = std::make_unique<Client>(marketd.grpc_address());
  ASSERT_THAT(CreateTenant(*client, "alice", "t1", nullptr), Succeeds());
  for (int i = 0; i < 300; ++i) {
    ASSERT_THAT(Deposit(*client, "alice", 1, absl::StrCat("d", i)), Succeeds());
  }
  const auto fetch = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"--token-file", dir.File("token"), "backup"});
    return Nomctl(marketd, std::move(more));
  };
  // Until the archive has something, a ledger comes alone and none is made up for it.
  std::string backup;
  Exit fetched;
  for (int i = 0; backup.empty() || !std::filesystem::exists(backup + ".archive"); ++i) {
    backup = dir.File(absl::StrCat("fetched-", i));
    fetched = fetch({backup});
    ASSERT_EQ(fetched.code, 0) << fetched.out;
    // Each is a look at the clock, too: what is a second old goes.
    EXPECT_EQ(fetched.out.find("its archive") != std::string::npos,
              std::filesystem::exists(backup + ".archive"))
        << fetched.out;
  }
  const std::string archive = backup + ".archive";
  EXPECT_THAT(fetched.out,
              HasSubstr(absl::StrCat(archive, ": ", std::filesystem::file_size(archive),
                                     " bytes, its archive\n")));
  EXPECT_EQ(std::filesystem::status(archive).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  const std::string alone = dir.File("alone");
  EXPECT_EQ(fetch({alone, "--without-archive"}).code, 0);
  EXPECT_FALSE(std::filesystem::exists(alone + ".archive"));
  // Neither is written over, whichever is there.
  dir.Write("half.archive", "somebody's");
  const Exit half = fetch({dir.File("half")});
  EXPECT_EQ(half.code, 2) << half.out;
  EXPECT_FALSE(std::filesystem::exists(dir.File("half")));
  EXPECT_EQ(std::filesystem::file_size(dir.File("half.archive")), 10u);
  // An archive that is gone is said, not passed over.
  const std::string ledger = dir.File("ledger.sqlite");
  const std::string moved = dir.File("moved");
  std::filesystem::rename(ledger + ".archive", moved);
  const Exit gone = fetch({dir.File("gone")});
  EXPECT_EQ(gone.code, 1) << gone.out;
  EXPECT_THAT(gone.out, AllOf(HasSubstr("ledger.sqlite.archive"), HasSubstr("--without-archive")));
  for (const char* name : {"gone", "gone.archive", "ledger.sqlite.sending"}) {
    EXPECT_FALSE(std::filesystem::exists(dir.File(name))) << name;
  }
  marketd.Kill();
  for (const auto& entry : std::filesystem::directory_iterator(dir.path())) {
    const std::string name = entry.path().filename();
    EXPECT_TRUE(name.find("sending") == std::string::npos && name.find("part") == std::string::npos)
        << name << " is left";
  }
  for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(ledger + end);
  const Exit restored =
      RunToEnd({NOM_MARKETD, "--config", dir.File("marketd.yaml"), "--restore", backup});
  ASSERT_EQ(restored.code, 0) << restored.out;
  ASSERT_TRUE(marketd.Start().ok()) << marketd.Output();
  const Client op(marketd.grpc_address());
  operators_pb::AuditResponse audit;
  ASSERT_THAT(Audit(op, &audit), Succeeds());
  EXPECT_TRUE(audit.balanced()) << audit.ShortDebugString();
  EXPECT_EQ(audit.deposits_microcredits(), 300);
}

}  // namespace
}  // namespace nom::testing
