// SPDX-License-Identifier: Apache-2.0
#include "nomhv/x86/guests/regions.h"

#include "nomhv/core/regions.h"
#include "nomhv/x86/control/dispatch.h"
#include "nomhv/x86/guests/guest_frames.h"

namespace nomhv {
namespace {

constexpr NestedFlags kShared = {/*writable=*/true, /*executable=*/false};

SpinLock g_lock;
RegionTable g_regions;

uint64_t FrameAt(RegionPlace place, uint64_t index) {
  return place.gpa() + index * NOM_FRAME_BYTES;
}

const Region* Find(std::optional<RegionPlace> place) {
  return place.has_value() ? g_regions.Find(*place) : nullptr;
}

void UnmapPeer(const Region& region) {
  GuestMachine& peer = g_machine.guests[region.peer.slot];
  uint64_t taken = 0;
  peer.tables.Clear(region.peer.gpa(), FrameAt(region.peer, region.frames),
                    [&](uint64_t) { ++taken; });
  NOMHV_CHECK(taken == region.frames, "regions: a frame is not mapped");
}

// The offerer's frames, once its peer is out.
void FreeRegion(GuestMachine& guest, RegionPlace place, uint64_t frames) {
  CountFrames(guest);
  FrameTaker taker(guest);
  taker.Take(place.gpa(), FrameAt(place, frames));
}

// No lock held: stopping a guest takes time.
void CutOff(Dispatch& dispatch, RegionPlace offerer, RegionPlace peer) {
  const Held held(dispatch, peer.slot);
  const SpinLockGuard guard(g_lock);
  const Region* const region = g_regions.Find(offerer);
  // It may have left meanwhile, and the place may be another region's.
  if (region == nullptr || region->state != Region::kCuttingOff || !(region->peer == peer)) return;
  UnmapPeer(*region);
  ForgetTranslations(g_machine.guests[peer.slot]);
  g_regions.CutOff(offerer);
}

}  // namespace

Result<uint64_t> OfferRegion(GuestMachine& guest, uint64_t peer_id, uint64_t frames, uint64_t tag) {
  if (frames == 0 || frames > NOM_REGION_FRAMES_MAX || peer_id == 0 || peer_id == guest.id) {
    return NOM_STATUS_BAD_PARAMETER;
  }
  if (guest.held_frames + frames > guest.granted_frames) return NOM_STATUS_OVER_GRANT;
  Result<RegionPlace> place = NOM_STATUS_TABLE_FULL;
  {
    const SpinLockGuard guard(g_lock);
    place = g_regions.Offer(guest.slot, guest.id, peer_id, frames, tag);
  }
  if (!place.ok()) return place.code();
  CountFrames(guest);
  uint64_t physical[NOM_REGION_FRAMES_MAX];
  const uint64_t end = FrameAt(place.value(), frames);
  static_cast<void>(FillHoles(guest, place.value().gpa(), end, frames, kShared));
  for (uint64_t i = 0; i < frames; ++i) {
    physical[i] = guest.tables.Find(FrameAt(place.value(), i))->physical;
  }
  const SpinLockGuard guard(g_lock);
  g_regions.Open(place.value(), {physical, frames});
  return place.value().gpa();
}

Result<uint64_t> AcceptRegion(GuestMachine& guest, uint64_t offerer_id, uint64_t frames,
                              uint64_t tag) {
  const SpinLockGuard guard(g_lock);
  const Result<RegionPlace> place = g_regions.Accept(guest.slot, guest.id, offerer_id, frames, tag);
  if (!place.ok()) return place.code();
  for (uint64_t i = 0; i < frames; ++i) {
    const uint64_t physical = g_regions.Find(place.value())->physical[i];
    const Status status = guest.tables.Map(FrameAt(place.value(), i), physical, kShared);
    NOMHV_CHECK(status.ok(), "regions: a place is taken or has no table");
  }
  return place.value().gpa();
}

Result<uint64_t> LeaveRegion(GuestMachine& guest, uint64_t gpa) {
  const std::optional<RegionPlace> place = RegionPlace::At(guest.slot, gpa);
  uint64_t frames = 0;
  {
    const SpinLockGuard guard(g_lock);
    const Region* const region = Find(place);
    if (region == nullptr) return NOM_STATUS_NO_SUCH_REGION;
    frames = region->frames;
    if (region->offerer == *place) {
      if (!g_regions.Leave(*place)) return uint64_t{NOM_LEAVE_CUTTING_OFF};
    } else {
      UnmapPeer(*region);
      frames = 0;
    }
  }
  if (frames != 0) {
    FreeRegion(guest, *place, frames);
    return uint64_t{NOM_LEAVE_DONE};
  }
  // Without the lock, which another of the guest's processors may be waiting for. The region stays
  // shared meanwhile, and its frames where they are.
  ForgetTranslations(guest);
  const SpinLockGuard guard(g_lock);
  static_cast<void>(g_regions.Leave(*place));
  return uint64_t{NOM_LEAVE_DONE};
}

Result<uint64_t> RegionState(const GuestMachine& guest, uint64_t gpa) {
  const SpinLockGuard guard(g_lock);
  const Region* const region = Find(RegionPlace::At(guest.slot, gpa));
  if (region == nullptr) return NOM_STATUS_NO_SUCH_REGION;
  if (region->shared()) return uint64_t{NOM_REGION_SHARED};
  return uint64_t{region->state == Region::kLeft ? NOM_REGION_LEFT : NOM_REGION_OFFERED};
}

Status RingRegion(const GuestMachine& guest, uint64_t gpa) {
  const SpinLockGuard guard(g_lock);
  const Region* const region = Find(RegionPlace::At(guest.slot, gpa));
  if (region == nullptr) return NOM_STATUS_NO_SUCH_REGION;
  if (!region->shared()) return NOM_STATUS_BAD_STATE;
  const RegionPlace& other = region->offerer.slot == guest.slot ? region->peer : region->offerer;
  VirtualProcessor& told = g_machine.guests[other.slot].vcpus[0];
  if (told.Tell(kNewsRing, told.notice_vector.load(std::memory_order_acquire), ReadTsc())) {
    WakeProcessorsOf(told);
  }
  return {};
}

void CutOffNext(Dispatch& dispatch) {
  RegionPlace offerer;
  RegionPlace peer;
  {
    const SpinLockGuard guard(g_lock);
    const Region* const next = g_regions.NextToCutOff();
    if (next == nullptr) return;
    offerer = next->offerer;
    peer = next->peer;
  }
  CutOff(dispatch, offerer, peer);
}

void TakeOfferedRegions(Dispatch& dispatch, GuestMachine& guest, uint64_t frames) {
  for (uint32_t i = 0; i < NOM_REGIONS_MAX && guest.held_frames > frames; ++i) {
    const RegionPlace place = {guest.slot, i};
    uint64_t region_frames = 0;
    RegionPlace peer;
    bool done = false;
    {
      const SpinLockGuard guard(g_lock);
      const Region* const region = g_regions.Find(place);
      if (region == nullptr || !(region->offerer == place)) continue;
      region_frames = region->frames;
      peer = region->peer;
      done = g_regions.Leave(place);
    }
    if (!done) {
      CutOff(dispatch, place, peer);
      const SpinLockGuard guard(g_lock);
      NOMHV_CHECK(g_regions.Leave(place), "regions: somebody still shares it");
    }
    FreeRegion(guest, place, region_frames);
  }
}

void LeaveAcceptedRegions(GuestMachine& guest) {
  const SpinLockGuard guard(g_lock);
  for (uint32_t i = 0; i < NOM_REGIONS_MAX; ++i) {
    const RegionPlace place = {guest.slot, i};
    const Region* const region = g_regions.Find(place);
    if (region == nullptr || region->offerer == place) continue;
    UnmapPeer(*region);
    ForgetTranslations(guest);
    static_cast<void>(g_regions.Leave(place));
  }
}

}  // namespace nomhv
