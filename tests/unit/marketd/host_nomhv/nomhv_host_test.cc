// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/nomhv/nomhv_host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "marketd/host/nomhv/bid_page.h"
#include "marketd/host/nomhv/mailbox.h"
#include "nomhv/abi/pc.h"
#include "tests/unit/marketd/host_nomhv/fake_nomhv.h"

namespace nom::market {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr GuestId kGuest = 7;
constexpr int64_t kUnitBytes = 1 << 20;  // 256 frames.

NomEvent Answer(uint32_t status, uint64_t value = 0, uint32_t detail = 0) {
  NomEvent event{};
  event.status = status;
  event.value = value;
  event.detail = detail;
  return event;
}

NomMeter RunningMeter(GuestId id, uint64_t seed_frames, uint64_t frames) {
  NomMeter meter{};
  meter.state = NOM_GUEST_RUNNING;
  meter.guest_id = id;
  meter.seed_frames = seed_frames;
  meter.frames_granted = frames;
  meter.frames_held = frames;
  meter.seed_millicores = 100;
  meter.millicores_granted = 250;
  std::strcpy(meter.name, "cache");
  return meter;
}

class NomhvHostTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ =
        std::filesystem::path(::testing::TempDir()) / ("nomhv_host_" + std::to_string(getpid()));
    std::filesystem::create_directories(directory_);
    std::ofstream(directory_ / "cache.elf") << "an image";
    fake_ = std::make_unique<FakeNomhv>(mailbox_path());
    Open({});
  }
  void Open(std::vector<PcImage> pcs) {
    host_ = NewNomhvHost({.mailbox_path = mailbox_path(),
                          .image_directory = directory_.string(),
                          .pcs = std::move(pcs),
                          .command_timeout = absl::Seconds(20)});
    const Resource memory{.kind = ResourceKind::kMemory, .unit_size = kUnitBytes};
    const Resource cpu{.kind = ResourceKind::kCpu, .unit_size = 10};
    host_->SetResources(std::vector<Resource>{memory, cpu});
  }
  void TearDown() override {
    host_ = nullptr;
    fake_ = nullptr;
    std::filesystem::remove_all(directory_);
  }
  std::string mailbox_path() const { return (directory_ / "mailbox").string(); }
  HostFacts AttachOrDie() {
    fake_->Boot(11);
    absl::StatusOr<HostFacts> facts = host_->Attach();
    EXPECT_TRUE(facts.ok()) << facts.status();
    return facts.ok() ? *facts : HostFacts{};
  }
  static GrantSet Grants(int64_t seed_units, int64_t award_units) {
    GrantSet set;
    set.round_id = 3;
    GuestGrant& grant = set.grants.emplace_back();
    grant.guest_id = kGuest;
    grant.now = {{.kind = ResourceKind::kMemory,
                  .seed_units = seed_units,
                  .award_units = award_units,
                  .charge_microcredits = 5},
                 {.kind = ResourceKind::kCpu, .seed_units = 10, .award_units = 15}};
    grant.next = grant.now;
    grant.balance_microcredits = 99;
    return set;
  }

  std::filesystem::path directory_;
  std::unique_ptr<FakeNomhv> fake_;
  std::unique_ptr<Host> host_;
};

TEST_F(NomhvHostTest, MissingMailboxIsUnavailableAndNamed) {
  auto host = NewNomhvHost({.mailbox_path = "/nonexistent/mailbox", .image_directory = "/"});
  const absl::Status status = host->Attach().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("/nonexistent/mailbox"));
}

TEST_F(NomhvHostTest, NotYetInitialisedIsUnavailable) {
  const absl::Status status = host_->Attach().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("not initialised"));
}

TEST_F(NomhvHostTest, EachCommandCarriesAnEpochAboveTheMachines) {
  fake_->header()->epoch = 41;
  std::vector<uint64_t> epochs;
  fake_->Handle([&](const NomCommand& command, const auto&) {
    epochs.push_back(command.epoch);
    return Answer(NOM_STATUS_OK);
  });
  AttachOrDie();
  EXPECT_TRUE(host_->Publish({}).ok());
  fake_->header()->epoch = 42;
  EXPECT_TRUE(host_->Attach().ok());
  EXPECT_THAT(epochs, ElementsAre(42, 42, 42));
}

