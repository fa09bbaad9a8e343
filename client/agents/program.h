// SPDX-License-Identifier: Apache-2.0
// A program that was never written for prices, as its agent sees it.

#ifndef CLIENT_AGENTS_PROGRAM_H_
#define CLIENT_AGENTS_PROGRAM_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace nom::agents {

// Counted up since the program began; counts that fall mean that it began anew.
struct Work {
  uint64_t done = 0;     // What is worth money: hits, requests answered.
  uint64_t offered = 0;  // What could have been done: lookups, requests.
};

// Not thread-safe.
class Program {
 public:
  virtual ~Program() = default;

  // Makes the program live in `bytes` of memory, all that it uses counted, or tries to until
  // `timeout` is over. The host looks at what is used, never at what is said here. Errors: what
  // went wrong, in one sentence; what was given back so far stays given back.
  virtual absl::Status Resize(int64_t bytes, absl::Duration timeout) = 0;

  // Called some times a second while the size stays: brings back one that grew by itself. Errors as
  // above.
  virtual absl::Status Keep([[maybe_unused]] int64_t bytes) { return absl::OkStatus(); }

  virtual absl::StatusOr<Work> ReadWork() = 0;
};

}  // namespace nom::agents

#endif  // CLIENT_AGENTS_PROGRAM_H_
