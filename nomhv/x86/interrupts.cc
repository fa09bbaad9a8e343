#include "nomhv/x86/interrupts.h"

#include <atomic>

#include "nomhv/core/assert.h"
#include "nomhv/x86/apic.h"
#include "nomhv/x86/cpu.h"
#include "nomhv/x86/log.h"
#include "nomhv/x86/stacks.h"

extern "C" {
extern const char InterruptStubs[];
void HandleInterrupt(nomhv::InterruptFrame* frame);
}

namespace nomhv {
namespace {

constexpr uint32_t kStubBytes = 16;
constexpr uint8_t kVectorNmi = 2;
constexpr uint8_t kVectorDoubleFault = 8;
constexpr uint8_t kVectorMachineCheck = 18;
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
  const struct __attribute__((packed)) {
    uint16_t limit;
    uint64_t base;
  } pointer = {sizeof(g_gates) - 1, reinterpret_cast<uint64_t>(g_gates)};
  asm volatile("lidt %0" ::"m"(pointer));
}

uint64_t DoorbellInterrupts() { return g_doorbell_interrupts.load(std::memory_order_relaxed); }

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
  if (frame->vector != kVectorSpurious) EndOfInterrupt();
}
