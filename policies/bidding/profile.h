// SPDX-License-Identifier: Apache-2.0
// A profile: how a program performs at each setting of its knobs, measured before it is needed.
//
//   for each knob and load: throughput, latency, jitter, and the units that it takes
//
// What that is worth depends on the utility and on the load of today, so working points are made of
// it anew when either moves; when only prices move, the table's BestAt is all there is to do.
//
// No allocation, no exceptions, no floating point, no C++ library. Pure; any thread.

#ifndef NOM_POLICIES_BIDDING_PROFILE_H_
#define NOM_POLICIES_BIDDING_PROFILE_H_

#include "policies/bidding/utility.h"
#include "policies/bidding/working_points.h"

namespace nom::policies {

struct ProfilePoint {
  int64_t knob = 0;  // The program's own name for the setting.
  // What was offered when this was measured, in kbit/s. The same few loads for all knobs; 0
  // everywhere if the load makes no difference but to how much is asked for.
  int64_t load_kbps = 0;
  Performance performance;
  int64_t units[kPointResourcesMax] = {};  // Beyond the seed.
};

// At the same load it needs no more of anything, and performs no worse: throughput, latency,
// jitter. Whatever the utility, and whatever the prices, nobody misses `b`.
bool Dominates(const ProfilePoint& a, const ProfilePoint& b);

// Drops every point that another one dominates (of equals, all but the first), keeps the others in
// their order, and returns how many are left.
int DropDominated(ProfilePoint* points, int count);

// The table holds afterwards what each setting is worth for a round of `round_us` with so much
// offered. The measurements at the smallest load not below `offered_kbps` count, or if there is
// none, at the largest: a busier hour than today's, if in doubt. Nobody is served more than is
// offered. Errors: the first of Add; what was added before it stays.
PointError FillTable(const ProfilePoint* points, int count, const Utility& utility,
                     int64_t offered_kbps, int64_t round_us, WorkingPointTable& table);

// The parts of it. The value of one setting:
Microcredits ValueOf(const Performance& performance, const Utility& utility, int64_t offered_kbps,
                     int64_t round_us);
// Adds one, whatever load it was measured at.
PointError AddPoint(const ProfilePoint& point, const Utility& utility, int64_t offered_kbps,
                    int64_t round_us, WorkingPointTable& table);

}  // namespace nom::policies

#endif  // NOM_POLICIES_BIDDING_PROFILE_H_
