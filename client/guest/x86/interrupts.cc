// SPDX-License-Identifier: Apache-2.0
#include "client/guest/x86/interrupts.h"

#include "client/guest/address.h"
#include "client/guest/calls.h"
#include "client/guest/console.h"
#include "client/guest/x86/boot.h"
#include "client/guest/x86/fixup.h"

namespace nom::guest {
namespace {

// AMD64 APM volume 2, 4.8.4.
struct Gate {
  uint16_t offset_low;
  uint16_t selector;
  uint8_t stack_table;
  uint8_t type;
  uint16_t offset_middle;
  uint32_t offset_high;
  uint32_t reserved;
};
static_assert(sizeof(Gate) == 16);

struct [[gnu::packed]] TablePointer {
  uint16_t limit;
  uint64_t base;
};

constexpr uint64_t kVectors = 256;
constexpr uint64_t kFaults = 32;
constexpr uint64_t kStubBytes = 16;
constexpr uint8_t kInterruptGate = 0x8E;  // Present, ring 0, interrupts off.
constexpr uint16_t kCodeSelector = 0x08;  // nom_gdt in entry.S.

Gate gates[kVectors];
FaultHook fault_hook = nullptr;
bool reporting = false;  // The default report of a fault is being written.
InterruptHandler handlers[kVectors];

extern "C" const char nom_interrupt_stubs[];
extern "C" const Fixup nom_fixups_begin[];
extern "C" const Fixup nom_fixups_end[];

void Fault(InterruptFrame& frame) {
  for (const Fixup* fixup = nom_fixups_begin; fixup != nom_fixups_end; ++fixup) {
    if (frame.rip < fixup->begin || frame.rip >= fixup->end) continue;
    frame.rip = fixup->resume;
    return;
  }
  // A fault while one is being reported: there is nothing left to say it with. With no interrupt
  // table the processor shuts down, which nomhv reports as a triple fault.
  if (reporting) {
    const TablePointer none = {0, 0};
    asm volatile("lidt %0; ud2" ::"m"(none));
  }
  if (fault_hook != nullptr && fault_hook(frame)) return;
  reporting = true;
  uint64_t fault_address = 0;
  asm volatile("mov %%cr2, %0" : "=r"(fault_address));
  Console(&Hypervisor())
      .Line("fault: vector ", frame.vector, ", rip ", Hex{frame.rip}, ", error ",
            Hex{frame.error_code}, ", address ", Hex{fault_address}, ", rsp ", Hex{frame.rsp});
  Hypervisor().Exit(128 + frame.vector);
}

}  // namespace

extern "C" void NomGuestInterrupt(InterruptFrame* frame) {
  if (frame->vector < kFaults) {
    Fault(*frame);
  } else if (handlers[frame->vector] != nullptr) {
    handlers[frame->vector]();
  }
}

void SetUpInterrupts() {
  for (uint64_t vector = 0; vector < kVectors; ++vector) {
    const uint64_t stub = AddressOf(nom_interrupt_stubs) + vector * kStubBytes;
    gates[vector] = {.offset_low = static_cast<uint16_t>(stub),
                     .selector = kCodeSelector,
                     .stack_table = 0,
                     .type = kInterruptGate,
                     .offset_middle = static_cast<uint16_t>(stub >> 16),
                     .offset_high = static_cast<uint32_t>(stub >> 32),
                     .reserved = 0};
  }
  const TablePointer pointer = {sizeof(gates) - 1, AddressOf(gates)};
  asm volatile("lidt %0" ::"m"(pointer));
}

void SetFaultHook(FaultHook hook) { fault_hook = hook; }

void SetInterruptHandler(uint8_t vector, InterruptHandler handler) { handlers[vector] = handler; }

bool EnableNoticeInterrupt(uint8_t vector, InterruptHandler handler) {
  SetInterruptHandler(vector, handler);
  if (!Hypervisor().Notify(vector).ok()) return false;
  EnableInterrupts();
  return true;
}

}  // namespace nom::guest
