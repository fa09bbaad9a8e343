// SPDX-License-Identifier: Apache-2.0
// One of a guest's processors: what it remembers while it does not run. Whoever holds the claim of
// its ProcessorAccount owns all of it but the atomics.

#ifndef NOMHV_X86_GUESTS_VIRTUAL_PROCESSOR_H_
#define NOMHV_X86_GUESTS_VIRTUAL_PROCESSOR_H_

#include <atomic>
#include <cstdint>

#include "nomhv/abi/version.h"
#include "nomhv/core/control_registers.h"
#include "nomhv/core/exit.h"
#include "nomhv/core/frame_work.h"
#include "nomhv/core/news.h"
#include "nomhv/core/pc/local_apic.h"
#include "nomhv/core/translations.h"

namespace nomhv {

struct GuestMachine;

// By the processor's numbers (AMD64 APM volume 3, table 1-9); x86/svm/run.S knows the places. A
// back end fills them at each exit, and what nomhv changes is the guest's at its next entry; but
// RSP's, only where an exit names a register by number (Exit::move).
struct GuestRegisters {
  uint64_t general[16] = {};

  uint64_t& rax() { return general[0]; }
  uint64_t& rcx() { return general[1]; }
  uint64_t& rdx() { return general[2]; }
  uint64_t& rbx() { return general[3]; }
  uint64_t& rsi() { return general[6]; }
  uint64_t& rdi() { return general[7]; }
};

struct SleepState {
  enum Kind : uint32_t { kAwake, kHalted, kYielded, kStopped };
  Kind kind = kAwake;
  uint64_t wake_tsc = 0;  // When it asked to be woken; 0: at no time.
};

// Where code that it executed last lies in the machine's memory (x86/svm/exits.cc).
struct CodePageCache {
  uint64_t linear = ~uint64_t{0};  // No page's address: nothing is kept.
  uint64_t cr3 = 0;
  const uint8_t* host = nullptr;
  uint64_t generation = 0;  // Of the translations that it was entered with.
};

struct VirtualProcessor : News {
  GuestMachine* guest = nullptr;
  uint32_t index = 0;  // VcpuIndex; of its account, too.
  GuestRegisters registers;
  Exit exit;                       // The last.
  void* control_block = nullptr;   // The back end's: a frame.
  void* extended_state = nullptr;  // An XSAVE area: a frame.
  uint64_t xcr0 = 1;
  DebugRegisters debug_registers;
  CodePageCache code_page;
  VcpuTranslations translations;
  uint32_t last_processor = 0;
  FrameWork work;  // Of the call that it is in.
  SleepState sleep;
  LocalApic* apic = nullptr;           // A PC's (x86/pc).
  uint64_t shadow_rip = ~uint64_t{0};  // See KeepInterruptShadow.

  // What a call comes to.
  void Answer(NomStatus status, uint64_t value) {
    registers.rax() = status;
    registers.rdx() = value;
  }

  // Anybody's.
  std::atomic<uint64_t> processors{0};    // A bit for each that has a piece of it.
  std::atomic<bool> stopped{true};        // Until START, and after HLT with interrupts off.
  std::atomic<uint8_t> notice_vector{0};  // Of notices and rings.
  std::atomic<bool> device_waits{false};  // A device's interrupt is among the pending ones.
};

}  // namespace nomhv

#endif  // NOMHV_X86_GUESTS_VIRTUAL_PROCESSOR_H_
