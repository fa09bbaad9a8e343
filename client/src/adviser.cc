// SPDX-License-Identifier: Apache-2.0
#include "nom/adviser.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/src/range_list.h"
#include "client/src/resource_units.h"
#include "policies/bidding/curve.h"
#include "policies/bidding/supply.h"
#include "policies/bidding/working_points.h"

namespace nom {
namespace {

policies::ChargeRule ToPolicies(ChargeRule rule) {
  return rule == ChargeRule::kOnePrice ? policies::ChargeRule::kOnePrice
                                       : policies::ChargeRule::kByHarm;
}

// All units at one price.
policies::SupplyCurve FlatSupply(int64_t unit_price_microcredits) {
  policies::SupplyCurve supply;
  supply.steps[0].unit_price_microcredits = unit_price_microcredits;
  supply.count = 1;
  return supply;
}

policies::CurveError MakeRanges(BidShape shape, const std::vector<policies::CurvePoint>& points,
                                const policies::BidCaps& caps, policies::RangeList& out) {
  const int count = static_cast<int>(points.size());
  policies::CurveError error = policies::CurveError::kOk;
  switch (shape) {
    case BidShape::kExact:
      error = policies::ExactRanges(points.data(), count, out);
      break;
    case BidShape::kGaps:
      error = policies::GapRanges(points.data(), count, out);
      break;
    case BidShape::kSteps:
      error = policies::StepRanges(points.data(), count, out);
      break;
    case BidShape::kConcave:
      return policies::ConcaveRangesBelow(points.data(), count, caps, out);
    case BidShape::kHull:
      return policies::ConcaveRangesWithin(points.data(), count, caps, out);
  }
  out = policies::Cap(out, caps);
  return error;
}

// Empty if it has seen no round.
policies::SupplyCurve Predict(const PriceHistory& history, int percent) {
  std::array<policies::RoundSeen, policies::kHistoryRoundsMax> room;
  policies::PriceHistory noted(room.data(), policies::kHistoryRoundsMax);
  for (const PriceHistory::Round& round : history.rounds()) {
    noted.Note({.free_units = round.free_units,
                .reserve_unit_price_microcredits = round.reserve_unit_price_microcredits,
                .next_unit_price_microcredits = round.next_unit_price_microcredits});
  }
  policies::SupplyCurve supply;
  (void)noted.Predict(percent, supply);
  return supply;
}

// The first point at which the curve is wrong: the shortest beginning that already is.
size_t FirstWrong(BidShape shape, const std::vector<policies::CurvePoint>& points) {
  policies::RangeList ignored;
  for (size_t count = 1; count <= points.size(); ++count) {
    const std::vector<policies::CurvePoint> beginning(
        points.begin(), points.begin() + static_cast<std::ptrdiff_t>(count));
    if (MakeRanges(shape, beginning, {}, ignored) != policies::CurveError::kOk) return count - 1;
  }
  return points.size();
}

}  // namespace

PriceHistory::PriceHistory(size_t rounds)
    : rounds_max_(std::clamp<size_t>(rounds, 1, policies::kHistoryRoundsMax)) {}

bool PriceHistory::Note(const nom::Round& round, Resource resource, uint64_t guest_id) {
  if (round.round_id <= last_round_id_) return false;
  const auto state = std::find_if(round.resources.begin(), round.resources.end(),
                                  [&](const ResourceState& s) { return s.resource == resource; });
  if (state == round.resources.end() || !state->price.offered) return false;
  last_round_id_ = round.round_id;
  const int64_t own_award_units = round.award_units(resource, guest_id);
  const auto units = [](int64_t told) { return std::clamp<int64_t>(told, 0, kBidUnitsMax); };
  if (rounds_.size() == rounds_max_) rounds_.erase(rounds_.begin());
  rounds_.push_back(
      {.free_units = units(state->supply_units) - units(state->sold_units) + units(own_award_units),
       .reserve_unit_price_microcredits = state->price.reserve_unit_price_microcredits,
       .next_unit_price_microcredits = state->price.unit_price_microcredits});
  return true;
}

size_t PriceHistory::NotePast(const std::vector<PricedRound>& rounds, Resource resource) {
  size_t noted = 0;
  for (auto past = rounds.rbegin(); past != rounds.rend(); ++past) {
    nom::Round round{.round_id = past->round_id, .resources = {}, .awards = {}, .reason = ""};
    for (const PastPrice& price : past->prices) {
      ResourceState& state = round.resources.emplace_back();
      state.resource = price.resource;
      state.price = price.price;
      state.supply_units = price.supply_units;
      state.sold_units = price.sold_units;
    }
    if (Note(round, resource)) ++noted;
  }
  return noted;
}

std::optional<int64_t> PriceHistory::UnitPriceAbove(int64_t units, int percent) const {
  if (rounds_.empty()) return std::nullopt;
  const policies::SupplyCurve supply = Predict(*this, percent);
  int64_t price = supply.steps[0].unit_price_microcredits;
  for (int i = 1; i < supply.count && supply.steps[i].above_units <= units; ++i) {
    price = supply.steps[i].unit_price_microcredits;
  }
  return price;
}

absl::StatusOr<Advice> Advise(const std::vector<ValuePoint>& valuation,
                              const AdviseOptions& options) {
  if (options.shape < BidShape::kConcave || options.shape > BidShape::kHull) {
    return absl::InvalidArgumentError(
        absl::StrCat("shape: ", static_cast<int>(options.shape), " is none"));
  }
  if (options.unit_price_microcredits < 0 ||
      options.unit_price_microcredits > kBidValueMaxMicrocredits) {
    return absl::InvalidArgumentError(
        absl::StrCat("unit_price_microcredits: ", options.unit_price_microcredits,
                     " is not within 0 and ", kBidValueMaxMicrocredits));
  }
  if (valuation.size() > static_cast<size_t>(policies::kCurvePointsMax)) {
    return absl::InvalidArgumentError(absl::StrCat("valuation: ", valuation.size(),
                                                   " points are too many, at most ",
                                                   policies::kCurvePointsMax));
  }
  std::vector<policies::CurvePoint> points;
  points.reserve(valuation.size());
  for (const ValuePoint& point : valuation) {
    points.push_back({point.units, point.value_microcredits});
  }
  policies::RangeList list;
  const policies::BidCaps caps{
      .budget_microcredits = options.budget_microcredits.value_or(kBidValueMaxMicrocredits),
      .ceiling_unit_price_microcredits =
          options.ceiling_unit_price_microcredits.value_or(kBidValueMaxMicrocredits)};
  const policies::CurveError error = MakeRanges(options.shape, points, caps, list);
  if (error != policies::CurveError::kOk) {
    return absl::InvalidArgumentError(absl::StrCat("valuation[", FirstWrong(options.shape, points),
                                                   "]: ", policies::CurveErrorName(error)));
  }
  Advice advice;
  advice.above_valuation_microcredits =
      policies::AboveCurve(list, points.data(), static_cast<int>(points.size()));
  advice.ranges = client::FromRangeList(list);
  policies::SupplyCurve supply = FlatSupply(options.unit_price_microcredits);
  if (options.history != nullptr && !options.history->rounds().empty()) {
    supply = Predict(*options.history, options.history_percent);
  }
  const policies::ChargeRule rule = ToPolicies(options.charge_rule);
  advice.best_units = policies::BestUnitsAgainst(list, supply, rule);
  advice.expected_charge_microcredits = policies::ExpectedCharge(supply, rule, advice.best_units);
  advice.best_value_microcredits =
      policies::WorthAt(points.data(), static_cast<int>(points.size()), advice.best_units);
  return advice;
}

class Planner::Impl {
 public:
  explicit Impl(std::vector<WorkingPoint> given)
      : points(std::move(given)),
        blocks(static_cast<size_t>(policies::PointBlocksFor(
            static_cast<int>(std::min<size_t>(points.size(), policies::kWorkingPointsMax))))),
        table(blocks.data(), static_cast<int>(blocks.size())) {}

