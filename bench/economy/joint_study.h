// SPDX-License-Identifier: Apache-2.0
// One auction for all resources against one auction for each: published are gains of 2.5 to 50
// times (from an abstract; its bidders and its measure of gain are not known to us).
//
// Here every guest wants 1 to 6 units of every resource, in a mix of its own.

#ifndef NOM_BENCH_ECONOMY_JOINT_STUDY_H_
#define NOM_BENCH_ECONOMY_JOINT_STUDY_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"

namespace nom::economy {

enum class Need {
  kIndependent,  // A use of its own for every resource: then both ways must come to the same, which
                 // shows that nothing else differs.
  kScarcest,     // What it has least of, of what it wants, decides: half of that is half the worth.
  kWhole,        // All it wants of everything, or nothing.
};

struct JointOptions {
  uint64_t seed = 1;
  int auctions = 20;  // Of every kind; welfare is added up.
  int guests = 24;
  int64_t capacity_units = 12;  // Of every resource.
};

// How guests bid where each resource is sold by itself (mpsp, all truthful about what follows):
//  - share: in every auction the part of its worth that this quantity allows, divided by the number
//    of resources; so a guest that wins its mix never pays more than it is worth. Undivided, as if
//    the rest were won for nothing, the same guests win, and many pay more than they get;
//  - turn: one auction after the other; in each the part of its worth that what it has won so far
//    still allows, divided by the auctions that are left.
// And the cloud's way: one auction of bundles that hold one unit of everything.
struct JointResult {
  Need need = Need::kIndependent;
  bool alike = false;  // Worth is the same for all within a half; else Lomax.
  int resources = 0;
  double joint = 0;  // Welfare, credits an auction; the rest as shares of it.
  double share = 0;
  double turn = 0;
  double bundles = 0;
  // With undivided bids: of the guests that pay, how many pay more than they get.
  double losers = 0;
};

// Every need, rich and poor or alike, with 1 to 4 resources.
absl::StatusOr<std::vector<JointResult>> JointStudy(const JointOptions& options);

}  // namespace nom::economy

#endif  // NOM_BENCH_ECONOMY_JOINT_STUDY_H_
