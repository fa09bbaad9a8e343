// SPDX-License-Identifier: Apache-2.0
// What a fuzzer calls for the joint rule. Each aborts if a promise is broken and otherwise takes
// any bytes.

#ifndef NOM_TESTS_FUZZ_JOINT_FUZZ_H_
#define NOM_TESTS_FUZZ_JOINT_FUZZ_H_

#include <cstddef>
#include <cstdint>

namespace nom::policies {

// Bytes as a joint auction: validation, text, the joint rule with any budget of work, and where the
// auction is small enough against exhaustive search. True if it was.
bool FuzzJointAuction(const uint8_t* data, size_t size);

// Bytes as the text of a joint auction, or of a case with one: what parses survives the round trip.
void FuzzJointText(const uint8_t* data, size_t size);

}  // namespace nom::policies

#endif  // NOM_TESTS_FUZZ_JOINT_FUZZ_H_
