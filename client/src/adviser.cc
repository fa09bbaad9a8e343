#include "nom/adviser.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "client/src/range_list.h"
#include "policies/bidding/curve.h"
#include "policies/bidding/working_points.h"

namespace nom {
namespace {

static_assert(kResourceCount == policies::kPointResourcesMax);

size_t Index(Resource resource) { return static_cast<size_t>(resource) - 1; }

policies::CurveError MakeRanges(BidShape shape, const std::vector<policies::CurvePoint>& points,
                                policies::RangeList& out) {
  const int count = static_cast<int>(points.size());
  switch (shape) {
    case BidShape::kExact:
      return policies::ExactRanges(points.data(), count, out);
    case BidShape::kGaps:
      return policies::GapRanges(points.data(), count, out);
    case BidShape::kSteps:
      return policies::StepRanges(points.data(), count, out);
    case BidShape::kConcave:
      break;
  }
  return policies::ConcaveRanges(points.data(), count, out);
}

// The first point at which the curve is wrong: the shortest beginning that already is.
size_t FirstWrong(BidShape shape, const std::vector<policies::CurvePoint>& points) {
  policies::RangeList ignored;
  for (size_t count = 1; count <= points.size(); ++count) {
    const std::vector<policies::CurvePoint> beginning(
        points.begin(), points.begin() + static_cast<std::ptrdiff_t>(count));
    if (MakeRanges(shape, beginning, ignored) != policies::CurveError::kOk) return count - 1;
  }
  return points.size();
}

}  // namespace

absl::StatusOr<Advice> Advise(const std::vector<ValuePoint>& valuation,
                              const AdviseOptions& options) {
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
  const policies::CurveError error = MakeRanges(options.shape, points, list);
  if (error != policies::CurveError::kOk) {
    return absl::InvalidArgumentError(absl::StrCat("valuation[", FirstWrong(options.shape, points),
                                                   "]: ", policies::CurveErrorName(error)));
  }
  if (options.ceiling_unit_price_microcredits) {
    list = policies::CapToCeiling(list, *options.ceiling_unit_price_microcredits);
  }
  if (options.budget_microcredits) {
    list = policies::CapToBudget(list, *options.budget_microcredits);
  }
  Advice advice;
  advice.ranges = client::FromRangeList(list);
  advice.best_units = policies::BestUnitsAt(list, options.unit_price_microcredits);
  if (!policies::ValueAt(list, advice.best_units, advice.best_value_microcredits)) {
    advice.best_value_microcredits = 0;  // Nothing at all, which every bid accepts.
  }
  return advice;
}

absl::StatusOr<Plan> PlanWork(const std::vector<WorkingPoint>& points, const Prices& prices) {
  std::vector<policies::PointBlock> blocks(policies::PointBlocksFor(
      static_cast<int>(std::min<size_t>(points.size(), policies::kWorkingPointsMax))));
  policies::WorkingPointTable table(blocks.data(), static_cast<int>(blocks.size()));
  for (size_t i = 0; i < points.size(); ++i) {
    policies::WorkingPoint point;
    point.knob = static_cast<int64_t>(i);
    for (const auto& [resource, units] : points[i].units) point.units[Index(resource)] = units;
    point.value_microcredits = points[i].value_microcredits;
    switch (table.Add(point)) {
      case policies::PointError::kOk:
        break;
      case policies::PointError::kFull:
        return absl::InvalidArgumentError(absl::StrCat("points[", i, "]: more than ",
                                                       policies::kWorkingPointsMax,
                                                       " points of which none beats another"));
      case policies::PointError::kUnitsOutOfRange:
        return absl::InvalidArgumentError(
            absl::StrCat("points[", i, "].units: not within 0 and ", kBidUnitsMax));
      case policies::PointError::kValueOutOfRange:
        return absl::InvalidArgumentError(absl::StrCat(
            "points[", i, "].value_microcredits: not within 0 and ", kBidValueMaxMicrocredits));
    }
  }
  std::array<policies::Microcredits, kResourceCount> unit_prices;
  for (size_t i = 0; i < kResourceCount; ++i) {
    unit_prices[i] = std::clamp<int64_t>(prices.by_resource[i].unit_price_microcredits, 0,
                                         kBidValueMaxMicrocredits);
  }
  Plan plan;
  if (const int best = table.BestAt(unit_prices.data()); best >= 0) {
    plan.point = points[static_cast<size_t>(table.point(best).knob)];
  }
  for (Resource resource : kAllResources) {
    std::vector<policies::CurvePoint> curve(static_cast<size_t>(table.count()));
    const int count =
        table.CurveFor(static_cast<int>(Index(resource)), unit_prices.data(), curve.data());
    for (int i = 0; i < count; ++i) {
      plan.valuations[resource].push_back(
          {curve[static_cast<size_t>(i)].units, curve[static_cast<size_t>(i)].value_microcredits});
    }
  }
  return plan;
}

}  // namespace nom
