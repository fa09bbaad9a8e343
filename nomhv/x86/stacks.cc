#include "nomhv/x86/stacks.h"

#include "nomhv/core/acpi_tables.h"

extern "C" char BootStack[];

namespace nomhv {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kStackBytes = 0x8000;
constexpr uint64_t kFaultStackBytes = 0x1000;

// Table 12-1 of the manual: the 64-bit task state.
struct __attribute__((packed)) TaskState {
  uint32_t reserved0;
  uint64_t rsp[3];
  uint64_t reserved1;
  uint64_t ist[7];
  uint64_t reserved2;
  uint16_t reserved3;
  uint16_t io_map_base;
};
static_assert(sizeof(TaskState) == 104);

struct alignas(16) Descriptors {
  uint64_t table[7];
  TaskState task;
};

alignas(4096) char g_stacks[kProcessorsMax][kStackBytes];
alignas(16) char g_fault_stacks[kProcessorsMax][2][kFaultStackBytes];
Descriptors g_descriptors[kProcessorsMax];

}  // namespace

uint64_t StackEnd(uint32_t index) {
  return reinterpret_cast<uint64_t>(g_stacks[index]) + kStackBytes;
}

bool IsStackGuard(uint64_t address) {
  if (address == reinterpret_cast<uint64_t>(BootStack)) return true;
  const auto first = reinterpret_cast<uint64_t>(g_stacks);
  return address >= first && address < first + sizeof(g_stacks) &&
         (address - first) % kStackBytes < kPage;
}

void LoadDescriptors(uint32_t index) {
  constexpr uint16_t kTaskSelector = 40;
  Descriptors& d = g_descriptors[index];
  d.task = {};
  d.task.ist[kStackDoubleFault - 1] =
      reinterpret_cast<uint64_t>(g_fault_stacks[index][0]) + kFaultStackBytes;
  d.task.ist[kStackNmi - 1] =
      reinterpret_cast<uint64_t>(g_fault_stacks[index][1]) + kFaultStackBytes;
  d.task.io_map_base = sizeof(TaskState);
  const auto base = reinterpret_cast<uint64_t>(&d.task);
  // The first five are those of boot/entry.S.
  d.table[1] = 0x00af9b000000ffff;
  d.table[2] = 0x00cf93000000ffff;
  d.table[3] = 0x00cf9b000000ffff;
  d.table[4] = 0x00cf93000000ffff;
  d.table[5] = (sizeof(TaskState) - 1) | (base & 0xffffff) << 16 | uint64_t{0x89} << 40 |
               (base >> 24 & 0xff) << 56;
  d.table[6] = base >> 32;
  const struct __attribute__((packed)) {
    uint16_t limit;
    uint64_t base;
  } pointer = {sizeof(d.table) - 1, reinterpret_cast<uint64_t>(d.table)};
  asm volatile("lgdt %0; ltr %1" ::"m"(pointer), "r"(kTaskSelector) : "memory");
}

}  // namespace nomhv
