// SPDX-License-Identifier: Apache-2.0
// The requests that the cache serves: a few keys are asked for much more often than the rest, and
// which ones, how many and how fast changes with the phase.

#ifndef CLIENT_EXAMPLES_GUESTS_CACHE_LOAD_H_
#define CLIENT_EXAMPLES_GUESTS_CACHE_LOAD_H_

#include <array>
#include <cstdint>

#include "client/examples/guests/common/integers.h"

namespace nom::examples {

class Load {
 public:
  static constexpr uint32_t kKeysMax = 16384;

  // Keys 0 to keys - 1; 1 <= keys <= kKeysMax. `rate` is the mean over phases, per second.
  Load(uint32_t keys, uint64_t rate, uint64_t seed);

  // The next request's key. Popularity falls as 1 / rank (Zipf).
  uint32_t Next();

  // Draws the next phase: rate, how many keys are in use, which of them are popular.
  void NextPhase();

  uint64_t rate() const { return rate_; }  // Requests a second in this phase.
  uint32_t active_keys() const { return active_; }

 private:
  uint32_t keys_;
  uint64_t mean_rate_;
  Random random_;
  uint64_t rate_ = 0;
  uint32_t active_ = 0;                        // Ranks in use.
  uint32_t shift_ = 0;                         // Which key has the first rank.
  std::array<uint32_t, kKeysMax> below_ = {};  // Weights of all ranks up to this one.
};

}  // namespace nom::examples

#endif  // CLIENT_EXAMPLES_GUESTS_CACHE_LOAD_H_
