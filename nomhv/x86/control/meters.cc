// SPDX-License-Identifier: Apache-2.0
#include "nomhv/x86/control/meters.h"

#include <algorithm>
#include <cstring>

#include "nomhv/x86/guests/machine.h"
#include "nomhv/x86/platform/clocks.h"
#include "nomhv/x86/platform/cpu.h"

namespace nomhv {
void Meters::Fill(uint32_t slot) {
  NomMeter& meter = last_[slot];
  GuestMachine& guest = g_machine.guests[slot];
  const Guest& books = table_->at(slot);
  const NomMeter last = meter;
  meter = {};
  meter.state = NOM_GUEST_RUNNING;
  meter.guest_id = guest.id;
  meter.tsc = ReadTsc();
  uint64_t offered_beyond = 0;
  for (const VirtualProcessor& vcpu : guest.all_vcpus()) {
    offered_beyond += g_machine.accounts[vcpu.index].slept_cycles();
  }
  meter.cycles_used = std::max(UsedCyclesNow(guest), last.cycles_used);
  meter.cycles_offered = std::max(meter.cycles_used + offered_beyond, last.cycles_offered);
  {
    const SpinLockGuard guard(guest.meter_lock);
    guest.frame_meter.Advance(TscToUs(meter.tsc), guest.held_frames, guest.granted_frames);
    meter.held_frame_us = guest.frame_meter.held_frame_us();
    meter.offered_frame_us = guest.frame_meter.offered_frame_us();
    meter.frames_held = guest.held_frames;
  }
  meter.frames_granted = books.granted.frames;
  meter.millicores_granted = books.granted.millicores;
  meter.seed_frames = books.seed.frames;
  meter.window_frames = books.window_frames;
  meter.seed_millicores = books.seed.millicores;
  meter.interrupts = guest.interrupts.load(std::memory_order_relaxed);
  meter.forced_frames = guest.forced_frames;
  meter.exit_reason =
      guest.ended.load(std::memory_order_acquire) ? guest.exit_reason : NOM_EXIT_REASON_NONE;
  meter.exit_detail = guest.exit_detail;
  meter.processor = guest.vcpus[0].last_processor;
  meter.created_tsc = guest.created_tsc;
  std::memcpy(meter.name, guest.name, sizeof(meter.name));
  meter.devices = guest.devices;
  meter.virtual_processors = guest.vcpu_count;
  meter.lines_lost = guest.lines_lost.load(std::memory_order_relaxed);
  for (uint32_t i = 0; i < NOM_EXITS_COUNT; ++i) {
    meter.exits[i] = guest.exits[i].load(std::memory_order_relaxed);
  }
}

void Meters::Write(uint32_t slot) {
  if (mailbox_ == nullptr) return;
  Fill(slot);
  mailbox_->WriteMeter(slot, last_[slot]);
}

void Meters::WriteAll() {
  for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
    if (table_->at(slot).running()) Write(slot);
  }
}

void Meters::WriteEnded(uint32_t slot) {
  NomMeter& meter = last_[slot];
  meter.state = NOM_GUEST_ENDED;
  meter.frames_held = 0;
  meter.frames_granted = 0;
  meter.devices = 0;
  meter.millicores_granted = 0;
  if (mailbox_ != nullptr) mailbox_->WriteMeter(slot, meter);
}

void Meters::Clear(uint32_t slot) {
  last_[slot] = {};
  if (mailbox_ != nullptr) mailbox_->WriteMeter(slot, last_[slot]);
}

void Meters::WriteRound(uint64_t round_id, const ForcedFrames& forced) {
  round_ = {};
  round_.round_id = round_id;
  round_.tsc = ReadTsc();
  for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
    if (!table_->at(slot).running()) continue;
    Fill(slot);
    const NomMeter& meter = last_[slot];
    round_.guests[round_.guest_count++] = {meter.guest_id,         meter.cycles_used,
                                           meter.cycles_offered,   meter.held_frame_us,
                                           meter.offered_frame_us, forced[slot]};
  }
  mailbox_->WriteRound(round_);
  WriteAll();
}

void Meters::WriteSums() {
  if (mailbox_ != nullptr) mailbox_->WriteSums(table_->granted(), GuestFramesFree());
}

}  // namespace nomhv