TEST_F(NomhvHostTest, WhoIsOvertakenSaysSoAndStaysAway) {
  AttachOrDie();
  fake_->Handle([&](const NomCommand&, const auto&) { return Answer(NOM_STATUS_PAST_EPOCH, 9); });
  const absl::Status status = host_->Publish({});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("a marketd of epoch 9 commands this machine; ours is 1"));
  const std::vector<HostNews> news = host_->Poll();
  ASSERT_EQ(news.size(), 1u);
  EXPECT_TRUE(std::holds_alternative<HostLost>(news[0]));
  EXPECT_TRUE(host_->Poll().empty());
  EXPECT_EQ(host_->Attach().status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(NomhvHostTest, FileOfAnotherSizeOrMagicIsRefused) {
  std::ofstream(directory_ / "short") << "too short";
  auto host = NewNomhvHost({.mailbox_path = (directory_ / "short").string()});
  EXPECT_EQ(host->Attach().status().code(), absl::StatusCode::kFailedPrecondition);

  fake_->header()->magic = 0x1234;
  const absl::Status status = host_->Attach().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("0x00001234"));
}

TEST_F(NomhvHostTest, AnotherMajorVersionIsRefusedBothWays) {
  fake_->Boot(11, (NOM_ABI_MAJOR + 1) << 16);
  const absl::Status theirs = host_->Attach().status();
  EXPECT_EQ(theirs.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(theirs.message(), HasSubstr("ABI 2.0"));

  fake_->header()->abi_version = NOM_ABI_VERSION;
  fake_->Handle([](const NomCommand& c, const auto&) {
    EXPECT_EQ(c.argument[0], NOM_ABI_VERSION);
    return Answer(NOM_STATUS_BAD_VERSION);
  });
  EXPECT_THAT(host_->Attach().status().message(), HasSubstr("BAD_VERSION"));
}

TEST_F(NomhvHostTest, AHeartThatDoesNotBeatIsUnavailable) {
  fake_->Freeze(true);
  fake_->Boot(11);
  auto host =
      NewNomhvHost({.mailbox_path = mailbox_path(), .command_timeout = absl::Milliseconds(30)});
  const absl::Status status = host->Attach().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("heart"));
}

TEST_F(NomhvHostTest, AttachTellsCapacitiesAndGuestsInUnits) {
  fake_->SetMeter(4, RunningMeter(kGuest, 512, 1024));
  const HostFacts facts = AttachOrDie();
  EXPECT_EQ(facts.boot_id, 11u);
  EXPECT_THAT(facts.capacities,
              ElementsAre(std::pair(ResourceKind::kCpu, int64_t{2900}),
                          std::pair(ResourceKind::kMemory, int64_t{65536} * 4096)));
  ASSERT_EQ(facts.guests.size(), 1u);
  EXPECT_EQ(facts.guests[0].guest_id, kGuest);
  EXPECT_EQ(facts.guests[0].name, "cache");
  EXPECT_FALSE(facts.guests[0].ended);
  EXPECT_THAT(
      facts.guests[0].holdings,
      ElementsAre(Holding{.kind = ResourceKind::kCpu, .seed_units = 10, .award_units = 15},
                  Holding{.kind = ResourceKind::kMemory, .seed_units = 2, .award_units = 2}));
}

