// SPDX-License-Identifier: Apache-2.0
// A service whose answers are worth something only in time: it buys processor time for the load
// that it expects, most of all for its peaks.

#ifndef CLIENT_EXAMPLES_GUESTS_SERVICE_SERVICE_H_
#define CLIENT_EXAMPLES_GUESTS_SERVICE_SERVICE_H_

#include <array>
#include <cstdint>
#include <string_view>

#include "client/examples/guests/common/arrivals.h"
#include "client/examples/guests/common/lookup.h"
#include "client/examples/guests/common/work_meter.h"
#include "client/examples/guests/service/bursts.h"
#include "client/examples/guests/service/forecast.h"
#include "client/guest/calls.h"
#include "client/guest/clock.h"
#include "client/guest/console.h"
#include "client/guest/market.h"
#include "client/guest/start.h"
#include "client/guest/text.h"
#include "policies/bidding/curve.h"
#include "policies/bidding/pacing.h"

namespace nom::examples {

class Service {
 public:
  struct Settings {
    int64_t answer_value = 60;  // Micro-credits for an answer in time; a late one is worth nothing.
    int64_t deadline_ms = 250;  // From the arrival of a request to its answer.
    int64_t rate = 400;         // Requests a second in the valleys.
    int64_t peak = 600;         // Percent of that in a burst.
    int64_t peak_rounds = 4;    // One round of so many is a burst.
    int64_t text_bytes = 64;    // Size of a request: its work grows with the square.
    int64_t budget = 0;         // Micro-credits to spend in a round; 0: no limit.
    int64_t pace_rounds = 1;    // The budget of so many rounds is one: valleys save for peaks.
    int64_t cache = 0;          // The guest whose cache each request reads from; 0: none.
    int64_t seed = 1;           // Of arrivals and requests.
    int64_t rounds = 0;         // Ends after so many; 0: never.

    // Empty, or what is wrong.
    guest::Text<160> Parse(std::string_view arguments);
  };

  // `nomhv` and the pages outlive the service.
  Service(guest::Nomhv* nomhv, const guest::Pages& pages, const guest::Start& start,
          const Settings& settings);

  // One slice of work. Returns the TSC until which there is nothing to do; 0: call again at once.
  uint64_t Turn();
  uint64_t rounds_seen() const { return market_.rounds_seen(); }

  uint64_t arrived() const { return arrived_; }
  uint64_t answered() const { return answered_; }  // In time.
  uint64_t late() const { return late_; }          // Answered, but too late.
  uint64_t shed() const { return shed_; }        // Given up before any work: hopeless, or no room.
  uint64_t fetched() const { return fetched_; }  // From the cache.
  uint64_t waiting() const { return tail_ - head_; }
  int64_t value_microcredits() const;
  // The sum of all answers: shows that the work was done.
  uint64_t answers_sum() const { return answers_sum_; }

  // What extra processor time is worth in the round being sold.
  policies::RangeList Offer() const;

 private:
  static constexpr size_t kQueueMax = 4096;
  // What is sold in this round is used in the next.
  static constexpr size_t kRoundsAhead = 2;

  struct Request {
    uint64_t arrival_tsc = 0;
    uint64_t number = 0;
    uint64_t data = 0;  // What the cache has for it.
  };

  void Admit(uint64_t now_tsc);
  // Asks the cache for what requests need, and takes in what it answers.
  void Fetch();
  void ShedHopeless(uint64_t now_tsc);
  void Answer(const Request& request);
  void OnRound();
  void Bid(policies::RangeList offer);
  uint64_t Capacity(int64_t millicores) const;  // Answers in a round.

  guest::Clock clock_;
  guest::Console console_;
  guest::Market market_;
  Settings settings_;
  Bursts bursts_;
  Arrivals arrivals_;
  Forecast forecast_;
  WorkMeter meter_;
  policies::BudgetPacer pacer_;
  uint64_t round_id_ = 0;            // Of the last look,
  int64_t charge_microcredits_ = 0;  // and what was being paid then: for the round before it.
  uint64_t deadline_ticks_;
  std::array<Request, kQueueMax> queue_ = {};
  uint64_t head_ = 0;  // The oldest request is queue_[head_ % kQueueMax].
  uint64_t tail_ = 0;
  // [head_, ready_) can be answered, [ready_, asked_) wait for the cache.
  uint64_t ready_ = 0;
  uint64_t asked_ = 0;
  LookupEnd cache_;
  uint64_t fetched_ = 0;
  uint64_t arrived_ = 0;
  uint64_t answered_ = 0;
  uint64_t late_ = 0;
  uint64_t shed_ = 0;
  uint64_t answers_sum_ = 0;
  uint64_t arrived_at_round_ = 0;
  uint64_t answered_at_round_ = 0;
};

}  // namespace nom::examples

#endif  // CLIENT_EXAMPLES_GUESTS_SERVICE_SERVICE_H_
