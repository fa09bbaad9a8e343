// SPDX-License-Identifier: Apache-2.0
#include "nomhv/x86/control/grant_moves.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "nomhv/x86/guests/devices.h"
#include "nomhv/x86/guests/guest_frames.h"
#include "nomhv/x86/guests/machine.h"
#include "nomhv/x86/guests/regions.h"
#include "nomhv/x86/platform/cpu.h"

namespace nomhv {
uint64_t GrantMoves::Shrink(uint32_t slot, uint64_t frames) {
  GuestMachine& guest = g_machine.guests[slot];
  uint64_t taken = 0;
  for (bool first = true;; first = false) {
    {
      const Held held(*dispatch_, slot);
      // From here on it can only give frames back, between two steps, too.
      if (first) SetGrantedFrames(guest, frames);
      const uint64_t held_before = guest.held_frames;
      // A kernel would run on without noticing that frames of its own are empty.
      if (guest.pc != nullptr && held_before > frames) {
        guest.End(guest.vcpus[0], NOM_EXIT_REASON_KEPT_MEMORY, held_before - frames);
      }
      if (ShrinkGuest(guest, frames, guest.seed_frames, FrameTaker::kMost) == 0) {
        TakeOfferedRegions(*dispatch_, guest, frames);
      }
      taken += held_before - guest.held_frames;
      guest.forced_frames += held_before - guest.held_frames;
      WriteGuestBoard(guest);
      if (guest.held_frames <= frames) return taken;
    }
    pulse_->Rest();
  }
}

void GrantMoves::Grow(uint32_t slot, uint64_t frames) {
  GuestMachine& guest = g_machine.guests[slot];
  // A PC takes frames itself: it knows where its kernel has use for them.
  uint64_t left = guest.pc == nullptr ? frames - guest.granted_frames : 0;
  for (bool first = true; first || left > 0; first = false) {
    {
      const Held held(*dispatch_, slot);
      if (first) SetGrantedFrames(guest, frames);
      // What it acquired itself between two steps is not given once more.
      const uint64_t holds = guest.held_frames;
      const uint64_t room = frames > holds ? frames - holds : 0;
      const uint64_t step = std::min({left, room, uint64_t{FrameTaker::kMost}});
      GrowGuest(guest, step);
      left = step == 0 ? 0 : left - step;
      WriteGuestBoard(guest);
    }
    pulse_->Rest();
  }
}

void GrantMoves::MoveDevices(const GrantPlan& plan, bool give) {
  for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
    if (!table_->at(slot).running()) continue;
    GuestMachine& guest = g_machine.guests[slot];
    const uint32_t planned = plan.granted[slot].devices;
    for (uint32_t left = give ? planned & ~guest.devices : guest.devices & ~planned; left != 0;
         left &= left - 1) {
      const auto device = static_cast<uint32_t>(std::countr_zero(left));
      while (ReadTsc() < DeviceReadyTsc(device)) pulse_->Rest();
      const Held held(*dispatch_, slot);
      give ? GiveDevice(guest, device) : TakeDevice(guest, device);
      // Whoever meets the hole finds the reason on its board.
      WriteGuestBoard(guest);
    }
  }
}

void GrantMoves::WriteBoard(uint32_t slot, const NomGrant* grant) {
  const Held held(*dispatch_, slot);
  GuestMachine& guest = g_machine.guests[slot];
  const Guest& books = table_->at(slot);
  NomGuestBoard& board = guest.board_value;
  board.millicores_granted = books.granted.millicores;
  board.frames_next = books.next.frames;
  board.millicores_next = books.next.millicores;
  board.devices_next = books.next.devices;
  if (grant != nullptr) {
    board.balance_microcredits = grant->balance_microcredits;
    board.spent_microcredits = grant->spent_microcredits;
    board.resource_count = grant->holding_count;
    std::memcpy(board.holdings, grant->holdings, sizeof(board.holdings));
  }
  WriteGuestBoard(guest);
}

void GrantMoves::Apply(const GrantPlan& plan, const NomGrants* grants, ForcedFrames& forced) {
  for (uint64_t& count : forced) count = 0;
  MoveDevices(plan, /*give=*/false);
  plan.ForEachChange(/*fewer=*/true,
                     [&](uint32_t slot, uint64_t frames) { forced[slot] = Shrink(slot, frames); });
  CommitGrants(plan, *table_);
  plan.ForEachChange(/*fewer=*/false, [&](uint32_t slot, uint64_t frames) { Grow(slot, frames); });
  MoveDevices(plan, /*give=*/true);
  dispatch_->Replan();
  for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
    if (!table_->at(slot).running()) continue;
    g_machine.guests[slot].board_value.deadline_tsc = 0;
    WriteBoard(slot, grants == nullptr ? nullptr : &grants->grants[plan.grant_of_slot[slot]]);
  }
  meters_->WriteSums();
}

void GrantMoves::Prepare(const GrantPlan& plan, const NomGrants& grants, uint64_t deadline_tsc) {
  PrepareGrants(plan, *table_);
  for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
    const Guest& books = table_->at(slot);
    if (!books.running()) continue;
    // Told is who gains or loses something; the board says the rest to whoever looks.
    const bool told = !(books.next == books.granted);
    GuestMachine& guest = g_machine.guests[slot];
    {
      const Held held(*dispatch_, slot);
      NomGuestBoard& board = guest.board_value;
      board.deadline_tsc = told ? deadline_tsc : 0;
      if (told) {
        ++board.notice_sequence;
        board.notice_round_id = grants.round_id;
      }
    }
    WriteBoard(slot, &grants.grants[plan.grant_of_slot[slot]]);
    if (!told) continue;
    // Only now: who is woken must find the notice on its board.
    const Held held(*dispatch_, slot);
    VirtualProcessor& first = guest.vcpus[0];
    static_cast<void>(first.Tell(kNewsNotice, first.notice_vector, ReadTsc()));
  }
}

}  // namespace nomhv
