// SPDX-License-Identifier: Apache-2.0
// Guests with several processors of their own: what they may, what they pay, what they cannot do to
// each other and to their neighbours.

#include "tests/guests/driver/scenario.h"

namespace nom::tests {
namespace {

class Processors : public Scenario {
 protected:
  uint64_t CreateSmp(const std::string& then, uint64_t processors, uint64_t millicores) {
    return Create({.program = "processors",
                   .arguments = "then=" + then,
                   .millicores = millicores,
                   .virtual_processors = processors});
  }
};

TEST_F(Processors, EachRunsSleepsAndIsTold) {
  for (const uint64_t count : {uint64_t{2}, uint64_t{4}, uint64_t{8}}) {
    SCOPED_TRACE(count);
    const uint64_t id = CreateSmp("end", count, 800);
    EXPECT_EQ(FreshMeter(id).virtual_processors, count);
    ExpectEnd(id, NOM_EXIT_REASON_DONE, 0);
    Destroy(id);
  }
}

TEST_F(Processors, WhatOneGivesBackNoOtherReaches) {
  const uint64_t count =
      machine.Header().guest_processors > 1 ? machine.Header().guest_processors : 2;
  const uint64_t id = CreateSmp("release", count, machine.Header().capacity_millicores);
  ExpectEnd(id, NOM_EXIT_REASON_DONE, 0);
}

TEST_F(Processors, NoMoreThanTheBoundAndNoGrantBeyondThem) {
  const uint64_t capacity = machine.Header().capacity_millicores;
  const auto try_create = [&](uint64_t processors, uint64_t millicores) {
    const NomEvent answer = machine.TryCreate(
        77, {.program = "spin", .millicores = millicores, .virtual_processors = processors});
    if (answer.status == NOM_STATUS_OK) {
      EXPECT_EQ(machine.Destroy(77).status, NOM_STATUS_OK);
    }
    return answer.status;
  };
  EXPECT_EQ(try_create(NOM_VIRTUAL_PROCESSORS_MAX, 100), NOM_STATUS_OK);
  EXPECT_EQ(try_create(NOM_VIRTUAL_PROCESSORS_MAX + 1, 100), NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(try_create(~uint64_t{0}, 100), NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(try_create((uint64_t{1} << 32) + 1, 100), NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(try_create(0, 1001), NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(try_create(2, 2001), NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(try_create(8, capacity), NOM_STATUS_OK);
  EXPECT_EQ(try_create(8, capacity + 1), NOM_STATUS_OVER_CAPACITY);
  const uint64_t id = CreateSmp("spin", 2, 100);
  EXPECT_EQ(machine.Apply({{id, 512, 2001}}).status, NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(machine.Apply({{id, 512, capacity < 2000 ? capacity : 2000}}).status, NOM_STATUS_OK);
}

// Grants come and go, and guests are destroyed, in the middle of whatever all their processors do.
TEST_F(Processors, StormsStopWhenTheyMust) {
  const uint64_t neighbour = Create({.program = "keeper", .frames = 512, .millicores = 200});
  for (int round = 0; round < 3; ++round) {
    SCOPED_TRACE(round);
    const uint64_t storm = CreateSmp("storm", 8, 300);
    const uint64_t passers = CreateSmp("sleep", 5, 200);
    ExpectProgress(storm);
    for (uint64_t i = 0; i < 20; ++i) {
      const std::vector<Grant> grants = {{neighbour, 512 + i % 2 * 128, 200},
                                         {storm, 512 + i % 3 * 64, 300 + i % 4 * 40},
                                         {passers, 512 + i % 2 * 200, 200}};
      ASSERT_EQ(machine.Prepare(grants, 1000).status, NOM_STATUS_OK);
      ASSERT_EQ(machine.Apply(grants).status, NOM_STATUS_OK);
    }
    ExpectProgress(storm);
    EXPECT_FALSE(machine.End(passers).has_value());
    Destroy(storm);
    Destroy(passers);
  }
  EXPECT_FALSE(machine.End(neighbour).has_value());
}

}  // namespace
}  // namespace nom::tests
