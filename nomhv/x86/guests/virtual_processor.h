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

// What a guest is woken for, or interrupted by.
enum News : uint32_t {
  kNewsNotice = 1,     // For YIELD, until it has told so.
  kNewsRing = 2,       // Likewise.
  kNewsInterrupt = 4,  // Not delivered yet.
};

struct SleepState {
  enum Kind : uint32_t { kAwake, kHalted, kYielded };
  Kind kind = kAwake;
  uint64_t wake_tsc = 0;  // When it asked to be woken; 0: at no time.
};

// Where code that it executed last lies in the machine's memory (x86/svm/exits.cc).
struct CodePageCache {
  uint64_t linear = ~uint64_t{0};  // No page's address: nothing is kept.
  uint64_t cr3 = 0;
  const uint8_t* host = nullptr;
};

struct VirtualProcessor {
  GuestMachine* guest = nullptr;
  uint32_t index = 0;  // Of all that there are, and of its account.
  GuestRegisters registers;
  Exit exit;                       // The last.
  void* control_block = nullptr;   // The back end's: a frame.
  void* extended_state = nullptr;  // An XSAVE area: a frame.
  uint64_t xcr0 = 1;
  DebugRegisters debug_registers;
  CodePageCache code_page;
  GuestTranslations translations;
  uint32_t last_processor = 0;
  FrameWork work;  // Of the call that it is in.
  SleepState sleep;
  uint8_t notice_vector = 0;  // Of notices and rings.

  // What a call comes to.
  void Answer(NomStatus status, uint64_t value) {
    registers.rax() = status;
    registers.rdx() = value;
  }

  // Anybody's.
  std::atomic<uint32_t> news{0};      // News bits.
  std::atomic<uint64_t> news_tsc{0};  // When the last came.

  // It has something to do, if it slept; who tells it pokes its processors.
  uint32_t Tell(uint32_t bits, uint64_t now_tsc) {
    news_tsc.store(now_tsc, std::memory_order_relaxed);
    return news.fetch_or(bits, std::memory_order_acq_rel);
  }
  // True once for each time that it was told.
  bool TakeNews(News bit) {
    return (news.load(std::memory_order_acquire) & bit) != 0 &&
           (news.fetch_and(~uint32_t{bit}, std::memory_order_acq_rel) & bit) != 0;
  }
  [[nodiscard]] bool interrupt_due() const {
    return notice_vector != 0 && (news.load(std::memory_order_acquire) & kNewsInterrupt) != 0;
  }
};

}  // namespace nomhv

#endif  // NOMHV_X86_GUESTS_VIRTUAL_PROCESSOR_H_
