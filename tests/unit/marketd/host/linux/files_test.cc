// SPDX-License-Identifier: Apache-2.0
// What outlives marketd on a Linux host, and what its launcher is told: every text read back as
// written.

#include <sys/wait.h>

#include <cstring>
#include <set>
#include <tuple>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "marketd/host/linux/board_file.h"
#include "marketd/host/linux/launch.h"
#include "marketd/host/linux/state_file.h"
#include "tests/unit/marketd/host/linux/fake_cgroups.h"

namespace nom::market {
namespace {

using ::testing::HasSubstr;

// --- state_file ---

HostRecord SomeRecord() {
  HostRecord record{.boot_id = 0xfeedface12345678,
                    .at_us = 123'456,
                    .stolen_us = 7,
                    .applied_round_id = 12,
                    .applied_at_us = 99,
                    .applying_round_id = 13};
  GuestRecord guest{.name = "web",
                    .recipe = "http",
                    .phase = GuestRecord::Phase::kRunning,
                    .seed = {100, 1 << 20},
                    .held = {200, 2 << 20, 20, 30},
                    .target = Amounts{300, 3 << 20},
                    .memory_window_bytes = 1 << 30};
  guest.sums = {.created_us = 5,
                .ended_us = -1,
                .cpu_usage_us = 77,
                .cpu_offered = absl::MakeUint128(3, 4),
                .memory_offered = absl::MakeUint128(5, 6),
                .memory_used = absl::MakeUint128(7, 8),
                .disk_offered = absl::MakeUint128(9, 10),
                .disk_used = 11,
                .disk_seen = {12, 13, 14, 15},
                .network_offered = 16,
                .network_used = absl::MakeUint128(17, 18),
                .network_seen = {19, 20}};
  guest.applied = guest.sums;
  guest.has_applied = true;
  record.guests[17] = guest;
  GuestRecord ended{.name = "batch", .recipe = "b", .phase = GuestRecord::Phase::kEnded};
  ended.exit_reason = "killed: line\nbreak, blanks and \"quotes\"";
  record.guests[18] = ended;
  return record;
}

TEST(StateFileTest, IsReadBackAsWritten) {
  const std::string text = HostRecordText(SomeRecord());
  const absl::StatusOr<HostRecord> read = ParseHostRecord(text);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(HostRecordText(*read), text);
  EXPECT_EQ(read->guests.at(18).exit_reason, SomeRecord().guests.at(18).exit_reason);
  EXPECT_EQ(read->guests.at(17).sums.memory_used, absl::MakeUint128(7, 8));
  EXPECT_EQ(read->guests.at(17).held.disk_iops, 30);
  EXPECT_EQ(read->guests.at(17).sums.disk_seen, (IoStat{12, 13, 14, 15}));
  EXPECT_EQ(read->guests.at(17).sums.network_seen, (NetworkStat{19, 20}));
  EXPECT_EQ(*read->applying_round_id, 13u);
  EXPECT_EQ(read->guests.at(17).target->millicores, 300);
}

// As the first release wrote it, which sold no disks: guests live on while marketd is upgraded.
TEST(StateFileTest, AnOlderOneIsRead) {
  const auto read = ParseHostRecord(
      "nom-linux-host 1\nboot 1f 5 6\napplied 12 99\nguest 17 running =d2Vi - 0 -\n"
      "seed 17 100 4096\nheld 17 200 8192\nsums 17 1 -1 3 0:1 0:2 0:3\nend\n");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->guests.at(17).held, (Amounts{.millicores = 200, .memory_bytes = 8192}));
  EXPECT_EQ(read->guests.at(17).sums.memory_used, absl::uint128(3));
  EXPECT_EQ(read->guests.at(17).sums.disk_seen, IoStat{});
}

TEST(StateFileTest, NothingCutShortOrChangedPassesForARecord) {
  const std::string text = HostRecordText(SomeRecord());
  // Without the last line's end it is whole all the same.
  for (size_t length = 0; length < text.size() - 1; ++length) {
    const auto read = ParseHostRecord(text.substr(0, length));
    EXPECT_EQ(read.status().code(), absl::StatusCode::kDataLoss) << length;
  }
  for (const char* bad :
       {"nom-linux-host 2\nend\n", "nom-linux-host 1\nboot x 1 2\nend\n",
        "nom-linux-host 1\nsums 4 1 2 3 0:0 0:0 0:0\nend\n", "nom-linux-host 1\nnews\nend\n",
        "nom-linux-host 1\nguest 4 running - - 0 -\nheld 4 1\nend\n",
        "nom-linux-host 1\nguest 4 running - - 0 -\nsums 4 1 2 3 0:0 0:0 0:0 0:0\nend\n",
        "nom-linux-host 1\nguest 4 running - - 0 -\nheld 4 1 2 3 4 5 6 7 8\nend\n",
        "nom-linux-host 1\nguest 4 flying =YQ== - 0 -\nend\n"}) {
    EXPECT_EQ(ParseHostRecord(bad).status().code(), absl::StatusCode::kDataLoss) << bad;
  }
}

TEST(StateFileTest, IsReplacedAsAWhole) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/state";
  EXPECT_TRUE(absl::IsNotFound(LoadHostRecord(path).status()));
  ASSERT_TRUE(SaveHostRecord(path, SomeRecord()).ok());
  EXPECT_EQ(LoadHostRecord(path)->applied_round_id, 12u);
  EXPECT_FALSE(SaveHostRecord(folder.path() + "/none/state", SomeRecord()).ok());
}

