// SPDX-License-Identifier: Apache-2.0
// Panic for hosted tests.

#include <cstdio>
#include <cstdlib>

#include "nomhv/core/assert.h"

namespace nomhv {

void Panic(const char* message, const char* file, int line) {
  std::fprintf(stderr, "nomhv panic: %s (%s:%d)\n", message, file, line);
  std::abort();
}

}  // namespace nomhv
