// SPDX-License-Identifier: Apache-2.0
// What each guest was given and used, as marketd reads it: the meters in the mailbox, and the
// round's, read at one instant.

#ifndef NOMHV_X86_CONTROL_METERS_H_
#define NOMHV_X86_CONTROL_METERS_H_

#include <cstdint>

#include "nomhv/core/guests.h"
#include "nomhv/core/mailbox.h"

namespace nomhv {

// Frames taken by force in one APPLY, by slot.
using ForcedFrames = uint64_t[GuestTable::kSlots];

// The control processor only.
class Meters {
 public:
  // `mailbox` may be null: then nobody reads them. Both outlive it.
  Meters(const GuestTable* table, Mailbox* mailbox) : table_(table), mailbox_(mailbox) {}

  // A new guest's begins at zero.
  void Begin(uint32_t slot) { last_[slot] = {}; }
  // Reads a guest's for the last time, while its processors' books are still its own.
  void ReadLast(uint32_t slot) { Fill(slot); }
  // The guest has ended and holds nothing; its counters stay.
  void WriteEnded(uint32_t slot);
  // The slot is free.
  void Clear(uint32_t slot);

  void Write(uint32_t slot);
  void WriteAll();
  void WriteRound(uint64_t round_id, const ForcedFrames& forced);
  // The sums of grants in the header.
  void WriteSums();

 private:
  void Fill(uint32_t slot);

  const GuestTable* table_;
  Mailbox* mailbox_;
  NomMeter last_[GuestTable::kSlots] = {};  // So that no counter goes back.
  NomRoundMeters round_{};                  // Too big for the stack.
};

}  // namespace nomhv

#endif  // NOMHV_X86_CONTROL_METERS_H_
