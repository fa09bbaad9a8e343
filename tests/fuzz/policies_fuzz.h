// SPDX-License-Identifier: Apache-2.0
// What a fuzzer calls. Each aborts if a promise is broken and otherwise takes any bytes.

#ifndef NOM_TESTS_FUZZ_POLICIES_FUZZ_H_
#define NOM_TESTS_FUZZ_POLICIES_FUZZ_H_

#include <cstddef>
#include <cstdint>

namespace nom::policies {

// Bytes as an auction: validation, every rule against its referee, the fallback chain.
void FuzzAuction(const uint8_t* data, size_t size);

// Bytes as one bid: validation against a second reading of what range.h says.
void FuzzBid(const uint8_t* data, size_t size);

// Bytes as the text of an auction, or of a case with one: what parses survives the round trip.
void FuzzText(const uint8_t* data, size_t size);

}  // namespace nom::policies

#endif  // NOM_TESTS_FUZZ_POLICIES_FUZZ_H_
