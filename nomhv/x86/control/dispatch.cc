// SPDX-License-Identifier: Apache-2.0
#include "nomhv/x86/control/dispatch.h"

#include "nomhv/core/assert.h"
#include "nomhv/x86/guests/devices.h"
#include "nomhv/x86/platform/clocks.h"
#include "nomhv/x86/platform/cpu.h"
#include "nomhv/x86/platform/log.h"

namespace nomhv {
namespace {

// With another processor; an emulator may be slow.
constexpr uint64_t kPatienceMs = 20'000;

}  // namespace

std::span<Processor> GuestProcessors() {
  const uint32_t first = g_machine.first_guest_processor;
  return {g_machine.processors + first, g_machine.processor_count - first};
}

void Dispatch::Hold(uint32_t slot) {
  GuestMachine& guest = g_machine.guests[slot];
  guest.hold.store(true, std::memory_order_release);
  uint64_t give_up = ReadTsc() + MsToCycles(kPatienceMs);
  for (const VirtualProcessor& vcpu : guest.all_vcpus()) {
    ProcessorAccount& account = g_machine.accounts[vcpu.index];
    while (!account.TryClaim(0)) {
      for (const Processor& p : GuestProcessors()) {
        const uint32_t running = p.running_vcpu.load(std::memory_order_acquire);
        if (running < kVcpus && running / NOM_VIRTUAL_PROCESSORS_MAX == slot) Poke(p);
      }
      // One poke is enough; the wait is for an emulator that does not run that processor just now.
      const uint64_t again = ReadTsc() + MsToCycles(1);
      while (ReadTsc() < again && account.claimed()) Pause();
      pulse_->Beat();
      if (ReadTsc() < give_up) continue;
      give_up = ReadTsc() + MsToCycles(kPatienceMs);
      guest.condemned.store(true, std::memory_order_release);
      Log(LogLevel::kError, "guest ", guest.id, " ", QuotedName{guest.name_view()},
          " does not leave its processor: it ends when it does");
    }
  }
}

void Dispatch::Release(uint32_t slot) {
  GuestMachine& guest = g_machine.guests[slot];
  guest.hold.store(false, std::memory_order_release);
  for (const VirtualProcessor& vcpu : guest.all_vcpus()) {
    g_machine.accounts[vcpu.index].Unclaim(0);
    if (g_machine.first_guest_processor != 0) PokeProcessorsOf(vcpu, [](Processor&) {});
  }
}

void Dispatch::Replan() {
  uint32_t millicores[kVcpus] = {};
  for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
    const Guest& guest = table_->at(slot);
    if (!guest.running()) continue;
    const uint32_t started = g_machine.guests[slot].started.load(std::memory_order_acquire);
    const auto count = static_cast<uint32_t>(std::popcount(started));
    uint32_t place = 0;
    for (uint32_t left = started; left != 0; left &= left - 1) {
      millicores[VcpuIndex(slot, static_cast<uint32_t>(std::countr_zero(left)))] =
          VcpuShare(guest.granted.millicores, count, place++);
    }
  }
  const std::span<Processor> processors = GuestProcessors();
  PlanProcessors(millicores, {plan_, processors.size()});
  uint64_t masks[kVcpus] = {};
  for (size_t i = 0; i < processors.size(); ++i) {
    for (uint32_t k = 0; k < plan_[i].count; ++k) {
      masks[plan_[i].pieces[k].vcpu] |= uint64_t{1} << processors[i].index;
    }
  }
  for (uint32_t index = 0; index < kVcpus; ++index) {
    VcpuAt(index).processors.store(masks[index], std::memory_order_release);
  }
  MoveDeviceInterrupts();
  for (size_t i = 0; i < processors.size(); ++i) {
    processors[i].next_pieces = plan_[i];
    processors[i].replan.store(true, std::memory_order_release);
    if (processors[i].index == 0) {
      // We are the only one, and nothing runs here now.
      TakePlan(processors[i]);
      return;
    }
    Poke(processors[i]);
  }
  // Every call of a guest is bounded, so a processor that does not answer is nomhv's own wrong.
  const uint64_t give_up = ReadTsc() + MsToCycles(3 * kPatienceMs);
  for (const Processor& p : processors) {
    while (p.replan.load(std::memory_order_acquire)) {
      Pause();
      pulse_->Beat();
      NOMHV_CHECK(ReadTsc() < give_up, "control: a processor does not take its plan");
    }
  }
}

}  // namespace nomhv
