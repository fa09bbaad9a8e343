// SPDX-License-Identifier: Apache-2.0
#include "nomhv/x86/control/pulse.h"

#include <algorithm>

#include "nomhv/x86/guests/devices.h"
#include "nomhv/x86/guests/machine.h"
#include "nomhv/x86/platform/clocks.h"
#include "nomhv/x86/platform/cpu.h"
#include "nomhv/x86/platform/interrupts.h"
#include "nomhv/x86/platform/log.h"

namespace nomhv {
namespace {

constexpr uint64_t kBeatMs = 1;
constexpr uint64_t kMetersMs = 50;
constexpr uint64_t kBidsMs = 5;
constexpr uint64_t kLostLinesMs = 1000;
// Where guests wait for the processor: after so much work of control they have so much time.
constexpr uint64_t kWorkMs = 1;
constexpr uint64_t kGuestsMs = 4;
// What one beat writes of the log at most; less where guests wait for the processor.
constexpr uint32_t kLogBytes = 4096;
constexpr uint32_t kLogBytesBesideGuests = 256;

bool Due(uint64_t now_tsc, uint64_t& next_tsc, uint64_t every_ms) {
  if (now_tsc < next_tsc) return false;
  next_tsc = now_tsc + MsToCycles(every_ms);
  return true;
}

}  // namespace

void Pulse::Beat() {
  const uint64_t now = ReadTsc();
  if (!Due(now, next_beat_tsc_, kBeatMs)) return;
  DrainLog(g_machine.first_guest_processor == 0 ? kLogBytesBesideGuests : kLogBytes);
  if (Due(now, next_lost_tsc_, kLostLinesMs)) TellLostLines();
  if (mailbox_ == nullptr) return;
  mailbox_->WriteHeartbeat(now);
  mailbox_->WriteDoorbells(DoorbellInterrupts());
  if (Due(now, next_bids_tsc_, kBidsMs)) CopyBids();
  if (Due(now, next_meters_tsc_, kMetersMs)) {
    meters_->WriteAll();
    meters_->WriteSums();
    TellDmaFaults();
  }
}

void Pulse::Rest() {
  Beat();
  if (g_machine.first_guest_processor != 0 || ReadTsc() < next_rest_tsc_) return;
  const uint64_t until_tsc = ReadTsc() + MsToCycles(kGuestsMs);
  // A guest that ends meanwhile is buried when control takes its next turn.
  while (ReadTsc() < until_tsc) {
    const uint64_t tick_tsc = std::min(until_tsc, ReadTsc() + MsToCycles(kBeatMs));
    static_cast<void>(TakeTurn(g_machine.processors[0], tick_tsc));
    Beat();
  }
  ControlBegins(g_machine.processors[0]);
  next_rest_tsc_ = ReadTsc() + MsToCycles(kWorkMs);
}

void Pulse::CopyBids() {
  for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
    const GuestMachine& guest = g_machine.guests[slot];
    if (!table_->at(slot).running() || !guest.alive.load(std::memory_order_acquire)) continue;
    mailbox_->CopyBids(slot, guest.bids);
  }
}

void Pulse::TellLostLines() {
  for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
    if (!table_->at(slot).exists) continue;
    const GuestMachine& guest = g_machine.guests[slot];
    const uint64_t lost = guest.lines_lost.load(std::memory_order_relaxed);
    // A new guest in the slot begins at zero.
    if (lost > lost_told_[slot]) {
      Log(LogLevel::kInfo, "guest ", guest.id, " ", QuotedName{guest.name_view()}, ": ",
          lost - lost_told_[slot], " lines were lost, it writes too many");
    }
    lost_told_[slot] = lost;
  }
}

}  // namespace nomhv
