// SPDX-License-Identifier: Apache-2.0
// Devices handed out: each to one guest, behind the IOMMU, taken back whole.

#include <cstring>

#include "nomhv/abi/guest.h"
#include "tests/guests/driver/scenario.h"

namespace nom::tests {
namespace {

constexpr uint32_t kEdu = 0x11e81234;
constexpr uint32_t kNvme = 0x00101b36;

class Devices : public Scenario {
 protected:
  // The bit of the first device with this id; 0 if there is none.
  uint32_t Bit(uint32_t id) const {
    const NomDeviceBoard board = machine.Devices();
    for (uint32_t i = 0; i < board.device_count; ++i) {
      if (board.devices[i].id == id) return 1u << i;
    }
    ADD_FAILURE() << "no device " << std::hex << id;
    return 0;
  }
  uint64_t Drive(const char* program, const char* arguments) {
    return Create({.program = program, .arguments = arguments, .millicores = 300});
  }
};

TEST_F(Devices, DmaStaysInTheFramesOfTheGuestThatHoldsIt) {
  const uint64_t neighbour = Create({.program = "worker", .millicores = 100});
  const uint64_t churner = Create({.program = "keeper", .arguments = "churn=1", .millicores = 100});
  const uint64_t id = Drive("dma", "then=end");
  ASSERT_EQ(
      machine.Apply({{neighbour, 512, 100}, {churner, 600, 100}, {id, 512, 300, Bit(kEdu)}}).status,
      NOM_STATUS_OK);
  EXPECT_EQ(machine.Meter(id)->devices, Bit(kEdu));
  ExpectEnd(id, NOM_EXIT_REASON_DONE, 0);
  ExpectProgress(neighbour);
  ExpectProgress(churner);
}

TEST_F(Devices, OneGuestADeviceAndOnlyThoseThatAreThere) {
  const uint64_t first = Create({.program = "worker"});
  const uint64_t second = Create({.program = "worker"});
  const uint32_t edu = Bit(kEdu);
  NomEvent answer = machine.Apply({{first, 512, 100, edu}, {second, 512, 100, edu}});
  EXPECT_EQ(answer.status, NOM_STATUS_OVER_CAPACITY);
  EXPECT_EQ(answer.value, second);
  answer = machine.Apply({{first, 512, 100, 1u << 31}, {second, 512, 100}});
  EXPECT_EQ(answer.status, NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(answer.value, first);
  EXPECT_EQ(machine.Meter(first)->devices, 0u);
}

TEST_F(Devices, WhatIsTakenBackIsGoneAndServesTheNext) {
  const uint64_t first = Drive("dma", "then=lose");
  const uint64_t second = Drive("dma", "then=end");
  const uint32_t edu = Bit(kEdu);
  ASSERT_EQ(machine.Apply({{first, 512, 300, edu}, {second, 512, 300}}).status, NOM_STATUS_OK);
  machine.WaitFor("use", [&] { return machine.WorkDone(first) == 2; });
  ASSERT_EQ(machine.Apply({{first, 512, 300}, {second, 512, 300, edu}}).status, NOM_STATUS_OK);
  ExpectEnd(first, NOM_EXIT_REASON_DONE, 0);
  ExpectEnd(second, NOM_EXIT_REASON_DONE, 0);
}

// Its DMA is on the way when its guest goes: it lands nowhere, and least of all in who comes next.
TEST_F(Devices, DestroyedInTheMiddleOfDma) {
  for (int i = 0; i < 3; ++i) {
    const uint64_t id = Drive("dma", "then=storm");
    ASSERT_EQ(machine.Apply({{id, 512, 300, Bit(kEdu)}}).status, NOM_STATUS_OK);
    machine.WaitFor("use", [&] { return machine.WorkDone(id) >= 1; });
    Destroy(id);
    const uint64_t next = Create({.program = "worker", .millicores = 500});
    ExpectProgress(next);
    Destroy(next);
  }
}

// Another boot, with a disk: its function can be reset.
class Disks : public Devices {};

TEST_F(Disks, AGuestDrivesItsDiskWithoutAnExit) {
  const uint64_t id = Drive("nvme", "seed=5");
  ASSERT_EQ(machine.Apply({{id, 512, 900, Bit(kNvme)}}).status, NOM_STATUS_OK);
  machine.WaitFor("blocks", [&] { return machine.WorkDone(id) > 5; });
  const auto exits = [&] {
    const NomMeter meter = FreshMeter(id);
    return meter.exits[NOM_EXIT_CALL] + meter.exits[NOM_EXIT_NESTED_PAGE_FAULT] +
           meter.exits[NOM_EXIT_PORT] + meter.exits[NOM_EXIT_MSR] + meter.exits[NOM_EXIT_OTHER];
  };
  const uint64_t before = exits();
  const uint64_t rounds = machine.WorkDone(id);
  machine.WaitFor("blocks", [&] { return machine.WorkDone(id) > rounds + 20; });
  EXPECT_EQ(exits(), before);
}

TEST_F(Disks, ItIsResetBetweenTwoGuests) {
  const uint64_t first = Drive("nvme", "seed=1");
  const uint64_t second = Drive("nvme", "seed=2 rounds=3");
  ASSERT_EQ(machine.Apply({{first, 512, 400, Bit(kNvme)}, {second, 512, 400}}).status,
            NOM_STATUS_OK);
  machine.WaitFor("blocks", [&] { return machine.WorkDone(first) > 3; });
  // In the middle of requests.
  ASSERT_EQ(machine.Apply({{first, 512, 400}, {second, 512, 400, Bit(kNvme)}}).status,
            NOM_STATUS_OK);
  // Its registers are gone: the next access is a #GP.
  ExpectEnd(first, NOM_EXIT_REASON_DONE, 128 + 13);
  ExpectEnd(second, NOM_EXIT_REASON_DONE, 0);
}

TEST_F(Disks, DestroyedInTheMiddleOfRequests) {
  for (int i = 0; i < 3; ++i) {
    const uint64_t id = Drive("nvme", "seed=3");
    ASSERT_EQ(machine.Apply({{id, 512, 300, Bit(kNvme)}}).status, NOM_STATUS_OK);
    machine.WaitFor("use", [&] { return machine.WorkDone(id) >= 1; });
    Destroy(id);
    const uint64_t next = Create({.program = "worker", .millicores = 500});
    ExpectProgress(next);
    Destroy(next);
  }
}

// By interrupt: answers wake the guest, and once the function has gone to another guest nothing of
// it interrupts who had it.
TEST_F(Disks, InterruptsComeAndGoWithTheFunction) {
  const uint64_t spinner = Create({.program = "spin", .millicores = 200});
  const uint64_t first = Create(
      {.program = "nvme", .arguments = "interrupts=1 rounds=4 then=lose", .millicores = 300});
  const uint64_t second =
      Create({.program = "nvme", .arguments = "interrupts=1 seed=7 rounds=8", .millicores = 300});
  const auto apply = [&](uint32_t of_first, uint32_t of_second) {
    return machine
        .Apply({{spinner, 512, 200}, {first, 512, 300, of_first}, {second, 512, 300, of_second}})
        .status;
  };
  ASSERT_EQ(apply(1, 0), NOM_STATUS_OK);
  machine.WaitFor("the first's rounds",
                  [&] { return machine.WorkDone(first) >= 4 || machine.End(first).has_value(); });
  EXPECT_GE(FreshMeter(first).interrupts, 4u);
  // The function moves, and so do processors, while interrupts are on their way.
  ASSERT_EQ(apply(0, 1), NOM_STATUS_OK);
  ExpectEnd(second, NOM_EXIT_REASON_DONE, 0);
  EXPECT_GE(machine.Meter(second)->interrupts, 8u);
  ExpectEnd(first, NOM_EXIT_REASON_DONE, 0);
}

using Nets = Scenario;

TEST_F(Nets, FramesComeBackByPollingAndByInterrupt) {
  ASSERT_EQ(machine.Devices().device_count, 1u);
  for (const char* arguments : {"interrupts=0", "interrupts=1"}) {
    SCOPED_TRACE(arguments);
    const uint64_t id = Create({.program = "net", .arguments = arguments, .millicores = 500});
    ASSERT_EQ(machine.Apply({{id, 512, 500, 1}}).status, NOM_STATUS_OK);
    ExpectEnd(id, NOM_EXIT_REASON_DONE, 0);
    Destroy(id);
  }
}

}  // namespace
}  // namespace nom::tests
