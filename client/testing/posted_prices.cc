// SPDX-License-Identifier: Apache-2.0
#include "client/testing/posted_prices.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "nom/types.h"

namespace nom::testing {

namespace pb = market::v1;

int64_t BestUnits(const pb::Bid& bid, Offer offer) {
  int64_t best = 0;
  int64_t best_gain = 0;
  for (const pb::BidRange& range : bid.ranges()) {
    for (int64_t units : {range.min_units(), range.max_units()}) {
      units = std::min(units, offer.units_left);
      if (offer.price > 0 && bid.has_budget_microcredits()) {
        units = std::min(units, bid.budget_microcredits() / offer.price);
      }
      if (units < range.min_units()) continue;
      const int64_t gain = range.value_at_min_microcredits() +
                           (units - range.min_units()) * range.unit_price_microcredits() -
                           units * offer.price;
      if (gain <= best_gain) continue;
      best = units;
      best_gain = gain;
    }
  }
  return best;
}

namespace {

int64_t ValueAt(const google::protobuf::RepeatedPtrField<pb::BidRange>& ranges, int64_t units) {
  for (const pb::BidRange& range : ranges) {
    if (units < range.min_units() || units > range.max_units()) continue;
    return range.value_at_min_microcredits() +
           (units - range.min_units()) * range.unit_price_microcredits();
  }
  return 0;
}

int64_t Combine(const pb::Valuation& valuation, const Units& units) {
  int64_t sum = 0;
  int64_t least = INT64_MAX;
  int64_t most = 0;
  double product = static_cast<double>(valuation.whole_value_microcredits());
  for (const pb::BidCurve& curve : valuation.curves()) {
    const auto of = units.find(curve.kind());
    const int64_t value = ValueAt(curve.ranges(), of == units.end() ? 0 : of->second);
    sum += value;
    least = std::min(least, value);
    most = std::max(most, value);
    product *= static_cast<double>(value) / static_cast<double>(kLevelOne);
  }
  switch (valuation.combination()) {
    case pb::COMBINATION_MIN:
      return least;
    case pb::COMBINATION_MAX:
      return most;
    case pb::COMBINATION_PRODUCT:
      return static_cast<int64_t>(product);
    default:
      return sum;
  }
}

// The ways to be served that are looked at, each with its value.
std::vector<std::pair<Units, int64_t>> ChoicesOf(const pb::Valuation& valuation) {
  std::vector<std::pair<Units, int64_t>> choices;
  for (const pb::BidBundle& bundle : valuation.bundles()) {
    Units units;
    for (int i = 0; i < bundle.units_size(); ++i) {
      units[static_cast<pb::ResourceKind>(valuation.bundle_kinds(i))] = bundle.units(i);
    }
    choices.emplace_back(std::move(units), bundle.value_microcredits());
  }
  if (valuation.curves().empty()) return choices;
  std::vector<Units> ends = {{}};
  for (const pb::BidCurve& curve : valuation.curves()) {
    std::set<int64_t> of_curve = {0};
    for (const pb::BidRange& range : curve.ranges()) {
      of_curve.insert({range.min_units(), range.max_units()});
    }
    std::vector<Units> longer;
    for (const Units& units : ends) {
      for (const int64_t end : of_curve) {
        longer.push_back(units);
        longer.back()[curve.kind()] = end;
      }
    }
    ends = std::move(longer);
  }
  for (Units& units : ends) {
    const int64_t value = Combine(valuation, units);
    choices.emplace_back(std::move(units), value);
  }
  return choices;
}

// As bids for single resources, so that a sum of many curves is cheap.
std::vector<pb::Bid> PartsOf(const pb::Bid& bid) {
  std::vector<pb::Bid> parts;
  for (const pb::BidCurve& curve : bid.valuation().curves()) {
    pb::Bid& part = parts.emplace_back();
    part.set_kind(curve.kind());
    *part.mutable_ranges() = curve.ranges();
  }
  return parts;
}

Units BestOfSum(const pb::Bid& bid, const std::map<pb::ResourceKind, Offer>& offers) {
  int64_t left = bid.has_budget_microcredits() ? bid.budget_microcredits() : INT64_MAX;
  Units best;
  for (pb::Bid& part : PartsOf(bid)) {
    const auto offer = offers.find(part.kind());
    if (offer == offers.end()) continue;
    part.set_budget_microcredits(left);
    const int64_t units = BestUnits(part, offer->second);
    if (units > 0) best[part.kind()] = units;
    left -= units * offer->second.price;
  }
  return best;
}

}  // namespace

Units BestUnitsOfSeveral(const pb::Bid& bid, const std::map<pb::ResourceKind, Offer>& offers) {
  if (bid.valuation().combination() == pb::COMBINATION_SUM) return BestOfSum(bid, offers);
  const int64_t left = bid.has_budget_microcredits() ? bid.budget_microcredits() : INT64_MAX;
  Units best;
  int64_t best_gain = 0;
  for (auto& [units, value] : ChoicesOf(bid.valuation())) {
    int64_t cost = 0;
    bool fits = true;
    for (const auto& [kind, count] : units) {
      if (count == 0) continue;
      const auto offer = offers.find(kind);
      fits = fits && offer != offers.end() && count <= offer->second.units_left;
      if (fits) cost += count * offer->second.price;
    }
    if (!fits || cost > left || value - cost <= best_gain) continue;
    best_gain = value - cost;
    best = std::move(units);
  }
  return best;
}

}  // namespace nom::testing
