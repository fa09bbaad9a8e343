// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/acpi_tables.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

namespace nomhv {
namespace {

class Table {
 public:
  explicit Table(size_t bytes) : bytes_(bytes) {}
  template <typename T>
  void Put(size_t at, T value) {
    std::memcpy(bytes_.data() + at, &value, sizeof(value));
  }
  void Append(std::initializer_list<int> bytes) {
    for (const int byte : bytes) bytes_.push_back(static_cast<std::byte>(byte));
  }
  std::span<const std::byte> span() const { return bytes_; }
  std::vector<std::byte>& bytes() { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

Table Madt() { return Table(44); }
void AddApic(Table& table, int id, bool enabled = true) {
  table.Append({0, 8, 0, id, enabled ? 1 : 0, 0, 0, 0});
}
void AddX2Apic(Table& table, uint32_t id) {
  table.Append({9, 16, 0, 0, static_cast<int>(id & 0xff), static_cast<int>(id >> 8 & 0xff), 0, 0, 1,
                0, 0, 0, 0, 0, 0, 0});
}

TEST(Madt, BothKindsOfApicAndTheBootProcessorFirst) {
  Table table = Madt();
  AddApic(table, 4);
  table.Append({1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});  // An I/O APIC.
  AddApic(table, 5, /*enabled=*/false);
  AddApic(table, 7);
  AddX2Apic(table, 9);
  AddX2Apic(table, 300);
  ProcessorList list;
  ReadMadt(table.span(), 7, list);
  ASSERT_EQ(list.count, 3u);
  EXPECT_EQ(list.apic_ids[0], 7u);
  EXPECT_EQ(list.apic_ids[1], 4u);
  EXPECT_EQ(list.apic_ids[2], 9u);
  EXPECT_EQ(list.too_high, 1u);
  EXPECT_EQ(list.left_out, 0u);
}

TEST(Madt, TheBootProcessorHasItsPlaceAmongManyOthers) {
  Table table = Madt();
  for (int id = 0; id < 100; ++id) AddApic(table, id);
  ProcessorList list;
  ReadMadt(table.span(), 99, list);
  EXPECT_EQ(list.count, kProcessorsMax);
  EXPECT_EQ(list.apic_ids[0], 99u);
  EXPECT_EQ(list.left_out, 100 - kProcessorsMax);
}

TEST(Madt, DamagedOnesAreReadAsFarAsTheyGo) {
  Table table = Madt();
  AddApic(table, 1);
  table.Append({0, 0, 0, 0});
  ProcessorList list;
  ReadMadt(table.span(), 0, list);
  EXPECT_EQ(list.count, 2u);
  std::mt19937_64 random(4);
  for (int i = 0; i < 20000; ++i) {
    Table garbage(random() % 200);
    for (std::byte& byte : garbage.bytes()) byte = static_cast<std::byte>(random() % 20);
    ReadMadt(garbage.span(), 0, list);
    EXPECT_LE(list.count, kProcessorsMax);
    static_cast<void>(ReadFadtTimer(garbage.span()));
    static_cast<void>(ReadHpetAddress(garbage.span()));
  }
}

TEST(Fadt, OldAndNewPlacesOfTheTimer) {
  Table table(244);
  EXPECT_EQ(ReadFadtTimer(table.span()).port, 0);
  table.Put<uint32_t>(76, 0x608);
  table.Put<uint8_t>(91, 4);
  EXPECT_EQ(ReadFadtTimer(table.span()).port, 0x608);
  EXPECT_FALSE(ReadFadtTimer(table.span()).wide);
  table.Put<uint32_t>(112, 1u << 8);
  table.Put<uint8_t>(208, 1);
  table.Put<uint64_t>(212, 0x808);
  EXPECT_EQ(ReadFadtTimer(table.span()).port, 0x808);
  EXPECT_TRUE(ReadFadtTimer(table.span()).wide);
  EXPECT_EQ(ReadFadtTimer(table.span().first(80)).port, 0) << "cut short";
}

TEST(Mcfg, SegmentZeroFromItsFirstBus) {
  Table table(44);
  // Another segment, then ours: base 0xb0000000, buses 0 to 255.
  table.Append({0, 0, 0, 0xc0, 0, 0, 0, 0, 1, 0, 0, 255, 0, 0, 0, 0});
  EXPECT_EQ(ReadMcfg(table.span()).base, 0u);
  table.Append({0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 0, 0, 127, 0, 0, 0, 0});
  EXPECT_EQ(ReadMcfg(table.span()).base, 0xb0000000u);
  EXPECT_EQ(ReadMcfg(table.span()).last_bus, 127u);
  table.bytes().resize(44 + 31);
  EXPECT_EQ(ReadMcfg(table.span()).base, 0u);
}

// A unit with `flags`, at 0xfed90000, of a segment.
void AddUnit(Table& table, int flags, int segment, std::initializer_list<int> scopes) {
  table.Append({0, 0, static_cast<int>(16 + scopes.size()), 0, flags, 0, segment, 0, 0, 0, 0xd9,
                0xfe, 0, 0, 0, 0});
  // The address is little-endian: 0xfed90000.
  table.Append(scopes);
}

TEST(Dmar, OneUnitAndWhatIsBehindIt) {
  Table table(48);
  EXPECT_EQ(ReadDmar(table.span()).registers, 0u);
  // A reserved region first, then the unit: an I/O APIC, a device 00:02.0, a bridge 00:03.1.
  table.Append({1, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  AddUnit(table, 0, 0, {3, 8, 0, 0, 0, 0xff, 0, 0, 1, 8, 0, 0, 0, 0, 2, 0, 2, 8, 0, 0, 0, 0, 3, 1});
  const RemappingUnit unit = ReadDmar(table.span());
  EXPECT_EQ(unit.registers, 0xfed90000u);
  EXPECT_FALSE(unit.all);
  ASSERT_EQ(unit.scope_count, 2u);
  EXPECT_EQ(unit.scopes[0].place, 0x10u);
  EXPECT_FALSE(unit.scopes[0].below);
  EXPECT_EQ(unit.scopes[1].place, 0x19u);
  EXPECT_TRUE(unit.scopes[1].below);
}

TEST(Dmar, SeveralUnitsOtherSegmentsAndDamageAreNone) {
  Table all(48);
  AddUnit(all, 1, 0, {});
  EXPECT_TRUE(ReadDmar(all.span()).all);
  AddUnit(all, 1, 0, {});
  EXPECT_EQ(ReadDmar(all.span()).registers, 0u);
  Table other(48);
  AddUnit(other, 1, 1, {});
  EXPECT_EQ(ReadDmar(other.span()).registers, 0u);
  Table cut(48);
  AddUnit(cut, 0, 0, {1, 8, 0, 0, 0, 0, 2, 0});
  cut.bytes().pop_back();
  EXPECT_EQ(ReadDmar(cut.span()).registers, 0u);
  Table endless(48);
  AddUnit(endless, 0, 0, {1, 0, 0, 0, 0, 0, 2, 0});
  EXPECT_EQ(ReadDmar(endless.span()).registers, 0u);
}

// Whatever the bytes: nothing outside the table is read, and it ends.
TEST(Dmar, RandomTables) {
  std::mt19937 random(4);
  for (int i = 0; i < 20'000; ++i) {
    Table table(random() % 200);
    for (std::byte& byte : table.bytes()) byte = static_cast<std::byte>(random() % 20);
    static_cast<void>(ReadDmar(table.span()));
    static_cast<void>(ReadMcfg(table.span()));
  }
}

TEST(Hpet, OnlyInMemory) {
  Table table(56);
  table.Put<uint64_t>(44, 0xfed00000);
  EXPECT_EQ(ReadHpetAddress(table.span()), 0xfed00000u);
  table.Put<uint8_t>(40, 1);
  EXPECT_EQ(ReadHpetAddress(table.span()), 0u);
}

}  // namespace
}  // namespace nomhv