TEST_F(NomhvHostTest, CreateSendsTheImageBehindItsDescription) {
  AttachOrDie();
  NomCreate seen{};
  std::string image;
  fake_->Handle([&](const NomCommand& c, const std::vector<std::byte>& payload) {
    EXPECT_EQ(c.kind, static_cast<uint32_t>(NOM_COMMAND_CREATE));
    std::memcpy(&seen, payload.data(), sizeof(seen));
    image.assign(reinterpret_cast<const char*>(payload.data()) + seen.image_offset,
                 seen.image_bytes);
    return Answer(NOM_STATUS_OK);
  });
  GuestSpec spec{.guest_id = kGuest, .name = "cache", .image = "cache.elf", .arguments = "a=1"};
  spec.seeds = {{.kind = ResourceKind::kMemory, .seed_units = 2},
                {.kind = ResourceKind::kCpu, .seed_units = 10}};
  spec.memory_max_units = 64;
  EXPECT_TRUE(host_->CreateGuest(spec).ok());
  EXPECT_EQ(seen.guest_id, kGuest);
  EXPECT_EQ(seen.seed_frames, 512u);
  EXPECT_EQ(seen.window_frames, 64u * 256);
  EXPECT_EQ(seen.seed_millicores, 100u);
  EXPECT_STREQ(seen.name, "cache");
  EXPECT_STREQ(seen.arguments, "a=1");
  EXPECT_EQ(image, "an image");
}

TEST_F(NomhvHostTest, AnImageThatIsAPcIsCreatedFromTheMachinesFiles) {
  Open({PcImage{"debian", "vmlinux", "linux.cpio", "console=ttyS0", 2}, PcImage{"bare", "k"}});
  AttachOrDie();
  NomCreatePc seen{};
  uint64_t processors = 0;
  uint32_t answer = NOM_STATUS_OK;
  fake_->Handle([&](const NomCommand& c, const std::vector<std::byte>& payload) {
    EXPECT_EQ(c.kind, static_cast<uint32_t>(NOM_COMMAND_CREATE));
    EXPECT_EQ(c.guest_id, kGuest);
    EXPECT_EQ(c.argument[1], uint64_t{NOM_PERSONALITY_PC});
    processors = c.argument[0];
    EXPECT_EQ(payload.size(), sizeof(seen));
    std::memcpy(&seen, payload.data(), std::min(payload.size(), sizeof(seen)));
    return Answer(answer);
  });
  GuestSpec spec{.guest_id = kGuest, .name = "web", .image = "debian", .arguments = "nom.port=80"};
  spec.seeds = {{.kind = ResourceKind::kMemory, .seed_units = 128},
                {.kind = ResourceKind::kCpu, .seed_units = 40}};
  spec.memory_max_units = 256;
  ASSERT_TRUE(host_->CreateGuest(spec).ok());
  EXPECT_EQ(processors, 2u);
  EXPECT_EQ(seen.create.guest_id, kGuest);
  EXPECT_EQ(seen.create.seed_frames, 128u * 256);
  EXPECT_EQ(seen.create.window_frames, 256u * 256);
  EXPECT_EQ(seen.create.seed_millicores, 400u);
  EXPECT_EQ(seen.create.image_bytes, 0u);
  EXPECT_STREQ(seen.create.name, "web");
  EXPECT_STREQ(seen.kernel, "vmlinux");
  EXPECT_STREQ(seen.initramfs, "linux.cpio");
  EXPECT_STREQ(seen.command_line, "console=ttyS0 nom.port=80");
  spec.image = "bare";
  ASSERT_TRUE(host_->CreateGuest(spec).ok());
  EXPECT_EQ(processors, 1u);
  EXPECT_STREQ(seen.initramfs, "");
  EXPECT_STREQ(seen.command_line, "nom.port=80");
  answer = NOM_STATUS_BAD_PARAMETER;
  spec.image = "debian";
  const absl::Status status = host_->CreateGuest(spec);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("image debian: the machine has no file \"vmlinux\" or "
                                          "\"linux.cpio\""));
}

