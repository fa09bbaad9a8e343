#include "nomhv/x86/pci.h"

#include "nomhv/x86/cpu.h"

namespace nomhv {
namespace {

constexpr uint16_t kAddressPort = 0xcf8;
constexpr uint16_t kDataPort = 0xcfc;
constexpr uint32_t kIvshmem = 0x1110'1af4;
constexpr uint8_t kCommand = 0x04;
constexpr uint8_t kHeaderType = 0x0c;
constexpr uint8_t kBar0 = 0x10;
constexpr uint8_t kCapabilities = 0x34;
constexpr uint32_t kMemoryAndMaster = (1u << 1) | (1u << 2);

uint32_t Address(PciFunction f, uint8_t offset) {
  return 1u << 31 | f.bus << 16 | f.device << 11 | f.function << 8 | offset;
}

}  // namespace

uint32_t ReadConfig(PciFunction f, uint8_t offset) {
  Out32(kAddressPort, Address(f, offset));
  return In32(kDataPort);
}
void WriteConfig(PciFunction f, uint8_t offset, uint32_t value) {
  Out32(kAddressPort, Address(f, offset));
  Out32(kDataPort, value);
}

std::optional<PhysicalRange> ReadMemoryBar(PciFunction f, uint8_t index) {
  if (index >= 6) return std::nullopt;
  const auto bar = static_cast<uint8_t>(kBar0 + 4 * index);
  constexpr uint32_t kIo = 1;
  constexpr uint32_t kWide = 4;
  constexpr uint32_t kFlags = 0xf;
  const uint32_t low = ReadConfig(f, bar);
  if ((low & kIo) != 0) return std::nullopt;
  const bool wide = (low & kWide) != 0;
  const auto bar_high = static_cast<uint8_t>(bar + 4);
  const uint64_t high = wide ? ReadConfig(f, bar_high) : 0;
  const uint32_t command = ReadConfig(f, kCommand);
  // Sizing writes all ones; decoding is off meanwhile.
  WriteConfig(f, kCommand, command & ~kMemoryAndMaster);
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
  WriteConfig(f, kCommand, command | kMemoryAndMaster);
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

namespace {

// Calls `visit(function, id)` for each function that there is, until it answers true.
template <typename Visit>
void ForEachFunction(Visit&& visit) {
  for (uint32_t bus = 0; bus < 256; ++bus) {
    for (uint32_t device = 0; device < 32; ++device) {
      for (uint32_t function = 0; function < 8; ++function) {
        const PciFunction f = {bus, device, function};
        const uint32_t id = ReadConfig(f, 0);
        if (id != ~0u && visit(f, id)) return;
        const bool many = (ReadConfig(f, kHeaderType) >> 16 & 0x80) != 0;
        if (function == 0 && (id == ~0u || !many)) break;
      }
    }
  }
}

}  // namespace

uint32_t StopBusMasters() {
  uint32_t stopped = 0;
  ForEachFunction([&](PciFunction f, uint32_t) {
    constexpr uint32_t kMaster = 1u << 2;
    const bool plain = (ReadConfig(f, kHeaderType) >> 16 & 0x7f) == 0;
    // The upper half is the status register, whose ones clear it when written.
    const uint32_t command = ReadConfig(f, kCommand) & 0xffff;
    if (plain && (command & kMaster) != 0) {
      WriteConfig(f, kCommand, command & ~kMaster);
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
    return found.has_value();
  });
  return found;
}

}  // namespace nomhv
