// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/nested_paging.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <memory>
#include <random>
#include <vector>

namespace nomhv {
namespace {

// Tables in a map from physical address; addresses are far apart on purpose.
class FakeMemory {
 public:
  uint64_t* Table(uint64_t physical) { return tables_.at(physical)->data(); }
  Result<uint64_t> AllocateTable() {
    if (tables_.size() == limit) return NOM_STATUS_TABLE_FULL;
    next_ += 0x12345000;
    tables_[next_] = std::make_unique<std::array<uint64_t, 512>>();
    tables_[next_]->fill(0);
    return next_;
  }
  void FreeTable(uint64_t physical) { ASSERT_EQ(tables_.erase(physical), 1u); }
  void Changed(const void* /*entry*/) { ++changes; }
  int changes = 0;
  size_t live() const { return tables_.size(); }

  size_t limit = 1000;

 private:
  std::map<uint64_t, std::unique_ptr<std::array<uint64_t, 512>>> tables_;
  uint64_t next_ = 0;
};

// The processor's walk, written down again from the manual: every level present and user, the
// rights of all levels together.
struct Walk {
  bool present = false;
  bool writable = true;
  bool executable = true;
  uint64_t physical = 0;
};
Walk HardwareWalk(FakeMemory& memory, uint64_t root, uint64_t gpa) {
  Walk walk;
  uint64_t table = root;
  for (const int shift : {39, 30, 21, 12}) {
    const uint64_t entry = memory.Table(table)[gpa >> shift & 511];
    if ((entry & 1) == 0) return {};
    EXPECT_NE(entry & 4, 0u) << "nested walks are user accesses";
    EXPECT_EQ(shift > 12 ? entry & 0x80 : 0, 0u) << "no large pages";
    walk.writable &= (entry & 2) != 0;
    walk.executable &= entry >> 63 == 0;
    table = entry & 0x000ffffffffff000;
  }
  walk.present = true;
  walk.physical = table;
  return walk;
}

// Takes one page away; how many there were.
template <typename Tables>
int Clear(Tables& tables, uint64_t gpa) {
  int taken = 0;
  tables.Clear(gpa, gpa + NOM_FRAME_BYTES, [&](uint64_t) { ++taken; });
  return taken;
}

class NestedPaging : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(tables_.Init(&memory_).ok()); }
  void TearDown() override {
    tables_.Destroy();
    EXPECT_EQ(memory_.live(), 0u) << "tables leaked";
  }
  FakeMemory memory_;
  NestedTables<FakeMemory> tables_;
};

TEST_F(NestedPaging, MapsWithTheRightsAsked) {
  for (const bool writable : {false, true}) {
    for (const bool executable : {false, true}) {
      const uint64_t gpa = (writable ? 0x1000u : 0x2000u) + (executable ? 0x40000000u : 0u);
      ASSERT_TRUE(tables_.Map(gpa, 0x7777000, {writable, executable}).ok());
      const Walk walk = HardwareWalk(memory_, tables_.root(), gpa);
      EXPECT_TRUE(walk.present);
      EXPECT_EQ(walk.writable, writable);
      EXPECT_EQ(walk.executable, executable);
      EXPECT_EQ(walk.physical, 0x7777000u);
      const auto found = tables_.Find(gpa);
      ASSERT_TRUE(found.has_value());
      EXPECT_EQ(found->physical, 0x7777000u);
      EXPECT_EQ(found->flags.writable, writable);
      EXPECT_EQ(found->flags.executable, executable);
    }
  }
}

TEST_F(NestedPaging, WhatIsMappedIsNotMappedAgainAndWhatIsClearedIsGone) {
  ASSERT_TRUE(tables_.Map(0x5000, 0xabc000, {}).ok());
  EXPECT_EQ(tables_.Map(0x5000, 0xdef000, {}).code(), NOM_STATUS_ALREADY_HELD);
  EXPECT_EQ(tables_.Find(0x5000)->physical, 0xabc000u);
  EXPECT_EQ(Clear(tables_, 0x5000), 1);
  EXPECT_FALSE(HardwareWalk(memory_, tables_.root(), 0x5000).present);
  EXPECT_EQ(Clear(tables_, 0x5000), 0);
  EXPECT_EQ(Clear(tables_, 0x7fff00000000), 0);
}

