// SPDX-License-Identifier: Apache-2.0
#include "client/src/session_send.h"

#include <random>

#include "absl/strings/str_format.h"

namespace nom::client {

// 128 bits in hex that no other process draws: the market keeps ids for ever, so they come from the
// system, whatever chance the program handed in.
std::string RequestIdOf(const CallOptions& options) {
  if (!options.request_id.empty()) return options.request_id;
  std::random_device device;
  std::string id;
  for (int i = 0; i < 4; ++i) absl::StrAppendFormat(&id, "%08x", device());
  return id;
}

}  // namespace nom::client
