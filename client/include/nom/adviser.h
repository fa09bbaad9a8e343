// SPDX-License-Identifier: Apache-2.0
// From "what this is worth to me" to a bid. Functions over policies/bidding, thread-safe but for
// PriceHistory, which belongs to one thread.
//
//   nom::Advice advice = *nom::Advise({{16, 4000}, {32, 6000}, {64, 7000}},
//                                     {.unit_price_microcredits = price});
//   session->Bid({.resource = nom::Resource::kMemory, .ranges = advice.ranges});
//
// Bidding what quantities are really worth is the best bid where the rule charges by the harm to
// others (mpsp), and close to it where many bid (uniform_price). So an adviser does not shade: it
// shapes the truth to what the rule takes, and holds it within a budget and a ceiling.

#ifndef NOM_ADVISER_H_
#define NOM_ADVISER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
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

// How a curve becomes ranges, see policies/bidding/curve.h. All but kHull are nowhere above the
// valuation, so that no award ever costs more than it is worth: whatever the rule and the price,
// and if only a part is served.
enum class BidShape {
  // Marginal values never rise: taken by every rule, and the only shape but kHull that
  // uniform_price takes. Of a valuation that is not so itself it asks for less; for nothing, if
  // nothing is worth anything before much is had.
  kConcave,
  kExact,  // The curve itself: for mpsp.
  kGaps,   // As kHull, but quantities worth less than that says are refused: for mpsp.
  kSteps,  // The points alone: for programs that can use certain quantities only, under mpsp.
  // As kConcave, but above the valuation where that is not so itself: asks for more, and loses if
  // it is served only a part of it (Advice::above_valuation_microcredits). For uniform_price.
  kHull,
};

// How a rule charges.
enum class ChargeRule {
  kByHarm,    // What is taken from others, each unit at its own price: mpsp.
  kOnePrice,  // One price for all units, that of the last: uniform_price.
};

// The rounds of late, from which follows what more units are likely to cost: the price of each unit
// is a percentile of what that unit would have cost in each of them (policies/bidding/supply.h).
// Copyable.
class PriceHistory {
 public:
  struct Round {
    int64_t free_units = 0;  // The supply less what others won.
    int64_t reserve_unit_price_microcredits = 0;
    int64_t next_unit_price_microcredits = 0;  // Of a unit beyond those that were free.
  };

  // So many rounds are remembered: held within 1 and 64.
  explicit PriceHistory(size_t rounds = 16);

  // Notes a round, if it is a later one than the last that was noted: from Session::OnRound, which
  // tells each round once, with what the program's own bids won in it. Of `guest_id`; 0: of all in
  // `round` together. False: it was noted before, or the resource has no price there.
  bool Note(const nom::Round& round, Resource resource, uint64_t guest_id = 0);

  // Begins with rounds of before (Session::ListPrices), so that the first advice is not that of a
  // newcomer: notes those that are later than the last that was noted, and says how many. Newest
  // first, as they are listed. What was sold then counts as sold to others.
  size_t NotePast(const std::vector<PricedRound>& rounds, Resource resource);

  const std::vector<Round>& rounds() const { return rounds_; }  // The latest last.
  // What one unit more than `units` is likely to cost; nullopt before the first round. `percent` is
  // held within 1 and 100: 50 is the median, 100 the dearest of late.
  std::optional<int64_t> UnitPriceAbove(int64_t units, int percent = 50) const;

 private:
  size_t rounds_max_;
  uint64_t last_round_id_ = 0;
  std::vector<Round> rounds_;
};

struct AdviseOptions {
  BidShape shape = BidShape::kConcave;
  int64_t unit_price_microcredits = 0;  // Today's, for best_units.
  // If it has seen a round, best_units goes by what quantities are likely to cost instead. Must
  // outlive the call.
  const PriceHistory* history = nullptr;
  int history_percent = 50;
  ChargeRule charge_rule = ChargeRule::kByHarm;
  // The ceiling comes first, then the budget.
  std::optional<int64_t> budget_microcredits = std::nullopt;
  std::optional<int64_t> ceiling_unit_price_microcredits = std::nullopt;
};

struct Advice {
  std::vector<BidRange> ranges;  // Empty: nothing is worth bidding for; withdraw.
  // The quantity that leaves the most at today's price, or at those expected; 0 if none leaves
  // anything. The whole curve is bid all the same: the rule finds the best quantity at the prices
  // that turn out.
  int64_t best_units = 0;
  int64_t best_value_microcredits = 0;       // Of best_units, by the valuation.
  int64_t expected_charge_microcredits = 0;  // For best_units.
  // The most by which the bid is above the valuation anywhere. Above 0 only for kHull: who is
  // served all that this bid asks for at a price never pays more than that is worth, but a share of
  // it can cost so much more.
  int64_t above_valuation_microcredits = 0;
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
  // The point that leaves the most at today's prices, of those that need nothing that is not on
  // sale; nullopt: none does, run on the seed.
  std::optional<WorkingPoint> point;
  // What each resource is worth while the others are bought at today's prices: curves for Advise()
  // with BidShape::kSteps (or kConcave or kHull under uniform_price). Only resources that some
  // point uses and that are on sale.
  std::map<Resource, std::vector<ValuePoint>> valuations;
};

// Working points, searched again and again: made once for a load, asked whenever a price moves.
// Moves, but is not copied. Thread-safe.
class Planner {
 public:
  // Errors: INVALID_ARGUMENT names the point: out of range, or too many (4,096 of which none beats
  // another).
  static absl::StatusOr<Planner> Create(std::vector<WorkingPoint> points);
  Planner(Planner&&) noexcept;
  Planner& operator=(Planner&&) noexcept;
  ~Planner();

  const std::vector<WorkingPoint>& points() const;
  // The place in points() of the one that leaves the most at these prices, of those that need
  // nothing that is not on sale; nullopt: none does, run on the seed. About a microsecond for a
  // thousand points.
  std::optional<size_t> BestAt(const Prices& prices) const;
  // Of the one worth most that needs no more than `held` (beyond the seed; a resource that is not
  // named: none): how to run on what was won.
  std::optional<size_t> BestWithin(const std::map<Resource, int64_t>& held) const;
  Plan PlanAt(const Prices& prices) const;

 private:
  class Impl;
  explicit Planner(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// All in one, for a few points. Errors as Planner::Create.
absl::StatusOr<Plan> PlanWork(const std::vector<WorkingPoint>& points, const Prices& prices);

}  // namespace nom

#endif  // NOM_ADVISER_H_
