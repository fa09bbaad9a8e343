// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/log_ring.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>

namespace nomhv {
namespace {

using From = LogRing::From;

std::string TakeAll(LogRing& ring, size_t at_once) {
  std::string all;
  while (true) {
    const std::string_view next = ring.Next();
    if (next.empty()) return all;
    const size_t bytes = std::min(next.size(), at_once);
    all += next.substr(0, bytes);
    ring.Took(bytes);
  }
}

TEST(LogRing, LinesComeWholeAndInOrder) {
  for (const size_t at_once : {1u, 2u, 7u, 1000u}) {
    auto ring = std::make_unique<LogRing>();
    EXPECT_TRUE(ring->empty());
    EXPECT_TRUE(ring->Put(From::kNomhv, 0, "nomhv", "first"));
    EXPECT_TRUE(ring->Put(From::kGuest, 12345, "guest 7 \"a\"", ""));
    EXPECT_EQ(TakeAll(*ring, at_once), "[0.000] nomhv: first\r\n[12.345] guest 7 \"a\": \r\n");
    EXPECT_TRUE(ring->empty());
  }
}

TEST(LogRing, WhatFindsNoRoomIsLostAndTold) {
  auto ring = std::make_unique<LogRing>();
  uint32_t put = 0;
  while (ring->Put(From::kGuest, 1, "guest 7 \"a\"", "x")) ++put;
  EXPECT_EQ(put, LogRing::kLines - LogRing::kOwnLines);
  for (int i = 0; i < 9; ++i) EXPECT_FALSE(ring->Put(From::kGuest, 1, "guest 7 \"a\"", "x"));
  EXPECT_TRUE(ring->Put(From::kNomhv, 2, "nomhv", "has places of its own"));
  const std::string all = TakeAll(*ring, 100);
  EXPECT_NE(all.find("[0.002] nomhv: 10 lines were lost here: nobody reads the log fast enough\r\n"
                     "[0.002] nomhv: has places of its own\r\n"),
            std::string::npos)
      << all;
  EXPECT_TRUE(ring->Put(From::kGuest, 3, "guest 7 \"a\"", "again"));
  EXPECT_EQ(TakeAll(*ring, 100), "[0.003] guest 7 \"a\": again\r\n");
}

TEST(LogRing, ALongLineIsCut) {
  auto ring = std::make_unique<LogRing>();
  EXPECT_TRUE(ring->Put(From::kGuest, 0, "guest 7 \"a\"", std::string(1000, 'y')));
  const std::string all = TakeAll(*ring, 1000);
  EXPECT_EQ(all.size(), LogRing::kLineBytes + 2);
  EXPECT_EQ(all.substr(all.size() - 6), "y...\r\n");
}

TEST(LogRing, RandomUseNeverMixesLines) {
  auto ring = std::make_unique<LogRing>();
  std::mt19937_64 random(3);
  std::string out;
  uint64_t written = 0;
  uint64_t kept = 0;
  for (int i = 0; i < 20000; ++i) {
    const auto from = random() % 3 == 0 ? From::kNomhv : From::kGuest;
    if (random() % 5 != 0) {
      ++written;
      if (ring->Put(from, 0, "t", std::string(random() % 40, 'z'))) ++kept;
    }
    const std::string_view next = ring->Next();
    if (next.empty()) continue;
    const size_t bytes = 1 + random() % next.size();
    out += next.substr(0, bytes);
    ring->Took(bytes);
  }
  out += TakeAll(*ring, 5);
  uint64_t lines = 0;
  uint64_t lost = 0;
  for (size_t at = 0; at < out.size();) {
    const size_t end = out.find("\r\n", at);
    ASSERT_NE(end, std::string::npos);
    const std::string line = out.substr(at, end - at);
    ASSERT_EQ(line.substr(0, 8), "[0.000] ");
    if (line.find("lost here") != std::string::npos) {
      lost += std::stoull(line.substr(15));
    } else {
      ++lines;
      ASSERT_EQ(line.substr(8, 3), "t: ");
      ASSERT_EQ(line.find_first_not_of('z', 11), std::string::npos) << line;
    }
    at = end + 2;
  }
  EXPECT_EQ(lines, kept);
  EXPECT_LE(lines + lost, written);
  EXPECT_GT(lost, 0u);
}

TEST(LineBudget, ABurstAndThenSoManyASecond) {
  LineBudget budget(1000);
  uint64_t now_us = 1000;
  uint64_t taken = 0;
  while (budget.Take(now_us)) ++taken;
  EXPECT_EQ(taken, LineBudget::kBurst);
  taken = 0;
  for (int i = 0; i < 10000; ++i) {
    now_us += 1000;
    taken += budget.Take(now_us) ? 1 : 0;
  }
  EXPECT_EQ(taken, 10 * LineBudget::kPerSecond);
  now_us += 3'600'000'000;
  taken = 0;
  while (budget.Take(now_us)) ++taken;
  EXPECT_EQ(taken, LineBudget::kBurst) << "a quiet hour saves nothing up";
}

}  // namespace
}  // namespace nomhv
