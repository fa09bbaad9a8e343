// SPDX-License-Identifier: Apache-2.0
// What one odd input costs the joint rule: beside each median the slowest of a hundred auctions,
// auctions with one thing changed beside the plain one, and what a counted step costs by route.

#ifndef NOM_BENCH_POLICIES_JOINT_CLIFFS_H_
#define NOM_BENCH_POLICIES_JOINT_CLIFFS_H_

namespace nom::policies {

void SlowestOfAHundred();
void Cliffs();
void StepsByRoute();

}  // namespace nom::policies

#endif  // NOM_BENCH_POLICIES_JOINT_CLIFFS_H_