TEST_F(NomhvHostTest, CreateErrorsSayWhatAndWhy) {
  AttachOrDie();
  GuestSpec spec{.guest_id = kGuest, .name = "cache", .image = "none.elf"};
  EXPECT_EQ(host_->CreateGuest(spec).code(), absl::StatusCode::kNotFound);
  spec.image = "../cache.elf";
  EXPECT_EQ(host_->CreateGuest(spec).code(), absl::StatusCode::kInvalidArgument);
  spec.image = ".";
  EXPECT_EQ(host_->CreateGuest(spec).code(), absl::StatusCode::kInvalidArgument);
  spec.image = "cache.elf";
  fake_->Handle([](const NomCommand&, const auto&) {
    return Answer(NOM_STATUS_BAD_IMAGE, 0, NOM_IMAGE_FAULT_NOT_ELF);
  });
  const absl::Status status = host_->CreateGuest(spec);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("cache.elf: not a guest image: no ELF magic"));
  fake_->Handle([](const NomCommand&, const auto&) { return Answer(NOM_STATUS_OVER_CAPACITY); });
  EXPECT_EQ(host_->CreateGuest(spec).code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(NomhvHostTest, ApplyNamesEveryRunningGuestAndLeavesStrangersAlone) {
  fake_->SetMeter(0, RunningMeter(kGuest, 512, 512));
  fake_->SetMeter(1, RunningMeter(8, 256, 768));  // Not the market's.
  NomMeter ended = RunningMeter(9, 256, 0);
  ended.state = NOM_GUEST_ENDED;
  fake_->SetMeter(2, ended);
  AttachOrDie();
  NomGrants seen{};
  fake_->Handle([&](const NomCommand& c, const std::vector<std::byte>& payload) {
    EXPECT_EQ(c.kind, static_cast<uint32_t>(NOM_COMMAND_APPLY));
    std::memcpy(&seen, payload.data(), sizeof(seen));
    NomRoundMeters meters{};
    meters.round_id = 3;
    meters.tsc = 1000;
    fake_->SetRoundMeters(meters);
    return Answer(NOM_STATUS_OK);
  });
  ASSERT_TRUE(host_->Apply(Grants(2, 3)).ok());
  ASSERT_EQ(seen.grant_count, 2u);
  EXPECT_EQ(seen.grants[0].guest_id, kGuest);
  EXPECT_EQ(seen.grants[0].frames, 5u * 256);
  EXPECT_EQ(seen.grants[0].millicores, 250u);
  EXPECT_EQ(seen.grants[0].balance_microcredits, 99);
  EXPECT_EQ(seen.grants[0].holding_count, 2u);
  EXPECT_EQ(seen.grants[0].holdings[0].charge_microcredits, 5);
  EXPECT_EQ(seen.grants[1].guest_id, 8u);
  EXPECT_EQ(seen.grants[1].frames, 768u);
  EXPECT_EQ(seen.grants[1].millicores, 250u);
}

TEST_F(NomhvHostTest, OneMarketdDrivesAMachine) {
  AttachOrDie();
  const std::string other = (directory_ / "other name").string();
  std::filesystem::create_hard_link(mailbox_path(), other);
  auto second = NewNomhvHost({.mailbox_path = other, .command_timeout = absl::Seconds(20)});
  const absl::Status status = second->Attach().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("another marketd drives this machine"));
  EXPECT_TRUE(host_->Attach().ok()) << "the first may attach again";
  host_ = nullptr;
  EXPECT_TRUE(second->Attach().ok()) << "and let go";
}

