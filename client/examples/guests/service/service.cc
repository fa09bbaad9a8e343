// SPDX-License-Identifier: Apache-2.0
#include "client/examples/guests/service/service.h"

#include <algorithm>
#include <limits>

#include "client/examples/guests/common/integers.h"
#include "client/examples/guests/common/run.h"
#include "client/examples/guests/service/edit_distance.h"
#include "client/guest/arguments.h"

namespace nom::examples {
namespace {

constexpr int64_t kMoneyMax = 1'000'000'000'000;
constexpr int64_t kPaceRoundsMax = 1'000;
constexpr uint64_t kKeys = 1024;  // Of the cache that are asked for.
static_assert(kMoneyMax * kPaceRoundsMax <= policies::kValueMaxMicrocredits);
// A bid on the page is replaced each round; nomhv may carry the new one over a round late.
constexpr int kBidLifetimeRounds = 2;

}  // namespace

guest::Text<160> Service::Settings::Parse(std::string_view arguments) {
  const std::array<guest::Argument, 11> known = {{
      {.key = "answer_value", .value = &answer_value, .min = 0, .max = 1'000'000'000},
      {.key = "deadline_ms", .value = &deadline_ms, .min = 1, .max = 60'000},
      {.key = "rate", .value = &rate, .min = 1, .max = 100'000},
      {.key = "peak", .value = &peak, .min = 100, .max = 10'000},
      {.key = "peak_rounds", .value = &peak_rounds, .min = 1, .max = 1000},
      {.key = "text_bytes", .value = &text_bytes, .min = 1, .max = kTextBytesMax},
      {.key = "budget", .value = &budget, .min = 0, .max = kMoneyMax},
      {.key = "pace_rounds", .value = &pace_rounds, .min = 1, .max = kPaceRoundsMax},
      {.key = "cache", .value = &cache, .min = 0, .max = std::numeric_limits<int64_t>::max()},
      {.key = "rounds", .value = &rounds, .min = 0, .max = 1'000'000'000},
      {.key = "seed", .value = &seed, .min = 0, .max = 1'000'000'000'000'000},
  }};
  return guest::ParseArguments(arguments, known);
}

Service::Service(guest::Nomhv* nomhv, const guest::Pages& pages, const guest::Start& start,
                 const Settings& settings)
    : clock_(nomhv, start.tsc_hz),
      console_(nomhv),
      market_(&clock_, pages),
      settings_(settings),
      bursts_(static_cast<uint64_t>(settings.rate), static_cast<uint64_t>(settings.peak),
              static_cast<uint64_t>(settings.peak_rounds), static_cast<uint64_t>(settings.seed)),
      arrivals_(start.tsc_hz, nomhv->Tsc()),
      meter_(nomhv),
      pacer_({.period_budget_microcredits = settings.budget * settings.pace_rounds,
              .period_rounds = settings.pace_rounds,
              .bid_lifetime_rounds = kBidLifetimeRounds}),
      deadline_ticks_(clock_.ToTicks(static_cast<uint64_t>(settings.deadline_ms) * 1000)),
      cache_(nomhv, static_cast<uint64_t>(settings.cache), guest::Channel::Side::kAcceptor) {
  arrivals_.SetRate(bursts_.NextRound());
  market_.Say({.work_unit = "answers", .activity = "starting"});
}

int64_t Service::value_microcredits() const {
  return MoneyMulDiv(answered_, static_cast<uint64_t>(settings_.answer_value), 1,
                     std::numeric_limits<int64_t>::max());
}

uint64_t Service::Turn() {
  market_.Look();
  const uint64_t began = clock_.Tsc();
  Admit(began);
  if (market_.round_began()) OnRound();
  round_id_ = market_.machine().round_id;
  const NomHolding* cpu = guest::FindHolding(market_.guest(), NOM_RESOURCE_CPU);
  charge_microcredits_ = cpu == nullptr ? 0 : cpu->charge_microcredits;
  ShedHopeless(began);
  Fetch();
  const uint64_t slice_end = began + clock_.ToTicks(kSliceUs);
  uint64_t done = 0;
  meter_.Begin();
  while (head_ != ready_ && clock_.Tsc() < slice_end) {
    const Request& request = queue_[head_++ % kQueueMax];
    Answer(request);
    ++done;
    if (clock_.Tsc() <= request.arrival_tsc + deadline_ticks_) {
      ++answered_;
    } else {
      ++late_;
    }
  }
  (void)meter_.End(done);
  if (head_ != ready_) return 0;
  // Answers of the cache come at any time.
  return began + clock_.ToTicks(head_ != tail_ ? kSliceUs / 4 : kSliceUs);
}

void Service::Admit(uint64_t now_tsc) {
  // After a long absence the oldest requests are hopeless: they are counted, not queued.
  const uint64_t missed = arrivals_.DropOlderThan(now_tsc, deadline_ticks_);
  arrived_ += missed;
  shed_ += missed;
  Request request;
  while (arrivals_.Take(now_tsc, &request.arrival_tsc)) {
    request.number = arrived_++;
    if (tail_ - head_ == kQueueMax) {
      ++shed_;
      continue;
    }
    queue_[tail_++ % kQueueMax] = request;
  }
}

void Service::Fetch() {
  ready_ = std::max(ready_, head_);
  asked_ = std::max(asked_, ready_);
  if (!cache_.wanted()) {
    ready_ = asked_ = tail_;
    return;
  }
  if (!cache_.open()) {
    asked_ = ready_;  // What was asked is not answered any more.
    if (!cache_.Enter()) return;
  }
  for (; asked_ != tail_; ++asked_) {
    const uint64_t number = queue_[asked_ % kQueueMax].number;
    guest::Message question;
    question.words[Lookup::kNumber] = number;
    question.words[Lookup::kKey] = Mix(number) % kKeys;
    if (!cache_.Send(question)) break;
  }
  guest::Message answer;
  while (cache_.Receive(&answer)) {
    // Answers to what was given up meanwhile are passed over, and those that are none.
    if (ready_ == asked_) continue;
    Request& request = queue_[ready_ % kQueueMax];
    if (answer.words[Lookup::kNumber] != request.number ||
        answer.words[Lookup::kCheck] != Lookup::Check(answer)) {
      continue;
    }
    request.data = answer.words[Lookup::kData];
    ++ready_;
    ++fetched_;
  }
}

// Requests are in the order of their deadlines: those that cannot be answered in time any more
// stand in front.
void Service::ShedHopeless(uint64_t now_tsc) {
  while (head_ != tail_ &&
         queue_[head_ % kQueueMax].arrival_tsc + deadline_ticks_ < now_tsc + meter_.cycles()) {
    ++head_;
    ++shed_;
  }
}

void Service::Answer(const Request& request) {
  Random letters(Mix(static_cast<uint64_t>(settings_.seed)) + request.number + request.data);
  std::array<char, 2 * kTextBytesMax> texts;
  const auto size = static_cast<size_t>(settings_.text_bytes);
  for (size_t i = 0; i < 2 * size; ++i) texts[i] = static_cast<char>('a' + letters.Below(4));
  const std::string_view both(texts.data(), 2 * size);
  answers_sum_ += EditDistance(both.substr(0, size), both.substr(size));
}

uint64_t Service::Capacity(int64_t millicores) const {
  const uint64_t cycles = clock_.ToTicks(market_.round_us()) / 1000 *
                          static_cast<uint64_t>(std::clamp<int64_t>(millicores, 0, 1000));
  return cycles / std::max<uint64_t>(meter_.cycles(), 1);
}

// What a unit is worth is the answers that would not be given without it, in the mean over the
// loads that may come: the first units serve what comes in any case, the last ones only the
// highest peak.
policies::RangeList Service::Offer() const {
  if (meter_.cycles() == 0) return {};
  const int64_t unit = market_.UnitSize(NOM_RESOURCE_CPU);
  const int64_t seed = std::min<int64_t>(market_.SeedMillicores(), 1000);
  const uint64_t without = forecast_.ExpectedServed(Capacity(seed), kRoundsAhead);
  std::array<policies::CurvePoint, 128> points;
  const int64_t units_max = std::min<int64_t>((1000 - seed) / unit, points.size());
  const uint64_t highest = forecast_.Highest(kRoundsAhead);
  int count = 0;
  for (int64_t units = 1; units <= units_max; ++units) {
    const uint64_t capacity = Capacity(seed + units * unit);
    const uint64_t more = forecast_.ExpectedServed(capacity, kRoundsAhead) - without;
    points[static_cast<size_t>(count++)] = {
        units, MoneyMulDiv(more, static_cast<uint64_t>(settings_.answer_value), Forecast::kScale,
                           policies::kValueMaxMicrocredits)};
    if (capacity > highest) break;
  }
  policies::RangeList ranges;
  if (policies::ConcaveRanges(points.data(), count, ranges) != policies::CurveError::kOk) {
    ranges.count = 0;
  }
  return ranges;
}

void Service::Bid(policies::RangeList offer) {
  const uint64_t round_id = market_.machine().round_id;
  int64_t cap = 0;
  if (settings_.budget > 0) {
    if (round_id_ > 1) pacer_.Told(round_id_ - 1, charge_microcredits_);
    cap = pacer_.Cap(round_id);
    offer = policies::Cap(offer, {.budget_microcredits = cap});
  }
  // Safe mode bids nothing.
  if (market_.Bid(NOM_RESOURCE_CPU, offer, cap)) pacer_.Placed(round_id, cap);
}

void Service::OnRound() {
  meter_.EndRound();
  const uint64_t arrived = arrived_ - arrived_at_round_;
  const uint64_t answered = answered_ - answered_at_round_;
  const bool was_peak = bursts_.peak();
  arrived_at_round_ = arrived_;
  answered_at_round_ = answered_;
  forecast_.Note(arrived);
  arrivals_.SetRate(bursts_.NextRound());
  const policies::RangeList offer = Offer();
  Bid(offer);
  const uint64_t percent = arrived == 0 ? 100 : std::min<uint64_t>(answered * 100 / arrived, 100);
  market_.Say(
      {.work_done = answered_,
       .work_unit = "answers",
       .value_microcredits = value_microcredits(),
       .activity = guest::Text<31>(was_peak ? "peak, " : "valley, ", percent, "% in time").view()});
  const std::optional<int64_t> price = market_.Price(NOM_RESOURCE_CPU);
  console_.Line("round ", market_.rounds_seen(), ": ", answered, " of ", arrived, " in time (",
                percent, "%), late ", late_, " and shed ", shed_, " so far, rhythm ",
                forecast_.Rhythm(), ", would take ",
                policies::BestUnitsAt(offer, price.value_or(0)), " units at ", price.value_or(-1),
                ", ", meter_.cycles(), " cycles each, ", fetched_, " fetched",
                market_.safe_mode() ? ", safe mode" : "");
}

}  // namespace nom::examples
