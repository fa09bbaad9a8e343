// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/vtd.h"

#include "nomhv/core/assert.h"
#include "nomhv/x86/iommu/iommu.h"
#include "nomhv/x86/platform/clocks.h"
#include "nomhv/x86/platform/cpu.h"
#include "nomhv/x86/platform/log.h"
#include "nomhv/x86/platform/paging.h"
#include "nomhv/x86/platform/spinlock.h"

namespace nomhv {
namespace {

// Registers (11.4), by their offsets.
constexpr uint32_t kCapability = 0x08;
constexpr uint32_t kExtendedCapability = 0x10;
constexpr uint32_t kGlobalCommand = 0x18;
constexpr uint32_t kGlobalStatus = 0x1c;
constexpr uint32_t kRootTable = 0x20;
constexpr uint32_t kFaultStatus = 0x34;
constexpr uint32_t kQueueTail = 0x88;
constexpr uint32_t kQueueAddress = 0x90;
constexpr uint32_t kInterruptTable = 0xb8;

// Of the command and of the status register.
constexpr uint32_t kTranslation = 1u << 31;
constexpr uint32_t kSetRoot = 1u << 30;
constexpr uint32_t kQueue = 1u << 26;
constexpr uint32_t kInterrupts = 1u << 25;
constexpr uint32_t kSetInterruptTable = 1u << 24;

constexpr uint32_t kFrameEntries = NOM_FRAME_BYTES / sizeof(VtdEntry);
static_assert(kRoutes <= kFrameEntries);

uint64_t g_registers = 0;
int g_levels = 0;
VtdEntry* g_root = nullptr;
VtdEntry* g_contexts[256] = {};
VtdEntry* g_interrupts = nullptr;
SpinLock g_lock;  // Of the queue.
VtdEntry* g_queue = nullptr;
uint32_t g_tail = 0;
uint32_t g_ticket = 0;
uint32_t g_answered = 0;  // The unit writes the last ticket here.

template <typename T>
T Read(uint32_t offset) {
  return *Physical<volatile T>(g_registers + offset);
}
template <typename T>
void Write(uint32_t offset, T value) {
  *Physical<volatile T>(g_registers + offset) = value;
}

VtdEntry* NewTable() {
  auto* const table = Physical<VtdEntry>(AllocateOwnFrame().value());
  for (uint32_t i = 0; i < kFrameEntries; ++i) MachineTables::Changed(&table[i]);
  return table;
}
uint64_t AddressOf(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

// The half with the present bit last (6.2): the unit may look at any time.
void SetEntry(VtdEntry* entry, VtdEntry value) {
  auto* const words = reinterpret_cast<volatile uint64_t*>(entry);
  words[0] = 0;
  words[1] = value.high;
  words[0] = value.low;
  MachineTables::Changed(entry);
}

template <typename Done>
void WaitFor(Done&& done) {
  const uint64_t give_up = ReadTsc() + clocks().tsc_hz;
  while (!done()) {
    NOMHV_CHECK(ReadTsc() < give_up, "the IOMMU does not answer");
    Pause();
  }
}

// The command register takes one change at a time (11.4.4.1).
void Command(uint32_t bit) {
  constexpr uint32_t kStays = 0x96ffffff;
  Write<uint32_t>(kGlobalCommand, (Read<uint32_t>(kGlobalStatus) & kStays) | bit);
  WaitFor([&] { return (Read<uint32_t>(kGlobalStatus) & bit) != 0; });
}

void Forget(VtdEntry what) {
  const SpinLockGuard guard(g_lock);
  const auto push = [](VtdEntry descriptor) {
    SetEntry(&g_queue[g_tail], descriptor);
    g_tail = (g_tail + 1) % kFrameEntries;
  };
  push(what);
  push(VtdWait(AddressOf(&g_answered), ++g_ticket));
  Write<uint64_t>(kQueueTail, uint64_t{g_tail} * sizeof(VtdEntry));
  WaitFor([] {
    return std::atomic_ref<uint32_t>(g_answered).load(std::memory_order_acquire) == g_ticket;
  });
}

// Null, or what the unit lacks.
const char* Missing() {
  const auto cap = Read<uint64_t>(kCapability);
  const auto ecap = Read<uint64_t>(kExtendedCapability);
  g_levels = (cap >> 10 & 1) != 0 ? 4 : (cap >> 9 & 1) != 0 ? 3 : 0;  // SAGAW: 48 or 39 bits.
  if (g_levels == 0) return "tables of three or four levels";
  if ((cap >> 7 & 1) != 0) return "no need to be told of each new mapping (CM)";
  if ((cap >> 4 & 1) != 0) return "no need to have its write buffers flushed (RWBF)";
  if ((ecap >> 1 & 1) == 0) return "queued invalidation";
  if ((ecap >> 3 & 1) == 0) return "interrupt remapping";
  MachineTables::flush_entries = (ecap & 1) == 0;
  return nullptr;
}

}  // namespace

bool OpenIommu(uint64_t vtd_registers) {
  g_registers = vtd_registers;
  MapAlso(g_registers, NOM_FRAME_BYTES);
  if (const char* missing = Missing(); missing != nullptr) {
    Log(LogLevel::kError, "the IOMMU lacks: ", missing, ". No device is handed out");
    g_registers = 0;
    return false;
  }
  // Whatever firmware left on goes off.
  Write<uint32_t>(kGlobalCommand, 0);
  WaitFor(
      [] { return (Read<uint32_t>(kGlobalStatus) & (kTranslation | kQueue | kInterrupts)) == 0; });
  g_root = NewTable();
  g_interrupts = NewTable();
  g_queue = NewTable();
  Write<uint64_t>(kRootTable, AddressOf(g_root));
  Command(kSetRoot);
  Write<uint64_t>(kQueueTail, 0);
  Write<uint64_t>(kQueueAddress, AddressOf(g_queue));
  Command(kQueue);
  Write<uint64_t>(kInterruptTable, AddressOf(g_interrupts) | 7);  // 2^8 entries.
  Command(kSetInterruptTable);
  Forget(VtdForgetContexts());
  Forget(VtdForgetAllTranslations());
  Forget(VtdForgetInterrupts());
  Command(kTranslation);
  Command(kInterrupts);
  Log(LogLevel::kInfo, "IOMMU (VT-d) at ", Hex{g_registers}, ", ", g_levels,
      " levels: no device reaches memory that is not its guest's");
  return true;
}

bool IommuIsOn() { return g_registers != 0; }

void PrepareBus(uint32_t bus) {
  if (g_contexts[bus] != nullptr) return;
  g_contexts[bus] = NewTable();
  SetEntry(&g_root[bus], VtdRootEntry(AddressOf(g_contexts[bus])));
}

void AttachDevice(uint16_t place, uint32_t domain, const NestedTables<MachineTables>& tables) {
  const uint64_t root = g_levels == 4 ? tables.root() : tables.root_of_three_levels();
  SetEntry(&g_contexts[place >> 8][place & 0xff],
           VtdContextEntry(root, g_levels, static_cast<uint16_t>(domain + 1)));
}

void DetachDevice(uint16_t place, uint32_t domain) {
  SetEntry(&g_contexts[place >> 8][place & 0xff], {});
  Forget(VtdForgetContexts());
  ForgetDeviceTranslations(domain);
}

void ForgetDeviceTranslations(uint32_t domain) {
  Forget(VtdForgetTranslations(static_cast<uint16_t>(domain + 1)));
}

InterruptMessage RouteInterrupt(uint32_t route, uint16_t place, uint8_t apic_id, uint8_t vector) {
  // Without remapping: fixed delivery, physical destination, edge (APM 2, 16.11).
  if (!IommuIsOn()) return {0xfee00000 | uint32_t{apic_id} << 12, vector};
  SetEntry(&g_interrupts[route], VtdInterruptEntry(place, apic_id, vector));
  Forget(VtdForgetInterrupts());
  return {VtdMessageAddress(static_cast<uint16_t>(route)), 0};
}

void UnrouteInterrupt(uint32_t route) {
  SetEntry(&g_interrupts[route], {});
  Forget(VtdForgetInterrupts());
}

std::optional<DmaFault> TakeDmaFault() {
  constexpr uint32_t kOverflowOrPending = 3;
  constexpr uint64_t kFault = uint64_t{1} << 63;
  if (!IommuIsOn() || (Read<uint32_t>(kFaultStatus) & kOverflowOrPending) == 0) return std::nullopt;
  // The first record tells enough: what repeats is not recorded (7.2.1).
  const auto record = static_cast<uint32_t>((Read<uint64_t>(kCapability) >> 24 & 0x3ff) * 16);
  const auto address = Read<uint64_t>(record);
  const auto high = Read<uint64_t>(record + 8);
  Write<uint64_t>(record + 8, kFault);
  Write<uint32_t>(kFaultStatus, kOverflowOrPending);
  if ((high & kFault) == 0) return std::nullopt;
  return DmaFault{static_cast<uint16_t>(high), address & ~uint64_t{NOM_FRAME_BYTES - 1}};
}

}  // namespace nomhv
