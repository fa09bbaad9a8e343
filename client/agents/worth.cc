// SPDX-License-Identifier: Apache-2.0
#include "client/agents/worth.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "nom/utility.h"

namespace nom::agents {
namespace {

constexpr int kStepsMax = 64;
constexpr double kPerSecondMax = 1e6;  // What a Performance may say.

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
    : options_(options), settings_(std::move(settings)), learner_(std::move(learner)) {}

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
  // The largest size that fits into what was held.
  size_t index = 0;
  while (index + 1 < settings_.size() && UnitsOf(settings_[index + 1].units) <= units) ++index;
  return learner_.Measured(index, offered_per_second_, {.throughput_mbps = rate(in_it.done)},
                           settings_[index].units);
}

absl::StatusOr<std::vector<BidRange>> WorthLearner::BidFor(const Prices& prices,
                                                           absl::Duration round) {
  const Utility utility = UtilityOf(options_);
  std::map<int64_t, int64_t> value_of;  // By units.
  for (const ProfilePoint& point : learner_.Estimates()) {
    const absl::StatusOr<int64_t> value = ValuePerRound(utility, point.performance, round);
    if (!value.ok()) return value.status();
    value_of[UnitsOf(point.units)] = *value;
  }
  const int64_t on_the_seed = value_of.contains(0) ? value_of[0] : 0;
  const absl::StatusOr<std::optional<size_t>> tried =
      learner_.Choose(utility, prices, offered_per_second_, round);
  if (!tried.ok()) return tried.status();
  if (*tried) {
    const int64_t units = UnitsOf(settings_[**tried].units);
    if (!value_of.contains(units)) {
      // As if each unit more than the largest known size below were worth half of the ceiling.
      std::pair<int64_t, int64_t> known = {0, on_the_seed};
      const auto above = value_of.lower_bound(units);
      if (above != value_of.begin()) known = *std::prev(above);
      value_of[units] =
          known.second + (units - known.first) * (options_.unit_price_max_microcredits / 2);
    }
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
