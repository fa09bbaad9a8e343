// SPDX-License-Identifier: Apache-2.0
#include "nomhv/x86/control/guest_life.h"

#include <algorithm>
#include <bit>

#include "nomhv/core/status_text.h"
#include "nomhv/x86/guests/devices.h"
#include "nomhv/x86/guests/guest_frames.h"
#include "nomhv/x86/guests/machine.h"
#include "nomhv/x86/guests/regions.h"
#include "nomhv/x86/pc/pc.h"
#include "nomhv/x86/platform/log.h"

namespace nomhv {
Result<uint32_t> GuestLife::Create(const NomCreate& create, uint64_t virtual_processors,
                                   std::span<const std::byte> image, NomImageFault& fault,
                                   const PcBoot& pc) {
  fault = NOM_IMAGE_FAULT_NONE;
  const Result<uint32_t> slot = p_.table->Admit(create, virtual_processors);
  if (!slot.ok()) return slot;
  GuestMachine& guest = g_machine.guests[slot.value()];
  for (uint32_t i = 0; i < NOM_VIRTUAL_PROCESSORS_MAX; ++i) {
    g_machine.accounts[VcpuIndex(slot.value(), i)].Reset();
  }
  p_.meters->Begin(slot.value());
  LoadPlan plan;
  Status status = BuildGuest(guest, slot.value(), create, static_cast<uint32_t>(virtual_processors),
                             image, reinterpret_cast<uint64_t>(p_.machine_board), plan, fault);
  if (status.ok()) status = BuildPc(guest, pc, plan, fault);
  if (!status.ok()) {
    p_.table->Remove(slot.value());
    return status.code();
  }
  while (!FollowsGrant(guest) && guest.held_frames < create.seed_frames) {
    GrowGuest(guest, std::min<uint64_t>(create.seed_frames - guest.held_frames, FrameTaker::kMost));
    p_.pulse->Rest();
  }
  const auto rest = [&] { p_.pulse->Rest(); };
  for (uint32_t i = 0; i < plan.segment_count; ++i) {
    LoadInSteps(guest, image, plan.segments[i], rest);
  }
  LoadPc(guest, pc, rest);
  StartGuest(guest, create, plan);
  if (p_.mailbox != nullptr) p_.mailbox->ClearBids(slot.value());
  p_.moves->WriteBoard(slot.value(), nullptr);
  p_.dispatch->Replan();
  Log(LogLevel::kInfo, "guest ", create.guest_id, " ", QuotedName{guest.name_view()},
      " started: ", create.seed_frames, " of ", create.window_frames, " frames, ",
      create.seed_millicores, " millicores, ", virtual_processors, " processors");
  p_.meters->WriteSums();
  return slot;
}

bool GuestLife::Ended(uint32_t slot) const {
  return p_.table->at(slot).running() &&
         g_machine.guests[slot].ended.load(std::memory_order_acquire);
}

void GuestLife::Bury(uint32_t slot) {
  GuestMachine& guest = g_machine.guests[slot];
  {
    const Held held(*p_.dispatch, slot);
    p_.meters->ReadLast(slot);
    guest.alive.store(false, std::memory_order_release);
    for (; guest.devices != 0;) {
      TakeDevice(guest, static_cast<uint32_t>(std::countr_zero(guest.devices)));
    }
  }
  // No processor runs it from here on.
  LeaveAcceptedRegions(guest);
  TakeOfferedRegions(*p_.dispatch, guest, 0);
  while (ShrinkGuest(guest, 0, 0, FrameTaker::kMost) > 0) p_.pulse->Rest();
  UnbuildGuest(guest);
}

void GuestLife::End(uint32_t slot) {
  const GuestMachine& guest = g_machine.guests[slot];
  Log(LogLevel::kInfo, "guest ", guest.id, " ", QuotedName{guest.name_view()},
      " ended: ", ExitReasonName(guest.exit_reason), " detail ", Hex{guest.exit_detail}, " rip ",
      Hex{guest.exit_rip});
  Bury(slot);
  p_.table->End(slot);
  p_.dispatch->Replan();
  p_.meters->WriteEnded(slot);
  p_.meters->WriteSums();
}

void GuestLife::Remove(uint32_t slot) {
  if (p_.table->at(slot).running()) {
    const uint64_t id = p_.table->at(slot).id;
    Bury(slot);
    Log(LogLevel::kInfo, "guest ", id, " destroyed");
  }
  p_.table->Remove(slot);
  p_.dispatch->Replan();
  p_.meters->Clear(slot);
  if (p_.mailbox != nullptr) p_.mailbox->ClearBids(slot);
  p_.meters->WriteSums();
}

}  // namespace nomhv
