// SPDX-License-Identifier: Apache-2.0
// Attackers: whatever a guest tries, it hits nobody but itself.

#include <cstdlib>
#include <random>
#include <string>

#include "nomhv/abi/guest.h"
#include "tests/guests/driver/scenario.h"
#include "tests/guests/forbidden_code.h"

namespace nom::tests {
namespace {

using Isolation = Scenario;
using Crash = Scenario;

constexpr uint64_t kDone = NOM_EXIT_REASON_DONE;

TEST_F(Isolation, EveryWayOutOfTheWindowEndsTheGuest) {
  const uint64_t neighbour = Create({.program = "worker"});
  // Just beyond the window, nomhv's own load address beyond a small window, ACPI, the I/O APIC, the
  // HPET, the local APIC, the firmware, beyond the boards, PCI, 4 GiB and far away.
  for (const uint64_t address :
       {uint64_t{1024} * NOM_FRAME_BYTES, uint64_t{0x8000000}, uint64_t{0xB0000000},
        uint64_t{NOM_GPA_REGIONS} + NOM_REGIONS_BYTES, uint64_t{0xFEC00000}, uint64_t{0xFED00000},
        uint64_t{0xFEE00020}, uint64_t{0xFFFFFFF0}, uint64_t{NOM_GPA_DEVICE_BOARD} + 0x1000,
        uint64_t{0xFCFFFFF8}, uint64_t{1} << 32, uint64_t{1} << 38}) {
    for (const int write : {0, 1}) {
      SCOPED_TRACE(::testing::Message()
                   << std::hex << address << (write != 0 ? " write" : " read"));
      const uint64_t id = Create(
          {.program = "attack_memory",
           .arguments = "address=" + std::to_string(address) + " write=" + std::to_string(write)});
      ExpectEnd(id, NOM_EXIT_REASON_WILD_ACCESS, address);
      Destroy(id);
    }
  }
  ExpectProgress(neighbour);
}

TEST_F(Isolation, HolesAreNotMemory) {
  const uint64_t address = 700 * NOM_FRAME_BYTES;
  for (const char* write : {"0", "1"}) {
    const uint64_t id =
        Create({.program = "attack_memory",
                .arguments = "address=" + std::to_string(address) + " write=" + write});
    ExpectEnd(id, NOM_EXIT_REASON_DONE, 113);
    Destroy(id);
  }
}

TEST_F(Isolation, BoardsAreReadOnlyAndTheWindowIsEmpty) {
  const uint64_t neighbour = Create({.program = "worker"});
  const uint64_t id = Create({.program = "attack_boards"});
  ExpectEnd(id, NOM_EXIT_REASON_DONE, 0);
  ExpectProgress(neighbour);
}

TEST_F(Isolation, VectorRegistersAreAGuestsOwn) {
  std::vector<uint64_t> guests;
  guests.reserve(4);
  for (int i = 0; i < 4; ++i) {
    guests.push_back(
        Create({.program = "vector_state", .arguments = "rounds=60", .millicores = 200}));
  }
  for (const uint64_t id : guests) ExpectEnd(id, NOM_EXIT_REASON_DONE, 0);
}

// Random calls by the hundred thousand, while grants change under them, notices come and one of the
// callers is destroyed in the middle of whatever it is doing.
class RandomCalls : public Scenario {};

TEST_F(RandomCalls, HarmNobody) {
  const uint64_t neighbour = Create({.program = "worker", .millicores = 200});
  const uint64_t churner = Create({.program = "keeper", .arguments = "churn=1", .millicores = 200});
  std::vector<uint64_t> callers;
  for (int seed = 1; seed <= 3; ++seed) {
    callers.push_back(Create({.program = "attack_calls",
                              .arguments = "calls=35000 seed=" + std::to_string(seed),
                              .millicores = 300}));
  }
  const uint64_t victim =
      Create({.program = "attack_calls", .arguments = "calls=100000000 seed=9", .millicores = 300});
  std::mt19937_64 random(5);
  bool destroyed = false;
  for (int round = 0; round < 400; ++round) {
    std::vector<Grant> grants = {{neighbour, 512, 200}, {churner, 700, 200}};
    for (const uint64_t id : callers) {
      if (!machine.End(id).has_value()) grants.push_back({id, 512 + random() % 513, 300});
    }
    if (grants.size() == 2) break;
    if (!destroyed) grants.push_back({victim, 512 + random() % 513, 300});
    const auto obeyed = [](uint32_t status) {
      // A caller may have ended since we looked.
      return status == NOM_STATUS_OK || status == NOM_STATUS_CRASHED;
    };
    EXPECT_TRUE(obeyed(machine.Prepare(grants, 100).status));
    EXPECT_TRUE(obeyed(machine.Apply(grants).status));
    if (round == 20) {
      Destroy(victim);
      destroyed = true;
    }
  }
  for (const uint64_t id : callers) ExpectEnd(id, NOM_EXIT_REASON_DONE, 0);
  ExpectProgress(neighbour);
  ExpectProgress(churner);
}

// From the environment, so that a night explores what a test run does not.
uint64_t Setting(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// Guests that execute random bytes, beside one that goes on all the while. Whatever they do, they
// end by it or can be destroyed.
class RandomCode : public Scenario {};

TEST_F(RandomCode, HarmsNobody) {
  const uint64_t first_seed = Setting("NOM_SEED", 1);
  const uint64_t count = Setting("NOM_COUNT", 60);
  const uint64_t neighbour = Create({.program = "worker", .millicores = 200});
  uint64_t ended = 0;
  for (uint64_t seed = first_seed; seed < first_seed + count; seed += 3) {
    SCOPED_TRACE("replay: NOM_SEED=" + std::to_string(seed) + " NOM_COUNT=3");
    std::vector<uint64_t> guests;
    for (uint64_t i = 0; i < 3; ++i) {
      guests.push_back(Create({.program = "attack_code",
                               .arguments = "tries=1000000 seed=" + std::to_string(seed + i),
                               .millicores = 200}));
    }
    machine.PassUs(20'000);
    for (const uint64_t id : guests) {
      ended += machine.End(id).has_value() ? 1 : 0;
      Destroy(id);
    }
  }
  ExpectProgress(neighbour);
  // Else they executed nothing.
  EXPECT_GT(ended, count / 10);
}

// Each alone, and to its end: it is refused each time, or ends the guest the first.
TEST_F(RandomCode, WhatIsForbiddenIsNeverDone) {
  const std::string seed = std::to_string(Setting("NOM_SEED", 1));
  const uint64_t neighbour = Create({.program = "worker", .millicores = 200});
  for (int64_t number = 0; number < kForbiddenCodes; ++number) {
    const ForbiddenCode& code = kForbiddenCode[number];
    SCOPED_TRACE(std::string(code.name) + ", replay: NOM_SEED=" + seed);
    const uint64_t id =
        Create({.program = "attack_code",
                .arguments = "tries=0 seed=" + seed + " forbidden=" + std::to_string(number)});
    const auto end = machine.WaitEnd(id);
    ASSERT_TRUE(end.has_value());
    const bool refused = code.end == NOM_EXIT_REASON_NONE;
    EXPECT_EQ(end->reason, static_cast<uint32_t>(refused ? NOM_EXIT_REASON_DONE : code.end));
    if (refused) {
      EXPECT_EQ(end->detail, 0u);
    }
    Destroy(id);
  }
  ExpectProgress(neighbour);
}

struct Crime {
  const char* what;
  // What may come of it: an end by nomhv for one of these reasons, or a fault in the guest.
  std::vector<uint64_t> reasons;
  std::vector<uint64_t> vectors;
  uint64_t port = 0;  // Then the detail.
};

TEST_F(Crash, EveryForbiddenInstructionIsContained) {
  const uint64_t neighbour = Create({.program = "worker"});
  const uint64_t kBad = NOM_EXIT_REASON_BAD_INSTRUCTION;
  const uint64_t kPort = NOM_EXIT_REASON_BAD_PORT;
  const uint64_t kTriple = NOM_EXIT_REASON_TRIPLE_FAULT;
  const uint64_t kWild = NOM_EXIT_REASON_WILD_ACCESS;
  const uint64_t kState = NOM_EXIT_REASON_BAD_STATE;
  const std::vector<Crime> crimes = {
      {"triple_fault", {kTriple}, {}},   {"port_out", {kPort}, {}, 0xf4},
      {"port_in", {kPort}, {}, 0x60},    {"port_string", {kPort}, {}, 0x3f8},
      {"vmrun", {kBad}, {6, 13}},        {"vmload", {kBad}, {6, 13}},
      {"vmsave", {kBad}, {6, 13}},       {"stgi", {kBad}, {6, 13}},
      {"clgi", {kBad}, {6, 13}},         {"skinit", {kBad}, {6, 13}},
      {"invlpga", {kBad}, {6, 13}},      {"hsave_msr", {kBad}, {13}},
      {"vm_cr_msr", {kBad}, {13}},       {"apic_base", {kBad}, {13}},
      {"unknown_msr", {kBad}, {13}},     {"tsc_msr", {kBad}, {13}},
      {"hole_pt", {kTriple, kWild}, {}}, {"wild_tables", {kWild}, {}},
      {"bad_cr0", {kState}, {13}},       {"bad_cr0_spin", {kState}, {13}},
  };
  for (const Crime& crime : crimes) {
    SCOPED_TRACE(crime.what);
    const uint64_t id =
        Create({.program = "attack_instruction", .arguments = std::string("what=") + crime.what});
    const auto end = machine.WaitEnd(id);
    if (!end.has_value()) continue;
    bool contained = false;
    for (const uint64_t reason : crime.reasons) contained |= end->reason == reason;
    for (const uint64_t vector : crime.vectors) {
      contained |= end->reason == kDone && end->detail == 100 + vector;
    }
    EXPECT_TRUE(contained) << "ended with reason " << end->reason << ", detail " << end->detail;
    if (crime.port != 0) {
      EXPECT_EQ(end->detail, crime.port);
    }
    Destroy(id);
  }
  ExpectProgress(neighbour);
}

TEST_F(Crash, EmulatedInstructionsEndWhereTheyEnd) {
  const uint64_t neighbour = Create({.program = "worker"});
  ExpectEnd(Create({.program = "prefixes"}), NOM_EXIT_REASON_DONE, 0);
  ExpectProgress(neighbour);
}

TEST_F(Crash, WhatIsHarmlessHarmsNobody) {
  // Allowed to do nothing, or to be stopped; the machine goes on.
  const uint64_t neighbour = Create({.program = "worker"});
  for (const char* what : {"monitor", "wbinvd", "svm_off", "bad_cr4"}) {
    SCOPED_TRACE(what);
    const uint64_t id =
        Create({.program = "attack_instruction", .arguments = std::string("what=") + what});
    EXPECT_TRUE(machine.WaitEnd(id).has_value());
    Destroy(id);
  }
  // Halted with interrupts off: nothing could ever wake it, so it has ended.
  const uint64_t id = Create({.program = "attack_instruction", .arguments = "what=halt"});
  ExpectEnd(id, NOM_EXIT_REASON_DONE, 0);
  ExpectProgress(neighbour);
}

}  // namespace
}  // namespace nom::tests
