#include "nomhv/x86/pci.h"

#include "nomhv/x86/cpu.h"

namespace nomhv {
namespace {

constexpr uint16_t kAddressPort = 0xcf8;
constexpr uint16_t kDataPort = 0xcfc;
constexpr uint32_t kIvshmem = 0x1110'1af4;
constexpr uint8_t kCommand = 0x04;
constexpr uint8_t kHeaderType = 0x0c;
constexpr uint8_t kBar2 = 0x18;
constexpr uint32_t kMemoryAndMaster = (1u << 1) | (1u << 2);

struct Function {
  uint32_t bus, device, function;
};

uint32_t Address(Function f, uint8_t offset) {
  return 1u << 31 | f.bus << 16 | f.device << 11 | f.function << 8 | offset;
}
uint32_t ReadConfig(Function f, uint8_t offset) {
  Out32(kAddressPort, Address(f, offset));
  return In32(kDataPort);
}
void WriteConfig(Function f, uint8_t offset, uint32_t value) {
  Out32(kAddressPort, Address(f, offset));
  Out32(kDataPort, value);
}

std::optional<PhysicalRange> ReadMemoryBar(Function f) {
  constexpr uint32_t kIo = 1;
  constexpr uint32_t kWide = 4;
  constexpr uint32_t kFlags = 0xf;
  const uint32_t low = ReadConfig(f, kBar2);
  if ((low & kIo) != 0) return std::nullopt;
  const bool wide = (low & kWide) != 0;
  const uint64_t high = wide ? ReadConfig(f, kBar2 + 4) : 0;
  const uint32_t command = ReadConfig(f, kCommand);
  // Sizing writes all ones; decoding is off meanwhile.
  WriteConfig(f, kCommand, command & ~kMemoryAndMaster);
  WriteConfig(f, kBar2, ~0u);
  uint64_t mask = ReadConfig(f, kBar2) & ~kFlags;
  if (wide) {
    WriteConfig(f, kBar2 + 4, ~0u);
    mask |= uint64_t{ReadConfig(f, kBar2 + 4)} << 32;
    WriteConfig(f, kBar2 + 4, static_cast<uint32_t>(high));
  } else {
    mask |= uint64_t{0xffffffff} << 32;
  }
  WriteConfig(f, kBar2, low);
  WriteConfig(f, kCommand, command | kMemoryAndMaster);
  const uint64_t address = high << 32 | (low & ~kFlags);
  if (address == 0) return std::nullopt;
  return PhysicalRange{address, ~mask + 1};
}

}  // namespace

std::optional<PhysicalRange> FindSharedMemory(uint64_t bytes) {
  for (uint32_t bus = 0; bus < 256; ++bus) {
    for (uint32_t device = 0; device < 32; ++device) {
      for (uint32_t function = 0; function < 8; ++function) {
        const Function f = {bus, device, function};
        const uint32_t id = ReadConfig(f, 0);
        if (id == kIvshmem) {
          const std::optional<PhysicalRange> range = ReadMemoryBar(f);
          if (range.has_value() && range->bytes >= bytes) return range;
        }
        const bool many = (ReadConfig(f, kHeaderType) >> 16 & 0x80) != 0;
        if (function == 0 && (id == ~0u || !many)) break;
      }
    }
  }
  return std::nullopt;
}

}  // namespace nomhv
