// SPDX-License-Identifier: Apache-2.0
#include "nomhv/x86/guests/devices.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "nomhv/core/assert.h"
#include "nomhv/x86/guests/machine.h"
#include "nomhv/x86/iommu/iommu.h"
#include "nomhv/x86/platform/clocks.h"
#include "nomhv/x86/platform/cpu.h"
#include "nomhv/x86/platform/interrupts.h"
#include "nomhv/x86/platform/log.h"
#include "nomhv/x86/platform/paging.h"
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
  MsixTable msix;
  uint32_t interrupt_count = 0;  // Of the table; 0: it has none that can be used.
};
Device g_devices[NOM_DEVICES_MAX];

struct Route {
  VirtualProcessor* vcpu = nullptr;  // Null: to nobody.
  uint8_t vector = 0;
  uint32_t processor = 0;
  bool waits = false;  // Masked until the guest has taken it.
};
Route g_routes[NOM_DEVICES_MAX][NOM_DEVICE_INTERRUPTS_MAX];
SpinLock g_routes_lock;
static_assert(NOM_DEVICES_MAX * NOM_DEVICE_INTERRUPTS_MAX <= kDeviceInterruptWords * 64);

// A page of its own: guests read it.
alignas(NOM_FRAME_BYTES) union {
  NomDeviceBoard board;
  char page[NOM_FRAME_BYTES];
} g_page{};
NomDeviceBoard& g_board = g_page.board;

uint64_t PlaceOf(uint32_t device) {
  return NOM_GPA_DEVICES + uint64_t{device} * NOM_DEVICE_PLACE_BYTES;
}

// Calls `each(gpa, physical)` for each page of its registers, but those of its table of interrupts.
template <typename Each>
void ForEachPage(uint32_t device, Each&& each) {
  const NomDevice& facts = g_board.devices[device];
  for (int bar = 0; bar < 6; ++bar) {
    if (facts.bar_offset[bar] == kNoBar) continue;
    for (uint64_t at = 0; at < facts.bar_bytes[bar]; at += kFrame) {
      const MsixTable& table = g_devices[device].msix;
      if (table.bar == bar && at + kFrame > table.offset &&
          at < table.offset + table.memory.bytes) {
        continue;
      }
      each(PlaceOf(device) + facts.bar_offset[bar] + at, g_devices[device].bars[bar].first + at);
    }
  }
}

// Each interrupt of a device has a vector of its own, on whatever processor.
constexpr uint32_t RouteNumber(uint32_t device, uint32_t interrupt) {
  return device * NOM_DEVICE_INTERRUPTS_MAX + interrupt;
}

// Sends it to a processor that has a piece of whom it is for.
void SendThere(uint32_t device, uint32_t interrupt) {
  Route& route = g_routes[device][interrupt];
  const uint64_t processors = route.vcpu->processors.load(std::memory_order_acquire);
  if (processors != 0) route.processor = static_cast<uint32_t>(std::countr_zero(processors));
  const uint32_t number = RouteNumber(device, interrupt);
  const InterruptMessage message = RouteInterrupt(
      kDeviceRoutes + number, g_devices[device].function.place(),
      g_machine.processors[route.processor].apic_id, static_cast<uint8_t>(kVectorDevices + number));
  WriteMessage(g_devices[device].msix, interrupt, message.address, message.data);
}

