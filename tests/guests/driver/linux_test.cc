// SPDX-License-Identifier: Apache-2.0
// Linux guests, which the boot configuration starts, beside another guest on one processor. They
// work without end; each of the three gets what it was promised and no more.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <vector>

#include "nomhv/abi/pc.h"
#include "tests/guests/driver/machine.h"

namespace nom::tests {
namespace {

constexpr uint64_t kLinux[] = {1, 2};
constexpr double kLinuxShare = 0.4;
constexpr double kSpinnerShare = 0.15;
// In machine time, of which a busy computer emulates little in a second of its own: a step is
// waited for as long as everything is, and there are so many of them at most.
// Where a reading falls in a period is worth up to a period's share, 0.4 % of a step.
constexpr uint64_t kStepUs = 2'400'000;
constexpr int kSteps = 100;

class Linux : public ::testing::Test {
 protected:
  struct Reading {
    NomMeter one{}, two{}, spinner{};
    [[nodiscard]] uint64_t Count(NomExit exit) const { return one.exits[exit] + two.exits[exit]; }
  };
  Reading Read(uint64_t spinner) {
    const auto meter = [&](uint64_t id) { return machine.Meter(id).value_or(NomMeter{}); };
    return {meter(kLinux[0]), meter(kLinux[1]), meter(spinner)};
  }
  static void ExpectShare(const NomMeter& before, const NomMeter& after, double share) {
    EXPECT_EQ(after.state, static_cast<uint32_t>(NOM_GUEST_RUNNING));
    const double wanted = static_cast<double>(after.tsc - before.tsc) * share;
    EXPECT_NEAR(static_cast<double>(after.cycles_used - before.cycles_used), wanted, wanted * 0.01)
        << "guest " << after.guest_id;
  }

  Machine& machine = Machine::Get();
};

TEST_F(Linux, GuestsGetTheirSharesBesideAnother) {
  const uint64_t spinner = machine.Create({.program = "spin", .millicores = 150});
  ASSERT_NE(spinner, 0u);
  // Its share is its own also while they boot. Theirs is used up once they have looked at their
  // machine and work: then they neither halt nor touch a port.
  machine.PassUs(kStepUs);
  Reading before = Read(spinner);
  Reading after;
  for (int step = 0; step < kSteps; ++step) {
    machine.PassUs(kStepUs);
    after = Read(spinner);
    ExpectShare(before.spinner, after.spinner, kSpinnerShare);
    const bool busy = before.Count(NOM_EXIT_HALT) == after.Count(NOM_EXIT_HALT) &&
                      before.Count(NOM_EXIT_PORT) == after.Count(NOM_EXIT_PORT);
    if (HasFailure() || (busy && after.Count(NOM_EXIT_PORT) > 0)) break;
    before = after;
  }
  ExpectShare(before.one, after.one, kLinuxShare);
  ExpectShare(before.two, after.two, kLinuxShare);
  // Until they have told what was stolen from them.
  for (const uint64_t id : kLinux) {
    for (int step = 0; step < kSteps && !machine.End(id).has_value(); ++step) {
      machine.PassUs(kStepUs);
    }
    const auto end = machine.End(id);
    ASSERT_TRUE(end.has_value()) << "guest " << id << " runs on";
    EXPECT_EQ(end->reason, static_cast<uint32_t>(NOM_EXIT_REASON_DONE));
    EXPECT_EQ(machine.Destroy(id).status, NOM_STATUS_OK);
  }
  EXPECT_FALSE(machine.End(spinner).has_value());
  EXPECT_EQ(machine.Destroy(spinner).status, NOM_STATUS_OK);
  EXPECT_EQ(machine.Header().frames_granted, 0u);
  EXPECT_EQ(machine.Header().frames_free, machine.Header().capacity_frames) << "frames leaked";
}

// Of files that the loader brought and no boot configuration started.
class LinuxCommands : public ::testing::Test {
 protected:
  NomCreatePc Make(std::string_view kernel, std::string_view initramfs) {
    NomCreatePc pc{};
    pc.create.guest_id = 50;
    pc.create.seed_frames = pc.create.window_frames = 32768;
    pc.create.seed_millicores = 800;
    std::strncpy(pc.create.name, "commanded", sizeof(pc.create.name) - 1);
    std::copy(kernel.begin(), kernel.end(), pc.kernel);
    std::copy(initramfs.begin(), initramfs.end(), pc.initramfs);
    // Of as many bytes as there may be: what counts stands at its end.
    std::memset(pc.command_line, ' ', NOM_PC_COMMAND_LINE_BYTES - 1);
    constexpr std::string_view kText =
        "console=ttyS0 quiet tsc=reliable reboot=t panic=-1 nom=hello";
    std::copy(kText.begin(), kText.end(),
              pc.command_line + NOM_PC_COMMAND_LINE_BYTES - 1 - kText.size());
    return pc;
  }
  NomEvent Create(const NomCreatePc& pc, uint64_t personality = NOM_PERSONALITY_PC) {
    std::memcpy(machine.payload(), &pc, sizeof(pc));
    NomCommand command{};
    command.kind = NOM_COMMAND_CREATE;
    command.payload_bytes = sizeof(pc);
    command.argument[1] = personality;
    return machine.Call(command);
  }

