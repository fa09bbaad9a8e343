// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/pc/pci.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

#include "nomhv/abi/pc.h"

namespace nomhv {
namespace {

constexpr uint64_t kPlace = NOM_GPA_DEVICES + NOM_DEVICE_PLACE_BYTES;
constexpr uint32_t kEnable = 1u << 31;

// As a modern virtio-net function is found: PCI Express, MSI-X (three messages in BAR 1), and two
// capabilities of its own.
struct VirtioNet {
  NomDevice device{};
  void Put(uint32_t at, uint32_t word) { std::memcpy(device.config + at, &word, 4); }
  VirtioNet() {
    device.place = 0x18;
    device.id = 0x1041'1af4;
    for (uint32_t& offset : device.bar_offset) offset = ~0u;
    device.bar_offset[1] = 0;
    device.bar_bytes[1] = 0x1000;
    device.bar_offset[4] = 0x4000;
    device.bar_bytes[4] = 0x4000;
    Put(0x00, device.id);
    Put(0x04, 0x0010'0007);
    Put(0x08, 0x02000001);
    Put(0x2c, 0x1100'1af4);
    Put(0x34, 0xdc);
    Put(0x3c, 0x010b);
    Put(0xdc, 0x8002'9811);  // MSI-X, enabled, three messages.
    Put(0xe0, 0x0000'0001);  // Their table: BAR 1.
    Put(0xe4, 0x0000'0801);
    Put(0x98, 0x0001'8010);  // PCI Express: not shown.
    Put(0x80, 0x0110'4009);
    Put(0x84, 0x0000'0004);
    Put(0x40, 0x0214'0009);
    Put(0x44, 0x0000'0004);
  }
};

PciView Shown(const VirtioNet& net, uint32_t interrupts = 3) {
  PciView view;
  view.Show(net.device, kPlace, interrupts);
  return view;
}

TEST(PciView, AFunctionIsShownAsItWasFound) {
  const VirtioNet net;
  const PciView view = Shown(net);
  EXPECT_EQ(view.Read(0x00), 0x1041'1af4u);
  EXPECT_EQ(view.Read(0x08), 0x02000001u);
  EXPECT_EQ(view.Read(0x2c), 0x1100'1af4u);
  EXPECT_EQ(view.Read(0x3c), 0u) << "no interrupt line";
  EXPECT_EQ(view.Read(0x30), 0u) << "no ROM";
  EXPECT_EQ(view.Read(0x44), 4u);
}

TEST(PciView, WhatIsNotThereReadsAsAllOnes) {
  PciView view;
  EXPECT_EQ(view.Read(0), ~0u);
  view.Write(0x04, 7, ~0u);
  EXPECT_EQ(view.Read(0x04), ~0u);
  const VirtioNet net;
  view = Shown(net);
  view.Write(0xdc, kEnable, ~0u);
  view.Hide();
  EXPECT_EQ(view.Read(0), ~0u);
  EXPECT_EQ(view.table_offset(), std::nullopt);
  view.Show(net.device, kPlace, 3);
  EXPECT_EQ(view.Read(0xdc) & kEnable, 0u) << "the next time it is new";
}

TEST(PciView, CapabilitiesAreThoseThatAreShown) {
  const VirtioNet net;
  const PciView view = Shown(net);
  std::vector<uint32_t> found;
  ASSERT_NE(view.Read(0x04) & 1u << 20, 0u);
  for (uint32_t at = view.Read(0x34); at != 0; at = view.Read(at) >> 8 & 0xff) found.push_back(at);
  EXPECT_EQ(found, (std::vector<uint32_t>{0xdc, 0x80, 0x40}));
  EXPECT_EQ(view.Read(0xdc), 0x0002'8011u) << "off, three messages, the next at 0x80";
  EXPECT_EQ(Shown(net, 2).Read(0xdc) >> 16, 1u) << "as many as can be routed";
}

TEST(PciView, AListWithoutEndEnds) {
  VirtioNet net;
  net.Put(0x40, 0x0214'dc09);
  const PciView view = Shown(net);
  std::vector<uint32_t> found;
  for (uint32_t at = view.Read(0x34); at != 0 && found.size() < 100;
       at = view.Read(at) >> 8 & 0xff) {
    found.push_back(at);
  }
  EXPECT_LE(found.size(), 48u);
}

TEST(PciView, BarsHaveSizesAndStay) {
  const VirtioNet net;
  PciView view = Shown(net);
  EXPECT_EQ(view.Read(0x14), kPlace);
  EXPECT_EQ(view.Read(0x20), kPlace + 0x4000);
  view.Write(0x20, ~0u, ~0u);
  EXPECT_EQ(view.Read(0x20), 0xffffc000u);
  EXPECT_EQ(view.Read(0x14), kPlace);
  view.Write(0x20, 0x12340000, ~0u);
  EXPECT_EQ(view.Read(0x20), kPlace + 0x4000) << "it cannot be moved";
  view.Write(0x10, ~0u, ~0u);
  EXPECT_EQ(view.Read(0x10), 0u) << "there is none";
}

TEST(PciView, CommandBitsAreKeptByByte) {
  const VirtioNet net;
  PciView view = Shown(net);
  EXPECT_EQ(view.Read(0x04) & 0xffff, 0u);
  view.Write(0x04, 0xffff'ffff, 0x0000'00ff);
  EXPECT_EQ(view.Read(0x04), 0x0010'0047u);
  view.Write(0x04, 0, 0x0000'ff00);
  EXPECT_EQ(view.Read(0x04), 0x0010'0047u);
  view.Write(0x04, 0x0406, 0xffff);
  EXPECT_EQ(view.Read(0x04), 0x0010'0406u);
}

void WriteMessage(PciView& view, uint32_t entry, uint32_t address, uint32_t data,
                  uint32_t control) {
  view.WriteTable(entry * 16, address);
  view.WriteTable(entry * 16 + 4, 0);
  view.WriteTable(entry * 16 + 8, data);
  view.WriteTable(entry * 16 + 12, control);
}

TEST(PciView, MessagesAreWhatTheTableSays) {
  const VirtioNet net;
  PciView view = Shown(net);
  EXPECT_EQ(view.table_offset(), 0u);
  EXPECT_EQ(view.ReadTable(12), 1u) << "masked at first";
  WriteMessage(view, 1, 0xfee03000, 0x41, 0);
  EXPECT_EQ(view.ReadTable(16), 0xfee03000u);
  EXPECT_EQ(view.ReadTable(24), 0x41u);
  EXPECT_EQ(view.Message(1, 4), std::nullopt) << "MSI-X is off";
  view.Write(0xdc, kEnable, ~0u);
  EXPECT_EQ(view.Message(1, 4), (PciMessage{3, 0x41}));
  EXPECT_EQ(view.Message(1, 3), std::nullopt) << "no such processor";
  EXPECT_EQ(view.Message(0, 4), std::nullopt) << "masked";
  view.Write(0xdc, kEnable | 1u << 30, 0xffff0000);
  EXPECT_EQ(view.Message(1, 4), std::nullopt) << "all are masked";
  view.Write(0xdc, kEnable, 0xffff0000);
  view.WriteTable(28, 1);
  EXPECT_EQ(view.Message(1, 4), std::nullopt);
  view.WriteTable(28, 0xfffffffe);
  EXPECT_EQ(view.ReadTable(28), 0u) << "one bit is there";
  EXPECT_TRUE(view.Message(1, 4).has_value());
}

// What a hostile driver may write to reach what is not its.
TEST(PciView, ForgedMessagesReachNobody) {
  const VirtioNet net;
  PciView view = Shown(net);
  view.Write(0xdc, kEnable, ~0u);
  const auto message = [&](uint32_t address, uint32_t data) {
    WriteMessage(view, 0, address, data, 0);
    return view.Message(0, 1);
  };
  EXPECT_TRUE(message(0xfee00000, 0x20).has_value());
  EXPECT_EQ(message(0xfee00000, 0x1f), std::nullopt) << "a vector of exceptions";
  EXPECT_EQ(message(0xfee00000, 0x420), std::nullopt) << "NMI";
  EXPECT_EQ(message(0xfee00000, 0x520), std::nullopt) << "INIT";
  EXPECT_EQ(message(0xfee00000, 0x220), std::nullopt) << "SMI";
  EXPECT_EQ(message(0xfee01000, 0x20), std::nullopt) << "another processor";
  EXPECT_EQ(message(0xfeeff000, 0x20), std::nullopt);
  EXPECT_EQ(message(0x00001000, 0x20), std::nullopt) << "memory";
  EXPECT_EQ(message(0xfed00000, 0x20), std::nullopt);
  WriteMessage(view, 0, 0xfee00000, 0x20, 0);
  view.WriteTable(4, 1);
  EXPECT_EQ(view.Message(0, 1), std::nullopt) << "above 4 GiB";
  for (const uint32_t offset : {48u, 124u, 0x800u, 0xffcu}) {
    view.WriteTable(offset, ~0u);
    EXPECT_EQ(view.ReadTable(offset), 0u) << offset;
  }
  EXPECT_EQ(view.Message(3, 1), std::nullopt);
  EXPECT_EQ(view.Message(~0u, 1), std::nullopt);
}

TEST(PciView, ATableOutsideItsBarIsNone) {
  VirtioNet net;
  net.Put(0xe0, 0x0000'1001);
  EXPECT_EQ(Shown(net).table_offset(), std::nullopt);
  net.Put(0xe0, 0x0000'0006);
  EXPECT_EQ(Shown(net).table_offset(), std::nullopt);
}

TEST(PciView, TheBoardShowsTheBoards) {
  PciView view;
  view.ShowBoard();
  EXPECT_EQ(view.Read(0), kPciBoardId);
  EXPECT_EQ(view.Read(0x10), NOM_GPA_MACHINE_BOARD);
  view.Write(0x10, ~0u, ~0u);
  EXPECT_EQ(view.Read(0x10), ~(kPciBoardBytes - 1));
  EXPECT_EQ(NOM_GPA_MACHINE_BOARD + NOM_FRAME_BYTES, NOM_GPA_GUEST_BOARD);
  EXPECT_EQ(view.Read(0x14), NOM_GPA_PC_DOORBELL);
  view.Write(0x14, ~0u, ~0u);
  EXPECT_EQ(view.Read(0x14), ~(NOM_PC_DOORBELL_BYTES - 1));
  EXPECT_EQ(view.Read(0x18), 0u);
  EXPECT_EQ(view.Read(0x04) & 1u << 20, 0u);
  EXPECT_EQ(view.Read(0x34), 0u);
  view.ShowBridge();
  EXPECT_EQ(view.Read(0x08) >> 16, 0x0600u);
}

TEST(PciView, AnythingMayBeWrittenAndRead) {
  std::mt19937 engine(9);
  const auto random = [&] { return static_cast<uint32_t>(engine()); };
  for (int round = 0; round < 200; ++round) {
    VirtioNet net;
    for (uint8_t& byte : net.device.config) {
      if (random() % 8 == 0) byte = static_cast<uint8_t>(random());
    }
    PciView view = Shown(net, random() % 12);
    for (int i = 0; i < 2'000; ++i) {
      const uint32_t offset = random() % 64 * 4;
      view.Write(offset, random(), random() % 2 == 0 ? ~0u : 0xffu << 8 * (random() % 4));
      static_cast<void>(view.Read(offset));
      view.WriteTable(random() % 1024 * 4, random());
      const auto message = view.Message(random() % 16, 2);
      if (message.has_value()) {
        ASSERT_LT(message->processor, 2u);
        ASSERT_GE(message->vector, 32);
      }
    }
    EXPECT_TRUE(view.Read(0x14) == kPlace || view.Read(0x14) == 0xfffff000u);
  }
}

}  // namespace
}  // namespace nomhv
