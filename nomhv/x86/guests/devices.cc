// SPDX-License-Identifier: Apache-2.0
#include "nomhv/x86/guests/devices.h"

#include <cstring>

#include "nomhv/core/assert.h"
#include "nomhv/x86/guests/machine.h"
#include "nomhv/x86/iommu/iommu.h"
#include "nomhv/x86/platform/clocks.h"
#include "nomhv/x86/platform/log.h"
#include "nomhv/x86/platform/pci.h"

namespace nomhv {
namespace {

constexpr uint64_t kFrame = NOM_FRAME_BYTES;
constexpr NestedFlags kRegisters = {/*writable=*/true, /*executable=*/false, /*device=*/true};
constexpr uint32_t kNoBar = ~uint32_t{0};

constexpr uint8_t kExpress = 0x10;  // Capability id.
// Function level reset (PCI Express 4.0, 6.6.2): in the device capabilities and control registers.
constexpr uint32_t kResetCapable = 1u << 28;
constexpr uint32_t kInitiateReset = 1u << 15;
constexpr uint64_t kResetMs = 100;

struct Device {
  PciFunction function;
  uint8_t express = 0;  // Where its capability lies; 0: it cannot be reset.
  PhysicalRange bars[6];
  uint32_t bar_words[6] = {};  // A reset loses them.
  uint64_t ready_tsc = 0;
};
Device g_devices[NOM_DEVICES_MAX];
// A page of its own: guests read it.
alignas(NOM_FRAME_BYTES) union {
  NomDeviceBoard board;
  char page[NOM_FRAME_BYTES];
} g_page{};
NomDeviceBoard& g_board = g_page.board;

uint64_t PlaceOf(uint32_t device) {
  return NOM_GPA_DEVICES + uint64_t{device} * NOM_DEVICE_PLACE_BYTES;
}

// Calls `each(gpa, physical)` for each page of its registers.
template <typename Each>
void ForEachPage(uint32_t device, Each&& each) {
  const NomDevice& facts = g_board.devices[device];
  for (int bar = 0; bar < 6; ++bar) {
    if (facts.bar_offset[bar] == kNoBar) continue;
    for (uint64_t at = 0; at < facts.bar_bytes[bar]; at += kFrame) {
      each(PlaceOf(device) + facts.bar_offset[bar] + at, g_devices[device].bars[bar].first + at);
    }
  }
}

bool IsBehind(const RemappingUnit& unit, PciFunction f) {
  for (uint32_t i = 0; i < unit.scope_count; ++i) {
    const RemappingUnit::Scope& scope = unit.scopes[i];
    if (!scope.below && scope.place == f.place()) return true;
    if (!scope.below) continue;
    const uint32_t place = scope.place;
    const PciFunction bridge = {place >> 8, place >> 3 & 31, place & 7};
    const uint32_t buses = ReadConfig(bridge, 0x18);  // Primary, secondary, subordinate.
    if (f.bus >= (buses >> 8 & 0xff) && f.bus <= (buses >> 16 & 0xff)) return true;
  }
  return unit.all;
}

// Null, or why it is not handed out.
const char* Inspect(PciFunction f, bool trusted, Device& device, NomDevice& facts) {
  device.function = f;
  if (const auto express = FindCapability(f, kExpress);
      express.has_value() && (ReadConfig(f, *express + 4u) & kResetCapable) != 0) {
    device.express = *express;
  } else if (!trusted) {
    return "it cannot be reset between two guests";
  }
  uint64_t end = 0;
  for (uint8_t bar = 0; bar < 6; ++bar) {
    facts.bar_offset[bar] = kNoBar;
    device.bar_words[bar] = ReadConfig(f, 0x10u + 4u * bar);
    if (bar > 0 && (device.bar_words[bar - 1] & 7) == 4) continue;  // The upper half of the last.
    const std::optional<PhysicalRange> range = ReadMemoryBar(f, bar);
    // What shares a page with somebody else's registers is nobody's.
    if (!range.has_value() || range->bytes % kFrame != 0 || range->first % kFrame != 0) continue;
    if (end + range->bytes > NOM_DEVICE_PLACE_BYTES) return "its registers need too much room";
    device.bars[bar] = *range;
    facts.bar_offset[bar] = static_cast<uint32_t>(end);
    facts.bar_bytes[bar] = static_cast<uint32_t>(range->bytes);
    end += range->bytes;
  }
  if (end == 0) return "it has no registers in memory";
  facts.place = f.place();
  facts.id = ReadConfig(f, 0);
  for (uint32_t at = 0; at < sizeof(facts.config); at += 4) {
    const bool address = (at >= 0x10 && at < 0x28) || at == 0x30;
    const uint32_t word = address ? 0 : ReadConfig(f, at);
    std::memcpy(facts.config + at, &word, sizeof(word));
  }
  return nullptr;
}

}  // namespace

void FindDevices(const RemappingUnit& unit, bool trusted) {
  if (!IommuIsOn()) return;
  ForEachFunction([&](PciFunction f, uint32_t id) {
    constexpr uint32_t kBridge = 6;
    if (id == kIvshmem || HeaderType(f) != 0 || ReadConfig(f, 8) >> 24 == kBridge) return false;
    const uint32_t number = g_board.device_count;
    Line<> name;
    name.Add(Hex{f.place()}, " (", Hex{id}, ")");
    const char* why = !IsBehind(unit, f) ? "the IOMMU does not see it"
                      : number == NOM_DEVICES_MAX
                          ? "there are too many"
                          : Inspect(f, trusted, g_devices[number], g_board.devices[number]);
    if (why != nullptr) {
      Log(LogLevel::kInfo, "device ", name.text(), " is not handed out: ", why);
      if (number < NOM_DEVICES_MAX) {
        g_devices[number] = {};
        g_board.devices[number] = {};
      }
      return false;
    }
    PrepareBus(f.bus);
    Log(LogLevel::kInfo, "device ", number, " is ", name.text());
    ++g_board.device_count;
    return false;
  });
}

const NomDeviceBoard& device_board() { return g_board; }

uint32_t AllDevices() { return (1u << g_board.device_count) - 1; }

void GiveDevice(GuestMachine& guest, uint32_t index) {
  Device& device = g_devices[index];
  const PciFunction f = device.function;
  SetCommand(f, 0);
  for (uint32_t bar = 0; bar < 6; ++bar) WriteConfig(f, 0x10 + 4 * bar, device.bar_words[bar]);
  ForEachPage(index, [&](uint64_t gpa, uint64_t physical) {
    NOMHV_CHECK(guest.tables.Map(gpa, physical, kRegisters).ok(), "devices: no table is reserved");
  });
  guest.devices |= 1u << index;
  AttachDevice(f.place(), guest.slot, guest.tables);
  SetCommand(f, kCommandMemory | kCommandMaster | kCommandNoInterrupt);
}

void TakeDevice(GuestMachine& guest, uint32_t index) {
  Device& device = g_devices[index];
  SetCommand(device.function, 0);
  DetachDevice(device.function.place(), guest.slot);
  guest.tables.Clear(PlaceOf(index), PlaceOf(index) + NOM_DEVICE_PLACE_BYTES, [](uint64_t) {});
  ForgetTranslations(guest);
  guest.devices &= ~(1u << index);
  if (device.express == 0) return;
  const uint32_t control = ReadConfig(device.function, device.express + 8u) & 0xffff;
  WriteConfig(device.function, device.express + 8u, control | kInitiateReset);
  device.ready_tsc = ReadTsc() + MsToCycles(kResetMs);
}

uint64_t DeviceReadyTsc(uint32_t device) { return g_devices[device].ready_tsc; }

void TellDmaFaults() {
  if (const std::optional<DmaFault> fault = TakeDmaFault(); fault.has_value()) {
    Log(LogLevel::kInfo, "DMA of device ", Hex{fault->place}, " to ", Hex{fault->address},
        " was refused");
  }
}

}  // namespace nomhv
