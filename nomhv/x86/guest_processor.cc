// A guest processor: picks a guest, runs it until its slice ends or it sleeps, sleeps itself when
// there is nothing to run. Interrupts are off but while a guest runs and while it sleeps.

#include <algorithm>

#include "nomhv/x86/calls.h"
#include "nomhv/x86/cpu.h"
#include "nomhv/x86/machine.h"

namespace nomhv {
namespace {

void Answer(GuestMachine& guest, NomStatus status, uint64_t value) {
  guest.vmcb->rax = status;
  guest.registers.rdx = value;
}

// Whether a sleeper has something to do; then it is awake. Under the claim.
bool TryWake(GuestMachine& guest, ProcessorAccount& account, uint64_t now_tsc) {
  const uint64_t wake_tsc = guest.wake_tsc.load(std::memory_order_relaxed);
  if (guest.sleep.kind == SleepState::kHalted) {
    if (!guest.interrupt_due || guest.notice_vector == 0) return false;
  } else if (guest.notice_unseen) {
    guest.notice_unseen = false;
    Answer(guest, NOM_STATUS_OK, NOM_WAKE_NOTICE);
  } else if (wake_tsc != 0 && now_tsc >= wake_tsc) {
    Answer(guest, NOM_STATUS_OK, NOM_WAKE_DEADLINE);
  } else {
    return false;
  }
  guest.sleep.kind = SleepState::kAwake;
  guest.wake_tsc.store(0, std::memory_order_release);
  account.Wake(now_tsc);
  return true;
}

bool Runnable(uint32_t slot, uint64_t now_tsc) {
  GuestMachine& guest = g_machine.guests[slot];
  if (!guest.alive.load(std::memory_order_acquire) || guest.hold.load(std::memory_order_acquire) ||
      guest.ended.load(std::memory_order_acquire)) {
    return false;
  }
  if (guest.sleep.kind == SleepState::kAwake) return true;
  return TryWake(guest, g_machine.accounts[slot], now_tsc);
}

void Publish(Processor& processor, uint32_t slot, uint64_t since_tsc) {
  processor.running_slot.store(slot, std::memory_order_relaxed);
  processor.running_since.store(since_tsc, std::memory_order_relaxed);
}

void SeqlockStep(Processor& processor) {
  processor.running_sequence.fetch_add(1, std::memory_order_acq_rel);
}

// Sleeps until `deadline`, the time that one of ours asked for, or an interrupt.
void Idle(Processor& processor, uint64_t deadline_tsc) {
  for (uint32_t i = 0; i < processor.pieces.count; ++i) {
    const uint32_t slot = processor.pieces.pieces[i].slot;
    // Without credit it could not run if it woke: it waits for the period's end.
    if (processor.schedule.balance_cycles(slot) <= 0) continue;
    const uint64_t wake = g_machine.guests[slot].wake_tsc.load(std::memory_order_acquire);
    if (wake != 0) deadline_tsc = std::min(deadline_tsc, wake);
  }
  ArmTimer(deadline_tsc, g_machine.clocks);
  EnableInterruptsAndHalt();
}

// Until the slice ends, the guest sleeps or ends, or the control processor wants something.
void RunSlice(Processor& processor, GuestMachine& guest, ProcessorAccount& account,
              uint64_t deadline_tsc) {
  ArmTimer(deadline_tsc, g_machine.clocks);
  for (;;) {
    if (processor.replan.load(std::memory_order_acquire) ||
        guest.hold.load(std::memory_order_acquire) || ReadTsc() >= deadline_tsc) {
      return;
    }
    if (guest.work.kind != FrameWork::kNone) {
      CallAnswer answer;
      if (ContinueWork(guest, answer)) Answer(guest, answer.status, answer.value);
      continue;
    }
    RunGuest(processor.svm, guest);
    switch (HandleExit(guest)) {
      case AfterExit::kResume:
        break;
      case AfterExit::kInterrupt:
        TakeInterrupts();
        guest.CountExit(ReadTsc() >= deadline_tsc ? NOM_EXIT_TIMER : NOM_EXIT_INTERRUPT);
        // Where control runs here, too, this may have been the doorbell.
        if (processor.index == 0) return;
        // The timer may have been the one that fired, ahead of a far deadline.
        ArmTimer(deadline_tsc, g_machine.clocks);
        break;
      case AfterExit::kSleep:
        account.Sleep(ReadTsc());
        return;
      case AfterExit::kEnded:
        if (processor.index != 0) Poke(g_machine.processors[0]);
        return;
    }
  }
}

}  // namespace

uint64_t SchedulePeriodCycles() {
  return g_machine.clocks.tsc_hz / 1000 * kSchedulePeriodMs / 1000 * 1000;
}

void TakePlan(Processor& processor) {
  if (!processor.replan.load(std::memory_order_acquire)) return;
  processor.pieces = processor.next_pieces;
  processor.schedule.SetPieces(processor.pieces, ReadTsc());
  processor.replan.store(false, std::memory_order_release);
}

void TakeTurn(Processor& processor, uint64_t latest_tsc) {
  TakePlan(processor);
  const uint64_t now_tsc = ReadTsc();
  const ProcessorSchedule::Choice choice =
      processor.schedule.Pick(now_tsc, [&](uint32_t slot) { return Runnable(slot, now_tsc); });
  const uint64_t deadline_tsc = std::min(choice.deadline_tsc, latest_tsc);
  if (!choice.run) {
    Idle(processor, deadline_tsc);
    return;
  }
  GuestMachine& guest = g_machine.guests[choice.slot];
  ProcessorAccount& account = g_machine.accounts[choice.slot];
  SeqlockStep(processor);
  Publish(processor, choice.slot, choice.began_tsc);
  SeqlockStep(processor);
  guest.last_processor = processor.index;
  LoadGuestState(guest);
  RunSlice(processor, guest, account, deadline_tsc);
  SaveGuestState(guest);
  SeqlockStep(processor);
  processor.schedule.Stop(choice, ReadTsc());
  Publish(processor, kNoSlot, 0);
  SeqlockStep(processor);
}

void GuestProcessorMain(Processor& processor) {
  for (;;) TakeTurn(processor, kNoDeadline);
}

uint64_t UsedCyclesNow(uint32_t slot) {
  uint64_t used = g_machine.accounts[slot].used_cycles();
  for (uint32_t i = g_machine.first_guest_processor; i < g_machine.processor_count; ++i) {
    const Processor& p = g_machine.processors[i];
    for (;;) {
      const uint32_t before = p.running_sequence.load(std::memory_order_acquire);
      const uint32_t running = p.running_slot.load(std::memory_order_relaxed);
      const uint64_t since = p.running_since.load(std::memory_order_relaxed);
      const uint64_t settled = g_machine.accounts[slot].used_cycles();
      const uint64_t now = ReadTsc();
      std::atomic_thread_fence(std::memory_order_acquire);
      if ((before & 1) != 0 || p.running_sequence.load(std::memory_order_relaxed) != before) {
        Pause();
        continue;
      }
      if (running == slot && now > since) used = std::max(used, settled + (now - since));
      break;
    }
  }
  return used;
}

void Poke(const Processor& processor) { SendInterrupt(processor.apic_id, kVectorPoke); }

}  // namespace nomhv
