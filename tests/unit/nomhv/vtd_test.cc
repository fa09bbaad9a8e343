// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/vtd.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <memory>
#include <random>

#include "nomhv/core/nested_paging.h"

namespace nomhv {
namespace {

TEST(Vtd, EntriesAreAsTheManualDraws) {
  EXPECT_EQ(VtdRootEntry(0x7000).low, 0x7001u);
  // AW 1: three levels; 2: four. The domain in bits 23 to 8 of the upper half.
  EXPECT_EQ(VtdContextEntry(0x8000, 3, 5).low, 0x8001u);
  EXPECT_EQ(VtdContextEntry(0x8000, 3, 5).high, 0x501u);
  EXPECT_EQ(VtdContextEntry(0x8000, 4, 0x1234).high, 0x123402u);
  EXPECT_EQ(VtdForgetContexts().low, 0x11u);
  EXPECT_EQ(VtdForgetAllTranslations().low, 0xd2u);
  EXPECT_EQ(VtdForgetTranslations(7).low, 0x700e2u);
  EXPECT_EQ(VtdForgetInterrupts().low, 0x4u);
  EXPECT_EQ(VtdWait(0x9000, 3).low, 0x300000025u);
  EXPECT_EQ(VtdWait(0x9000, 3).high, 0x9000u);
  // Present, vector 0x32, to APIC 5; only from 00:03.0.
  EXPECT_EQ(VtdInterruptEntry(0x18, 5, 0x32).low, 0x0000050000320001u);
  EXPECT_EQ(VtdInterruptEntry(0x18, 5, 0x32).high, 0x40018u);
  EXPECT_EQ(VtdMessageAddress(0), 0xfee00010u);
  EXPECT_EQ(VtdMessageAddress(3), 0xfee00070u);
  EXPECT_EQ(VtdMessageAddress(0x8001), 0xfee00034u);
}

class FakeMemory {
  struct alignas(4096) Page {
    std::array<uint64_t, 512> entries;
  };

 public:
  uint64_t* Table(uint64_t physical) { return tables_.at(physical)->entries.data(); }
  Result<uint64_t> AllocateTable() {
    next_ += 0x54321000;
    tables_[next_] = std::make_unique<Page>();
    tables_[next_]->entries.fill(0);
    return next_;
  }
  void FreeTable(uint64_t physical) { tables_.erase(physical); }
  // Without snooping a unit sees a cache line as it was when it was last told, and before that
  // whatever is in memory.
  void Changed(const void* entry) {
    const auto line = reinterpret_cast<uintptr_t>(entry) & ~uintptr_t{63};
    for (int i = 0; i < 8; ++i) {
      const auto* word = reinterpret_cast<const uint64_t*>(line) + i;
      seen_[word] = *word;
    }
  }
  uint64_t Seen(const uint64_t* entry) const {
    const auto it = seen_.find(entry);
    return it == seen_.end() ? 0x5a5a5a5a5a5a5007 : it->second;
  }

 private:
  std::map<uint64_t, std::unique_ptr<Page>> tables_;
  std::map<const void*, uint64_t> seen_;
  uint64_t next_ = 0;
};

struct Reach {
  bool read = true;
  bool write = true;
  uint64_t physical = 0;
};

// A unit's walk, written down from section 9.8 and 3.7: rights of all levels together; reserved
// bits fault. Bit 62 (TM) and 11 (SNP) are reserved where a unit has neither.
Reach Walk(FakeMemory& memory, uint64_t root, int levels, uint64_t address) {
  Reach reach;
  uint64_t table = root;
  for (int level = levels; level > 0; --level) {
    const int shift = 12 + 9 * (level - 1);
    const uint64_t entry = memory.Seen(&memory.Table(table)[address >> shift & 511]);
    reach.read = reach.read && (entry & 1) != 0;
    reach.write = reach.write && (entry & 2) != 0;
    if ((entry & 3) == 0) return {false, false, 0};
    EXPECT_EQ(entry >> 62 & 1, 0u);
    EXPECT_EQ(entry >> 11 & 1, 0u);
    EXPECT_TRUE(level == 1 || (entry >> 7 & 1) == 0) << "no large page was ever mapped";
    table = entry & 0x000ffffffffff000;
  }
  reach.physical = table;
  return reach;
}

// Whatever is mapped and unmapped: a device reaches exactly what the guest does, with the same
// rights, through three levels and through four.
TEST(Vtd, NestedTablesAreADevicesTables) {
  FakeMemory memory;
  NestedTables<FakeMemory> tables;
  ASSERT_TRUE(tables.Init(&memory).ok());
  ASSERT_TRUE(tables.Reserve(0, NOM_FRAME_BYTES).ok());
  std::mt19937_64 random(3);
  struct Page {
    uint64_t physical;
    bool writable;
  };
  std::map<uint64_t, Page> mapped;
  const auto anywhere = [&] {
    // Crowded, so that pages are hit again, and in several directories.
    return (random() % 4 << 30) + (random() % 3 << 21) + (random() % 40 << 12);
  };
  for (int step = 0; step < 30'000; ++step) {
    const uint64_t gpa = anywhere();
    if (random() % 2 == 0) {
      const Page page = {random() % (uint64_t{1} << 39) & ~uint64_t{4095}, random() % 4 != 0};
      NestedFlags flags;
      flags.writable = page.writable;
      flags.executable = random() % 2 == 0;
      flags.device = random() % 8 == 0;
      const Status status = tables.Map(gpa, page.physical, flags);
      ASSERT_EQ(status.ok(), mapped.count(gpa) == 0);
      if (status.ok()) mapped[gpa] = page;
    } else {
      size_t taken = 0;
      tables.Clear(gpa, gpa + NOM_FRAME_BYTES, [&](uint64_t) { ++taken; });
      ASSERT_EQ(taken, mapped.erase(gpa));
    }
    const uint64_t looked = random() % 2 == 0 ? gpa : anywhere();
    for (const int levels : {3, 4}) {
      const uint64_t root = levels == 4 ? tables.root() : tables.root_of_three_levels();
      const Reach reach = Walk(memory, root, levels, looked);
      const auto it = mapped.find(looked);
      ASSERT_EQ(reach.read, it != mapped.end());
      if (it == mapped.end()) continue;
      ASSERT_EQ(reach.physical, it->second.physical);
      ASSERT_EQ(reach.write, it->second.writable);
    }
  }
  tables.Destroy();
}

}  // namespace
}  // namespace nomhv
