// SPDX-License-Identifier: Apache-2.0
#include "nomhv/x86/platform/pci.h"

#include "nomhv/x86/platform/cpu.h"
#include "nomhv/x86/platform/memory.h"
#include "nomhv/x86/platform/paging.h"

namespace nomhv {
namespace {

constexpr uint16_t kAddressPort = 0xcf8;
constexpr uint16_t kDataPort = 0xcfc;
constexpr uint32_t kCommand = 0x04;
constexpr uint32_t kBar0 = 0x10;
constexpr uint32_t kCapabilities = 0x34;

Ecam g_ecam;

volatile uint32_t* InMemory(PciFunction f, uint32_t offset) {
  return Physical<volatile uint32_t>(g_ecam.base + (uint64_t{f.place()} << 12) + offset);
}
uint32_t ByPort(PciFunction f, uint32_t offset) { return 1u << 31 | f.place() << 8 | offset; }

}  // namespace

void UseEcam(const Ecam& ecam) {
  g_ecam = ecam;
  if (ecam.base != 0) MapAlso(ecam.base, uint64_t{ecam.last_bus + 1} << 20);
}

constexpr uint64_t kMessageBytes = 16;
static volatile uint32_t* Message(const MsixTable& table, uint32_t index) {
  return reinterpret_cast<volatile uint32_t*>(table.memory.first + index * kMessageBytes);
}

uint32_t ReadConfig(PciFunction f, uint32_t offset) {
  if (g_ecam.base != 0) return f.bus > g_ecam.last_bus ? ~0u : *InMemory(f, offset);
  Out32(kAddressPort, ByPort(f, offset));
  return In32(kDataPort);
}
void WriteConfig(PciFunction f, uint32_t offset, uint32_t value) {
  if (g_ecam.base != 0) {
    *InMemory(f, offset) = value;
    return;
  }
  Out32(kAddressPort, ByPort(f, offset));
  Out32(kDataPort, value);
}

// The upper half of the word is the status register, whose ones clear it when written.
void SetCommand(PciFunction f, uint32_t command) { WriteConfig(f, kCommand, command); }

std::optional<PhysicalRange> ReadMemoryBar(PciFunction f, uint8_t index) {
  if (index >= 6) return std::nullopt;
  const uint32_t bar = kBar0 + 4u * index;
  constexpr uint32_t kIo = 1;
  constexpr uint32_t kWide = 4;
  constexpr uint32_t kFlags = 0xf;
  const uint32_t low = ReadConfig(f, bar);
  if ((low & kIo) != 0) return std::nullopt;
  const bool wide = (low & kWide) != 0;
  const uint32_t bar_high = bar + 4;
  const uint64_t high = wide ? ReadConfig(f, bar_high) : 0;
  const uint32_t command = ReadConfig(f, kCommand) & 0xffff;
  // Sizing writes all ones; decoding is off meanwhile.
  SetCommand(f, command & ~(kCommandMemory | kCommandMaster));
  WriteConfig(f, bar, ~0u);
  uint64_t mask = ReadConfig(f, bar) & ~kFlags;
  if (wide) {
    WriteConfig(f, bar_high, ~0u);
    mask |= uint64_t{ReadConfig(f, bar_high)} << 32;
    WriteConfig(f, bar_high, static_cast<uint32_t>(high));
  } else {
    mask |= uint64_t{0xffffffff} << 32;
  }
  WriteConfig(f, bar, low);
  SetCommand(f, command);
  const uint64_t address = high << 32 | (low & ~kFlags);
  if (address == 0) return std::nullopt;
  return PhysicalRange{address, ~mask + 1};
}

std::optional<uint8_t> FindCapability(PciFunction f, uint8_t id) {
  constexpr uint32_t kHasList = 1u << 20;  // In the status half of the command register's word.
  if ((ReadConfig(f, kCommand) & kHasList) == 0) return std::nullopt;
  auto at = static_cast<uint8_t>(ReadConfig(f, kCapabilities) & 0xfc);
  // A list that is a ring ends here, too: no more than 48 fit.
  for (int i = 0; i < 48 && at >= 0x40; ++i) {
    const uint32_t word = ReadConfig(f, at);
    if ((word & 0xff) == id) return at;
    at = static_cast<uint8_t>(word >> 8 & 0xfc);
  }
  return std::nullopt;
}

std::optional<MsixTable> FindMsix(PciFunction f) {
  constexpr uint8_t kMsix = 0x11;
  const std::optional<uint8_t> at = FindCapability(f, kMsix);
  if (!at.has_value()) return std::nullopt;
  const uint32_t place = ReadConfig(f, *at + 4u);
  MsixTable table{.capability = *at,
                  .bar = static_cast<uint8_t>(place & 7),
                  .count = (ReadConfig(f, *at) >> 16 & 0x7ff) + 1,
                  .offset = place & ~7u};
  const uint64_t bytes = uint64_t{table.count} * kMessageBytes;
  const std::optional<PhysicalRange> bar = ReadMemoryBar(f, table.bar);
  if (!bar.has_value() || table.offset + bytes > bar->bytes) return std::nullopt;
  table.memory = {bar->first + table.offset, bytes};
  return table;
}

void EnableMsix(PciFunction f, const MsixTable& table, bool on) {
  constexpr uint32_t kEnable = 1u << 31;
  constexpr uint32_t kMaskAll = 1u << 30;
  const uint32_t control = ReadConfig(f, table.capability) & ~(kEnable | kMaskAll);
  WriteConfig(f, table.capability, control | (on ? kEnable : 0));
}

void WriteMessage(const MsixTable& table, uint32_t index, uint32_t address, uint32_t data) {
  volatile uint32_t* const entry = Message(table, index);
  entry[0] = address;
  entry[1] = 0;
  entry[2] = data;
}

void MaskMessage(const MsixTable& table, uint32_t index, bool masked) {
  volatile uint32_t* const entry = Message(table, index);
  entry[3] = masked ? 1 : 0;
  static_cast<void>(entry[3]);  // What was posted has arrived.
}

uint32_t StopBusMasters() {
  uint32_t stopped = 0;
  ForEachFunction([&](PciFunction f, uint32_t) {
    const uint32_t command = ReadConfig(f, kCommand) & 0xffff;
    if (HeaderType(f) == 0 && (command & kCommandMaster) != 0) {
      SetCommand(f, command & ~kCommandMaster);
      ++stopped;
    }
    return false;
  });
  return stopped;
}

std::optional<SharedMemory> FindSharedMemory(uint64_t bytes) {
  constexpr uint8_t kMemoryBar = 2;
  std::optional<SharedMemory> found;
  ForEachFunction([&](PciFunction f, uint32_t id) {
    if (id != kIvshmem) return false;
    const std::optional<PhysicalRange> range = ReadMemoryBar(f, kMemoryBar);
    if (range.has_value() && range->bytes >= bytes) found = SharedMemory{f, *range};
    if (found.has_value()) SetCommand(f, kCommandMemory | kCommandMaster);
    return found.has_value();
  });
  return found;
}

}  // namespace nomhv
