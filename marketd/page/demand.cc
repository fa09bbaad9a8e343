// SPDX-License-Identifier: Apache-2.0
#include "marketd/page/demand.h"

#include <algorithm>
#include <map>
#include <optional>

namespace nom::marketd {
namespace {

using market::Microcredits;
using policies::Combination;
using policies::CurveFamily;
using policies::JointBid;
using policies::PriceVector;
using policies::Range;
using policies::UnitVector;

constexpr int64_t kTriesInRange = 64;

struct Point {
  int64_t units = 0;
  Microcredits value_microcredits = 0;  // What the units leave before they are paid for.
};

// All edges of all bids: price to units that are taken from it on.
using Edges = std::map<Microcredits, int64_t, std::greater<>>;

// (b.value - a.value) / (b.units - a.units) against the same of c and d, exactly.
bool SteeperOrEqual(const Point& a, const Point& b, const Point& c, const Point& d) {
  __extension__ using Wide = __int128;
  return Wide{b.value_microcredits - a.value_microcredits} * (d.units - c.units) >=
         Wide{d.value_microcredits - c.value_microcredits} * (b.units - a.units);
}

// True if the bid asks for something at a price above 0.
bool AddHull(std::vector<Point> points, Edges* edges) {
  std::sort(points.begin(), points.end(), [](const Point& a, const Point& b) {
    return a.units != b.units ? a.units < b.units : a.value_microcredits > b.value_microcredits;
  });
  std::vector<Point> hull;
  for (const Point& point : points) {
    if (!hull.empty() && hull.back().units == point.units) continue;
    // A corner stays only where the curve gets flatter.
    while (hull.size() >= 2 &&
           SteeperOrEqual(hull.back(), point, hull[hull.size() - 2], hull.back())) {
      hull.pop_back();
    }
    hull.push_back(point);
  }
  bool asks = false;
  for (size_t i = 1; i < hull.size(); ++i) {
    const int64_t units = hull[i].units - hull[i - 1].units;
    const Microcredits gain = hull[i].value_microcredits - hull[i - 1].value_microcredits;
    if (gain <= 0) break;  // Nobody pays for what is worth nothing more.
    (*edges)[gain / units] += units;
    asks = true;
  }
  return asks;
}

Microcredits ValueIn(const Range& range, int64_t units) {
  return range.value_at_min_microcredits +
         (units - range.min_units) * range.unit_price_microcredits;
}

// Of a curve by itself: nothing but the ends of ranges can be a corner.
std::vector<Point> PointsOf(const std::vector<Range>& ranges) {
  std::vector<Point> out = {{}};
  for (const Range& range : ranges) {
    out.push_back({range.min_units, range.value_at_min_microcredits});
    out.push_back({range.max_units, range.min_units == range.max_units
                                        ? range.value_at_min_microcredits
                                        : ValueIn(range, range.max_units)});
  }
  return out;
}

// Corners, and quantities in between.
std::vector<Point> TriedPointsOf(const std::vector<Range>& ranges) {
  std::vector<Point> out = PointsOf(ranges);
  for (const Range& range : ranges) {
    const int64_t length = range.max_units - range.min_units;
    const int64_t tries = std::min(length, kTriesInRange);
    for (int64_t i = 1; i < tries; ++i) {
      const int64_t units = range.min_units + length * i / tries;
      out.push_back({units, ValueIn(range, units)});
    }
  }
  return out;
}

// What units of a kind that is not drawn cost.
Microcredits Cost(int64_t units, Microcredits unit_price) {
  Microcredits out = 0;
  return __builtin_mul_overflow(units, unit_price, &out) ? policies::kValueMaxMicrocredits : out;
}

// The least cost at which a curve is worth `level`; nothing if it never is.
std::optional<Microcredits> CostOfLevel(const std::vector<Range>& ranges, Microcredits level,
                                        Microcredits unit_price) {
  std::optional<Microcredits> best;
  const auto offer = [&](int64_t units) {
    const Microcredits cost = Cost(units, unit_price);
    if (!best || cost < *best) best = cost;
  };
  if (level <= 0) return 0;
  for (const Range& range : ranges) {
    if (range.value_at_min_microcredits >= level) {
      offer(range.min_units);
    } else if (range.unit_price_microcredits > 0 && range.min_units < range.max_units &&
               ValueIn(range, range.max_units) >= level) {
      const Microcredits missing = level - range.value_at_min_microcredits;
      offer(range.min_units +
            (missing + range.unit_price_microcredits - 1) / range.unit_price_microcredits);
    }
  }
  return best;
}

// The most that a product leaves with `units[resource]` as they are: the other kinds one after the
// other take what leaves most, until none changes.
Microcredits BestProduct(const JointBid& bid, size_t resource, Microcredits own_level,
                         const PriceVector& prices) {
  const CurveFamily& family = *bid.curves;
  std::vector<size_t> others;
  std::vector<Point> chosen;
  for (size_t k = 0; k < family.curves.size(); ++k) {
    if (k == resource || family.curves[k].empty()) continue;
    others.push_back(k);
    const std::vector<Point> points = PointsOf(family.curves[k]);
    chosen.push_back(*std::max_element(
        points.begin(), points.end(),
        [](const auto& a, const auto& b) { return a.value_microcredits < b.value_microcredits; }));
  }
  const auto left = [&] {
    __extension__ using Wide = __int128;
    Wide value = Wide{family.whole_value_microcredits} * own_level / policies::kLevelOne;
    Microcredits cost = 0;
    for (size_t i = 0; i < others.size(); ++i) {
      value = value * chosen[i].value_microcredits / policies::kLevelOne;
      cost += Cost(chosen[i].units, prices[others[i]]);
    }
    return static_cast<Microcredits>(value) - cost;
  };
  constexpr int kPassesMax = 4;
  for (int pass = 0; pass < kPassesMax; ++pass) {
    bool changed = false;
    for (size_t i = 0; i < others.size(); ++i) {
      Point best = chosen[i];
      Microcredits most = left();
      for (const Point& point : PointsOf(family.curves[others[i]])) {
        chosen[i] = point;
        if (left() > most) {
          most = left();
          best = point;
          changed = true;
        }
      }
      chosen[i] = best;
    }
    if (!changed) break;
  }
  return std::max<Microcredits>(left(), 0);
}

// What every quantity of one kind leaves a bid for several.
std::vector<Point> PointsOf(const JointBid& bid, size_t resource, const PriceVector& prices) {
  std::vector<Point> out = {{}};
  for (const policies::Bundle& bundle : bid.bundles) {
    Microcredits left = bundle.value_microcredits;
    for (size_t k = 0; k < bundle.units.size(); ++k) {
      if (k != resource) left -= Cost(bundle.units[k], prices[k]);
    }
    out.push_back({bundle.units[resource], left});
  }
  if (!bid.curves) return out;
  const CurveFamily& family = *bid.curves;
  const std::vector<Range>& own = family.curves[resource];
  switch (family.combination) {
    case Combination::kSum:
      return PointsOf(own);
    case Combination::kMax:
      // Without any of this kind the best of the others is taken.
      for (size_t k = 0; k < family.curves.size(); ++k) {
        if (k == resource) continue;
        for (const Point& point : PointsOf(family.curves[k])) {
          out.push_back({0, point.value_microcredits - Cost(point.units, prices[k])});
        }
      }
      for (const Point& point : PointsOf(own)) out.push_back(point);
      return out;
    case Combination::kMin:
      for (Point point : TriedPointsOf(own)) {
        std::optional<Microcredits> cost = 0;
        for (size_t k = 0; k < family.curves.size() && cost; ++k) {
          if (k == resource || family.curves[k].empty()) continue;
          const auto more = CostOfLevel(family.curves[k], point.value_microcredits, prices[k]);
          cost = more ? std::optional(*cost + *more) : std::nullopt;
        }
        if (cost) out.push_back({point.units, point.value_microcredits - *cost});
      }
      return out;
    case Combination::kProduct:
      for (const Point& point : TriedPointsOf(own)) {
        out.push_back({point.units, BestProduct(bid, resource, point.value_microcredits, prices)});
      }
      return out;
  }
  return out;
}

bool IsForSeveral(const JointBid& bid) {
  if (bid.curves) {
    return bid.curves->combination != Combination::kSum &&
           std::count_if(bid.curves->curves.begin(), bid.curves->curves.end(),
                         [](const auto& curve) { return !curve.empty(); }) > 1;
  }
  UnitVector most = {};
  for (const policies::Bundle& bundle : bid.bundles) {
    for (size_t k = 0; k < most.size(); ++k) most[k] = std::max(most[k], bundle.units[k]);
  }
  return std::count_if(most.begin(), most.end(), [](int64_t units) { return units > 0; }) > 1;
}

std::vector<DemandStep> StepsOf(const Edges& edges) {
  std::vector<DemandStep> out;
  int64_t units = 0;
  for (const auto& [price, more] : edges) out.push_back({price, units += more});
  return out;
}

}  // namespace

DemandCurve DemandOf(const policies::Auction& auction, const IsDrawn& is_drawn) {
  DemandCurve out;
  Edges edges;
  for (const policies::Bid& bid : auction.bids) {
    if (is_drawn(bid.guest_id) && AddHull(PointsOf(bid.ranges), &edges)) ++out.bids;
  }
  out.steps = StepsOf(edges);
  return out;
}

DemandCurve DemandOf(const policies::JointAuction& auction, size_t resource,
                     const PriceVector& unit_prices, const IsDrawn& is_drawn) {
  DemandCurve out;
  Edges edges;
  for (const JointBid& bid : auction.bids) {
    if (!is_drawn(bid.guest_id) || !AddHull(PointsOf(bid, resource, unit_prices), &edges)) continue;
    ++out.bids;
    if (IsForSeveral(bid)) ++out.joint_bids;
  }
  out.steps = StepsOf(edges);
  return out;
}

std::vector<DemandStep> Thinned(const std::vector<DemandStep>& steps, size_t steps_max) {
  const size_t group = (steps.size() + steps_max - 1) / steps_max;
  if (group <= 1) return steps;
  std::vector<DemandStep> out;
  for (size_t i = group - 1; i < steps.size(); i += group) out.push_back(steps[i]);
  if (!(out.back() == steps.back())) out.push_back(steps.back());
  return out;
}

}  // namespace nom::marketd
