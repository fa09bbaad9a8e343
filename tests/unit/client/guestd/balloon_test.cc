// SPDX-License-Identifier: Apache-2.0
// nomguestd's balloon, between a kernel that has pieces to spare or not and a machine that counts
// frames.

#include "client/guestd/balloon.h"

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace nom::guestd {
namespace {

constexpr uint64_t kWindowPieces = 32;
constexpr uint64_t kOddFrames = 100;  // Of the window, beyond whole pieces.

// The machine: which pieces have frames. What the kernel touches has them.
class FakeMachine final : public Doorbell {
 public:
  NomStatus Release(uint64_t address) override {
    EXPECT_EQ(address % kPieceBytes, 0u);
    if (refuses != NOM_STATUS_OK) return refuses;
    holes.insert(address);
    return NOM_STATUS_OK;
  }
  NomStatus Acquire(uint64_t address) override {
    if (refuses != NOM_STATUS_OK) return refuses;
    if (held() + kPieceFrames > granted) return NOM_STATUS_OVER_GRANT;
    holes.erase(address);
    return NOM_STATUS_OK;
  }
  uint64_t window_frames() override { return kWindowPieces * kPieceFrames + kOddFrames; }
  [[nodiscard]] uint64_t held() { return window_frames() - holes.size() * kPieceFrames; }

  std::set<uint64_t> holes;
  uint64_t granted = kWindowPieces * kPieceFrames + kOddFrames;
  NomStatus refuses = NOM_STATUS_OK;
};

// The kernel: it gives any piece that it does not use.
class FakeKernel final : public Pieces {
 public:
  FakeKernel(FakeMachine& machine, uint32_t seed) : machine_(machine), engine_(seed) {}

  [[nodiscard]] size_t count() const override { return stack.size(); }
  absl::Status Push() override {
    if (!fails.ok()) return fails;
    if (stack.size() + used >= kWindowPieces) return absl::ResourceExhaustedError("none");
    for (;;) {
      const uint64_t address = engine_() % kWindowPieces * kPieceBytes;
      if (std::find(stack.begin(), stack.end(), address) != stack.end()) continue;
      EXPECT_EQ(machine_.holes.count(address), 0u) << "the kernel used what is not there";
      stack.push_back(address);
      return absl::OkStatus();
    }
  }
  absl::Status Pop() override {
    EXPECT_EQ(machine_.holes.count(stack.back()), 0u) << "the kernel is given what is not there";
    stack.pop_back();
    return absl::OkStatus();
  }
  absl::StatusOr<uint64_t> Address(size_t index) override { return stack.at(index); }

  std::vector<uint64_t> stack;
  uint64_t used = 0;  // Pieces that it cannot spare.
  absl::Status fails = absl::OkStatus();

 private:
  FakeMachine& machine_;
  std::mt19937 engine_;
};

class BalloonTest : public ::testing::Test {
 protected:
  // Until there is nothing to do, or nothing can be done.
  Balloon::Step Run() {
    for (int i = 0; i < 1000; ++i) {
      const auto step = balloon.Follow(board);
      if (!step.ok()) ADD_FAILURE() << step.status();
      if (!step.ok() || *step != Balloon::Step::kMoved) return step.value_or(Balloon::Step::kStuck);
    }
    ADD_FAILURE() << "it moves without end";
    return Balloon::Step::kMoved;
  }
  void Apply() { machine.granted = board.frames_granted = board.frames_next; }

  FakeMachine machine;
  FakeKernel kernel{machine, 1};
  Balloon balloon{kernel, machine};
  NomGuestBoard board{};
};

TEST_F(BalloonTest, WhatTheGrantDoesNotCoverIsGivenBack) {
  board.frames_granted = board.frames_next = machine.granted;
  EXPECT_EQ(Run(), Balloon::Step::kFollowed);
  EXPECT_EQ(kernel.count(), 0u);
  board.frames_next = 20 * kPieceFrames;
  EXPECT_EQ(Run(), Balloon::Step::kFollowed) << "as soon as it is announced";
  EXPECT_LE(machine.held(), 20 * kPieceFrames);
  EXPECT_GT(machine.held(), 19 * kPieceFrames) << "no piece more than is to be";
  Apply();
  EXPECT_EQ(Run(), Balloon::Step::kFollowed);
  EXPECT_LE(machine.held(), 20 * kPieceFrames);
}

TEST_F(BalloonTest, ALargerGrantIsTakenOnceItIsInForce) {
  board.frames_granted = board.frames_next = machine.granted = 10 * kPieceFrames;
  static_cast<void>(Run());
  const size_t before = kernel.count();
  board.frames_next = 30 * kPieceFrames;
  EXPECT_EQ(Run(), Balloon::Step::kFollowed);
  EXPECT_EQ(kernel.count(), before) << "before it is there";
  Apply();
  EXPECT_EQ(Run(), Balloon::Step::kFollowed);
  EXPECT_EQ(machine.held(), 29 * kPieceFrames + kOddFrames);
}

TEST_F(BalloonTest, BeforeTheMarketSpeaksTheGrantCounts) {
  board.frames_granted = 8 * kPieceFrames;
  board.frames_next = 0;
  EXPECT_EQ(balloon.Wanted(board), kWindowPieces - 7);
}

TEST_F(BalloonTest, AKernelThatHasNoneIsAskedAgain) {
  board.frames_granted = machine.granted;
  board.frames_next = 4 * kPieceFrames;
  kernel.used = 20;
  EXPECT_EQ(Run(), Balloon::Step::kStuck);
  EXPECT_EQ(kernel.count(), 12u) << "what there was is given";
  kernel.used = 2;
  EXPECT_EQ(Run(), Balloon::Step::kFollowed);
  EXPECT_LE(machine.held(), 4 * kPieceFrames);
}

TEST_F(BalloonTest, ARefusalLeavesThePieceToTheKernel) {
  board.frames_granted = machine.granted;
  board.frames_next = 4 * kPieceFrames;
  machine.refuses = NOM_STATUS_BAD_ADDRESS;
  EXPECT_EQ(balloon.Follow(board).status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(kernel.count(), 0u);
  machine.refuses = NOM_STATUS_OK;
  kernel.fails = absl::FailedPreconditionError("no file");
  EXPECT_EQ(balloon.Follow(board).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(BalloonTest, AGrantThatShrinksMeanwhileIsNoError) {
  board.frames_granted = board.frames_next = machine.granted = 4 * kPieceFrames;
  static_cast<void>(Run());
  board.frames_granted = board.frames_next = 10 * kPieceFrames;  // What it read is old.
  EXPECT_EQ(Run(), Balloon::Step::kStuck);
  EXPECT_LE(machine.held(), 4 * kPieceFrames);
}

TEST_F(BalloonTest, WhoDiedInBetweenIsFollowed) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 engine(seed);
    FakeMachine here;
    FakeKernel pieces(here, seed + 1);
    NomGuestBoard says{};
    says.frames_granted = says.frames_next = here.granted;
    for (int round = 0; round < 30; ++round) {
      Balloon follower(pieces, here);
      // Death between the two halves of a move: a piece of the stack has its frames.
      if (!here.holes.empty() && engine() % 2 == 0) here.holes.erase(pieces.stack.back());
      ASSERT_TRUE(follower.Begin().ok());
      says.frames_next = (2 + engine() % (kWindowPieces - 2)) * kPieceFrames + engine() % 512;
      pieces.used = engine() % 3;
      for (auto i = engine() % 40; i > 0; --i) ASSERT_TRUE(follower.Follow(says).ok());
      if (here.held() <= says.frames_next) here.granted = says.frames_granted = says.frames_next;
      EXPECT_LE(here.held(), here.granted);
    }
  }
}

}  // namespace
}  // namespace nom::guestd
