// SPDX-License-Identifier: Apache-2.0
// What memory is worth to a program of which nothing is known but what it did with so much: learnt
// while it runs, by the SDK's learner (nom/profile.h).
//
// A size is not known by one round of it: a cache that was given more has to fill first. So a size
// that is tried is kept until the program has settled in it, and what came before does not count.
// At first all sizes are tried, the seed alone and then the largest and down from there: whoever
// shrinks has settled at once. Later the learner says when one is worth another look; if that shows
// more than was thought to be had, the world has changed, and all are tried again.

#ifndef CLIENT_AGENTS_WORTH_H_
#define CLIENT_AGENTS_WORTH_H_

#include <cstddef>
#include <cstdint>
#include <optional>
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
  // Never bid more for a unit. Sizes that are tried are bid for at half of it.
  int64_t unit_price_max_microcredits = 0;
  // How long it takes to show what more memory does. 0 to an hour.
  absl::Duration settle = absl::Seconds(15);
};

// Not thread-safe.
class WorthLearner {
 public:
  // Errors: INVALID_ARGUMENT naming the option.
  static absl::StatusOr<WorthLearner> Create(const WorthOptions& options);

  // What came of `length` with `units` beyond the seed. Lengths follow each other without gaps, or
  // nearly so.
  absl::Status Note(int64_t units, const Work& in_it, absl::Duration length);

  // The bid for the next round of `round`; without ranges if nothing is worth its price. One call a
  // round: it may begin to try a size, or go on with it.
  absl::StatusOr<std::vector<BidRange>> BidFor(const Prices& prices, absl::Duration round);

 private:
  struct Try {
    size_t index = 0;     // Of the setting,
    int rounds_left = 0;  // which is bid for so many more rounds.
    absl::Duration round;
    int64_t unit_price_microcredits = 0;
    // What is known already leaves so much: more is a surprise. Unset: it is the first try.
    std::optional<int64_t> best_microcredits;
  };
  struct Known {
    size_t index = 0;
    int64_t surplus_microcredits = 0;
  };

  WorthLearner(const WorthOptions& options, std::vector<KnobSetting> settings, KnobLearner learner);

  // What to try next, if it is time for that.
  absl::StatusOr<std::optional<Try>> ChooseTry(const Prices& prices, absl::Duration round);
  std::optional<size_t> FirstTry();
  // At most, until it has been measured.
  int RoundsOfATry(absl::Duration round) const;
  // The setting that leaves the most at this price, by what is believed.
  absl::StatusOr<Known> Best(int64_t unit_price, absl::Duration round) const;
  // What was tried has been measured.
  absl::Status EndTry(const Performance& performance);

  WorthOptions options_;
  std::vector<KnobSetting> settings_;  // By rising units, from 0 on.
  KnobLearner learner_;
  std::vector<bool> known_;  // Whether a setting was measured in the world of today.
  double offered_per_second_ = 0;
  int64_t held_units_ = 0;
  absl::Duration since_growth_;
  std::optional<Try> trying_;
  size_t first_tries_ = 0;  // How many of the first tries, one a size, have had their turn.
  int pause_rounds_ = 0;    // Before something is tried again.
};

}  // namespace nom::agents

#endif  // CLIENT_AGENTS_WORTH_H_
