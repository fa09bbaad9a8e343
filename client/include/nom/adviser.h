// From "what this is worth to me" to a bid. Pure functions over policies/bidding; thread-safe.
//
//   nom::Advice advice = *nom::Advise({{16, 4000}, {32, 6000}, {64, 7000}}, {.unit_price = price});
//   session->Bid({.resource = nom::Resource::kMemory, .ranges = advice.ranges});
//
// Bidding what quantities are really worth is the best bid where the rule charges by the harm to
// others (mpsp), and close to it where many bid (uniform_price). So an adviser does not shade: it
// shapes the truth to what the rule takes, and holds it within a budget and a ceiling.

#ifndef NOM_ADVISER_H_
#define NOM_ADVISER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nom/types.h"

namespace nom {

// Having `units` beyond the seed for one round is worth `value_microcredits`.
struct ValuePoint {
  int64_t units = 0;
  int64_t value_microcredits = 0;
};

// How a curve becomes ranges, see policies/bidding/curve.h.
enum class BidShape {
  kConcave,  // Marginal values never rise: the only shape that uniform_price takes.
  kExact,    // The curve itself: for mpsp.
  kGaps,     // Concave, and quantities worth less than that says are refused: for mpsp.
  kSteps,    // The points alone: for programs that can use certain quantities only, under mpsp.
};

struct AdviseOptions {
  BidShape shape = BidShape::kConcave;
  int64_t unit_price_microcredits = 0;  // Today's, for best_units.
  std::optional<int64_t> budget_microcredits = std::nullopt;
  std::optional<int64_t> ceiling_unit_price_microcredits = std::nullopt;
};

struct Advice {
  std::vector<BidRange> ranges;  // Empty: nothing is worth bidding for; withdraw.
  // The quantity that leaves the most at today's price; 0 if none leaves anything.
  int64_t best_units = 0;
  int64_t best_value_microcredits = 0;
};

// `valuation` has points of rising units, read as straight lines between them from (0, 0) on.
// Errors: INVALID_ARGUMENT that names the first point that is wrong and why.
absl::StatusOr<Advice> Advise(const std::vector<ValuePoint>& valuation,
                              const AdviseOptions& options);

// One way in which a program can run: what it needs beyond the seed, and what running so for one
// round is worth.
struct WorkingPoint {
  int64_t knob = 0;  // The program's own name for the setting.
  std::map<Resource, int64_t> units = {};
  int64_t value_microcredits = 0;
};

struct Plan {
  // The point that leaves the most at today's prices; nullopt: none does, run on the seed.
  std::optional<WorkingPoint> point;
  // What each resource is worth while the others are bought at today's prices: curves for Advise()
  // with BidShape::kSteps (or kConcave under uniform_price). Only resources that some point uses.
  std::map<Resource, std::vector<ValuePoint>> valuations;
};

// Errors: INVALID_ARGUMENT names the point: out of range, or too many.
absl::StatusOr<Plan> PlanWork(const std::vector<WorkingPoint>& points, const Prices& prices);

}  // namespace nom

#endif  // NOM_ADVISER_H_
