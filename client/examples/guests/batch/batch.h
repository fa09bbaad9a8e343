// SPDX-License-Identifier: Apache-2.0
// A batch job: hashes its way through a list of blocks, and buys processor time as long as a block
// earns more than the time to hash it costs.

#ifndef CLIENT_EXAMPLES_GUESTS_BATCH_BATCH_H_
#define CLIENT_EXAMPLES_GUESTS_BATCH_BATCH_H_

#include <array>
#include <cstdint>
#include <string_view>

#include "client/examples/guests/batch/sha256.h"
#include "client/examples/guests/common/work_meter.h"
#include "client/guest/calls.h"
#include "client/guest/clock.h"
#include "client/guest/console.h"
#include "client/guest/market.h"
#include "client/guest/start.h"
#include "client/guest/text.h"
#include "policies/bidding/curve.h"

namespace nom::examples {

class Batch {
 public:
  static constexpr size_t kBlockBytes = 4096;

  struct Settings {
    int64_t block_value = 50;  // Micro-credits for a hashed block.
    int64_t blocks = 0;        // The length of the list; 0: it has no end.
    int64_t budget = 0;        // Micro-credits to spend in a round at most; 0: no limit.
    int64_t seed = 1;          // What the blocks contain.
    int64_t bids = 0;          // 0 auto; 1 none: somebody else bids for this guest.
    int64_t rounds = 0;        // Ends after so many; 0: never.

    // Empty, or what is wrong.
    guest::Text<160> Parse(std::string_view arguments);
  };

  // `nomhv` and the pages outlive the job.
  Batch(guest::Nomhv* nomhv, const guest::Pages& pages, const guest::Start& start,
        const Settings& settings);

  // One slice of work. Returns the TSC until which there is nothing to do; 0: call again at once.
  uint64_t Turn();
  uint64_t rounds_seen() const { return market_.rounds_seen(); }

  uint64_t blocks_done() const { return blocks_done_; }
  int64_t value_microcredits() const;
  // The hash over the digests of all blocks so far: the job's result.
  const Digest& result() const { return result_; }
  // What one unit of cpu for one round is worth: the blocks that it hashes. 0 while unmeasured.
  int64_t UnitValue() const;

 private:
  bool finished() const;
  void HashBlock();
  void OnRound();
  policies::RangeList Offer() const;

  guest::Clock clock_;
  guest::Console console_;
  guest::Market market_;
  Settings settings_;
  WorkMeter meter_;
  uint64_t blocks_done_ = 0;
  uint64_t blocks_at_round_ = 0;
  Digest result_ = {};
  alignas(8) std::array<uint8_t, kBlockBytes> block_ = {};
};

}  // namespace nom::examples

#endif  // CLIENT_EXAMPLES_GUESTS_BATCH_BATCH_H_