TEST_F(NomhvHostTest, MetersAreInUnitsSinceTheGuestsCreation) {
  NomMeter cache = RunningMeter(kGuest, 512, 1280);
  cache.created_tsc = 5 * FakeNomhv::kTscHz;
  fake_->SetMeter(0, cache);
  NomMeter ended = RunningMeter(9, 512, 0);
  ended.state = NOM_GUEST_ENDED;
  ended.created_tsc = 1 * FakeNomhv::kTscHz;
  ended.tsc = 4 * FakeNomhv::kTscHz;
  ended.offered_frame_us = uint64_t{256} * 3'000'000;
  fake_->SetMeter(1, ended);
  AttachOrDie();
  // Two seconds of a quarter of a processor and of 1280 frames, half of it used.
  NomRoundMeters meters{};
  meters.round_id = 3;
  meters.guest_count = 1;
  meters.tsc = 7 * FakeNomhv::kTscHz;
  meters.guests[0].guest_id = kGuest;
  meters.guests[0].cycles_offered = FakeNomhv::kTscHz / 2;
  meters.guests[0].cycles_used = FakeNomhv::kTscHz / 4;
  meters.guests[0].offered_frame_us = uint64_t{1280} * 2'000'000;
  meters.guests[0].held_frame_us = uint64_t{640} * 2'000'000;
  meters.guests[0].frames_forced = 257;
  fake_->header()->frames_granted = 1281;
  fake_->header()->frames_granted_max = 1281;
  fake_->Handle([&](const NomCommand&, const auto&) {
    fake_->SetRoundMeters(meters);
    return Answer(NOM_STATUS_OK);
  });
  const absl::StatusOr<RoundReport> report = host_->Apply(Grants(2, 3));
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_EQ(report->meters.size(), 2u);
  const GuestMeters& running = report->meters[0];
  EXPECT_EQ(running.guest_id, kGuest);
  EXPECT_EQ(running.age_us, 2'000'000);
  EXPECT_EQ(running.alive_us, 2'000'000);
  ASSERT_EQ(running.amounts.size(), 2u);
  EXPECT_EQ(running.amounts[0].kind, ResourceKind::kCpu);
  EXPECT_EQ(running.amounts[0].offered_unit_us, 25u * 2'000'000);  // 250 millicores in tens.
  EXPECT_EQ(running.amounts[0].used_unit_us, 25u * 1'000'000);
  EXPECT_EQ(running.amounts[1].kind, ResourceKind::kMemory);
  EXPECT_EQ(running.amounts[1].offered_unit_us, 5u * 2'000'000);
  EXPECT_EQ(running.amounts[1].used_unit_us, 5u * 1'000'000);
  const GuestMeters& gone = report->meters[1];
  EXPECT_EQ(gone.guest_id, 9u);
  EXPECT_EQ(gone.age_us, 6'000'000);
  EXPECT_EQ(gone.alive_us, 3'000'000) << "it was last metered when it ended";
  EXPECT_EQ(gone.amounts[1].offered_unit_us, 3'000'000u);
  EXPECT_EQ(report->forced_units, 2);
  ASSERT_EQ(report->sums.size(), 2u);
  EXPECT_EQ(report->sums[1].granted_units, 6) << "a sum is rounded up: no excess hides";
  EXPECT_EQ(report->sums[1].capacity_units, 256);

  // Whoever attaches next is told of it, though that APPLY was not its own.
  const absl::StatusOr<HostFacts> facts = host_->Attach();
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->applied_round_id, 3u);
  EXPECT_EQ(facts->applied_meters, report->meters);
  EXPECT_EQ(facts->sums.size(), 2u);
}

TEST_F(NomhvHostTest, ADestroyedGuestsLastMetersAreKept) {
  NomMeter cache = RunningMeter(kGuest, 512, 1280);
  cache.created_tsc = 5 * FakeNomhv::kTscHz;
  cache.tsc = 6 * FakeNomhv::kTscHz;
  cache.offered_frame_us = uint64_t{1280} * 1'000'000;
  fake_->SetMeter(0, cache);
  AttachOrDie();
  fake_->Handle([](const NomCommand&, const auto&) { return Answer(NOM_STATUS_OK); });
  const absl::StatusOr<GuestMeters> last = host_->DestroyGuest(kGuest);
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_EQ(last->age_us, 1'000'000);
  EXPECT_EQ(last->amounts[1].offered_unit_us, 5'000'000u);
}

