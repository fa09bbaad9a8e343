// What work costs in processor cycles, learned while it runs.

#ifndef CLIENT_EXAMPLES_GUESTS_COMMON_WORK_METER_H_
#define CLIENT_EXAMPLES_GUESTS_COMMON_WORK_METER_H_

#include <cstdint>

#include "client/guest/calls.h"

namespace nom::examples {

// Begin(), do some pieces of work, End(pieces). Counts by nomhv's meter, so that time during which
// the guest did not run costs nothing. One exit for each Begin and End.
class WorkMeter {
 public:
  // `nomhv` outlives the meter.
  explicit WorkMeter(guest::Nomhv* nomhv) : nomhv_(nomhv) {}

  void Begin() { began_ = Cycles(); }
  void End(uint64_t pieces) {
    if (pieces == 0) return;
    const uint64_t now = Cycles();
    if (now <= began_) return;  // A meter never goes back; a broken one teaches nothing.
    const uint64_t sample = (now - began_) / pieces;
    average_ = average_ == 0 ? sample : (average_ * 7 + sample) / 8;
    if (average_ == 0) average_ = 1;
  }

  // Of one piece; 0 while nothing has been measured.
  uint64_t cycles() const { return average_; }

 private:
  uint64_t Cycles() {
    const guest::CallResult used = nomhv_->Query(NOM_QUERY_CYCLES_USED);
    return used.ok() ? used.value : nomhv_->Tsc();
  }

  guest::Nomhv* nomhv_;
  uint64_t began_ = 0;
  uint64_t average_ = 0;
};

}  // namespace nom::examples

#endif  // CLIENT_EXAMPLES_GUESTS_COMMON_WORK_METER_H_
