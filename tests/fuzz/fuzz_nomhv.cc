// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/nomhv_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  nomhv::FuzzNomhv(data, size);
  return 0;
}
