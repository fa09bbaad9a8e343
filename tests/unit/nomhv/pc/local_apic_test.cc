// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/pc/local_apic.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace nomhv {
namespace {

constexpr uint32_t kTaskPriority = 0x808;
constexpr uint32_t kProcessorPriority = 0x80a;
constexpr uint32_t kEndOfInterrupt = 0x80b;
constexpr uint32_t kSpurious = 0x80f;
constexpr uint32_t kInService = 0x810;
constexpr uint32_t kPending = 0x820;
constexpr uint32_t kTimer = 0x832;
constexpr uint64_t kOn = 0x1ff;
constexpr uint64_t kDeadlineMode = 2u << 17;

LocalApic Enabled(uint32_t id = 0) {
  LocalApic apic(id);
  EXPECT_TRUE(apic.Write(kSpurious, kOn));
  return apic;
}

TEST(LocalApic, NothingIsAdmittedBeforeItIsEnabled) {
  LocalApic apic;
  EXPECT_FALSE(apic.Admits(0xff));
  EXPECT_TRUE(apic.Admits(0)) << "what was raised for nothing is taken back";
  EXPECT_TRUE(apic.Write(kSpurious, kOn));
  EXPECT_TRUE(apic.Admits(0x20));
}

TEST(LocalApic, WhatIsInServiceKeepsTheLessUrgentOut) {
  const News none;
  LocalApic apic = Enabled();
  apic.Begin(0x51);
  EXPECT_FALSE(apic.Admits(0x31));
  EXPECT_FALSE(apic.Admits(0x5f)) << "of the same class";
  EXPECT_TRUE(apic.Admits(0x60));
  EXPECT_EQ(apic.Read(kProcessorPriority, none), 0x50u);
  apic.Begin(0xe3);
  EXPECT_EQ(apic.Read(kInService + 2, none), 1u << 0x11);
  EXPECT_EQ(apic.Read(kInService + 7, none), 1u << 3);
  EXPECT_TRUE(apic.Write(kEndOfInterrupt, 0)) << "of the more urgent";
  EXPECT_EQ(apic.Read(kInService + 7, none), 0u);
  EXPECT_FALSE(apic.Admits(0x31));
  EXPECT_TRUE(apic.Write(kEndOfInterrupt, 0));
  EXPECT_TRUE(apic.Admits(0x31));
  EXPECT_TRUE(apic.Write(kEndOfInterrupt, 0)) << "of nothing";
  EXPECT_FALSE(apic.Write(kEndOfInterrupt, 1));
}

TEST(LocalApic, TaskPriorityKeepsTheLessUrgentOut) {
  const News none;
  LocalApic apic = Enabled();
  EXPECT_TRUE(apic.Write(kTaskPriority, 0x47));
  EXPECT_EQ(apic.Read(kProcessorPriority, none), 0x47u);
  EXPECT_FALSE(apic.Admits(0x4f));
  EXPECT_TRUE(apic.Admits(0x50));
  EXPECT_FALSE(apic.Write(kTaskPriority, 0x100));
  EXPECT_EQ(apic.Read(kTaskPriority, none), 0x47u);
}

// Held to a plain model: sets of vectors.
TEST(LocalApic, IsLikeItsModel) {
  std::mt19937 random(7);
  const News none;
  LocalApic apic = Enabled();
  std::set<uint32_t> serving;
  for (int i = 0; i < 100'000; ++i) {
    const auto vector = static_cast<uint8_t>(16 + random() % 240);
    const uint32_t highest = serving.empty() ? 0 : *serving.rbegin();
    ASSERT_EQ(apic.Admits(vector), vector / 16 > highest / 16) << i;
    if (apic.Admits(vector)) {
      apic.Begin(vector);
      serving.insert(vector);
    } else if (random() % 2 == 0) {
      ASSERT_TRUE(apic.Write(kEndOfInterrupt, 0));
      serving.erase(highest);
    }
    for (uint32_t word = 0; word < 8; ++word) {
      uint32_t bits = 0;
      for (const uint32_t v : serving) bits |= v / 32 == word ? 1u << v % 32 : 0;
      ASSERT_EQ(apic.Read(kInService + word, none), bits);
    }
  }
}

TEST(LocalApic, PendingVectorsAreRead) {
  News news;
  static_cast<void>(news.Tell(0, 0x21, 1));
  static_cast<void>(news.Tell(0, 0xff, 1));
  const LocalApic apic;
  EXPECT_EQ(apic.Read(kPending + 1, news), 2u);
  EXPECT_EQ(apic.Read(kPending + 7, news), 0x80000000u);
  EXPECT_EQ(apic.Read(kPending + 6, news), 0u);
}

TEST(LocalApic, TheTimerFiresOnceAtItsDeadline) {
  LocalApic apic = Enabled();
  EXPECT_TRUE(apic.Write(kMsrTscDeadline, 100)) << "in another mode it is not armed";
  EXPECT_EQ(apic.deadline_tsc(), 0u);
  EXPECT_TRUE(apic.Write(kTimer, kDeadlineMode | 0xec));
  EXPECT_TRUE(apic.Write(kMsrTscDeadline, 100));
  EXPECT_EQ(apic.deadline_tsc(), 100u);
  EXPECT_EQ(apic.TakeTimer(99), 0);
  EXPECT_EQ(apic.TakeTimer(100), 0xec);
  EXPECT_EQ(apic.TakeTimer(101), 0) << "once";
  EXPECT_EQ(apic.deadline_tsc(), 0u);
}

TEST(LocalApic, TheTimerIsDisarmedByZeroAMaskAndAnotherMode) {
  LocalApic apic = Enabled();
  EXPECT_TRUE(apic.Write(kTimer, kDeadlineMode | 0xec));
  EXPECT_TRUE(apic.Write(kMsrTscDeadline, 100));
  EXPECT_TRUE(apic.Write(kMsrTscDeadline, 0));
  EXPECT_EQ(apic.TakeTimer(200), 0);
  EXPECT_TRUE(apic.Write(kMsrTscDeadline, 100));
  EXPECT_TRUE(apic.Write(kTimer, 0xec));
  EXPECT_EQ(apic.deadline_tsc(), 0u);
  EXPECT_TRUE(apic.Write(kTimer, 1u << 16 | kDeadlineMode | 0xec));
  EXPECT_TRUE(apic.Write(kMsrTscDeadline, 100));
  EXPECT_EQ(apic.TakeTimer(200), 0) << "masked";
  EXPECT_EQ(apic.deadline_tsc(), 0u);
  EXPECT_TRUE(apic.Write(kTimer, kDeadlineMode | 3));
  EXPECT_TRUE(apic.Write(kMsrTscDeadline, 100));
  EXPECT_EQ(apic.TakeTimer(200), 0) << "no vector of an APIC's";
}

TEST(LocalApic, IdsAreItsOwn) {
  const News none;
  const LocalApic apic(5);
  EXPECT_EQ(apic.Read(0x802, none), 5u);
  EXPECT_EQ(apic.Read(0x80d, none), 1u << 5);
  EXPECT_EQ(LocalApic(18).Read(0x80d, none), 1u << 16 | 1u << 2);
}

// A stranger writes anything anywhere: nothing but registers that exist answers, and none keeps
// more than 32 bits.
TEST(LocalApic, WhatDoesNotExistIsRefused) {
  const News none;
  LocalApic apic = Enabled();
  for (const uint32_t msr :
       {0x800u, 0x801u, 0x804u, 0x809u, 0x80cu, 0x80eu, 0x829u, 0x831u, 0x83au}) {
    EXPECT_EQ(apic.Read(msr, none), std::nullopt) << msr;
    EXPECT_FALSE(apic.Write(msr, 0)) << msr;
  }
  for (const uint32_t msr : {0x802u, 0x803u, 0x80au, 0x80du, 0x810u, 0x820u, 0x839u}) {
    EXPECT_TRUE(apic.Read(msr, none).has_value()) << msr;
    EXPECT_FALSE(apic.Write(msr, 0)) << "read only: " << msr;
  }
  EXPECT_EQ(apic.Read(kMsrX2ApicSelf, none), std::nullopt) << "write only";
  std::mt19937_64 random(11);
  for (int i = 0; i < 100'000; ++i) {
    const auto msr = static_cast<uint32_t>(kMsrX2ApicFirst + random() % 0x40);
    const uint64_t value = random() >> random() % 64;
    if (msr == kMsrX2ApicCommand) continue;
    const bool taken = apic.Write(msr, value);
    ASSERT_TRUE(!taken || value >> 32 == 0);
    ASSERT_EQ(apic.Read(msr, none).value_or(0) >> 32, 0u);
  }
}

TEST(InterruptCommands, GoWhereTheySay) {
  constexpr auto decode = [](uint64_t value) { return DecodeInterruptCommand(value, 1, 4); };
  const auto to = [](uint64_t destination) { return destination << 32; };
  EXPECT_EQ(decode(to(2) | 0x40).targets, 1u << 2);
  EXPECT_EQ(decode(to(2) | 0x40).kind, InterruptCommand::kFixed);
  EXPECT_EQ(decode(to(2) | 0x40).vector, 0x40);
  EXPECT_EQ(decode(to(4) | 0x40).kind, InterruptCommand::kNothing) << "there are four";
  EXPECT_EQ(decode(to(0xffffffff) | 0x40).targets, 0xfu);
  EXPECT_EQ(decode(to(0x0000'0005) | 1u << 11 | 0x40).targets, 5u) << "logical, cluster 0";
  EXPECT_EQ(decode(to(0x0001'0001) | 1u << 11 | 0x40).kind, InterruptCommand::kNothing);
  EXPECT_EQ(decode(to(0xfffe'0001) | 1u << 11 | 0x40).kind, InterruptCommand::kNothing);
  EXPECT_EQ(decode(1u << 18 | 0x40).targets, 1u << 1) << "itself";
  EXPECT_EQ(decode(2u << 18 | 0x40).targets, 0xfu);
  EXPECT_EQ(decode(3u << 18 | 0x40).targets, 0xdu) << "the others";
  EXPECT_EQ(DecodeInterruptCommand(to(0x0001'0002) | 1u << 11 | 0x40, 0, 20).targets, 1u << 17);
  EXPECT_EQ(DecodeInterruptCommand(2u << 18 | 0x40, 0, 32).targets, ~0u);
}

TEST(InterruptCommands, AreOfKnownKinds) {
  constexpr auto kind = [](uint64_t value) {
    return DecodeInterruptCommand(2u << 18 | value, 0, 4).kind;
  };
  EXPECT_EQ(kind(0x10), InterruptCommand::kFixed);
  EXPECT_EQ(kind(0x0f), InterruptCommand::kNothing) << "no vector";
  EXPECT_EQ(kind(1u << 8 | 0x40), InterruptCommand::kFixed);
  EXPECT_EQ(kind(2u << 8), InterruptCommand::kNothing);
  EXPECT_EQ(kind(4u << 8), InterruptCommand::kNothing);
  EXPECT_EQ(kind(5u << 8 | 1u << 14), InterruptCommand::kInit);
  EXPECT_EQ(kind(5u << 8), InterruptCommand::kNothing) << "its end";
  EXPECT_EQ(kind(6u << 8 | 0x9a), InterruptCommand::kStartup);
  EXPECT_EQ(DecodeInterruptCommand(2u << 18 | 6u << 8 | 0x9a, 0, 4).vector, 0x9a);
}

}  // namespace
}  // namespace nomhv
