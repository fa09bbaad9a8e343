// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/frames.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

namespace nomhv {
namespace {

class Frames : public ::testing::Test {
 protected:
  void Init(std::vector<FrameRange> ranges) {
    words_.assign(FrameAllocator::WordsNeeded(ranges), 0xdeadbeef);
    frames_.Init(ranges, words_);
  }
  std::vector<uint64_t> words_;
  FrameAllocator frames_;
};

TEST_F(Frames, GivesEveryFrameOnceAndNoOther) {
  Init({{16, 100}, {1000, 64}, {2000, 1}});
  EXPECT_EQ(frames_.total_frames(), 165u);
  std::set<uint64_t> seen;
  for (int i = 0; i < 165; ++i) {
    const auto frame = frames_.Allocate();
    ASSERT_TRUE(frame.ok());
    ASSERT_EQ(frame.value() % NOM_FRAME_BYTES, 0u);
    const uint64_t number = frame.value() / NOM_FRAME_BYTES;
    EXPECT_TRUE((number >= 16 && number < 116) || (number >= 1000 && number < 1064) ||
                number == 2000)
        << number;
    EXPECT_TRUE(seen.insert(number).second) << number << " given twice";
  }
  EXPECT_EQ(frames_.free_frames(), 0u);
  EXPECT_EQ(frames_.Allocate().code(), NOM_STATUS_TABLE_FULL);
  frames_.Free(50 * NOM_FRAME_BYTES);
  EXPECT_EQ(frames_.Allocate().value(), 50u * NOM_FRAME_BYTES);
}

TEST_F(Frames, AgreesWithAModelOverARandomLife) {
  Init({{3, 77}, {128, 130}});
  std::mt19937_64 random(7);
  std::vector<uint64_t> held;
  std::set<uint64_t> model;
  for (int i = 0; i < 100000; ++i) {
    if (random() % 2 == 0) {
      const auto frame = frames_.Allocate();
      ASSERT_EQ(frame.ok(), held.size() < 207);
      if (!frame.ok()) continue;
      ASSERT_TRUE(model.insert(frame.value()).second);
      held.push_back(frame.value());
    } else if (!held.empty()) {
      std::swap(held[random() % held.size()], held.back());
      frames_.Free(held.back());
      model.erase(held.back());
      held.pop_back();
    }
    ASSERT_EQ(frames_.free_frames(), 207 - held.size());
  }
}

TEST_F(Frames, FreeingTwicePanics) {
  Init({{0, 8}});
  const uint64_t frame = frames_.Allocate().value();
  frames_.Free(frame);
  EXPECT_DEATH(frames_.Free(frame), "freed twice");
}

TEST_F(Frames, FreeingAStrangersFramePanics) {
  Init({{8, 8}});
  EXPECT_DEATH(frames_.Free(0), "never had");
  EXPECT_DEATH(frames_.Free(16 * NOM_FRAME_BYTES), "never had");
  EXPECT_DEATH(frames_.Free(8 * NOM_FRAME_BYTES + 1), "never had");
}

TEST_F(Frames, OverlappingRangesPanic) { EXPECT_DEATH(Init({{8, 8}, {15, 2}}), "overlap"); }

}  // namespace
}  // namespace nomhv
