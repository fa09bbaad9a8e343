// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/fallback.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <utility>

#include "policies/clearing/greedy.h"
#include "policies/clearing/int128.h"
#include "policies/clearing/mpsp.h"
#include "policies/clearing/outcome.h"
#include "policies/clearing/rules.h"
#include "policies/clearing/sellable.h"
#include "policies/clearing/weights.h"
#include "policies/clearing/work.h"

namespace nom::policies {
namespace {

// Lots are for the one rule that takes any bid and is exact: the others' work does not depend on
// units.
bool HasLots(const RuleInfo& rule) { return rule.takes_gaps && rule.efficient; }

// The largest quantity of at most `most` that can be sold to the bid, or 0.
int64_t MostSellable(const Bid& bid, int64_t most, Microcredits reserve) {
  for (auto range = bid.ranges.rbegin(); range != bid.ranges.rend(); ++range) {
    const NetRange net = CutToSellable(*range, range->min_units, most, reserve);
    if (net.min_units <= net.max_units) return net.max_units;
  }
  return 0;
}

// The steps of tables for so many lots at most.
int64_t StepsInLots(int64_t lots, size_t bids) {
  // Not how many there are exactly, so that one more or less changes nothing.
  const auto guests = static_cast<int64_t>(std::bit_ceil(std::max<size_t>(1, bids)));
  // A range can be two pieces, and each is one in lots and the end that is left over.
  return 2 * guests * (4 * int64_t{kRangesMax} + 1) * (lots + 1);
}

// One clearing, link by link.
class Chain {
 public:
  Chain(const RuleInfo& rule, const Auction& auction, int64_t work_max)
      : rule_(rule),
        auction_(auction),
        work_max_(work_max),
        lot_units_(LotUnits(auction.capacity_units, auction.bids.size(), work_max)) {}

  absl::StatusOr<Clearing> Clear() {
    auto clearing = Exact();
    if (clearing.ok() && !clearing->has_value() && HasLots(rule_)) clearing = Coarser();
    if (!clearing.ok()) return clearing.status();
    if (clearing->has_value()) return **std::move(clearing);
    if (HasLots(rule_)) {
      // Of its own: what went before has mostly used up the budget.
      Work work(work_max_ / 2);
      absl::StatusOr<Clearing> greedy = ClearGreedy(auction_, work);
      steps_ += work.taken_steps();
      if (!absl::IsResourceExhausted(greedy.status())) return greedy;
    }
    return RepeatLast(auction_);
  }

  int64_t steps() const { return steps_; }

 private:
  absl::StatusOr<std::optional<Clearing>> Exact() {
    // Lots have what their tables can take at most.
    const int64_t kept =
        HasLots(rule_) && lot_units_ > 0
            ? StepsInLots(auction_.capacity_units / lot_units_, auction_.bids.size())
            : 0;
    Work work(work_max_ - kept);
    auto clearing = ClearByRuleWithin(rule_.name, auction_, work);
    steps_ += work.taken_steps();
    return clearing;
  }

  absl::StatusOr<std::optional<Clearing>> Coarser() {
    if (lot_units_ == 0) return std::optional<Clearing>();
    Work work(work_max_ - steps_);
    auto clearing = ClearMpspInLots(auction_, lot_units_, work);
    steps_ += work.taken_steps();
    if (!clearing.ok() || !clearing->has_value()) return clearing;
    const auto bound = WelfareBound(auction_);
    if (!bound.ok()) return bound.status();
    (*clearing)->welfare_bound_microcredits = *bound;
    (*clearing)->method = Method::kCoarser;
    return clearing;
  }

  const RuleInfo& rule_;
  const Auction& auction_;
  const int64_t work_max_;
  const int64_t lot_units_;
  int64_t steps_ = 0;
};

}  // namespace

int64_t LotUnits(int64_t capacity_units, size_t bids, int64_t work_max) {
  for (int64_t lot = 2; capacity_units / lot >= kLotsMin; lot *= 2) {
    if (StepsInLots(capacity_units / lot, bids) <= work_max / 2) return lot;
  }
  return 0;
}

absl::StatusOr<Clearing> RepeatLast(const Auction& auction) {
  if (HasWeights(auction)) {
    const absl::StatusOr<Auction> weighted = Weighted(auction);
    if (!weighted.ok()) return weighted.status();
    absl::StatusOr<Clearing> repeated = RepeatLast(*weighted);
    if (!repeated.ok()) return repeated;
    return Unweighted(auction, *std::move(repeated));
  }
  if (auto s = ValidateAuction(auction); !s.ok()) return s;
  const auto bound = WelfareBound(auction);
  if (!bound.ok()) return bound.status();
  Int128 held_units = 0;
  for (const Bid& bid : auction.bids) held_units += bid.held_units;
  const Microcredits reserve = auction.reserve_unit_price_microcredits;
  std::vector<int64_t> units(auction.bids.size(), 0);
  std::vector<Microcredits> charges(auction.bids.size(), 0);
  for (size_t i = 0; i < auction.bids.size(); ++i) {
    int64_t most = auction.bids[i].held_units;
    if (held_units > auction.capacity_units) {
      most = static_cast<int64_t>(Int128{most} * auction.capacity_units / held_units);
    }
    units[i] = MostSellable(auction.bids[i], most, reserve);
    charges[i] = units[i] * reserve;  // At most the value, as it can be sold.
  }
  absl::StatusOr<Clearing> clearing = MakeClearing(auction, units, charges, reserve);
  if (!clearing.ok()) return clearing;
  clearing->welfare_bound_microcredits = *bound;
  clearing->method = Method::kRepeatLast;
  return clearing;
}

absl::StatusOr<Clearing> ClearWithin(std::string_view rule, const Auction& auction,
                                     int64_t work_max, int64_t* work_steps) {
  if (HasWeights(auction)) {
    const absl::StatusOr<Auction> weighted = Weighted(auction);
    if (!weighted.ok()) return weighted.status();
    absl::StatusOr<Clearing> cleared = ClearWithin(rule, *weighted, work_max, work_steps);
    if (!cleared.ok()) return cleared;
    return Unweighted(auction, *std::move(cleared));
  }
  if (auto s = ValidateAuction(auction); !s.ok()) return s;
  const RuleInfo* info = FindRule(rule);
  if (info == nullptr) return Clear(rule, auction);  // Which says what is wrong.
  Chain chain(*info, auction, work_max);
  absl::StatusOr<Clearing> clearing = chain.Clear();
  if (work_steps != nullptr) *work_steps = chain.steps();
  return clearing;
}

}  // namespace nom::policies