TEST_F(NomhvHostTest, AGuestThatDiesDuringApplyIsLeftOutAndApplyGoesOn) {
  fake_->SetMeter(0, RunningMeter(kGuest, 512, 512));
  AttachOrDie();
  int calls = 0;
  fake_->Handle([&](const NomCommand&, const std::vector<std::byte>& payload) {
    NomGrants grants;
    std::memcpy(&grants, payload.data(), sizeof(grants));
    if (++calls == 1) {
      EXPECT_EQ(grants.grant_count, 1u);
      NomMeter ended = RunningMeter(kGuest, 512, 0);
      ended.state = NOM_GUEST_ENDED;
      ended.exit_reason = NOM_EXIT_REASON_TRIPLE_FAULT;
      fake_->SetMeter(0, ended);
      return Answer(NOM_STATUS_CRASHED, kGuest);
    }
    EXPECT_EQ(grants.grant_count, 0u);
    NomRoundMeters meters{};
    meters.round_id = 3;
    meters.tsc = 1000;
    fake_->SetRoundMeters(meters);
    return Answer(NOM_STATUS_OK);
  });
  EXPECT_TRUE(host_->Apply(Grants(2, 3)).ok());
  EXPECT_EQ(calls, 2);
  // Its end is told although no event carried it.
  const std::vector<HostNews> news = host_->Poll();
  ASSERT_EQ(news.size(), 1u);
  EXPECT_EQ(std::get<GuestEnded>(news[0]).reason, "triple fault");
  EXPECT_TRUE(host_->Poll().empty()) << "told once";
}

