// SPDX-License-Identifier: Apache-2.0
#include "marketd/base/status.h"

#include <cstdio>
#include <cstdlib>

namespace nom {

void Die(const char* file, int line, std::string_view message) {
  std::fprintf(stderr, "%s:%d: broken promise: %.*s\n", file, line,
               static_cast<int>(message.size()), message.data());
  std::abort();
}

}  // namespace nom