  Machine& machine = Machine::Get();
};

TEST_F(LinuxCommands, AGuestIsCreatedOfFilesOfTheArchive) {
  const NomCreatePc pc = Make("vmlinux", "linux.cpio");
  ASSERT_EQ(Create(pc).status, NOM_STATUS_OK);
  EXPECT_EQ(Create(pc).status, NOM_STATUS_EXISTS);
  for (int step = 0; step < 300 && !machine.End(50).has_value(); ++step) machine.PassUs(200'000);
  const auto end = machine.End(50);
  ASSERT_TRUE(end.has_value()) << "it runs on";
  EXPECT_EQ(end->reason, static_cast<uint32_t>(NOM_EXIT_REASON_DONE));
  EXPECT_EQ(machine.Destroy(50).status, NOM_STATUS_OK);
}

TEST_F(LinuxCommands, WhatIsWrongIsRefused) {
  EXPECT_EQ(Create(Make("none", "linux.cpio")).status, NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(Create(Make("vmlinux", "none")).status, NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(Create(Make("", "")).status, NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(Create(Make("vmlinux", ""), 2).status, NOM_STATUS_BAD_PARAMETER);
  const NomEvent event = Create(Make("linux.cpio", ""));
  EXPECT_EQ(event.status, NOM_STATUS_BAD_IMAGE);
  EXPECT_EQ(event.detail, static_cast<uint32_t>(NOM_IMAGE_FAULT_NOT_ELF));
  NomCreatePc pc = Make("vmlinux", "");
  pc.command_line[NOM_PC_COMMAND_LINE_BYTES - 1] = 'x';
  EXPECT_EQ(Create(pc).status, NOM_STATUS_BAD_PARAMETER) << "too long";
  pc = Make("vmlinux", "");
  std::memset(pc.kernel, 'k', sizeof(pc.kernel));
  EXPECT_EQ(Create(pc).status, NOM_STATUS_BAD_PARAMETER) << "without an end";
  pc = Make("vmlinux", "linux.cpio");
  pc.create.seed_frames = pc.create.window_frames = 15873;  // The kernel, and a frame.
  EXPECT_EQ(Create(pc).detail, static_cast<uint32_t>(NOM_IMAGE_FAULT_OUTSIDE_SEED));
  NomCommand command{};
  command.kind = NOM_COMMAND_CREATE;
  command.payload_bytes = sizeof(pc) - 1;
  command.argument[1] = NOM_PERSONALITY_PC;
  EXPECT_EQ(machine.Call(command).status, NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(machine.Header().frames_free, machine.Header().capacity_frames) << "frames leaked";
}

}  // namespace
}  // namespace nom::tests