TEST_F(NomhvHostTest, AGuestWhoseMeterIsBeingWrittenIsNeverLeftOut) {
  fake_->SetMeter(0, RunningMeter(kGuest, 512, 512));
  AttachOrDie();
  std::atomic<int> calls = 0;
  fake_->Handle([&](const NomCommand&, const std::vector<std::byte>& payload) {
    ++calls;
    NomGrants grants;
    std::memcpy(&grants, payload.data(), sizeof(grants));
    EXPECT_EQ(grants.grant_count, 1u);
    NomRoundMeters meters{};
    meters.round_id = 3;
    meters.tsc = 1000;
    fake_->SetRoundMeters(meters);
    return Answer(NOM_STATUS_OK);
  });
  fake_->HoldMeterOpen(0);
  const absl::Status status = host_->Apply(Grants(2, 3)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_EQ(calls, 0) << "a set without the guest must not be sent";
  fake_->SetMeter(0, RunningMeter(kGuest, 512, 512));
  EXPECT_TRUE(host_->Apply(Grants(2, 3)).ok());
  EXPECT_EQ(calls, 1);
}

TEST_F(NomhvHostTest, ARefusedApplyNamesTheGuestAndTheReason) {
  fake_->SetMeter(0, RunningMeter(kGuest, 512, 512));
  AttachOrDie();
  fake_->Handle(
      [](const NomCommand&, const auto&) { return Answer(NOM_STATUS_OVER_CAPACITY, kGuest); });
  const absl::Status status = host_->Apply(Grants(2, 3)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("guest 7: OVER_CAPACITY"));
}

TEST_F(NomhvHostTest, BidPagesBecomeBidsOnceForEachChange) {
  fake_->SetMeter(3, RunningMeter(kGuest, 512, 512));
  AttachOrDie();
  EXPECT_TRUE(host_->Poll().empty()) << "an unused page is no news";
  NomBidPage page{};
  page.magic = NOM_BID_PAGE_MAGIC;
  page.abi_version = NOM_ABI_VERSION;
  page.bid_count = 1;
  page.work_done = 42;
  std::strcpy(page.work_unit, "hits");
  page.bids[0].kind = NOM_RESOURCE_MEMORY;
  page.bids[0].range_count = 1;
  page.bids[0].ranges[0] = {1, 8, 100, 100};
  fake_->SetBidPage(3, page);
  std::vector<HostNews> news = host_->Poll();
  ASSERT_EQ(news.size(), 2u);
  const auto& bids = std::get<GuestBids>(news[0]);
  EXPECT_EQ(bids.error, "");
  EXPECT_EQ(bids.guest_id, kGuest);
  ASSERT_EQ(bids.bids.size(), 1u);
  EXPECT_EQ(bids.bids[0].kind, ResourceKind::kMemory);
  EXPECT_THAT(bids.bids[0].ranges, ElementsAre(policies::Range{.min_units = 1,
                                                               .max_units = 8,
                                                               .value_at_min_microcredits = 100,
                                                               .unit_price_microcredits = 100}));
  EXPECT_EQ(std::get<GuestReport>(news[1]).work_unit, "hits");
  EXPECT_TRUE(host_->Poll().empty());
}

TEST_F(NomhvHostTest, ARebootIsNewsAndAttachFindsTheNewBoot) {
  AttachOrDie();
  fake_->header()->boot_id = 12;
  const std::vector<HostNews> news = host_->Poll();
  ASSERT_EQ(news.size(), 1u);
  EXPECT_THAT(std::get<HostLost>(news[0]).reason, HasSubstr("rebooted"));
  EXPECT_EQ(host_->Apply(Grants(2, 3)).status().code(), absl::StatusCode::kUnavailable);
  absl::StatusOr<HostFacts> facts = host_->Attach();
  ASSERT_TRUE(facts.ok());
  EXPECT_EQ(facts->boot_id, 12u);
}

TEST_F(NomhvHostTest, AMailboxThatIsCutShortIsALostHostAndNothingWorse) {
  for (const off_t bytes : {0, 4096}) {
    SCOPED_TRACE(bytes);
    fake_.reset();  // It takes its file with it.
    fake_ = std::make_unique<FakeNomhv>(mailbox_path());
    AttachOrDie();
    fake_->Stop();  // Its end of the file would be SIGBUS, too.
    ASSERT_EQ(truncate(mailbox_path().c_str(), bytes), 0);
    // Of what is left of the file nothing may look different; a command reaches what is gone.
    EXPECT_EQ(host_->Apply(Grants(2, 3)).status().code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(host_->Attach().status().code(), absl::StatusCode::kFailedPrecondition);
  }
  fake_.reset();
  fake_ = std::make_unique<FakeNomhv>(mailbox_path());
  AttachOrDie();  // A whole one is a mailbox again.
}

TEST_F(NomhvHostTest, AMailboxThatIsGoneIsNews) {
  AttachOrDie();
  fake_->Stop();
  ASSERT_EQ(truncate(mailbox_path().c_str(), 0), 0);
  const std::vector<HostNews> news = host_->Poll();
  ASSERT_EQ(news.size(), 1u);
  EXPECT_THAT(std::get<HostLost>(news[0]).reason, HasSubstr("was cut short"));
}

TEST_F(NomhvHostTest, AHeadFarAheadDoesNotRunAway) {
  AttachOrDie();
  fake_->header()->event_head += 1'000'000;
  for (const HostNews& news : host_->Poll()) {
    EXPECT_FALSE(std::holds_alternative<GuestBids>(news));
  }
  EXPECT_EQ(fake_->header()->event_tail, fake_->header()->event_head);
}

TEST(ReadBidPage, OneBidForSeveralKinds) {
  NomBidPage page{};
  page.magic = NOM_BID_PAGE_MAGIC;
  page.abi_version = NOM_ABI_VERSION;
  page.bid_form = NOM_BID_FORM_BUNDLES;
  page.bundle_count = 2;
  page.budget_microcredits = 500;
  page.bundles[0] = {.units = {2, 8}, .value_microcredits = 70};
  page.bundles[1] = {.units = {3, -9}, .value_microcredits = -1};
  GuestBids bids = ReadBidPage(1, page).bids;
  EXPECT_EQ(bids.error, "");
  ASSERT_EQ(bids.bids.size(), 1u);
  EXPECT_EQ(bids.bids[0].kind, kSeveralKinds);
  EXPECT_EQ(bids.bids[0].budget_microcredits, 500);
  ASSERT_EQ(bids.bids[0].valuation->bundles.size(), 2u);
  EXPECT_EQ(bids.bids[0].valuation->bundles[0].units[1], 8);
  EXPECT_EQ(bids.bids[0].valuation->bundles[1].units[1], -9) << "for the market to refuse";
  page.bundle_count = 0;
  bids = ReadBidPage(1, page).bids;
  ASSERT_EQ(bids.bids.size(), 1u);
  EXPECT_EQ(bids.bids[0].valuation, nullptr) << "withdrawn";
  page.bundle_count = NOM_BUNDLES_MAX + 1;
  EXPECT_THAT(ReadBidPage(1, page).bids.error, HasSubstr("bundle_count: 100, at most 99"));
  page.bundle_count = 1;
  page.bid_count = 1;
  EXPECT_THAT(ReadBidPage(1, page).bids.error, HasSubstr("bid_count: must be 0"));

  page = NomBidPage{};
  page.magic = NOM_BID_PAGE_MAGIC;
  page.abi_version = NOM_ABI_VERSION;
  page.bid_form = NOM_BID_FORM_PRODUCT;
  page.whole_value_microcredits = 900;
  page.bid_count = 2;
  page.bids[0] = {.kind = NOM_RESOURCE_CPU, .range_count = 1, .ranges = {{0, 4, 0, 1 << 18}}};
  page.bids[1] = {.kind = NOM_RESOURCE_MEMORY, .range_count = 1, .ranges = {{4, 4, 1 << 20, 0}}};
  bids = ReadBidPage(1, page).bids;
  EXPECT_EQ(bids.error, "");
  ASSERT_EQ(bids.bids.size(), 1u);
  ASSERT_TRUE(bids.bids[0].valuation->curves.has_value());
  EXPECT_EQ(bids.bids[0].valuation->curves->combination, policies::Combination::kProduct);
  EXPECT_EQ(bids.bids[0].valuation->curves->whole_value_microcredits, 900);
  EXPECT_EQ(bids.bids[0].valuation->curves->curves[1][0].min_units, 4);
  page.bids[1].budget_microcredits = 4;
  EXPECT_THAT(ReadBidPage(1, page).bids.error, HasSubstr("one budget together"));
  page.bid_form = 6;
  EXPECT_THAT(ReadBidPage(1, page).bids.error, HasSubstr("bid_form: 6 is unknown"));
}

TEST(ReadBidPage, GarbageIsNamedAndNeverHalfTaken) {
  NomBidPage page{};
  page.magic = 0xdeadbeef;
  EXPECT_THAT(ReadBidPage(1, page).bids.error, HasSubstr("magic: 0xdeadbeef"));
  page.magic = NOM_BID_PAGE_MAGIC;
  page.abi_version = 9 << 16;
  EXPECT_THAT(ReadBidPage(1, page).bids.error, HasSubstr("abi_version"));
  page.abi_version = NOM_ABI_VERSION;
  page.bid_count = 2;
  page.bids[0].kind = NOM_RESOURCE_CPU;
  page.bids[1].kind = 77;
  EXPECT_THAT(ReadBidPage(1, page).bids.error, HasSubstr("bids[1].kind: unknown resource 77"));
  EXPECT_TRUE(ReadBidPage(1, page).bids.bids.empty());
  page.bids[1].kind = NOM_RESOURCE_CPU;
  EXPECT_THAT(ReadBidPage(1, page).bids.error, HasSubstr("a second bid"));
  page.bids[1].kind = NOM_RESOURCE_MEMORY;
  page.bids[1].range_count = 17;
  EXPECT_THAT(ReadBidPage(1, page).bids.error, HasSubstr("bids[1].range_count: 17"));
  page.bid_count = 0xffffffff;
  EXPECT_THAT(ReadBidPage(1, page).bids.error, HasSubstr("bid_count"));
  std::memset(page.activity, 'x', sizeof(page.activity));  // No terminating zero.
  page.work_unit[0] = '\x1b';
  const BidPageContents contents = ReadBidPage(1, page);
  ASSERT_TRUE(contents.report.has_value());
  EXPECT_EQ(contents.report->activity, std::string(32, 'x'));
  EXPECT_EQ(contents.report->work_unit, "?") << "a terminal must not be driven by a guest";
}

}  // namespace
}  // namespace nom::market
