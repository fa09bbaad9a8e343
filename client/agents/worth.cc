// SPDX-License-Identifier: Apache-2.0
#include "client/agents/worth.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "nom/utility.h"

namespace nom::agents {
namespace {

constexpr int kStepsMax = 64;
constexpr double kPerSecondMax = 1e6;  // What a Performance may say.
constexpr int kSettleRoundsMax = 10'000;
// A bid takes part in the round after it was placed, and the grant is in force in the one after
// that; then it is measured for a round.
constexpr int kRoundsToBeHad = 4;
// What could not be had is tried again after so many rounds,
constexpr int kPauseRounds = 16;
// and what is known only when so many times as many rounds as that takes have passed since the
// last.
constexpr int kPauseShare = 8;
// What brings more than all that is known, by more than this part of it, is no noise.
constexpr int kSurpriseShare = 20;

// A piece of work stands for a Mbit, so that a thousand of them are a Gbit.
Utility UtilityOf(const WorthOptions& options) {
  return {.kind = UtilityKind::kSimple, .alpha_microcredits = options.value_per_1000_microcredits};
}

int64_t UnitsOf(const std::map<Resource, int64_t>& units) {
  const auto it = units.find(Resource::kMemory);
  return it == units.end() ? 0 : it->second;
}

}  // namespace

WorthLearner::WorthLearner(const WorthOptions& options, std::vector<KnobSetting> settings,
                           KnobLearner learner)
    : options_(options),
      settings_(std::move(settings)),
      learner_(std::move(learner)),
      known_(settings_.size()) {}

absl::StatusOr<WorthLearner> WorthLearner::Create(const WorthOptions& options) {
  if (options.steps < 1 || options.steps > kStepsMax) {
    return absl::InvalidArgumentError("steps: must be from 1 to 64");
  }
  if (options.units_max < options.steps) {
    return absl::InvalidArgumentError("units_max: must be at least one unit a step");
  }
  if (options.value_per_1000_microcredits < 1) {
    return absl::InvalidArgumentError("value_per_1000_microcredits: must be above 0");
  }
  if (options.unit_price_max_microcredits < 1) {
    return absl::InvalidArgumentError("unit_price_max_microcredits: must be above 0");
  }
  if (options.settle < absl::ZeroDuration() || options.settle > absl::Hours(1)) {
    return absl::InvalidArgumentError("settle: must be from 0 to an hour");
  }
  std::vector<KnobSetting> settings;
  for (int i = 0; i <= options.steps; ++i) {
    settings.push_back(
        {.knob = i, .units = {{Resource::kMemory, options.units_max * i / options.steps}}});
  }
  absl::StatusOr<KnobLearner> learner = KnobLearner::Create(settings);
  if (!learner.ok()) return learner.status();
  return WorthLearner(options, std::move(settings), *std::move(learner));
}

absl::Status WorthLearner::Note(int64_t units, const Work& in_it, absl::Duration length) {
  const double seconds = absl::ToDoubleSeconds(length);
  if (seconds <= 0) return absl::InvalidArgumentError("length: must be above 0");
  const auto rate = [seconds](uint64_t count) {
    return std::min(kPerSecondMax, static_cast<double>(count) / seconds);
  };
  offered_per_second_ = rate(in_it.offered);
  if (units > held_units_) since_growth_ = absl::ZeroDuration();
  held_units_ = units;
  const bool settled = since_growth_ >= options_.settle;
  since_growth_ += length;
  if (!settled) return absl::OkStatus();
  // The largest size that fits into what was held.
  size_t index = 0;
  while (index + 1 < settings_.size() && UnitsOf(settings_[index + 1].units) <= units) ++index;
  const Performance performance{.throughput_mbps = rate(in_it.done)};
  if (trying_ && trying_->index == index) {
    if (absl::Status s = EndTry(performance); !s.ok()) return s;
  }
  known_[index] = true;
  return learner_.Measured(index, offered_per_second_, performance, settings_[index].units);
}

absl::Status WorthLearner::EndTry(const Performance& performance) {
  const Try done = *std::exchange(trying_, std::nullopt);
  if (!done.best_microcredits) return absl::OkStatus();
  const absl::StatusOr<int64_t> value = ValuePerRound(UtilityOf(options_), performance, done.round);
  if (!value.ok()) return value.status();
  const int64_t surplus =
      *value - UnitsOf(settings_[done.index].units) * done.unit_price_microcredits;
  if (surplus <= *done.best_microcredits + *value / kSurpriseShare) return absl::OkStatus();
  known_.assign(settings_.size(), false);
  known_[0] = true;  // Rounds in which nothing is won show the seed alone; it needs no try.
  first_tries_ = 0;
  pause_rounds_ = 0;
  return absl::OkStatus();
}

// The seed alone first, since all that more brings is more than that; then from the largest down,
// each once. Those that were not to be had are left for later.
std::optional<size_t> WorthLearner::FirstTry() {
  while (first_tries_ < settings_.size()) {
    const size_t index = first_tries_ == 0 ? 0 : settings_.size() - first_tries_;
    ++first_tries_;
    if (!known_[index]) return index;
  }
  if (std::find(known_.begin(), known_.end(), false) != known_.end()) {
    first_tries_ = 0;
    pause_rounds_ = kPauseRounds;
  }
  return std::nullopt;
}

int WorthLearner::RoundsOfATry(absl::Duration round) const {
  return kRoundsToBeHad +
         static_cast<int>(std::min<double>(kSettleRoundsMax,
                                           std::ceil(absl::FDivDuration(options_.settle, round))));
}

absl::StatusOr<WorthLearner::Known> WorthLearner::Best(int64_t unit_price,
                                                       absl::Duration round) const {
  Known best;
  for (const ProfilePoint& point : learner_.Estimates()) {
    const absl::StatusOr<int64_t> value =
        ValuePerRound(UtilityOf(options_), point.performance, round);
    if (!value.ok()) return value.status();
    const int64_t surplus = *value - UnitsOf(point.units) * unit_price;
    if (surplus <= best.surplus_microcredits) continue;
    best = {.index = static_cast<size_t>(point.knob), .surplus_microcredits = surplus};
  }
  return best;
}

absl::StatusOr<std::optional<WorthLearner::Try>> WorthLearner::ChooseTry(const Prices& prices,
                                                                         absl::Duration round) {
  const std::optional<int64_t> price = prices.UnitPrice(Resource::kMemory);
  if (!price || *price > options_.unit_price_max_microcredits / 2) return std::nullopt;
  Try out{.rounds_left = RoundsOfATry(round), .round = round, .unit_price_microcredits = *price};
  const bool pausing = pause_rounds_ > 0;
  if (pausing) {
    --pause_rounds_;
  } else if (const std::optional<size_t> first = FirstTry()) {
    out.index = *first;
    return out;
  }
  // Also asked in a pause: its clock counts what it is asked.
  const absl::StatusOr<std::optional<size_t>> chosen =
      learner_.Choose(UtilityOf(options_), prices, offered_per_second_, round);
  if (!chosen.ok()) return chosen.status();
  if (!*chosen || pausing) return std::nullopt;
  const absl::StatusOr<Known> best = Best(*price, round);
  if (!best.ok()) return best.status();
  // Running what is best is no try; what it brings is bid for anyway.
  if (**chosen == best->index) return std::nullopt;
  pause_rounds_ = kPauseShare * out.rounds_left;
  out.index = **chosen;
  out.best_microcredits = best->surplus_microcredits;
  return out;
}

absl::StatusOr<std::vector<BidRange>> WorthLearner::BidFor(const Prices& prices,
                                                           absl::Duration round) {
  if (trying_ && --trying_->rounds_left < 0) trying_.reset();
  if (!trying_) {
    absl::StatusOr<std::optional<Try>> chosen = ChooseTry(prices, round);
    if (!chosen.ok()) return chosen.status();
    trying_ = *std::move(chosen);
  }
  std::map<int64_t, int64_t> value_of;  // By units.
  for (const ProfilePoint& point : learner_.Estimates()) {
    const absl::StatusOr<int64_t> value =
        ValuePerRound(UtilityOf(options_), point.performance, round);
    if (!value.ok()) return value.status();
    value_of[UnitsOf(point.units)] = *value;
  }
  const int64_t on_the_seed = value_of.contains(0) ? value_of[0] : 0;
  if (trying_) {
    // Not more than what is tried, and that as if each unit more than the largest known size below
    // were worth half of the ceiling.
    const int64_t units = UnitsOf(settings_[trying_->index].units);
    value_of.erase(value_of.upper_bound(units), value_of.end());
    std::pair<int64_t, int64_t> known = {0, on_the_seed};
    const auto at = value_of.lower_bound(units);
    if (at != value_of.begin()) known = *std::prev(at);
    const int64_t hoped =
        known.second + (units - known.first) * (options_.unit_price_max_microcredits / 2);
    value_of[units] = std::max(value_of.contains(units) ? value_of[units] : 0, hoped);
  }
  std::vector<ValuePoint> valuation;
  int64_t most = 0;  // More is never worth less: a measurement that says so is noise.
  for (const auto& [units, value] : value_of) {
    if (units == 0) continue;
    most = std::max(most, value - on_the_seed);
    valuation.push_back({units, most});
  }
  if (valuation.empty() || most == 0) return std::vector<BidRange>();
  const std::optional<int64_t> price = prices.UnitPrice(Resource::kMemory);
  // The hull, as what was measured is noisy: below the valuation, one low measurement would hold
  // down the bid for all sizes above it.
  const absl::StatusOr<Advice> advice =
      Advise(valuation, {.shape = BidShape::kHull,
                         .unit_price_microcredits = price.value_or(0),
                         .ceiling_unit_price_microcredits = options_.unit_price_max_microcredits});
  if (!advice.ok()) return advice.status();
  return advice->ranges;
}

}  // namespace nom::agents