// --- board_file ---

TEST(BoardFileTest, IsNomhvsLayoutAndOutlivesItsWriter) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/board";
  BoardContents contents{.round_id = 5, .priced_round_id = 4};
  contents.period = absl::Seconds(2);
  contents.valid_for = absl::Seconds(3);
  contents.prices.push_back({.kind = ResourceKind::kMemory,
                             .unit_size = 4096,
                             .unit_price_microcredits = 77,
                             .supply_units = 9});
  contents.head = {.transaction_id = 8};
  for (int i = 0; i < 32; ++i) contents.head.digest += "ab";
  const GuestGrant grant{.guest_id = 17,
                         .now = {{.kind = ResourceKind::kCpu, .seed_units = 1, .award_units = 4}},
                         .next = {{.kind = ResourceKind::kCpu, .seed_units = 1, .award_units = 2}}};
  for (int life = 1; life <= 2; ++life) {
    auto board = BoardFile::Open(path, 17);
    ASSERT_TRUE(board.ok()) << board.status();
    (*board)->WriteMachine(contents, 1'000'000);
    (*board)->WriteGuest(grant, 6, 2'000'000);
    (*board)->WriteGuest(grant, 6, 0);
    const std::string bytes = GetFile(path);
    ASSERT_EQ(bytes.size(), kBoardFileBytes);
    NomMachineBoard machine;
    NomGuestBoard guest;
    std::memcpy(&machine, bytes.data(), sizeof(machine));
    std::memcpy(&guest, bytes.data() + NOM_FRAME_BYTES, sizeof(guest));
    EXPECT_EQ(machine.magic, NOM_MACHINE_BOARD_MAGIC);
    EXPECT_EQ(machine.sequence % 2, 0u);
    EXPECT_EQ(machine.tsc_hz, kBoardFileHz);
    EXPECT_EQ(machine.valid_until_tsc, 4'000'000'000u);
    EXPECT_EQ(machine.prices[0].unit_price_microcredits, 77);
    EXPECT_EQ(machine.head.transaction_id, 8u);
    EXPECT_EQ(machine.head.digest[0], 0xab);
    EXPECT_EQ(machine.head.digest[31], 0xab);
    EXPECT_EQ(guest.guest_id, 17u);
    EXPECT_EQ(guest.sequence % 2, 0u);
    EXPECT_EQ(guest.notice_sequence, static_cast<uint64_t>(life));  // Goes on counting.
    EXPECT_EQ(guest.notice_round_id, 6u);
    EXPECT_EQ(guest.deadline_tsc, 0u);  // The notice is over.
    EXPECT_EQ(guest.holdings[0].units, 5);
    EXPECT_EQ(guest.holdings[0].next_units, 3);
  }
}

TEST(BoardFileTest, ASequenceLeftOddBecomesEvenAgain) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/board";
  std::string bytes(kBoardFileBytes, '\0');
  const uint32_t odd = 7;
  std::memcpy(bytes.data() + offsetof(NomMachineBoard, sequence), &odd, sizeof(odd));
  PutFile(path, bytes);
  auto board = BoardFile::Open(path, 17);
  ASSERT_TRUE(board.ok());
  (*board)->WriteMachine({}, 1);
  uint32_t sequence = 0;
  std::memcpy(&sequence, GetFile(path).data() + offsetof(NomMachineBoard, sequence),
              sizeof(sequence));
  EXPECT_EQ(sequence, 8u);
}

// --- launch ---

TEST(LaunchTest, EveryMessageIsReadBack) {
  const auto start = ParseLaunchRequest(
      LaunchText(LaunchRequest(LaunchStart{17, "web", "a b\n\0c and = base64", 40})));
  ASSERT_TRUE(start.ok());
  EXPECT_EQ(std::get<LaunchStart>(*start).arguments, "a b\n");  // As the C text above ends.
  EXPECT_EQ(std::get<LaunchStart>(*start).network_mbits, 40);
  EXPECT_EQ(std::get<LaunchRate>(*ParseLaunchRequest(LaunchText(LaunchRequest(LaunchRate{17, 5}))))
                .network_mbits,
            5);
  EXPECT_EQ(
      std::get<LaunchRated>(*ParseLaunchReply(LaunchText(LaunchReply(LaunchRated{17})))).guest_id,
      17u);
  EXPECT_TRUE(std::holds_alternative<LaunchList>(*ParseLaunchRequest("list")));
  EXPECT_EQ(
      std::get<LaunchStarted>(*ParseLaunchReply(LaunchText(LaunchReply(LaunchStarted{1, 2})))).pid,
      2);
  EXPECT_EQ(std::get<LaunchRefused>(
                *ParseLaunchReply(LaunchText(LaunchReply(LaunchRefused{1, "no: because"}))))
                .what,
            "no: because");
  EXPECT_EQ(
      std::get<LaunchEnded>(*ParseLaunchReply(LaunchText(LaunchReply(LaunchEnded{1, "exit 0"}))))
          .how,
      "exit 0");
  EXPECT_EQ(
      std::get<LaunchListed>(*ParseLaunchReply(LaunchText(LaunchReply(LaunchListed{3})))).running,
      3);
}

