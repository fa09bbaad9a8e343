// SPDX-License-Identifier: Apache-2.0
// What memory is worth to a program of which nothing is known but what it did with so much: learnt
// while it runs, by the SDK's learner (nom/profile.h).

#ifndef CLIENT_AGENTS_WORTH_H_
#define CLIENT_AGENTS_WORTH_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/agents/program.h"
#include "nom/adviser.h"
#include "nom/profile.h"
#include "nom/types.h"

namespace nom::agents {

struct WorthOptions {
  int64_t units_max = 0;  // The most that is ever bid for, beyond the seed.
  int steps = 8;          // How many sizes between 0 and that are told apart. 1 to 64.
  int64_t value_per_1000_microcredits = 0;  // Of a thousand pieces of work done.
  // Never bid more for a unit. Sizes that have not been tried are bid for at half of it.
  int64_t unit_price_max_microcredits = 0;
};

// Not thread-safe.
class WorthLearner {
 public:
  // Errors: INVALID_ARGUMENT naming the option.
  static absl::StatusOr<WorthLearner> Create(const WorthOptions& options);

  // What came of `length` with `units` beyond the seed.
  absl::Status Note(int64_t units, const Work& in_it, absl::Duration length);

  // The bid for the next round of `round`; without ranges if nothing is worth its price. Each call
  // may try a size of which little is known.
  absl::StatusOr<std::vector<BidRange>> BidFor(const Prices& prices, absl::Duration round);

 private:
  WorthLearner(const WorthOptions& options, std::vector<KnobSetting> settings, KnobLearner learner);

  WorthOptions options_;
  std::vector<KnobSetting> settings_;
  KnobLearner learner_;
  double offered_per_second_ = 0;
};

}  // namespace nom::agents

#endif  // CLIENT_AGENTS_WORTH_H_