TEST_F(NestedPaging, AfterReserveMapNeedsNoMemory) {
  constexpr uint64_t kBytes = 5 << 20;
  ASSERT_TRUE(tables_.Reserve(0x1ff000, kBytes).ok());
  memory_.limit = memory_.live();
  for (uint64_t gpa = 0x1ff000; gpa < 0x1ff000 + kBytes; gpa += NOM_FRAME_BYTES) {
    ASSERT_TRUE(tables_.Map(gpa, gpa + 0x1000, {}).ok()) << gpa;
  }
  EXPECT_EQ(tables_.Map(uint64_t{1} << 32, 0x1000, {}).code(), NOM_STATUS_TABLE_FULL);
}

// Many at once agree with one at a time, over tables and their bounds.
TEST_F(NestedPaging, FillsHolesAndClearsWhatIsMapped) {
  constexpr uint64_t kPages = 3 * 512;
  constexpr uint64_t kFirst = (2 * 512 - 100) * NOM_FRAME_BYTES;  // In the middle of a table.
  ASSERT_TRUE(tables_.Reserve(kFirst, kPages * NOM_FRAME_BYTES).ok());
  std::mt19937_64 random(11);
  std::map<uint64_t, uint64_t> model;  // Page of the range to frame.
  uint64_t next_frame = 1;
  const auto gpa = [&](uint64_t page) { return kFirst + page * NOM_FRAME_BYTES; };
  for (int step = 0; step < 2000; ++step) {
    const uint64_t begin = random() % kPages;
    const uint64_t end = begin + random() % (kPages - begin + 1);
    if (random() % 2 == 0) {
      uint64_t most = random() % 700;
      const uint64_t stop = tables_.Fill(gpa(begin), gpa(end), most, {},
                                         [&] { return next_frame++ * NOM_FRAME_BYTES; });
      uint64_t frame = next_frame;
      uint64_t page = begin;
      std::vector<uint64_t> filled;
      for (; page < end && (model.count(page) > 0 || most > 0); ++page) {
        if (model.count(page) > 0) continue;
        filled.push_back(page);
        --most;
      }
      ASSERT_EQ(stop, gpa(page));
      frame -= filled.size();
      for (const uint64_t at : filled) model[at] = frame++ * NOM_FRAME_BYTES;
    } else {
      std::vector<uint64_t> taken;
      tables_.Clear(gpa(begin), gpa(end), [&](uint64_t physical) { taken.push_back(physical); });
      std::vector<uint64_t> expected;
      for (auto at = model.lower_bound(begin); at != model.end() && at->first < end;) {
        expected.push_back(at->second);
        at = model.erase(at);
      }
      ASSERT_EQ(taken, expected);
    }
    for (const uint64_t page : {begin, end, random() % kPages}) {
      const Walk walk = HardwareWalk(memory_, tables_.root(), gpa(page));
      const auto found = model.find(page);
      ASSERT_EQ(walk.present, found != model.end()) << page;
      if (walk.present) {
        ASSERT_EQ(walk.physical, found->second);
      }
      const auto hole = tables_.NextHole(gpa(page), gpa(kPages));
      uint64_t first = page;
      while (model.count(first) > 0) ++first;
      ASSERT_EQ(hole.value_or(gpa(kPages)), gpa(first < kPages ? first : kPages));
    }
  }
}

TEST_F(NestedPaging, RunningOutOfTablesHalfwayLeaksNothing) {
  memory_.limit = 3;
  EXPECT_EQ(tables_.Reserve(0, 1 << 20).code(), NOM_STATUS_TABLE_FULL);
}

TEST_F(NestedPaging, FindsHeldPagesAndHoles) {
  for (const uint64_t gpa : {0x0u, 0x1000u, 0x3000u, 0x200000u}) {
    ASSERT_TRUE(tables_.Map(gpa, 0x9000, {}).ok());
  }
  EXPECT_EQ(tables_.NextMapped(0x2000, 0x400000), 0x3000u);
  EXPECT_EQ(tables_.NextMapped(0x4000, 0x400000), 0x200000u);
  EXPECT_EQ(tables_.NextMapped(0x4000, 0x200000), std::nullopt);
  EXPECT_EQ(tables_.NextHole(0, 0x400000), 0x2000u);
  EXPECT_EQ(tables_.NextHole(0x3000, 0x400000), 0x4000u);
  EXPECT_EQ(tables_.NextHole(0, 0x2000), std::nullopt);
  EXPECT_EQ(tables_.LastMapped(0, 0x400000), 0x200000u);
  EXPECT_EQ(tables_.LastMapped(0, 0x200000), 0x3000u);
  EXPECT_EQ(tables_.LastMapped(0x4000, 0x200000), std::nullopt);
}

