// SPDX-License-Identifier: Apache-2.0
// What work costs in processor cycles, learned while it runs.

#ifndef CLIENT_EXAMPLES_GUESTS_COMMON_WORK_METER_H_
#define CLIENT_EXAMPLES_GUESTS_COMMON_WORK_METER_H_

#include <cstdint>

#include "client/guest/calls.h"

namespace nom::examples {

// Begin(), do some pieces of work, End(pieces); EndRound() once a round. Counts by nomhv's meter,
// so that time during which the guest did not run costs nothing. One exit for each Begin and End.
class WorkMeter {
 public:
  // `nomhv` outlives the meter.
  explicit WorkMeter(guest::Nomhv* nomhv) : nomhv_(nomhv) {}

  void Begin() { began_ = Cycles(); }
  // The cycles since Begin(); 0 if nothing was done.
  uint64_t End(uint64_t pieces) {
    if (pieces == 0) return 0;
    const uint64_t now = Cycles();
    if (now <= began_) return 0;  // A meter never goes back; a broken one teaches nothing.
    spent_ += now - began_;
    pieces_ += pieces;
    return now - began_;
  }

  // Rounds count half as much with each round that follows. All pieces of a round weigh the same,
  // so that a few dear ones (the first, an interrupted one) do not set the price.
  void EndRound() {
    if (pieces_ > 0) cost_ = spent_ / pieces_ > 0 ? spent_ / pieces_ : 1;
    spent_ /= 2;
    pieces_ /= 2;
  }

  // Of one piece; 0 until the first round with work has ended.
  uint64_t cycles() const { return cost_; }

 private:
  uint64_t Cycles() {
    const guest::CallResult used = nomhv_->Query(NOM_QUERY_CYCLES_USED);
    return used.ok() ? used.value : nomhv_->Tsc();
  }

  guest::Nomhv* nomhv_;
  uint64_t began_ = 0;
  uint64_t spent_ = 0;
  uint64_t pieces_ = 0;
  uint64_t cost_ = 0;
};

}  // namespace nom::examples

#endif  // CLIENT_EXAMPLES_GUESTS_COMMON_WORK_METER_H_
