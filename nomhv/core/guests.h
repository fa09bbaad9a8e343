// SPDX-License-Identifier: Apache-2.0
// The table of guests: who exists, what each was promised, what each is granted. Admission and
// grants are decided here, before anything is done to the machine. Not thread-safe: only the
// processor that serves the mailbox writes it.
//
// All grants change at once. A set of grants is checked whole, against seeds, windows and capacity,
// before any of it is done. Whoever does it shrinks first and grows then, so that the sum never
// exceeds the machine at any instant.

#ifndef NOMHV_CORE_GUESTS_H_
#define NOMHV_CORE_GUESTS_H_

#include <cstdint>
#include <utility>

#include "nomhv/abi/guest.h"
#include "nomhv/abi/mailbox.h"
#include "nomhv/core/result.h"

namespace nomhv {

inline constexpr uint64_t kMillicoresPerProcessor = 1000;

// Frames, processor time and devices: what a machine has, or what guests hold of it.
struct Amounts {
  uint64_t frames = 0;
  uint64_t millicores = 0;
  uint32_t devices = 0;  // A bit each.

  friend constexpr bool operator==(const Amounts&, const Amounts&) = default;
};

struct Guest {
  bool exists = false;  // From CREATE to DESTROY, ended or not.
  bool ended = false;   // Then seed and grants are 0.

  [[nodiscard]] bool running() const { return exists && !ended; }

  uint64_t id = 0;
  uint64_t window_frames = 0;
  uint64_t virtual_processors = 1;
  Amounts seed;
  Amounts granted;  // seed <= granted; frames <= window_frames.
  Amounts next;     // As the last PREPARE said; equal to granted when none is open.
};

class GuestTable {
 public:
  static constexpr uint32_t kSlots = NOM_GUESTS_MAX;

  explicit GuestTable(Amounts capacity) : capacity_(capacity) {}

  // Checks `create`, a copy of marketd's, and takes a slot for it with the seed as its grant.
  // BAD_PARAMETER: id 0, no seed frames, seed above the window, window above NOM_WINDOW_FRAMES_MAX,
  // no virtual processor or more than NOM_VIRTUAL_PROCESSORS_MAX, more millicores than they can
  // use, or a name or arguments without a terminating zero. EXISTS.
  // TABLE_FULL. OVER_CAPACITY: the seed does not fit beside the present grants.
  Result<uint32_t> Admit(const NomCreate& create, uint64_t virtual_processors = 1);

  // The guest runs no more: its grant, seed included, is free again; its id stays taken until
  // Remove. A slot without a running guest is a broken promise.
  void End(uint32_t slot);

  // Forgets the guest of a slot and frees its grant. A slot without a guest is a broken promise.
  void Remove(uint32_t slot);

  // NO_SUCH_GUEST.
  [[nodiscard]] Result<uint32_t> Find(uint64_t id) const;

  [[nodiscard]] const Guest& at(uint32_t slot) const;
  [[nodiscard]] Guest& at(uint32_t slot) {
    return const_cast<Guest&>(std::as_const(*this).at(slot));
  }
  [[nodiscard]] uint32_t count() const { return count_; }
  [[nodiscard]] const Amounts& capacity() const { return capacity_; }
  // The sum of all grants: never above capacity.
  [[nodiscard]] Amounts granted() const;

 private:
  Amounts capacity_;
  uint32_t count_ = 0;
  Guest guests_[kSlots];
};

// A virtual processor's number among all: its guest's slot, and which of the guest's it is.
inline constexpr uint32_t kVcpus = GuestTable::kSlots * NOM_VIRTUAL_PROCESSORS_MAX;
constexpr uint32_t VcpuIndex(uint32_t slot, uint32_t number) {
  return slot * NOM_VIRTUAL_PROCESSORS_MAX + number;
}

struct GrantPlan {
  // By slot, for every running guest.
  uint64_t from_frames[GuestTable::kSlots];
  Amounts granted[GuestTable::kSlots];
  uint32_t grant_of_slot[GuestTable::kSlots];  // Index into NomGrants::grants.

  // Calls `move(slot, frames)` for each guest that is to have fewer frames, or more; fewer first.
  template <typename Move>
  void ForEachChange(bool fewer, Move&& move) const {
    for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
      const uint64_t frames = granted[slot].frames;
      if (frames != from_frames[slot] && (frames < from_frames[slot]) == fewer) move(slot, frames);
    }
  }
};

// Why a set was refused, and the first guest that is to blame; 0 when it is the set as a whole.
struct GrantVerdict {
  NomStatus status = NOM_STATUS_OK;
  uint64_t offender_id = 0;
};

// Checks a copy of marketd's set and fills `plan`; changes nothing else.
//   BAD_PARAMETER  too many grants or holdings, a guest twice, a running guest left out, frames
//                  above the window, more millicores than its virtual processors can use, or a
//                  device that is not there
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

#endif  // NOMHV_CORE_GUESTS_H_