TEST_F(NestedPaging, AgreesWithAModelOverARandomLife) {
  std::mt19937_64 random(11);
  std::map<uint64_t, uint64_t> model;
  for (int i = 0; i < 50000; ++i) {
    const uint64_t gpa = (random() % 1500) * 0x1000 + (random() % 3) * 0x3fe00000;
    if (random() % 2 == 0) {
      const uint64_t physical = (random() % (1 << 20)) << 12;
      const bool fresh = model.emplace(gpa, physical).second;
      ASSERT_EQ(tables_.Map(gpa, physical, {}).ok(), fresh);
    } else {
      ASSERT_EQ(Clear(tables_, gpa), static_cast<int>(model.erase(gpa)));
    }
    const auto it = model.find(gpa);
    const Walk walk = HardwareWalk(memory_, tables_.root(), gpa);
    ASSERT_EQ(walk.present, it != model.end());
    // What the searches say, however far they skip.
    if (i % 16 == 0) {
      const uint64_t end = uint64_t{3} << 30;
      const auto above = model.lower_bound(gpa);
      const auto next = tables_.NextMapped(gpa, end);
      ASSERT_EQ(next.has_value(), above != model.end());
      if (next.has_value()) {
        ASSERT_EQ(*next, above->first);
      }
      const auto last = tables_.LastMapped(0, gpa);
      ASSERT_EQ(last.has_value(), above != model.begin());
      if (last.has_value()) {
        ASSERT_EQ(*last, std::prev(above)->first);
      }
      uint64_t hole = gpa;
      while (model.count(hole) > 0) hole += 0x1000;
      ASSERT_EQ(tables_.NextHole(gpa, end), hole);
    }
    if (it != model.end()) {
      ASSERT_EQ(walk.physical, it->second);
    }
  }
}

TEST_F(NestedPaging, FullTablesAreSkippedByHoles) {
  constexpr uint64_t kBytes = 8 << 20;
  ASSERT_TRUE(tables_.Reserve(0, kBytes).ok());
  for (uint64_t gpa = 0; gpa < kBytes; gpa += NOM_FRAME_BYTES) {
    ASSERT_TRUE(tables_.Map(gpa, 0x1000, {}).ok());
  }
  EXPECT_EQ(tables_.NextHole(0x3000, kBytes), std::nullopt);
  EXPECT_EQ(tables_.NextHole(0, kBytes + 0x1000), kBytes) << "beyond any table";
  ASSERT_EQ(Clear(tables_, kBytes - 0x1000), 1);
  EXPECT_EQ(tables_.NextHole(0, kBytes), kBytes - 0x1000);
  ASSERT_TRUE(tables_.Map(kBytes - 0x1000, 0x1000, {}).ok());
  EXPECT_EQ(tables_.NextHole(0, kBytes), std::nullopt);
  for (uint64_t gpa = 0; gpa < kBytes; gpa += NOM_FRAME_BYTES) {
    ASSERT_EQ(Clear(tables_, gpa), 1);
  }
  EXPECT_EQ(tables_.NextMapped(0, kBytes), std::nullopt);
  EXPECT_EQ(tables_.LastMapped(0, kBytes), std::nullopt);
}

TEST_F(NestedPaging, BadAddressesPanic) {
  EXPECT_DEATH(static_cast<void>(tables_.Map(0x1001, 0x1000, {})), "bad address");
  EXPECT_DEATH(static_cast<void>(tables_.Map(0x1000, uint64_t{1} << 63, {})), "bad address");
  EXPECT_DEATH(static_cast<void>(tables_.Map(uint64_t{1} << 48, 0x1000, {})), "bad address");
}

}  // namespace
}  // namespace nomhv
