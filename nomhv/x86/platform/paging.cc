// SPDX-License-Identifier: Apache-2.0
#include "nomhv/x86/platform/paging.h"

#include <algorithm>

#include "nomhv/core/assert.h"
#include "nomhv/x86/platform/cpu.h"
#include "nomhv/x86/platform/interrupts.h"

extern "C" {
extern char ImageStart[], TextEnd[], RodataEnd[], ImageEnd[];
}

namespace nomhv {
namespace {

constexpr uint64_t kPresent = 1;
constexpr uint64_t kWritable = 2;
constexpr uint64_t kUncached = 1u << 4;  // PCD
constexpr uint64_t kLarge = 1u << 7;
constexpr uint64_t kNoExecute = uint64_t{1} << 63;
constexpr uint64_t kAddressMask = 0x000ffffffffff000;
constexpr uint64_t kSmallPage = 0x1000;
constexpr uint64_t kLargePage = 0x200000;
constexpr uint64_t kHugePage = uint64_t{1} << 30;
constexpr uint64_t kFourGib = uint64_t{4} << 30;
constexpr uint64_t kLocalApicPage = 0xfee00000;
constexpr uint64_t kIoApicPage = 0xfec00000;

// Enough for the image, some devices, and 1 TiB in huge pages, or 64 GiB in large ones.
constexpr uint32_t kTablesMax = 128;
constexpr uint64_t kMostHuge = uint64_t{1} << 40;
constexpr uint64_t kMostLarge = uint64_t{64} << 30;
struct alignas(4096) Table {
  uint64_t entries[512];
};
Table g_tables[kTablesMax];
uint32_t g_table_count = 0;
Table* g_root = nullptr;

Table* NewTable() {
  NOMHV_CHECK(g_table_count < kTablesMax, "paging: more memory than nomhv has tables for");
  return &g_tables[g_table_count++];
}

Table* Below(Table* table, uint64_t index) {
  uint64_t& entry = table->entries[index];
  if ((entry & kPresent) == 0) {
    entry = reinterpret_cast<uint64_t>(NewTable()) | kPresent | kWritable;
  }
  NOMHV_CHECK((entry & kLarge) == 0, "paging: a large page in the way");
  return reinterpret_cast<Table*>(entry & kAddressMask);
}

uint64_t SmallPageRights(uint64_t address) {
  if (address == 0) return 0;
  if (address == kApStartPage) return kPresent;
  if (address >= reinterpret_cast<uint64_t>(ImageStart) &&
      address < reinterpret_cast<uint64_t>(ImageEnd)) {
    if (address < reinterpret_cast<uint64_t>(TextEnd)) return kPresent;
    if (address < reinterpret_cast<uint64_t>(RodataEnd)) return kPresent | kNoExecute;
    if (IsStackGuard(address)) return 0;
  }
  return kPresent | kWritable | kNoExecute;
}

void MapLargePage(uint64_t address) {
  Table* const pointers = Below(g_root, address >> 39 & 511);
  const uint64_t pointer = pointers->entries[address >> 30 & 511];
  if ((pointer & kPresent) != 0 && (pointer & kLarge) != 0) return;
  Table* const directory = Below(pointers, address >> 30 & 511);
  uint64_t& entry = directory->entries[address >> 21 & 511];
  if ((entry & kPresent) != 0) return;
  const auto image_start = reinterpret_cast<uint64_t>(ImageStart);
  const auto image_end = reinterpret_cast<uint64_t>(ImageEnd);
  if (address == 0 || (address + kLargePage > image_start && address < image_end)) {
    Table* pages = Below(directory, address >> 21 & 511);
    for (uint64_t i = 0; i < 512; ++i) {
      const uint64_t page = address + i * kSmallPage;
      const uint64_t rights = SmallPageRights(page);
      pages->entries[i] = rights == 0 ? 0 : page | rights;
    }
    return;
  }
  const bool device = address == kLocalApicPage || address == (kIoApicPage & ~(kLargePage - 1));
  entry = address | kPresent | kWritable | kLarge | kNoExecute | (device ? kUncached : 0);
}

uint64_t CheckTable(const Table* table, int level) {
  uint64_t pages = 0;
  for (const uint64_t entry : table->entries) {
    if ((entry & kPresent) == 0) continue;
    if (level == 1 || (entry & kLarge) != 0) {
      NOMHV_CHECK((entry & kWritable) == 0 || (entry & kNoExecute) != 0,
                  "paging: a page is both writable and executable");
      ++pages;
    } else {
      pages += CheckTable(reinterpret_cast<const Table*>(entry & kAddressMask), level - 1);
    }
  }
  return pages;
}

}  // namespace

uint64_t BuildPageTables(uint64_t end) {
  constexpr uint32_t kHugePages = 1u << 26;  // Fn8000_0001 EDX
  const bool huge = (Cpuid(0x80000001).edx & kHugePages) != 0;
  const uint64_t mapped = std::min(std::max(end, kFourGib), huge ? kMostHuge : kMostLarge);
  g_root = NewTable();
  for (uint64_t address = 0; address < kFourGib; address += kLargePage) MapLargePage(address);
  // Above, there is nothing but memory. Where it ends the page may go on: nobody uses the rest.
  for (uint64_t address = kFourGib; address < mapped;) {
    if (huge) {
      Below(g_root, address >> 39 & 511)->entries[address >> 30 & 511] =
          address | kPresent | kWritable | kLarge | kNoExecute;
      address += kHugePage;
    } else {
      MapLargePage(address);
      address += kLargePage;
    }
  }
  WriteCr3(page_table_root());
  return mapped;
}

void MapAlso(uint64_t first, uint64_t bytes) {
  for (uint64_t address = first & ~(kLargePage - 1); address < first + bytes;
       address += kLargePage) {
    MapLargePage(address);
  }
}

uint64_t page_table_root() { return reinterpret_cast<uint64_t>(g_root); }

uint64_t CheckPageTables() { return CheckTable(g_root, 4); }

}  // namespace nomhv
