// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/frame_work.h"

#include <gtest/gtest.h>

#include <set>

namespace nomhv {
namespace {

struct Fake {
  std::set<uint64_t> held;
  uint64_t granted = 0;

  uint64_t Fill(uint64_t first, uint64_t end) {
    for (; first < end; ++first) {
      if (held.count(first) > 0) continue;
      if (held.size() >= granted) break;
      held.insert(first);
    }
    return first;
  }
  void Clear(uint64_t first, uint64_t end) {
    held.erase(held.lower_bound(first), held.lower_bound(end));
  }
};

TEST(FrameWork, GoesInSteps) {
  Fake fake{{1, 2, 3}, 100};
  FrameWork work;
  EXPECT_FALSE(work.busy());
  work.BeginAcquire(10, 40);
  NomStatus status = NOM_STATUS_BAD_STATE;
  int steps = 1;
  for (; !work.Step(fake, 16, status); ++steps) EXPECT_TRUE(work.busy());
  EXPECT_EQ(steps, 3);
  EXPECT_EQ(status, NOM_STATUS_OK);
  EXPECT_FALSE(work.busy());
  EXPECT_EQ(fake.held.size(), 43u);
  work.BeginRelease(10, 40);
  while (!work.Step(fake, 16, status)) {
  }
  EXPECT_EQ(status, NOM_STATUS_OK);
  EXPECT_EQ(fake.held, (std::set<uint64_t>{1, 2, 3}));
}

TEST(FrameWork, AnAcquireWhoseGrantShrinksChangesNothing) {
  Fake fake{{1, 2, 3}, 60};
  FrameWork work;
  work.BeginAcquire(10, 50);
  NomStatus status = NOM_STATUS_OK;
  EXPECT_FALSE(work.Step(fake, 16, status));
  EXPECT_EQ(fake.held.size(), 19u);
  fake.granted = 20;
  int steps = 0;
  while (!work.Step(fake, 16, status)) ASSERT_LT(++steps, 10);
  EXPECT_EQ(status, NOM_STATUS_OVER_GRANT);
  EXPECT_EQ(fake.held, (std::set<uint64_t>{1, 2, 3})) << "a part of it was done";
}

TEST(FrameWork, WhatWasTakenByForceIsPassedOver) {
  Fake fake{{}, 100};
  for (uint64_t frame = 0; frame < 50; ++frame) fake.held.insert(frame);
  FrameWork work;
  work.BeginRelease(0, 50);
  NomStatus status = NOM_STATUS_OK;
  EXPECT_FALSE(work.Step(fake, 16, status));
  for (uint64_t frame = 40; frame < 50; ++frame) fake.held.erase(frame);
  while (!work.Step(fake, 16, status)) {
  }
  EXPECT_EQ(status, NOM_STATUS_OK);
  EXPECT_TRUE(fake.held.empty());
}

}  // namespace
}  // namespace nomhv
