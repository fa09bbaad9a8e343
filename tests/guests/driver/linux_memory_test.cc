// SPDX-License-Identifier: Apache-2.0
// The memory of Linux guests follows their grants: by nomguestd inside, or not at all. What the
// guests do is in ../linux/init, under the word that each test's command line has.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include "nomhv/abi/pc.h"
#include "tests/guests/driver/scenario.h"

namespace nom::tests {
namespace {

constexpr uint64_t kWindow = 98'304;  // 384 MiB.
constexpr uint64_t kSeed = 32'768;
constexpr uint64_t kLarge = 90'000;
constexpr uint64_t kUsed = 66'000;  // It has use for that many and more.
constexpr uint64_t kSmall = 40'000;
constexpr uint64_t kLast = 42'000;  // Which tells it to end.
constexpr uint64_t kMillicores = 900;
constexpr uint64_t kDeadlineUs = 60'000'000;
// In machine time, of which a busy computer emulates little in a second of its own: the test's own
// limit ends what takes too long.
constexpr uint64_t kStepUs = 100'000;
constexpr int kSteps = 5'000;

class LinuxMemory : public Scenario {
 protected:
  // The neighbour's grant is whatever Linux's is not.
  void Begin(std::string_view words) {
    static uint64_t next_id = 60;
    id_ = next_id++;
    neighbour_ = Create({.program = "worker", .window_frames = NOM_WINDOW_FRAMES_MAX});
    ASSERT_NE(neighbour_, 0u);
    NomCreatePc pc{};
    pc.create.guest_id = id_;
    pc.create.seed_frames = kSeed;
    pc.create.window_frames = kWindow;
    pc.create.seed_millicores = kMillicores;
    std::strncpy(pc.create.name, "linux", sizeof(pc.create.name) - 1);
    std::strncpy(pc.kernel, "vmlinux", sizeof(pc.kernel) - 1);
    std::strncpy(pc.initramfs, "linux.cpio", sizeof(pc.initramfs) - 1);
    const std::string line =
        "console=ttyS0 quiet tsc=reliable reboot=t panic=-1 nom=" + std::string(words);
    line.copy(pc.command_line, sizeof(pc.command_line) - 1);
    std::memcpy(machine.payload(), &pc, sizeof(pc));
    NomCommand command{};
    command.kind = NOM_COMMAND_CREATE;
    command.payload_bytes = sizeof(pc);
    command.argument[1] = NOM_PERSONALITY_PC;
    ASSERT_EQ(machine.Call(command).status, NOM_STATUS_OK);
  }
  void TearDown() override {
    static_cast<void>(machine.Destroy(id_));
    Scenario::TearDown();
  }
  std::vector<Grant> Grants(uint64_t frames) {
    return {{neighbour_, machine.Header().capacity_frames - frames, 100},
            {id_, frames, kMillicores}};
  }
  void Apply(uint64_t frames) {
    EXPECT_EQ(machine.Apply(Grants(frames)).status, NOM_STATUS_OK);
    // All of it is the neighbour's at once, whatever the other did.
    EXPECT_EQ(FreshMeter(neighbour_).frames_held, machine.Header().capacity_frames - frames);
  }
  void Prepare(uint64_t frames) {
    EXPECT_EQ(machine.Prepare(Grants(frames), kDeadlineUs).status, NOM_STATUS_OK);
  }
  uint64_t Held() { return machine.Meter(id_).value_or(NomMeter{}).frames_held; }
  // Until it is so, or the guest has ended.
  void Wait(const std::function<bool()>& done) {
    for (int step = 0; step < kSteps && !done() && !machine.End(id_).has_value(); ++step) {
      machine.PassUs(kStepUs);
    }
  }
  void WaitUntil(const char* what, const std::function<bool()>& done) {
    Wait(done);
    ASSERT_FALSE(machine.End(id_).has_value())
        << what << ": it ended, by " << machine.End(id_)->reason;
    ASSERT_TRUE(done()) << what;
  }
  void WaitForItsEnd() {
    Wait([] { return false; });
    ASSERT_TRUE(machine.End(id_).has_value()) << "it runs on";
  }
  void ExpectDone() {
    ASSERT_NO_FATAL_FAILURE(WaitForItsEnd());
    ExpectEnd(id_, NOM_EXIT_REASON_DONE, 0);
  }

  uint64_t id_ = 0;
  uint64_t neighbour_ = 0;
};

TEST_F(LinuxMemory, FollowsDownAndUpUnderLoad) {
  ASSERT_NO_FATAL_FAILURE(Begin("follow,memory"));
  for (int round = 0; round < 2; ++round) {
    Apply(kLarge);
    ASSERT_NO_FATAL_FAILURE(WaitUntil("use of the memory", [&] { return Held() > kUsed; }));
    const NomMeter before = FreshMeter(id_);
    Prepare(kSmall);
    ASSERT_NO_FATAL_FAILURE(WaitUntil("the way back", [&] { return Held() <= kSmall; }));
    const NomMeter after = FreshMeter(id_);
    const uint64_t ms = (after.tsc - before.tsc) / (machine.Header().tsc_hz / 1000);
    std::printf("gave %lu frames back in at most %lu ms\n", before.frames_held - after.frames_held,
                ms);
    Apply(kSmall);
    EXPECT_EQ(FreshMeter(id_).forced_frames, 0u);
    ExpectProgress(neighbour_);
  }
  Apply(kLast);
  ExpectDone();
}

TEST_F(LinuxMemory, WhatIsKeptBeyondTheNoticeEndsIt) {
  ASSERT_NO_FATAL_FAILURE(Begin("use_all"));
  Apply(kLarge);
  ASSERT_NO_FATAL_FAILURE(WaitUntil("use of the memory", [&] { return Held() > kUsed; }));
  Prepare(kSmall);
  Apply(kSmall);
  const auto end = machine.WaitEnd(id_);
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(end->reason, static_cast<uint32_t>(NOM_EXIT_REASON_KEPT_MEMORY));
  EXPECT_GT(end->detail, kUsed - kSmall - 1);
  EXPECT_LE(end->detail, kLarge - kSmall);
  ExpectProgress(neighbour_);
}

TEST_F(LinuxMemory, WhatItTouchesBeyondItsGrantEndsIt) {
  ASSERT_NO_FATAL_FAILURE(Begin("use_all"));
  Apply(kSmall);
  ASSERT_NO_FATAL_FAILURE(WaitForItsEnd());
  const auto end = machine.WaitEnd(id_);
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(end->reason, static_cast<uint32_t>(NOM_EXIT_REASON_OVER_GRANT));
  EXPECT_LT(end->detail, kWindow * NOM_FRAME_BYTES);
  ExpectProgress(neighbour_);
}

// Its pieces are the kernel's again, and have no frames: they come as they are touched.
TEST_F(LinuxMemory, TheEndOfTheDaemonAndItsPiecesIsSurvived) {
  ASSERT_NO_FATAL_FAILURE(Begin("follow,lose"));
  ASSERT_NO_FATAL_FAILURE(WaitUntil("the end of nomguestd", [&] {
    return machine.Meter(id_).value_or(NomMeter{}).lines_lost > 0;
  }));
  Apply(kLarge);
  ASSERT_NO_FATAL_FAILURE(WaitUntil("use of the memory", [&] { return Held() > kUsed; }));
  ExpectDone();
}

}  // namespace
}  // namespace nom::tests
