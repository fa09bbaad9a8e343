// SPDX-License-Identifier: Apache-2.0
#include "client/guest/memory.h"

#include <map>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/client/guest/fake_nomhv.h"

namespace nom::guest {
namespace {

constexpr uint64_t kSeed = 16;
constexpr uint64_t kWindow = 300;  // Not a multiple of 64.
constexpr uint64_t kImageFirst = 4;
constexpr uint64_t kImageEnd = 8;
constexpr uint64_t kFreeInSeed = kSeed - 1 - (kImageEnd - kImageFirst);

// Puts a number of its own into each frame and checks that it is still there after moves.
class Owner final : public FrameOwner {
 public:
  void GiveUp(uint64_t frames) override {
    asked += frames;
    for (uint64_t i = 0; i < frames && !stubborn && !tags.empty(); ++i) {
      const auto least = tags.begin();
      pool->Free(least->first);
      tags.erase(least);
    }
  }
  void Moved(uint64_t from, uint64_t to) override {
    ASSERT_EQ(tags.count(from), 1u);
    ASSERT_EQ(tags.count(to), 0u);
    tags[to] = tags[from];
    tags.erase(from);
    ++moves;
  }
  void Lost(uint64_t frame) override {
    ASSERT_EQ(tags.erase(frame), 1u);
    ++lost;
  }

  bool Take() {
    const uint64_t frame = pool->Allocate();
    if (frame == FramePool::kNone) return false;
    EXPECT_EQ(tags.count(frame), 0u) << "frame " << frame << " handed out twice";
    tags[frame] = ++next_tag;
    *static_cast<uint64_t*>(pool->Address(frame)) = next_tag;
    return true;
  }
  void Check(const FakeNomhv& nomhv) const {
    for (const auto& [frame, tag] : tags) {
      ASSERT_TRUE(nomhv.Held(frame)) << frame;
      ASSERT_EQ(*static_cast<uint64_t*>(pool->Address(frame)), tag) << frame;
    }
    ASSERT_EQ(pool->held_frames(), nomhv.Count());
    ASSERT_EQ(pool->used_frames(), tags.size());
  }

  FramePool* pool = nullptr;
  std::map<uint64_t, uint64_t> tags;
  uint64_t next_tag = 0;
  uint64_t asked = 0;
  uint64_t moves = 0;
  uint64_t lost = 0;
  bool stubborn = false;
};

class MemoryTest : public testing::Test {
 protected:
  MemoryTest()
      : nomhv_(kSeed, kWindow),
        words_(FramePool::WordsNeeded(kWindow)),
        pool_(&nomhv_, &owner_,
              {.seed_frames = kSeed,
               .window_frames = kWindow,
               .image_first_frame = kImageFirst,
               .image_end_frame = kImageEnd,
               .base_address = nomhv_.base()},
              words_) {
    owner_.pool = &pool_;
  }

