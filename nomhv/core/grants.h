// Changing all grants at once. A set of grants is checked whole, against seeds, windows and
// capacity, before any of it is done; what comes out is the order in which to do it: first every
// shrink, then every growth, so that the sum never exceeds the machine at any instant.

#ifndef NOMHV_CORE_GRANTS_H_
#define NOMHV_CORE_GRANTS_H_

#include <cstdint>

#include "nomhv/abi/mailbox.h"
#include "nomhv/core/guests.h"

namespace nomhv {

// One guest's change of frames. Guests whose frames stay are not listed.
struct FrameChange {
  uint32_t slot = 0;
  uint64_t from_frames = 0;
  uint64_t to_frames = 0;
};

struct GrantPlan {
  uint32_t change_count = 0;
  uint32_t shrink_count = 0;  // The first so many changes shrink; the rest grow.
  FrameChange changes[GuestTable::kSlots];
  Amounts granted[GuestTable::kSlots];         // By slot, for every running guest.
  uint32_t grant_of_slot[GuestTable::kSlots];  // Index into NomGrants::grants, likewise.
};

// Why a set was refused, and the first guest that is to blame; 0 when it is the set as a whole.
struct GrantVerdict {
  NomStatus status = NOM_STATUS_OK;
  uint64_t offender_id = 0;
};

// Checks a copy of marketd's set and fills `plan`; changes nothing else.
//   BAD_PARAMETER  too many grants or holdings, a guest twice, a running guest left out, frames
//                  above the window, more millicores than one processor, or a device that is
//                  not there
//   NO_SUCH_GUEST  names a guest that does not exist
//   CRASHED        names a guest that has ended, and is to be left out
//   BELOW_SEED     of frames or millicores
//   OVER_CAPACITY  the sum of all grants (offender: the guest whose grant first exceeded it); two
//                  guests that hold one device
[[nodiscard]] GrantVerdict PlanGrants(const GuestTable& guests, const NomGrants& grants,
                                      GrantPlan& plan);

// The books: makes a plan's grants the ones in force, or (prepared) the ones to come.
void CommitGrants(const GrantPlan& plan, GuestTable& guests);
void PrepareGrants(const GrantPlan& plan, GuestTable& guests);

}  // namespace nomhv

#endif  // NOMHV_CORE_GRANTS_H_