  // In the table a knob is the place in `points`.
  absl::Status Fill() {
    for (size_t i = 0; i < points.size(); ++i) {
      policies::WorkingPoint point{.knob = static_cast<int64_t>(i),
                                   .value_microcredits = points[i].value_microcredits};
      const absl::StatusOr<client::ResourceRow> units =
          client::ToRow(points[i].units, absl::StrCat("points[", i, "].units"));
      if (!units.ok()) return units.status();
      std::copy(units->begin(), units->end(), std::begin(point.units));
      switch (table.Add(point)) {
        case policies::PointError::kOk:
        case policies::PointError::kUnitsOutOfRange:  // Checked above.
          break;
        case policies::PointError::kFull:
          return absl::InvalidArgumentError(absl::StrCat("points[", i, "]: more than ",
                                                         policies::kWorkingPointsMax,
                                                         " points of which none beats another"));
        case policies::PointError::kValueOutOfRange:
          return absl::InvalidArgumentError(absl::StrCat(
              "points[", i, "].value_microcredits: not within 0 and ", kBidValueMaxMicrocredits));
      }
    }
    return absl::OkStatus();
  }

  std::optional<size_t> Place(int in_table) const {
    if (in_table < 0) return std::nullopt;
    return static_cast<size_t>(table.point(in_table).knob);
  }

