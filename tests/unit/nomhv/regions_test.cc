// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/regions.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <vector>

namespace nomhv {
namespace {

constexpr uint32_t kA = 3;
constexpr uint32_t kB = 30;
constexpr uint64_t kIdA = 100;
constexpr uint64_t kIdB = 200;

class Regions : public ::testing::Test {
 protected:
  // An offer of two frames that may be accepted.
  RegionPlace Offered(uint64_t tag = 7) {
    const Result<RegionPlace> place = table_->Offer(kA, kIdA, kIdB, 2, tag);
    EXPECT_TRUE(place.ok());
    const uint64_t physical[] = {0x5000, 0x9000};
    table_->Open(place.value(), physical);
    return place.value();
  }
  RegionPlace Accepted(uint64_t tag = 7) {
    const Result<RegionPlace> place = table_->Accept(kB, kIdB, kIdA, 2, tag);
    EXPECT_TRUE(place.ok());
    return place.value();
  }

  std::unique_ptr<RegionTable> table_ = std::make_unique<RegionTable>();
};

TEST_F(Regions, PlacesAreAddresses) {
  for (uint32_t place = 0; place < NOM_REGIONS_MAX; ++place) {
    EXPECT_EQ(RegionPlace::At(4, RegionPlace{4, place}.gpa()), (RegionPlace{4, place}));
  }
  constexpr uint64_t kFirst = NOM_GPA_REGIONS;
  for (const uint64_t gpa :
       {uint64_t{0}, kFirst - 0x10000, kFirst + 0x1000, kFirst + NOM_REGIONS_BYTES,
        kFirst + (uint64_t{1} << 48), ~uint64_t{0}}) {
    EXPECT_FALSE(RegionPlace::At(4, gpa).has_value()) << gpa;
  }
}

TEST_F(Regions, BothAgreeOnIdsTagAndSize) {
  const RegionPlace offer = Offered();
  EXPECT_EQ(table_->Accept(kB, kIdB + 1, kIdA, 2, 7).code(), NOM_STATUS_NO_SUCH_REGION);
  EXPECT_EQ(table_->Accept(kB, kIdB, kIdA + 1, 2, 7).code(), NOM_STATUS_NO_SUCH_REGION);
  EXPECT_EQ(table_->Accept(kB, kIdB, kIdA, 2, 8).code(), NOM_STATUS_NO_SUCH_REGION);
  EXPECT_EQ(table_->Accept(kB, kIdB, kIdA, 3, 7).code(), NOM_STATUS_BAD_PARAMETER);
  const RegionPlace peer = Accepted();
  EXPECT_EQ(table_->Find(peer), table_->Find(offer));
  EXPECT_EQ(table_->Find(peer)->physical[1], 0x9000u);
  // Once only.
  EXPECT_EQ(table_->Accept(kB, kIdB, kIdA, 2, 7).code(), NOM_STATUS_NO_SUCH_REGION);
  EXPECT_EQ(table_->Offer(kA, kIdA, kIdB, 1, 7).code(), NOM_STATUS_EXISTS);
}

TEST_F(Regions, NobodyAcceptsWhatIsNotLaidOutYet) {
  const Result<RegionPlace> place = table_->Offer(kA, kIdA, kIdB, 2, 7);
  EXPECT_EQ(table_->Accept(kB, kIdB, kIdA, 2, 7).code(), NOM_STATUS_NO_SUCH_REGION);
  EXPECT_TRUE(table_->Leave(place.value()));
}

TEST_F(Regions, AnOfferThatNobodyAcceptedIsTakenBackAtOnce) {
  const RegionPlace offer = Offered();
  EXPECT_TRUE(table_->Leave(offer));
  EXPECT_EQ(table_->Find(offer), nullptr);
  EXPECT_EQ(table_->Accept(kB, kIdB, kIdA, 2, 7).code(), NOM_STATUS_NO_SUCH_REGION);
}

TEST_F(Regions, ThePeerLeavesAtOnceAndTheOffererKeepsItsFrames) {
  const RegionPlace offer = Offered();
  const RegionPlace peer = Accepted();
  EXPECT_TRUE(table_->Leave(peer));
  EXPECT_EQ(table_->Find(peer), nullptr);
  EXPECT_EQ(table_->Find(offer)->state, Region::kLeft);
  EXPECT_EQ(table_->Accept(kB, kIdB, kIdA, 2, 7).code(), NOM_STATUS_NO_SUCH_REGION);
  EXPECT_TRUE(table_->Leave(offer));
}

TEST_F(Regions, TheOffererWaitsUntilItsPeerIsCutOff) {
  const RegionPlace offer = Offered();
  const RegionPlace peer = Accepted();
  EXPECT_EQ(table_->NextToCutOff(), nullptr);
  EXPECT_FALSE(table_->Leave(offer));
  EXPECT_FALSE(table_->Leave(offer));
  ASSERT_NE(table_->NextToCutOff(), nullptr);
  EXPECT_EQ(table_->NextToCutOff()->peer, peer);
  table_->CutOff(offer);
  EXPECT_EQ(table_->NextToCutOff(), nullptr);
  EXPECT_EQ(table_->Find(peer), nullptr);
  EXPECT_TRUE(table_->Leave(offer));
}

TEST_F(Regions, APeerThatLeavesWhileItIsCutOffIsOut) {
  const RegionPlace offer = Offered();
  const RegionPlace peer = Accepted();
  EXPECT_FALSE(table_->Leave(offer));
  EXPECT_TRUE(table_->Leave(peer));
  EXPECT_EQ(table_->NextToCutOff(), nullptr);
  EXPECT_TRUE(table_->Leave(offer));
}

TEST_F(Regions, PlacesOfOneGuestAreItsOwn) {
  for (uint64_t tag = 0; tag < NOM_REGIONS_MAX; ++tag) Offered(tag);
  EXPECT_EQ(table_->Offer(kA, kIdA, kIdB, 1, 99).code(), NOM_STATUS_TABLE_FULL);
  // Offers and what is accepted share the places; another's are untouched.
  const Result<RegionPlace> own = table_->Offer(kB, kIdB, kIdA, 1, 99);
  ASSERT_TRUE(own.ok());
  for (uint64_t tag = 0; tag + 1 < NOM_REGIONS_MAX; ++tag) Accepted(tag);
  EXPECT_EQ(table_->Accept(kB, kIdB, kIdA, 2, NOM_REGIONS_MAX - 1).code(), NOM_STATUS_TABLE_FULL);
  EXPECT_TRUE(table_->Leave(own.value()));
  Accepted(NOM_REGIONS_MAX - 1);
}

// Against a model: whatever guests do, each place is one region's, seen alike from both sides.
TEST_F(Regions, RandomLivesKeepTheBooks) {
  std::mt19937_64 random(1);
  uint64_t shared = 0;
  for (int step = 0; step < 200'000; ++step) {
    const auto slot = static_cast<uint32_t>(random() % 3);
    const auto other = static_cast<uint32_t>(random() % 3);
    const RegionPlace place = {slot, static_cast<uint32_t>(random() % NOM_REGIONS_MAX)};
    switch (random() % 4) {
      case 0:
        if (const auto p = table_->Offer(slot, slot + 1, other + 1, 1, random() % 12); p.ok()) {
          const uint64_t physical[] = {0x1000};
          table_->Open(p.value(), physical);
        }
        break;
      case 1:
        shared += table_->Accept(slot, slot + 1, other + 1, 1, random() % 12).ok() ? 1 : 0;
        break;
      case 2:
        if (table_->Find(place) != nullptr) static_cast<void>(table_->Leave(place));
        break;
      default:
        if (const Region* r = table_->NextToCutOff(); r != nullptr) table_->CutOff(r->offerer);
    }
    for (uint32_t s = 0; s < 3; ++s) {
      for (uint32_t p = 0; p < NOM_REGIONS_MAX; ++p) {
        const Region* r = table_->Find({s, p});
        if (r == nullptr) continue;
        ASSERT_EQ(table_->Find(r->offerer), r);
        const bool is_offerer = r->offerer == RegionPlace{s, p};
        ASSERT_TRUE(is_offerer || (r->shared() && r->peer == (RegionPlace{s, p})));
        ASSERT_TRUE(!r->shared() || table_->Find(r->peer) == r);
      }
    }
  }
  EXPECT_GT(shared, 1000u);
}

}  // namespace
}  // namespace nomhv
