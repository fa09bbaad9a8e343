// SPDX-License-Identifier: Apache-2.0
// Who is on the simulated host and what memory is worth to them, round by round.
//
// A guest has a working set, a curve of performance against units, a worth (what full performance
// at full load is worth to it for one round) and a load. Loads jitter from round to round and jump
// when a phase of the program ends; then the working set may change too. Guests leave and others,
// richer or poorer, come in their place. All from one seed.
//
// No guest is omniscient: bids close before a round begins, so a guest bids what units were worth
// in the round before (`believed`), and what it wins is worth what the new round makes of it
// (`now`).

#ifndef NOM_BENCH_ECONOMY_WORKLOAD_H_
#define NOM_BENCH_ECONOMY_WORKLOAD_H_

#include <cstdint>
#include <vector>

#include "bench/economy/random.h"
#include "bench/economy/valuation.h"
#include "policies/clearing/auction.h"

namespace nom::economy {

inline constexpr int64_t kPpm = 1'000'000;  // Parts per million: shares, loads, performance.

enum class Curve {
  kDiminishing,  // x / (x + k): every unit helps a little less than the one before.
  kHits,         // A cache: popular items first, then nothing until a loop fits, then a cliff.
  kSteps,        // Working points: one to three quantities with which the program runs at all.
};

struct WorkloadOptions {
  uint64_t seed = 1;
  int guests = 64;
  int64_t capacity_units = 1'024;
  // What all guests' working sets together are expected to be, in parts per million of the
  // capacity.
  int64_t pressure_ppm = 3 * kPpm;
  // Working sets lie between the mean / spread and the mean * spread, about; 1: all are alike.
  int64_t spread = 4;
  // How many of 100 guests have which curve; the rest are steps.
  int diminishing_percent = 40;
  int hits_percent = 30;
  // Worth rises with the square of the performance: half the speed is worth a quarter.
  bool square = false;
  // Worth a round is Lomax with this scale; its mean is 6.2 times that.
  Microcredits worth_scale_microcredits = 10'000'000;
  bool equal_worth = false;     // Instead, everybody's worth is the Lomax mean.
  int64_t phase_rounds = 20;    // A phase lasts so long on average; 0: for ever, and no jitter.
  int64_t stay_rounds = 1'000;  // A guest stays so long on average; 0: for ever.
  bool foresight = false;       // Guests know the coming round: `believed` is `now`.
};

struct Guest {
  policies::GuestId id = 0;  // Of this guest, not of its place: whoever comes after has another.
  Curve curve = Curve::kDiminishing;
  Valuation now;
  Valuation believed;
  // What the host can measure without asking, as it was in the round before: how many units the
  // guest would touch, and how many requests a second would hit (as "value"); nothing about worth.
  int64_t used_units = 0;
  Valuation hits;
};

class Workload {
 public:
  explicit Workload(const WorkloadOptions& options);

  // One round on. guests() has options.guests elements, in places that stay.
  void Next();
  const std::vector<Guest>& guests() const { return guests_; }

 private:
  struct Known {
    Valuation worth;
    Valuation hits;
  };
  struct Inside {  // What makes a guest's curves.
    Random random{0};
    Microcredits worth = 0;
    int64_t working_set_units = 0;  // Of its life; phases vary it.
    int64_t shape = 0;              // A number that the curve makes of what it likes.
    int64_t load_ppm = 0;
    int64_t phase_units = 0;
    Known last;  // What was true in the round before.
  };

  void Arrive(size_t place);
  void NewPhase(Inside& inside, bool also_size) const;
  // Sets what the guest knows from now on: `load_ppm` is of this round alone.
  void Update(size_t place, int64_t load_ppm, bool arriving);

  WorkloadOptions options_;
  Random random_;
  policies::GuestId next_id_ = 1;
  std::vector<Guest> guests_;
  std::vector<Inside> insides_;
};

}  // namespace nom::economy

#endif  // NOM_BENCH_ECONOMY_WORKLOAD_H_