  const std::vector<WorkingPoint> points;
  std::vector<policies::PointBlock> blocks;
  policies::WorkingPointTable table;
};

absl::StatusOr<Planner> Planner::Create(std::vector<WorkingPoint> points) {
  auto impl = std::make_unique<Impl>(std::move(points));
  if (absl::Status status = impl->Fill(); !status.ok()) return status;
  return Planner(std::move(impl));
}

Planner::Planner(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Planner::Planner(Planner&&) noexcept = default;
Planner& Planner::operator=(Planner&&) noexcept = default;
Planner::~Planner() = default;

const std::vector<WorkingPoint>& Planner::points() const { return impl_->points; }

std::optional<size_t> Planner::BestAt(const Prices& prices) const {
  return impl_->Place(impl_->table.BestAt(client::PriceRow(prices).data()));
}

std::optional<size_t> Planner::BestWithin(const std::map<Resource, int64_t>& held) const {
  client::ResourceRow row = {};
  for (Resource resource : kAllResources) {
    const auto units = held.find(resource);
    if (units != held.end()) row[client::PlaceOf(resource)] = units->second;
  }
  return impl_->Place(impl_->table.BestWithin(row.data()));
}

Plan Planner::PlanAt(const Prices& prices) const {
  Plan plan;
  if (const std::optional<size_t> best = BestAt(prices)) plan.point = impl_->points[*best];
  const client::ResourceRow unit_prices = client::PriceRow(prices);
  std::vector<policies::CurvePoint> curve(static_cast<size_t>(impl_->table.count()));
  for (Resource resource : kAllResources) {
    const int count = impl_->table.CurveFor(static_cast<int>(client::PlaceOf(resource)),
                                            unit_prices.data(), curve.data());
    for (int i = 0; i < count; ++i) {
      const policies::CurvePoint& step = curve[static_cast<size_t>(i)];
      plan.valuations[resource].push_back({step.units, step.value_microcredits});
    }
  }
  return plan;
}

absl::StatusOr<Plan> PlanWork(const std::vector<WorkingPoint>& points, const Prices& prices) {
  const absl::StatusOr<Planner> planner = Planner::Create(points);
  if (!planner.ok()) return planner.status();
  return planner->PlanAt(prices);
}

}  // namespace nom
