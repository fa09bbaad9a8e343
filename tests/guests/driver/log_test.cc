// SPDX-License-Identifier: Apache-2.0
// The machine's log, which guests write to: it stops nobody.

#include <cstring>

#include "tests/guests/driver/scenario.h"

namespace nom::tests {
namespace {

using Logs = Scenario;

// With a serial port that nobody reads, too.
TEST_F(Logs, FloodersStopNobody) {
  const uint64_t neighbour = Create({.program = "worker", .millicores = 200});
  for (int i = 0; i < 12; ++i) Create({.program = "attack_log", .millicores = 50});
  for (int i = 0; i < 10; ++i) {
    ExpectProgress(neighbour);
    const NomMailboxHeader before = machine.Header();
    machine.PassUs(100'000);
    EXPECT_GT(machine.Header().heartbeat_tsc, before.heartbeat_tsc);
  }
}

// run.py holds what the log then has against the lines that nomhv writes.
TEST_F(Logs, NamesPassForNobody) {
  uint64_t id = 70;
  for (const char* name : {"nomhv", "PANIC", "x\" PANIC: \""}) {
    NomCreate create{};
    create.guest_id = id;
    create.seed_frames = 512;
    create.window_frames = 512;
    create.seed_millicores = 100;
    std::strncpy(create.name, name, sizeof(create.name) - 1);
    ASSERT_EQ(machine.TryCreate(create, machine.Image("hello")).status, NOM_STATUS_OK);
    ExpectEnd(id, NOM_EXIT_REASON_DONE, 0);
    EXPECT_EQ(machine.Destroy(id++).status, NOM_STATUS_OK);
  }
}

}  // namespace
}  // namespace nom::tests
