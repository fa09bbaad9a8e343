// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/policies_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  nom::policies::FuzzBid(data, size);
  return 0;
}
