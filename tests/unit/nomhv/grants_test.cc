// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>

#include "nomhv/core/guests.h"

namespace nomhv {
namespace {

NomCreate Create(uint64_t id, uint64_t seed_frames, uint64_t seed_millicores,
                 uint64_t window_frames = 1000) {
  NomCreate create{};
  create.guest_id = id;
  create.seed_frames = seed_frames;
  create.window_frames = window_frames;
  create.seed_millicores = seed_millicores;
  std::strcpy(create.name, "guest");
  return create;
}

TEST(Guests, AdmitChecksEverything) {
  GuestTable guests({1000, 2000});
  EXPECT_EQ(guests.Admit(Create(0, 10, 10)).code(), NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(guests.Admit(Create(1, 0, 10)).code(), NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(guests.Admit(Create(1, 11, 10, 10)).code(), NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(guests.Admit(Create(1, 11, 1001)).code(), NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(guests.Admit(Create(1, 11, 10, NOM_WINDOW_FRAMES_MAX + 1)).code(),
            NOM_STATUS_BAD_PARAMETER);
  auto unterminated = Create(1, 10, 10);
  std::memset(unterminated.name, 'x', sizeof(unterminated.name));
  EXPECT_EQ(guests.Admit(unterminated).code(), NOM_STATUS_BAD_PARAMETER);
  unterminated = Create(1, 10, 10);
  std::memset(unterminated.arguments, 'x', sizeof(unterminated.arguments));
  EXPECT_EQ(guests.Admit(unterminated).code(), NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(guests.count(), 0u);

  ASSERT_TRUE(guests.Admit(Create(1, 600, 1000)).ok());
  EXPECT_EQ(guests.Admit(Create(1, 1, 1)).code(), NOM_STATUS_EXISTS);
  EXPECT_EQ(guests.Admit(Create(2, 401, 1)).code(), NOM_STATUS_OVER_CAPACITY);
  ASSERT_TRUE(guests.Admit(Create(2, 400, 1000)).ok());
  EXPECT_EQ(guests.Admit(Create(3, 1, 0)).code(), NOM_STATUS_OVER_CAPACITY);
  EXPECT_EQ(guests.granted(), (Amounts{1000, 2000}));
  guests.Remove(guests.Find(1).value());
  EXPECT_EQ(guests.Find(1).code(), NOM_STATUS_NO_SUCH_GUEST);
  EXPECT_TRUE(guests.Admit(Create(1, 600, 1000)).ok());
}

TEST(Guests, AGrantIsNoMoreThanItsProcessorsCanUse) {
  GuestTable guests({1000, 9000});
  EXPECT_EQ(guests.Admit(Create(1, 1, 1), 0).code(), NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(guests.Admit(Create(1, 1, 1), NOM_VIRTUAL_PROCESSORS_MAX + 1).code(),
            NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(guests.Admit(Create(1, 1, 1), ~uint64_t{0}).code(), NOM_STATUS_BAD_PARAMETER);
  EXPECT_EQ(guests.Admit(Create(1, 1, 2001), 2).code(), NOM_STATUS_BAD_PARAMETER);
  ASSERT_TRUE(guests.Admit(Create(1, 1, 2000), 2).ok());
  auto grants = std::make_unique<NomGrants>();
  auto plan = std::make_unique<GrantPlan>();
  grants->grant_count = 1;
  grants->grants[0] = {.guest_id = 1, .frames = 1, .millicores = 2000};
  EXPECT_EQ(PlanGrants(guests, *grants, *plan).status, NOM_STATUS_OK);
  grants->grants[0].millicores = 2001;
  EXPECT_EQ(PlanGrants(guests, *grants, *plan).status, NOM_STATUS_BAD_PARAMETER);
}

TEST(Guests, TableFull) {
  GuestTable guests({1000, 2000});
  for (uint64_t id = 1; id <= NOM_GUESTS_MAX; ++id) {
    ASSERT_TRUE(guests.Admit(Create(id, 1, 1)).ok());
  }
  EXPECT_EQ(guests.Admit(Create(99, 1, 1)).code(), NOM_STATUS_TABLE_FULL);
}

TEST(Guests, RemovingNobodyPanics) {
  GuestTable guests({1000, 2000});
  EXPECT_DEATH(guests.Remove(3), "does not exist");
}

class Grants : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(guests_.Admit(Create(11, 100, 100)).ok());
    ASSERT_TRUE(guests_.Admit(Create(12, 100, 100)).ok());
    ASSERT_TRUE(guests_.Admit(Create(13, 100, 100, 500)).ok());
    grants_->grant_count = 3;
    for (uint32_t i = 0; i < 3; ++i) Set(i, 11 + i, 100, 100);
  }
  void Set(uint32_t index, uint64_t id, uint64_t frames, uint64_t millicores) {
    grants_->grants[index].guest_id = id;
    grants_->grants[index].frames = frames;
    grants_->grants[index].millicores = millicores;
  }
  void ExpectRefused(NomStatus status, uint64_t offender) {
    const GrantVerdict verdict = PlanGrants(guests_, *grants_, plan_);
    EXPECT_EQ(verdict.status, status);
    EXPECT_EQ(verdict.offender_id, offender);
  }
  GuestTable guests_{{1000, 2000}};
  std::unique_ptr<NomGrants> grants_ = std::make_unique<NomGrants>();
  GrantPlan plan_;
};

TEST_F(Grants, ShrinksComeBeforeGrowths) {
  Set(0, 11, 700, 1000);
  Set(1, 12, 100, 900);
  Set(2, 13, 200, 100);
  ASSERT_EQ(PlanGrants(guests_, *grants_, plan_).status, NOM_STATUS_OK);
  CommitGrants(plan_, guests_);
  EXPECT_EQ(guests_.granted(), (Amounts{1000, 2000}));

  Set(0, 13, 500, 100);  // The order in the set does not matter.
  Set(1, 11, 350, 1000);
  Set(2, 12, 150, 900);
  ASSERT_EQ(PlanGrants(guests_, *grants_, plan_).status, NOM_STATUS_OK);
  EXPECT_EQ(plan_.grant_of_slot[guests_.Find(13).value()], 0u);
  uint64_t sum = 1000;
  uint32_t changes = 0;
  for (const bool fewer : {true, false}) {
    plan_.ForEachChange(fewer, [&](uint32_t slot, uint64_t frames) {
      EXPECT_EQ(fewer, guests_.at(slot).id == 11);
      sum = sum - guests_.at(slot).granted.frames + frames;
      EXPECT_LE(sum, 1000u) << "over the machine after change " << changes;
      ++changes;
    });
  }
  EXPECT_EQ(changes, 3u);
  EXPECT_EQ(sum, 1000u);
}

TEST_F(Grants, PrepareTellsAndCommitDoes) {
  Set(0, 11, 300, 500);
  ASSERT_EQ(PlanGrants(guests_, *grants_, plan_).status, NOM_STATUS_OK);
  const Guest& guest = guests_.at(guests_.Find(11).value());
  PrepareGrants(plan_, guests_);
  EXPECT_EQ(guest.granted, (Amounts{100, 100}));
  EXPECT_EQ(guest.next, (Amounts{300, 500}));
  CommitGrants(plan_, guests_);
  EXPECT_EQ(guest.granted, (Amounts{300, 500}));
}

TEST_F(Grants, RefusalsNameTheOffender) {
  Set(1, 99, 100, 100);
  ExpectRefused(NOM_STATUS_NO_SUCH_GUEST, 99);
  Set(1, 11, 100, 100);
  ExpectRefused(NOM_STATUS_BAD_PARAMETER, 11);
  Set(1, 12, 99, 100);
  ExpectRefused(NOM_STATUS_BELOW_SEED, 12);
  Set(1, 12, 100, 99);
  ExpectRefused(NOM_STATUS_BELOW_SEED, 12);
  Set(1, 12, 100, 1001);
  ExpectRefused(NOM_STATUS_BAD_PARAMETER, 12);
  Set(1, 12, 100, 100);
  Set(2, 13, 501, 100);
  ExpectRefused(NOM_STATUS_BAD_PARAMETER, 13);
  Set(2, 13, 100, 100);
  grants_->grants[2].holding_count = NOM_RESOURCES_MAX + 1;
  ExpectRefused(NOM_STATUS_BAD_PARAMETER, 13);
  grants_->grants[2].holding_count = 0;
  grants_->grant_count = 2;
  ExpectRefused(NOM_STATUS_BAD_PARAMETER, 13);
  grants_->grant_count = NOM_GUESTS_MAX + 1;
  ExpectRefused(NOM_STATUS_BAD_PARAMETER, 0);
  grants_->grant_count = 3;
  Set(0, 11, 401, 100);
  Set(1, 12, 500, 100);
  ExpectRefused(NOM_STATUS_OVER_CAPACITY, 13);
  Set(0, 11, 400, 1000);
  ASSERT_EQ(PlanGrants(guests_, *grants_, plan_).status, NOM_STATUS_OK) << "exactly the machine";
  Set(1, 12, 500, 901);
  ExpectRefused(NOM_STATUS_OVER_CAPACITY, 13);
  Set(1, 12, ~uint64_t{0}, ~uint64_t{0});
  ExpectRefused(NOM_STATUS_BAD_PARAMETER, 12);
  EXPECT_EQ(guests_.granted(), (Amounts{300, 300})) << "a refused set changes nothing";
}

TEST_F(Grants, ADeviceIsOneGuests) {
  GuestTable guests({1000, 2000, 0b11});
  ASSERT_TRUE(guests.Admit(Create(1, 10, 10)).ok());
  ASSERT_TRUE(guests.Admit(Create(2, 10, 10)).ok());
  const auto plan = [&](uint32_t first, uint32_t second) {
    *grants_ = {};
    grants_->grant_count = 2;
    grants_->grants[0] = {.guest_id = 1, .frames = 10, .millicores = 10, .devices = first};
    grants_->grants[1] = {.guest_id = 2, .frames = 10, .millicores = 10, .devices = second};
    return PlanGrants(guests, *grants_, plan_);
  };
  EXPECT_EQ(plan(0b01, 0b11).status, NOM_STATUS_OVER_CAPACITY);
  EXPECT_EQ(plan(0b01, 0b11).offender_id, 2u);
  EXPECT_EQ(plan(0b100, 0).status, NOM_STATUS_BAD_PARAMETER);
  ASSERT_EQ(plan(0b10, 0b01).status, NOM_STATUS_OK);
  CommitGrants(plan_, guests);
  EXPECT_EQ(guests.granted().devices, 0b11u);
  ASSERT_EQ(plan(0b01, 0b10).status, NOM_STATUS_OK) << "they may change places";
  CommitGrants(plan_, guests);
  EXPECT_EQ(guests.at(0).granted.devices, 0b01u);
}

TEST_F(Grants, EndedGuestsAreLeftOutAndTheirSharesAreFree) {
  guests_.End(guests_.Find(12).value());
  ExpectRefused(NOM_STATUS_CRASHED, 12);
  EXPECT_EQ(guests_.granted(), (Amounts{200, 200}));
  Set(1, 13, 500, 1000);
  Set(0, 11, 500, 1000);
  grants_->grant_count = 2;
  ASSERT_EQ(PlanGrants(guests_, *grants_, plan_).status, NOM_STATUS_OK);
  CommitGrants(plan_, guests_);
  EXPECT_EQ(guests_.granted(), (Amounts{1000, 2000}));
  EXPECT_EQ(guests_.Admit(Create(12, 1, 0)).code(), NOM_STATUS_EXISTS) << "until it is removed";
  guests_.Remove(guests_.Find(12).value());
  EXPECT_EQ(guests_.Find(12).code(), NOM_STATUS_NO_SUCH_GUEST);
  EXPECT_DEATH(guests_.End(1), "does not run");
}

// Whatever is asked, in whatever order: seeds stay, the machine is never over-committed.
TEST_F(Grants, InvariantsHoldOverARandomLife) {
  std::mt19937_64 random(3);
  int accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    SCOPED_TRACE(round);
    if (random() % 8 == 0) {
      const uint64_t id = 11 + random() % 12;
      const Result<uint32_t> slot = guests_.Find(id);
      if (slot.ok()) {
        guests_.Remove(slot.value());
      } else {
        static_cast<void>(guests_.Admit(Create(id, 1 + random() % 200, random() % 400)));
      }
    }
    grants_->grant_count = 0;
    for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
      if (guests_.at(slot).exists) {
        Set(grants_->grant_count++, guests_.at(slot).id, random() % 400, random() % 700);
      }
    }
    GrantPlan plan;
    if (PlanGrants(guests_, *grants_, plan).status == NOM_STATUS_OK) {
      ++accepted;
      CommitGrants(plan, guests_);
    }
    uint64_t frames = 0;
    uint64_t millicores = 0;
    for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
      const Guest& guest = guests_.at(slot);
      if (!guest.exists) continue;
      frames += guest.granted.frames;
      millicores += guest.granted.millicores;
      ASSERT_GE(guest.granted.frames, guest.seed.frames);
      ASSERT_GE(guest.granted.millicores, guest.seed.millicores);
      ASSERT_LE(guest.granted.frames, guest.window_frames);
    }
    ASSERT_LE(frames, 1000u);
    ASSERT_LE(millicores, 2000u);
  }
  EXPECT_GT(accepted, 100);
}

}  // namespace
}  // namespace nomhv
