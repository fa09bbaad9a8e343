// SPDX-License-Identifier: Apache-2.0
// The machine's processors and guests, as all of nomhv sees them.

#ifndef NOMHV_X86_GUESTS_MACHINE_H_
#define NOMHV_X86_GUESTS_MACHINE_H_

#include <atomic>
#include <bit>
#include <cstdint>

#include "nomhv/core/budget.h"
#include "nomhv/core/processors.h"
#include "nomhv/core/translations.h"
#include "nomhv/x86/guests/guest_machine.h"
#include "nomhv/x86/platform/apic.h"

namespace nomhv {

struct alignas(64) Processor {
  uint32_t index = 0;  // 0 is the control processor.
  uint8_t apic_id = 0;
  uint64_t own_state = 0;  // The back end's: a frame.
  std::atomic<bool> up{false};
  ProcessorTranslations translations;
  ProcessorSchedule schedule;
  ProcessorPieces pieces;  // In force; the processor's own.

  // From the control processor: next_pieces are to be taken. Cleared when they are.
  ProcessorPieces next_pieces;
  std::atomic<bool> replan{false};
  // A sleeper of this processor was told something: whoever runs here makes room for it.
  std::atomic<bool> rung{false};

  // Who pays for the time here since when (ProcessorSchedule::payer), for the meters: a seqlock.
  std::atomic<uint32_t> running_sequence{0};
  std::atomic<uint32_t> running_vcpu{ProcessorSchedule::kNomhv};
  std::atomic<uint64_t> running_since{0};
};

struct Machine {
  uint32_t processor_count = 0;
  uint32_t first_guest_processor = 1;  // 0 when there is but one, which does both.
  Processor processors[kProcessorsMax];
  GuestMachine guests[GuestTable::kSlots];
  ProcessorAccount accounts[kVcpus];
  // A guest has started one more of its processors: control makes a new plan.
  std::atomic<bool> replan_wanted{false};
};
extern Machine g_machine;

// Shares are given, and debts repaid, this often. Long against a switch, short against a second.
inline constexpr uint64_t kSchedulePeriodMs = 10;
[[nodiscard]] uint64_t SchedulePeriodCycles();

// Takes next_pieces if replan says so. Nothing may be running there.
void TakePlan(Processor& processor);

// Takes the new plan, if there is one; runs what runs next, until its slice ends or `latest_tsc`;
// or sleeps until then, or an interrupt. Interrupts are off. True if the guest that ran has ended.
[[nodiscard]] bool TakeTurn(Processor& processor, uint64_t latest_tsc);

// Where control and guests share a processor: from now on it works for control, and no guest pays.
void ControlBegins(Processor& processor);

// The life of a guest processor: turns without end.
[[noreturn]] void GuestProcessorMain(Processor& processor);

[[nodiscard]] inline VirtualProcessor& VcpuAt(uint32_t index) {
  return g_machine.guests[index / NOM_VIRTUAL_PROCESSORS_MAX]
      .vcpus[index % NOM_VIRTUAL_PROCESSORS_MAX];
}

// Cycles that the guest has run, what it runs at this moment included.
[[nodiscard]] uint64_t UsedCyclesNow(const GuestMachine& guest);

// Makes a processor look at what is asked of it.
void Poke(const Processor& processor);

// It was told something: it runs as soon as it may.
void WakeProcessorsOf(const VirtualProcessor& vcpu);

// Pokes all that have a piece of it, after `before(processor)`.
template <typename Before>
void PokeProcessorsOf(const VirtualProcessor& vcpu, Before&& before) {
  for (uint64_t left = vcpu.processors.load(std::memory_order_acquire); left != 0;
       left &= left - 1) {
    Processor& processor = g_machine.processors[std::countr_zero(left)];
    before(processor);
    Poke(processor);
  }
}

}  // namespace nomhv

#endif  // NOMHV_X86_GUESTS_MACHINE_H_
