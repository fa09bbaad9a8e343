// SPDX-License-Identifier: Apache-2.0
// Memory that guests share (core/regions.h), on the machine: the calls, and what control alone can.

#ifndef NOMHV_X86_GUESTS_REGIONS_H_
#define NOMHV_X86_GUESTS_REGIONS_H_

#include <cstdint>

#include "nomhv/core/result.h"
#include "nomhv/x86/guests/guest_machine.h"

namespace nomhv {

class Dispatch;

// The calls of the same names, on the guest's own processor. Offer zeroes what it lays out: the
// longest call that is done in one step.
Result<uint64_t> OfferRegion(GuestMachine& guest, uint64_t peer_id, uint64_t frames, uint64_t tag);
Result<uint64_t> AcceptRegion(GuestMachine& guest, uint64_t offerer_id, uint64_t frames,
                              uint64_t tag);
Result<uint64_t> LeaveRegion(GuestMachine& guest, uint64_t gpa);
Result<uint64_t> RegionState(const GuestMachine& guest, uint64_t gpa);
Status RingRegion(const GuestMachine& guest, uint64_t gpa);

// The control processor's, all three. One guest that is to be cut off from a region is: one a turn,
// so that guests who share and leave all the time cost the others next to nothing.
void CutOffNext(Dispatch& dispatch);
// Takes the regions that the guest offers until it holds no more than `frames`. It runs nowhere.
void TakeOfferedRegions(Dispatch& dispatch, GuestMachine& guest, uint64_t frames);
// Then, at a guest's end: it leaves what it has accepted.
void LeaveAcceptedRegions(GuestMachine& guest);

}  // namespace nomhv

#endif  // NOMHV_X86_GUESTS_REGIONS_H_