  FakeNomhv nomhv_;
  Owner owner_;
  std::vector<uint64_t> words_;
  FramePool pool_;
};

TEST_F(MemoryTest, HandsOutTheSeedButTheImageAndFrameZero) {
  EXPECT_EQ(pool_.held_frames(), kSeed);
  EXPECT_EQ(pool_.free_frames(), kFreeInSeed);
  std::vector<uint64_t> got;
  for (uint64_t f = pool_.Allocate(); f != FramePool::kNone; f = pool_.Allocate()) got.push_back(f);
  EXPECT_THAT(got, testing::ElementsAre(1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15));
  pool_.Free(9);
  EXPECT_EQ(pool_.Allocate(), 9u);
  EXPECT_EQ(pool_.Allocate(), FramePool::kNone);
}

TEST_F(MemoryTest, LearnsGrowthThatNomhvMadeAndTakesWhatItDidNot) {
  nomhv_.Grow(100);
  EXPECT_EQ(pool_.Update(nomhv_.guest_board()).gained_frames, 100 - kSeed);
  EXPECT_EQ(pool_.free_frames(), 100 - kSeed + kFreeInSeed);
  // Given back by choice, then wanted again: granted but not held.
  ASSERT_TRUE(nomhv_.Release(40, 20).ok());
  const FramePool::Changes changes = pool_.Update(nomhv_.guest_board());
  EXPECT_EQ(changes.lost_frames, 20u);
  EXPECT_EQ(changes.gained_frames, 20u);
  EXPECT_EQ(nomhv_.Count(), 100u);
}

TEST_F(MemoryTest, ReleasesBeforeTheDeadlineInOneCallAndKeepsContents) {
  nomhv_.Grow(200);
  (void)pool_.Update(nomhv_.guest_board());
  while (owner_.Take()) {
  }
  nomhv_.Announce(/*next_frames=*/120, /*deadline_tsc=*/1000);
  const FramePool::Changes changes = pool_.Update(nomhv_.guest_board());
  EXPECT_EQ(changes.released_frames, 80u);
  EXPECT_EQ(changes.lost_frames, 0u);
  EXPECT_EQ(owner_.asked, 80u);
  EXPECT_EQ(nomhv_.Count(), 120u);
  EXPECT_EQ(nomhv_.release_calls, 1u);
  EXPECT_GT(owner_.moves, 0u);
  owner_.Check(nomhv_);
  // Told once more, there is nothing left to do; at the deadline nothing is taken.
  EXPECT_EQ(pool_.Update(nomhv_.guest_board()).released_frames, 0u);
  nomhv_.TakeByForce();
  EXPECT_EQ(pool_.Update(nomhv_.guest_board()).lost_frames, 0u);
  EXPECT_EQ(nomhv_.Count(), 120u);
}

TEST_F(MemoryTest, FreeFramesGoBeforeUsedOnes) {
  nomhv_.Grow(200);
  (void)pool_.Update(nomhv_.guest_board());
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(owner_.Take());
  nomhv_.Announce(100, 1000);
  EXPECT_EQ(pool_.Update(nomhv_.guest_board()).released_frames, 100u);
  EXPECT_EQ(owner_.asked, 0u);
  owner_.Check(nomhv_);
}

TEST_F(MemoryTest, DoesNotTakeBackWhatItReleasedWhileTheNoticeIsOpen) {
  nomhv_.Grow(200);
  (void)pool_.Update(nomhv_.guest_board());
  nomhv_.Announce(100, 1000);
  (void)pool_.Update(nomhv_.guest_board());
  EXPECT_EQ(pool_.Update(nomhv_.guest_board()).gained_frames, 0u);
  EXPECT_EQ(nomhv_.Count(), 100u);
}

TEST_F(MemoryTest, SurvivesForce) {
  nomhv_.Grow(200);
  (void)pool_.Update(nomhv_.guest_board());
  while (owner_.Take()) {
  }
  nomhv_.Announce(50, 1000);
  nomhv_.TakeByForce();  // Never looked at the board in between.
  const FramePool::Changes changes = pool_.Update(nomhv_.guest_board());
  EXPECT_EQ(changes.lost_frames, 150u);
  EXPECT_EQ(owner_.lost, 150u);
  owner_.Check(nomhv_);
}

TEST_F(MemoryTest, AnOwnerThatGivesNothingUpKeepsWorking) {
  nomhv_.Grow(200);
  (void)pool_.Update(nomhv_.guest_board());
  while (owner_.Take()) {
  }
  owner_.stubborn = true;
  nomhv_.Announce(50, 1000);
  EXPECT_EQ(pool_.Update(nomhv_.guest_board()).released_frames, 0u);
  owner_.Check(nomhv_);
}

TEST_F(MemoryTest, NeverReleasesTheSeedWhateverTheBoardSays) {
  nomhv_.Grow(20);
  (void)pool_.Update(nomhv_.guest_board());
  nomhv_.Announce(0, 1000);
  (void)pool_.Update(nomhv_.guest_board());
  EXPECT_EQ(nomhv_.Count(), kSeed);
}

TEST_F(MemoryTest, ABoardOfAnotherKindIsIgnored) {
  NomGuestBoard board = nomhv_.guest_board();
  board.magic = 0;
  board.frames_held = 0;
  const uint64_t before = nomhv_.calls;
  (void)pool_.Update(board);
  EXPECT_EQ(nomhv_.calls, before);
}

TEST_F(MemoryTest, NonsenseFromNomhvDoesNotHangIt) {
  nomhv_.lying = true;
  (void)pool_.Resync();
  EXPECT_LE(pool_.held_frames(), kWindow);
}

// Any order of growth, notices obeyed or not, allocation and freeing: every frame in use stays held
// and keeps its contents, none is handed out twice, and counts agree with nomhv's.
TEST_F(MemoryTest, RandomLives) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    const auto below = [&random](uint64_t n) { return random() % n; };
    for (int step = 0; step < 300; ++step) {
      switch (below(6)) {
        case 0:
          nomhv_.Grow(std::max(nomhv_.Count(), kSeed + below(kWindow - kSeed + 1)));
          break;
        case 1:
          nomhv_.Announce(kSeed + below(nomhv_.Count() - kSeed + 1), 1000);
          break;
        case 2:
          if (nomhv_.guest_board().deadline_tsc != 0) nomhv_.TakeByForce();
          break;
        case 3:
          for (uint64_t i = below(40); i > 0; --i) owner_.Take();
          break;
        case 4:
          for (uint64_t i = below(20); i > 0 && !owner_.tags.empty(); --i) {
            auto at = owner_.tags.begin();
            std::advance(at, static_cast<int64_t>(below(owner_.tags.size())));
            pool_.Free(at->first);
            owner_.tags.erase(at);
          }
          break;
        default:
          break;
      }
      (void)pool_.Update(nomhv_.guest_board());
      owner_.Check(nomhv_);
      if (testing::Test::HasFatalFailure()) return;
      ASSERT_LE(nomhv_.Count(), std::max(kSeed, nomhv_.guest_board().frames_granted));
      if (nomhv_.guest_board().deadline_tsc != 0) {
        ASSERT_LE(nomhv_.Count(), nomhv_.guest_board().frames_next);
      }
    }
  }
}

}  // namespace
}  // namespace nom::guest
