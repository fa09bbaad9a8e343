// SPDX-License-Identifier: Apache-2.0
// A guest processor: picks a guest, runs it until its slice ends or it sleeps, sleeps itself when
// there is nothing to run. Interrupts are off but while a guest runs and while it sleeps.

#include <algorithm>

#include "nomhv/x86/guests/devices.h"
#include "nomhv/x86/guests/exits.h"
#include "nomhv/x86/guests/machine.h"
#include "nomhv/x86/guests/virtualization.h"
#include "nomhv/x86/pc/pc.h"
#include "nomhv/x86/platform/clocks.h"
#include "nomhv/x86/platform/cpu.h"
#include "nomhv/x86/platform/interrupts.h"

namespace nomhv {
namespace {

// Whether a sleeper has something to do; then it is awake. Under the claim.
bool TryWake(VirtualProcessor& vcpu, ProcessorAccount& account, uint64_t now_tsc) {
  const uint64_t wake_tsc = account.wake_tsc();
  FireTimer(vcpu, now_tsc);
  uint64_t since_tsc = vcpu.news_tsc();
  if (vcpu.sleep.kind == SleepState::kStopped) return false;
  if (vcpu.sleep.kind == SleepState::kHalted) {
    if (!vcpu.interrupt_due()) return false;
  } else if (vcpu.TakeNews(kNewsNotice)) {
    vcpu.Answer(NOM_STATUS_OK, NOM_WAKE_NOTICE);
  } else if (vcpu.TakeNews(kNewsRing)) {
    vcpu.Answer(NOM_STATUS_OK, NOM_WAKE_RING);
  } else if (vcpu.TakeNews(kNewsSignal)) {
    vcpu.Answer(NOM_STATUS_OK, NOM_WAKE_SIGNAL);
  } else if (vcpu.interrupt_due() && InterruptsEnabled(vcpu)) {
    vcpu.Answer(NOM_STATUS_OK, NOM_WAKE_INTERRUPT);
  } else if (wake_tsc != 0 && now_tsc >= wake_tsc) {
    since_tsc = wake_tsc;
    vcpu.Answer(NOM_STATUS_OK, NOM_WAKE_DEADLINE);
  } else {
    return false;
  }
  vcpu.sleep.kind = SleepState::kAwake;
  account.Wake(since_tsc);
  return true;
}

bool Runnable(uint32_t index, uint64_t now_tsc) {
  VirtualProcessor& vcpu = VcpuAt(index);
  const GuestMachine& guest = *vcpu.guest;
  if (!guest.alive.load(std::memory_order_acquire) || guest.hold.load(std::memory_order_acquire) ||
      guest.ended.load(std::memory_order_acquire)) {
    return false;
  }
  return vcpu.sleep.kind == SleepState::kAwake || TryWake(vcpu, g_machine.accounts[index], now_tsc);
}

// Changes who pays for the processor's time, and tells the meters.
template <typename Change>
void ChangePayer(Processor& processor, Change&& change) {
  processor.running_sequence.fetch_add(1, std::memory_order_acq_rel);
  change(processor.schedule);
  processor.running_vcpu.store(processor.schedule.payer(), std::memory_order_relaxed);
  processor.running_since.store(processor.schedule.payer_since_tsc(), std::memory_order_relaxed);
  processor.running_sequence.fetch_add(1, std::memory_order_acq_rel);
}

// For a slice that ends then. An interrupt that waits for one instruction to end is offered soon.
void ArmSlice(VirtualProcessor& vcpu, uint64_t deadline_tsc) {
  constexpr uint64_t kSoonUs = 10;
  FireTimer(vcpu, ReadTsc());
  const bool soon = vcpu.interrupt_due() && InInterruptShadow(vcpu);
  deadline_tsc = std::min(deadline_tsc, TimerDeadline(vcpu));
  ArmTimer(soon ? std::min(deadline_tsc, ReadTsc() + UsToCycles(kSoonUs)) : deadline_tsc);
}

// Until the slice ends, the guest sleeps or ends, or the control processor wants something: that
// is, from `latest_tsc` on, too.
[[gnu::noinline]] StopCause RunSlice(Processor& processor, VirtualProcessor& vcpu,
                                     ProcessorAccount& account, uint64_t slice_end_tsc,
                                     uint64_t latest_tsc) {
  GuestMachine& guest = *vcpu.guest;
  const uint64_t deadline_tsc = std::min(slice_end_tsc, latest_tsc);
  TellStolenTime(vcpu, ReadTsc());
  ArmSlice(vcpu, deadline_tsc);
  for (;;) {
    // Looked at here, and not at each exit: whoever asks for something raises its flag and then
    // pokes this processor, and neither a poke nor the timer is lost. While nomhv works they stay
    // pending, and the guest's next run ends at once.
    vcpu.translations.Left();
    if (guest.ended.load(std::memory_order_acquire))
      return StopCause::kItself;  // By another's doing.
    if (guest.condemned.load(std::memory_order_acquire)) {
      guest.End(vcpu, NOM_EXIT_REASON_BAD_STATE, 0);
      return StopCause::kItself;
    }
    if (processor.replan.load(std::memory_order_acquire) ||
        guest.hold.load(std::memory_order_acquire)) {
      return StopCause::kControl;
    }
    if (processor.rung.exchange(false, std::memory_order_acq_rel)) return StopCause::kRung;
    const uint64_t now_tsc = ReadTsc();
    if (now_tsc >= deadline_tsc) {
      return now_tsc >= slice_end_tsc ? StopCause::kTime : StopCause::kControl;
    }
    AfterExit then = vcpu.work.busy() ? ContinueWork(vcpu) : AfterExit::kResume;
    while (then == AfterExit::kResume)
      then = HandleExit(vcpu, RunVirtualProcessor(processor, vcpu));
    switch (then) {
      case AfterExit::kResume:
      case AfterExit::kWork:
        break;
      case AfterExit::kAgain:
        ArmSlice(vcpu, deadline_tsc);
        break;
      case AfterExit::kInterrupt: {
        const uint64_t doorbells = DoorbellInterrupts();
        KeepInterruptShadow(vcpu);
        TakeInterrupts();
        DeliverDeviceInterrupts();
        guest.CountExit(ReadTsc() >= deadline_tsc ? NOM_EXIT_TIMER : NOM_EXIT_INTERRUPT);
        // Where control runs here, too, it looks at once when marketd rings.
        if (processor.index == 0 && DoorbellInterrupts() != doorbells) {
          return StopCause::kControl;
        }
        // The timer may have been the one that fired, ahead of a far deadline.
        ArmSlice(vcpu, deadline_tsc);
        break;
      }
      case AfterExit::kSleep:
        account.Sleep(ReadTsc(), vcpu.sleep.wake_tsc);
        return StopCause::kItself;
      case AfterExit::kEnded:
        if (processor.index != 0) Poke(g_machine.processors[0]);
        return StopCause::kItself;
    }
  }
}

}  // namespace

uint64_t SchedulePeriodCycles() { return MsToCycles(kSchedulePeriodMs) / 1000 * 1000; }

void TakePlan(Processor& processor) {
  if (!processor.replan.load(std::memory_order_acquire)) return;
  processor.pieces = processor.next_pieces;
  ChangePayer(processor, [&](ProcessorSchedule& schedule) {
    schedule.SetPieces(processor.pieces, ReadTsc());
  });
  processor.replan.store(false, std::memory_order_release);
}

bool TakeTurn(Processor& processor, uint64_t latest_tsc) {
  TakePlan(processor);
  processor.rung.store(false, std::memory_order_release);
  const uint64_t now_tsc = ReadTsc();
  ChangePayer(processor, [&](ProcessorSchedule& schedule) { schedule.Settle(now_tsc); });
  const ProcessorSchedule::Choice choice =
      processor.schedule.Pick(now_tsc, [&](uint32_t index) { return Runnable(index, now_tsc); });
  if (!choice.run) {
    ChangePayer(processor, [&](ProcessorSchedule& schedule) {
      schedule.Pay(ProcessorSchedule::kNomhv, now_tsc);
    });
    ArmTimer(std::min(choice.deadline_tsc, latest_tsc));
    EnableInterruptsAndHalt();
    DeliverDeviceInterrupts();
    // If it was a sleeper's wake-up that ended the idling, the sleeper pays from here.
    ChangePayer(processor, [&](ProcessorSchedule& schedule) {
      schedule.Pay(ProcessorSchedule::kWhoRunsNext, ReadTsc());
    });
    return false;
  }
  VirtualProcessor& vcpu = VcpuAt(choice.vcpu);
  vcpu.last_processor = processor.index;
  vcpu.translations.RunsOn(processor.index);
  LoadExtendedState(vcpu);
  ChangePayer(processor, [&](ProcessorSchedule& schedule) { schedule.Run(choice, ReadTsc()); });
  const StopCause cause =
      RunSlice(processor, vcpu, g_machine.accounts[choice.vcpu], choice.deadline_tsc, latest_tsc);
  const uint64_t stop_tsc = ReadTsc();
  SaveExtendedState(vcpu);
  const bool ended = vcpu.guest->ended.load(std::memory_order_relaxed);  // While it is claimed.
  ChangePayer(processor,
              [&](ProcessorSchedule& schedule) { schedule.Stop(choice, stop_tsc, cause); });
  return ended;
}

void GuestProcessorMain(Processor& processor) {
  for (;;) static_cast<void>(TakeTurn(processor, kNoDeadline));
}

void ControlBegins(Processor& processor) {
  ChangePayer(processor, [](ProcessorSchedule& schedule) {
    schedule.Pay(ProcessorSchedule::kNomhv, ReadTsc());
  });
}

namespace {

uint64_t UsedCyclesOf(uint32_t index) {
  uint64_t used = g_machine.accounts[index].used_cycles();
  for (uint32_t i = g_machine.first_guest_processor; i < g_machine.processor_count; ++i) {
    const Processor& p = g_machine.processors[i];
    for (;;) {
      const uint32_t before = p.running_sequence.load(std::memory_order_acquire);
      const uint32_t running = p.running_vcpu.load(std::memory_order_relaxed);
      const uint64_t since = p.running_since.load(std::memory_order_relaxed);
      const uint64_t settled = g_machine.accounts[index].used_cycles();
      const uint64_t now = ReadTsc();
      std::atomic_thread_fence(std::memory_order_acquire);
      if ((before & 1) != 0 || p.running_sequence.load(std::memory_order_relaxed) != before) {
        Pause();
        continue;
      }
      if (running == index && now > since) used = std::max(used, settled + (now - since));
      break;
    }
  }
  return used;
}

}  // namespace

uint64_t UsedCyclesNow(const GuestMachine& guest) {
  uint64_t used = 0;
  for (uint32_t i = 0; i < guest.vcpu_count; ++i) used += UsedCyclesOf(guest.vcpus[i].index);
  return used;
}

void WakeProcessorsOf(const VirtualProcessor& vcpu) {
  PokeProcessorsOf(
      vcpu, [](Processor& processor) { processor.rung.store(true, std::memory_order_release); });
}

void Poke(const Processor& processor) { SendInterrupt(processor.apic_id, kVectorPoke); }

}  // namespace nomhv