// To nobody, whatever is on its way.
void TakeRoute(uint32_t device, uint32_t interrupt) {
  Route& route = g_routes[device][interrupt];
  if (route.vcpu == nullptr) return;
  MaskMessage(g_devices[device].msix, interrupt, true);
  UnrouteInterrupt(kDeviceRoutes + RouteNumber(device, interrupt));
  // What a PC was sent it gets, as from an APIC.
  if (route.vcpu->apic == nullptr) static_cast<void>(route.vcpu->TakeVector(route.vector));
  route = {};
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

// Whether a function of virtio uses addresses of the IOMMU's (OASIS virtio 1.1, 6: feature 33). One
// that does not reads and writes memory past it, whatever its tables say.
bool GoesRoundIommu(PciFunction f) {
  constexpr uint32_t kVirtio = 0x1af4;
  constexpr uint8_t kVendorCapability = 0x09;
  constexpr uint8_t kCommonConfiguration = 1;
  const uint32_t id = ReadConfig(f, 0);
  if ((id & 0xffff) != kVirtio || id >> 16 < 0x1000 || id >> 16 > 0x107f) return false;
  auto at = static_cast<uint8_t>(ReadConfig(f, 0x34) & 0xfc);
  for (int i = 0; i < 48 && at >= 0x40; ++i) {
    const uint32_t word = ReadConfig(f, at);
    if ((word & 0xff) == kVendorCapability && word >> 24 == kCommonConfiguration) {
      const auto bar = ReadMemoryBar(f, static_cast<uint8_t>(ReadConfig(f, at + 4u) & 7));
      const uint64_t offset = ReadConfig(f, at + 8u);
      if (!bar.has_value() || offset + 8 > bar->bytes) return true;
      MapAlso(bar->first, bar->bytes);
      SetCommand(f, kCommandMemory | kCommandNoInterrupt);
      auto* const common = Physical<volatile uint32_t>(bar->first + offset);
      common[0] = 1;  // Which features: 32 to 63.
      const bool platform = (common[1] >> 1 & 1) != 0;
      SetCommand(f, kCommandNoInterrupt);
      return !platform;
    }
    at = static_cast<uint8_t>(word >> 8 & 0xfc);
  }
  return true;  // Of before version 1: it cannot say.
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
  if (GoesRoundIommu(f)) return "it reads and writes memory past the IOMMU";
  uint64_t end = 0;
  for (uint8_t bar = 0; bar < 6; ++bar) {
    facts.bar_offset[bar] = kNoBar;
    device.bar_words[bar] = ReadConfig(f, 0x10u + 4u * bar);
    if (bar > 0 && (device.bar_words[bar - 1] & 7) == 4) continue;  // The upper half of the last.
    const std::optional<PhysicalRange> range = ReadMemoryBar(f, bar);
    // What shares a page with somebody else's registers is nobody's.
    if (!range.has_value() || range->bytes % kFrame != 0 || range->first % kFrame != 0) continue;
    end = (end + range->bytes - 1) & ~(range->bytes - 1);  // As a BAR has to lie.
    if (end + range->bytes > NOM_DEVICE_PLACE_BYTES) return "its registers need too much room";
    device.bars[bar] = *range;
    facts.bar_offset[bar] = static_cast<uint32_t>(end);
    facts.bar_bytes[bar] = static_cast<uint32_t>(range->bytes);
    end += range->bytes;
  }
  if (end == 0) return "it has no registers in memory";
  // A table that may share its page with something else stays the guest's, and is never turned on.
  if (const auto msix = FindMsix(f);
      msix.has_value() && msix->offset % kFrame == 0 && facts.bar_offset[msix->bar] != kNoBar) {
    device.msix = *msix;
    device.interrupt_count = std::min<uint32_t>(msix->count, NOM_DEVICE_INTERRUPTS_MAX);
    MapAlso(msix->memory.first, msix->memory.bytes);
  }
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
    Log(LogLevel::kInfo, "device ", number, " is ", name.text(),
        ", interrupts: ", g_devices[number].interrupt_count);
    g_board.interrupts[number] = static_cast<uint8_t>(g_devices[number].interrupt_count);
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
  SetCommand(f, kCommandMemory | kCommandNoInterrupt);
  if (device.interrupt_count != 0) {
    for (uint32_t i = 0; i < device.msix.count; ++i) MaskMessage(device.msix, i, true);
    EnableMsix(f, device.msix, true);
  }
  SetCommand(f, kCommandMemory | kCommandMaster | kCommandNoInterrupt);
}

void TakeDevice(GuestMachine& guest, uint32_t index) {
  Device& device = g_devices[index];
  if (device.interrupt_count != 0) {
    const SpinLockGuard guard(g_routes_lock);
    for (uint32_t i = 0; i < device.interrupt_count; ++i) TakeRoute(index, i);
    EnableMsix(device.function, device.msix, false);
  }
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

Status RouteDevice(VirtualProcessor& vcpu, uint64_t device, uint64_t interrupt, uint64_t vector) {
  if (device >= NOM_DEVICES_MAX || (vcpu.guest->devices >> device & 1) == 0) {
    return NOM_STATUS_NOT_HELD;
  }
  const auto d = static_cast<uint32_t>(device);
  if (interrupt >= g_devices[d].interrupt_count) return NOM_STATUS_BAD_PARAMETER;
  const auto i = static_cast<uint32_t>(interrupt);
  const SpinLockGuard guard(g_routes_lock);
  Route& route = g_routes[d][i];
  if (vector == 0) {
    TakeRoute(d, i);
    return {};
  }
  const bool same = route.vcpu == &vcpu;
  if (same) {
    if (vcpu.apic == nullptr) static_cast<void>(vcpu.TakeVector(route.vector));
  } else {
    TakeRoute(d, i);
  }
  route.vcpu = &vcpu;
  route.vector = static_cast<uint8_t>(vector);
  // Where it is on its way it goes on: who asks again and again asks nothing of the IOMMU.
  if (!same) SendThere(d, i);
  route.waits = false;
  MaskMessage(g_devices[d].msix, i, false);
  return {};
}

void DeliverDeviceInterrupts() {
  for (uint32_t word = 0; word < kDeviceInterruptWords; ++word) {
    for (uint64_t left = TakeDeviceInterrupts(word); left != 0; left &= left - 1) {
      const uint32_t number = word * 64 + static_cast<uint32_t>(std::countr_zero(left));
      const uint32_t device = number / NOM_DEVICE_INTERRUPTS_MAX;
      const uint32_t interrupt = number % NOM_DEVICE_INTERRUPTS_MAX;
      if (device >= NOM_DEVICES_MAX) continue;
      const SpinLockGuard guard(g_routes_lock);
      Route& route = g_routes[device][interrupt];
      if (route.vcpu == nullptr) continue;
      MaskMessage(g_devices[device].msix, interrupt, true);
      route.waits = true;
      route.vcpu->device_waits.store(true, std::memory_order_release);
      if (route.vcpu->Tell(0, route.vector, ReadTsc())) WakeProcessorsOf(*route.vcpu);
    }
  }
}

void DeviceInterruptTaken(VirtualProcessor& vcpu, uint8_t vector) {
  if (!vcpu.device_waits.load(std::memory_order_acquire)) return;
  const SpinLockGuard guard(g_routes_lock);
  bool others = false;
  for (uint32_t left = vcpu.guest->devices; left != 0; left &= left - 1) {
    const auto device = static_cast<uint32_t>(std::countr_zero(left));
    for (uint32_t i = 0; i < g_devices[device].interrupt_count; ++i) {
      Route& route = g_routes[device][i];
      if (route.vcpu != &vcpu || !route.waits) continue;
      if (route.vector != vector) {
        others = true;
        continue;
      }
      route.waits = false;
      MaskMessage(g_devices[device].msix, i, false);
    }
  }
  vcpu.device_waits.store(others, std::memory_order_release);
}

void MoveDeviceInterrupts() {
  const SpinLockGuard guard(g_routes_lock);
  for (uint32_t device = 0; device < g_board.device_count; ++device) {
    for (uint32_t i = 0; i < g_devices[device].interrupt_count; ++i) {
      const Route& route = g_routes[device][i];
      if (route.vcpu == nullptr) continue;
      const uint64_t processors = route.vcpu->processors.load(std::memory_order_acquire);
      if (processors == 0 || (processors >> route.processor & 1) != 0) continue;
      // Masked meanwhile, so that none is lost.
      MaskMessage(g_devices[device].msix, i, true);
      SendThere(device, i);
      if (!route.waits) MaskMessage(g_devices[device].msix, i, false);
    }
  }
}

uint64_t DeviceReadyTsc(uint32_t device) { return g_devices[device].ready_tsc; }

void TellDmaFaults() {
  if (const std::optional<DmaFault> fault = TakeDmaFault(); fault.has_value()) {
    Log(LogLevel::kInfo, "DMA of device ", Hex{fault->place}, " to ", Hex{fault->address},
        " was refused");
  }
}

}  // namespace nomhv
