// SPDX-License-Identifier: Apache-2.0
// What the control processor does all the time, also in the middle of long work: the heart beats,
// the log drains, bid pages and meters reach the mailbox. Who works in steps calls Rest in between.

#ifndef NOMHV_X86_CONTROL_PULSE_H_
#define NOMHV_X86_CONTROL_PULSE_H_

#include <cstdint>

#include "nomhv/core/guests.h"
#include "nomhv/core/mailbox.h"
#include "nomhv/x86/control/meters.h"

namespace nomhv {

class Pulse {
 public:
  // `mailbox` may be null. All outlive it.
  Pulse(const GuestTable* table, Mailbox* mailbox, Meters* meters)
      : table_(table), mailbox_(mailbox), meters_(meters) {}

  // Does what is due; cheap when nothing is.
  void Beat();

  // Between two steps, no guest held: beats, and where control shares its only processor with
  // guests, lets them run for most of the time.
  void Rest();

 private:
  void CopyBids();
  void TellLostLines();

  const GuestTable* table_;
  Mailbox* mailbox_;
  Meters* meters_;
  uint64_t next_beat_tsc_ = 0;
  uint64_t next_rest_tsc_ = 0;
  uint64_t next_meters_tsc_ = 0;
  uint64_t next_bids_tsc_ = 0;
  uint64_t next_lost_tsc_ = 0;
  uint64_t lost_told_[GuestTable::kSlots] = {};
};

}  // namespace nomhv

#endif  // NOMHV_X86_CONTROL_PULSE_H_
