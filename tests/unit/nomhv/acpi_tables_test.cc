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

TEST(Hpet, OnlyInMemory) {
  Table table(56);
  table.Put<uint64_t>(44, 0xfed00000);
  EXPECT_EQ(ReadHpetAddress(table.span()), 0xfed00000u);
  table.Put<uint8_t>(40, 1);
  EXPECT_EQ(ReadHpetAddress(table.span()), 0u);
}

}  // namespace
}  // namespace nomhv