TEST(LaunchTest, WhatIsSaidOfUnitsIsUnderstoodAsItWasMeant) {
  const UnitLimits limits{.cpu_us_per_s = 250'000, .memory_max_bytes = 7, .memory_min_bytes = 5};
  const auto adopt = ParseLaunchRequest(LaunchText(LaunchRequest(LaunchAdopt{17, "d b"})));
  ASSERT_TRUE(adopt.ok());
  EXPECT_EQ(std::get<LaunchAdopt>(*adopt).guest_id, 17u);
  EXPECT_EQ(std::get<LaunchAdopt>(*adopt).recipe, "d b");
  const auto control = ParseLaunchRequest(
      LaunchText(LaunchRequest(LaunchControl{17, "db", "memory.max", kCgroupMax})));
  ASSERT_TRUE(control.ok());
  EXPECT_EQ(std::get<LaunchControl>(*control).recipe, "db");
  EXPECT_EQ(std::get<LaunchControl>(*control).file, "memory.max");
  EXPECT_EQ(std::get<LaunchControl>(*control).value, kCgroupMax);
  const auto release =
      ParseLaunchRequest(LaunchText(LaunchRequest(LaunchRelease{17, "db", limits})));
  ASSERT_TRUE(release.ok());
  EXPECT_EQ(std::get<LaunchRelease>(*release).limits, limits);
  const auto adopted =
      ParseLaunchReply(LaunchText(LaunchReply(LaunchAdopted{17, "system.slice/db", limits})));
  ASSERT_TRUE(adopted.ok());
  EXPECT_EQ(std::get<LaunchAdopted>(*adopted).guest_id, 17u);
  EXPECT_EQ(std::get<LaunchAdopted>(*adopted).cgroup, "system.slice/db");
  EXPECT_EQ(std::get<LaunchAdopted>(*adopted).limits, limits);
  EXPECT_EQ(
      std::get<LaunchControlled>(*ParseLaunchReply(LaunchText(LaunchReply(LaunchControlled{17}))))
          .guest_id,
      17u);
  EXPECT_EQ(std::get<LaunchReleased>(*ParseLaunchReply(LaunchText(LaunchReply(LaunchReleased{17}))))
                .guest_id,
            17u);
}

TEST(LaunchTest, WhatIsNotInTheVocabularyIsRefused) {
  for (const char* text : {"",
                           " ",
                           "start",
                           "start 1",
                           "start 1 web x",
                           "start 1 =d2Vi",
                           "start x =d2Vi =",
                           "start 1 =d2Vi = =",
                           "start -1 =d2Vi = 0",
                           "start 1 =d2V! = 0",
                           "start 1 =d2Vi = -1",
                           "start 1 =d2Vi = x",
                           "rate 1",
                           "rate 1 0",
                           "rate 1 -5",
                           "rate x 5",
                           "rate 1 1000001",
                           "rate 1 5 6",
                           "exec /bin/sh",
                           "adopt 1",
                           "adopt 1 db",
                           "adopt x =ZGI",
                           "adopt 1 =ZGI =",
                           "control 1 =ZGI =ZGI",
                           "control 1 =ZGI =ZGI -1",
                           "control 1 =ZGI =ZGI max",
                           "control 1 =ZGI =ZGI 1 2",
                           "release 1 =ZGI 1 2 3",
                           "release 1 =ZGI 1 2 3 -4",
                           "release 1 =ZGI 1 2 3 4 5",
                           "list all",
                           "LIST",
                           "start 1  =d2Vi = 0",
                           "start 1 =d2Vi ="}) {
    EXPECT_EQ(ParseLaunchRequest(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  for (const char* text :
       {"", "started 1", "started 1 x", "ended 1 x", "refused x =", "listed", "rated", "rated x",
        "adopted 1 =ZGI 1 2 3", "adopted 1 =ZGI 1 2 3 -4", "controlled", "released 1 2"}) {
    EXPECT_EQ(ParseLaunchReply(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(LaunchTest, SaysHowAProcessEnded) {
  EXPECT_EQ(ExitText(W_EXITCODE(3, 0)), "exit 3");
  EXPECT_EQ(ExitText(W_EXITCODE(0, SIGKILL)), "signal 9 (Killed)");
}

TEST(LaunchTest, ALauncherThatIsNotThereIsSaidSo) {
  const TemporaryFolder folder;
  const auto launcher = NewSocketLauncher(folder.path() + "/socket");
  const absl::Status status = launcher->Start({.guest_id = 1, .recipe = "web"});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("new ones cannot be started until"));
  EXPECT_THAT(launcher->TakeEnded(), ::testing::IsEmpty());
}

}  // namespace
}  // namespace nom::market
