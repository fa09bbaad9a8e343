// SPDX-License-Identifier: Apache-2.0
#include "nomhv/x86/platform/interrupts.h"

#include <atomic>

#include "nomhv/core/acpi_tables.h"
#include "nomhv/core/assert.h"
#include "nomhv/core/exceptions.h"
#include "nomhv/x86/platform/apic.h"
#include "nomhv/x86/platform/cpu.h"
#include "nomhv/x86/platform/log.h"

extern "C" {
extern const char InterruptStubs[];
extern char BootStack[];
void HandleInterrupt(nomhv::InterruptFrame* frame);
}

namespace nomhv {
namespace {

// Gates name these (IST): the double fault's, and one for NMI and machine check.
constexpr uint8_t kStackDoubleFault = 1;
constexpr uint8_t kStackNmi = 2;

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

// What LGDT and LIDT take.
struct __attribute__((packed)) TablePointer {
  uint16_t limit;
  uint64_t base;
};

constexpr uint32_t kStubBytes = 16;
constexpr uint16_t kDebugExitPort = 0xf4;

// A 64-bit gate (APM 2, 4.8.4).
struct Gate {
  uint16_t offset_low, selector;
  uint8_t stack, type;
  uint16_t offset_middle;
  uint32_t offset_high, reserved;
};
alignas(16) Gate g_gates[256];
std::atomic<bool> g_stopping{false};
std::atomic<uint64_t> g_doorbell_interrupts{0};
std::atomic<uint64_t> g_device_interrupts[kDeviceInterruptWords] = {};

[[noreturn]] void StopMachine() {
  // Out of an emulator first: a processor that never started cannot take the interrupt.
  Out32(kDebugExitPort, kExitPanic);
  SendNmiToOthers();
  HaltForever();
}

[[noreturn]] void StopOnFault(const InterruptFrame& f) {
  if (g_stopping.exchange(true)) HaltForever();
  Line<512> line;
  line.Add("host fault ", f.vector, " error ", Hex{f.error_code}, " rip ", Hex{f.rip}, " cr2 ",
           Hex{ReadCr2()}, " rsp ", Hex{f.rsp}, " rflags ", Hex{f.rflags}, " rax ", Hex{f.rax},
           " rbx ", Hex{f.rbx}, " rcx ", Hex{f.rcx}, " rdx ", Hex{f.rdx}, " rsi ", Hex{f.rsi},
           " rdi ", Hex{f.rdi}, " rbp ", Hex{f.rbp}, " apic ", uint32_t{LocalApicId()});
  FlushLog(line.text());
  StopMachine();
}

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
  const TablePointer pointer = {sizeof(d.table) - 1, reinterpret_cast<uint64_t>(d.table)};
  asm volatile("lgdt %0; ltr %1" ::"m"(pointer), "r"(kTaskSelector) : "memory");
}

void BuildInterruptTable() {
  constexpr uint8_t kPresentInterruptGate = 0x8e;
  for (uint32_t vector = 0; vector < 256; ++vector) {
    // Each stub is shorter than its alignment; the 256 of them are a table.
    const auto stub = reinterpret_cast<uint64_t>(InterruptStubs) + uint64_t{vector} * kStubBytes;
    const uint8_t stack = vector == kVectorDoubleFault ? kStackDoubleFault
                          : vector == kVectorNmi || vector == kVectorMachineCheck ? kStackNmi
                                                                                  : uint8_t{0};
    g_gates[vector] = {static_cast<uint16_t>(stub),
                       8,
                       stack,
                       kPresentInterruptGate,
                       static_cast<uint16_t>(stub >> 16),
                       static_cast<uint32_t>(stub >> 32),
                       0};
  }
}

void LoadInterruptTable() {
  const TablePointer pointer = {sizeof(g_gates) - 1, reinterpret_cast<uint64_t>(g_gates)};
  asm volatile("lidt %0" ::"m"(pointer));
}

uint64_t DoorbellInterrupts() { return g_doorbell_interrupts.load(std::memory_order_relaxed); }

uint64_t TakeDeviceInterrupts(uint32_t word) {
  std::atomic<uint64_t>& bits = g_device_interrupts[word];
  return bits.load(std::memory_order_relaxed) == 0 ? 0
                                                   : bits.exchange(0, std::memory_order_acq_rel);
}

void LeaveMachine(uint32_t code) {
  FlushLog();
  Out32(kDebugExitPort, code);
  HaltForever();  // On a machine without the port.
}

void Panic(const char* message, const char* file, int line) {
  DisableInterrupts();
  if (g_stopping.exchange(true)) HaltForever();
  Line<512> text;
  text.Add(message, " (", file, ":", line, ") apic ", uint32_t{LocalApicId()});
  FlushLog(text.text());
  StopMachine();
}

}  // namespace nomhv

void HandleInterrupt(nomhv::InterruptFrame* frame) {
  using namespace nomhv;  // NOLINT(google-build-using-namespace): C linkage puts us outside.
  if (frame->vector == kVectorNmi && g_stopping.load()) HaltForever();
  if (frame->vector < 32) StopOnFault(*frame);
  if (frame->vector == kVectorDoorbell) {
    g_doorbell_interrupts.fetch_add(1, std::memory_order_relaxed);
  }
  if (const uint64_t device = frame->vector - kVectorDevices; device < kDeviceInterruptWords * 64) {
    g_device_interrupts[device / 64].fetch_or(uint64_t{1} << device % 64,
                                              std::memory_order_acq_rel);
  }
  if (frame->vector != kVectorSpurious) EndOfInterrupt();
}
