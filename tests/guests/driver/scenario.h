// SPDX-License-Identifier: Apache-2.0
// The fixture of every scenario: the machine is empty before and after, nothing has leaked, and
// nomhv still answers.

#ifndef TESTS_GUESTS_DRIVER_SCENARIO_H_
#define TESTS_GUESTS_DRIVER_SCENARIO_H_

#include <gtest/gtest.h>

#include <vector>

#include "tests/guests/driver/machine.h"

namespace nom::tests {

class Scenario : public ::testing::Test {
 protected:
  void SetUp() override { frames_free_ = machine.Header().frames_free; }

  void TearDown() override {
    for (const uint64_t id : guests_) static_cast<void>(machine.Destroy(id));
    NomCommand ping{};
    ping.kind = NOM_COMMAND_PING;
    EXPECT_EQ(machine.Call(ping).status, NOM_STATUS_OK);
    const NomMailboxHeader before = machine.Header();
    machine.WaitFor("nomhv's heart",
                    [&] { return machine.Header().heartbeat_tsc > before.heartbeat_tsc; });
    const NomMailboxHeader after = machine.Header();
    EXPECT_EQ(after.frames_free, frames_free_) << "frames leaked";
    EXPECT_EQ(after.frames_granted, 0u);
    EXPECT_EQ(after.millicores_granted, 0u);
    EXPECT_LE(after.frames_granted_max, after.capacity_frames) << "the machine was over-committed";
    EXPECT_LE(after.millicores_granted_max, after.capacity_millicores);
  }

  // Creates a guest that TearDown destroys.
  uint64_t Create(const GuestSpec& spec) {
    const uint64_t id = machine.Create(spec);
    if (id != 0) guests_.push_back(id);
    return id;
  }
  void Destroy(uint64_t id) {
    EXPECT_EQ(machine.Destroy(id).status, NOM_STATUS_OK);
    std::erase(guests_, id);
  }
  // The guest runs and gets on with its work.
  void ExpectProgress(uint64_t id) {
    const uint64_t before = machine.WorkDone(id);
    machine.WaitFor("progress", [&] {
      return machine.WorkDone(id) > before + 2 || machine.End(id).has_value();
    });
    EXPECT_FALSE(machine.End(id).has_value()) << "guest " << id << " has ended";
  }
  // The guest's meter as it is now or later: it is renewed several times a second only.
  NomMeter FreshMeter(uint64_t id) {
    const uint64_t now = machine.Header().heartbeat_tsc;
    machine.WaitFor("a meter", [&] {
      const auto meter = machine.Meter(id);
      return meter.has_value() && meter->tsc > now;
    });
    return machine.Meter(id).value_or(NomMeter{});
  }
  // Waits for an end with this reason and detail.
  void ExpectEnd(uint64_t id, NomExitReason reason, uint64_t detail) {
    const auto end = machine.WaitEnd(id);
    if (!end.has_value()) return;
    EXPECT_EQ(end->reason, static_cast<uint32_t>(reason));
    EXPECT_EQ(end->detail, detail);
  }

  Machine& machine = Machine::Get();

 private:
  std::vector<uint64_t> guests_;
  uint64_t frames_free_ = 0;
};

}  // namespace nom::tests

#endif  // TESTS_GUESTS_DRIVER_SCENARIO_H_
