// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/concave/concave_bids.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "policies/clearing/concave/columns.h"
#include "policies/clearing/owners.h"

namespace nom::policies {
namespace {

// Calls visit(units, price, range index) for each run of units of equal price, in order; stops
// early if it returns false. False if a quantity is refused or visit stopped.
template <typename Visit>
bool VisitMarginalUnits(const Bid& bid, const Visit& visit) {
  int64_t end_units = 0;
  Microcredits end_value = 0;
  for (size_t i = 0; i < bid.ranges.size(); ++i) {
    const Range& range = bid.ranges[i];
    if (range.min_units > end_units + 1) return false;
    if (range.min_units == end_units + 1 &&
        !visit(1, range.value_at_min_microcredits - end_value, i)) {
      return false;
    }
    const int64_t width = range.max_units - range.min_units;
    if (width > 0 && !visit(width, range.unit_price_microcredits, i)) return false;
    end_units = range.max_units;
    end_value =
        range.value_at_min_microcredits + (width == 0 ? 0 : width * range.unit_price_microcredits);
  }
  return true;
}

// Steps of counted work (work.h), as measured by bench/policies/concave_goals.cc.
constexpr int64_t kStepsABid = 3;
constexpr int64_t kStepsARange = 2;

// The columns of an auction, and what they are made of.
class Columns {
 public:
  // False if a bid is not concave or the work is used up.
  bool Fill(const Auction& auction, bool with_owners, Work& work) {
    size_t ranges = 0;
    bool is_held = false;
    for (const Bid& bid : auction.bids) {
      ranges += bid.ranges.size();
      is_held |= bid.held_units > 0;
    }
    const auto bids = static_cast<int64_t>(auction.bids.size());
    if (!work.Take(kStepsABid * bids + kStepsARange * static_cast<int64_t>(ranges))) return false;
    const bool has_penalty = is_held && auction.reclaim_penalty_microcredits > 0;
    // A range is at most two runs, its first unit and the rest; and one of a bid's runs is cut in
    // two where the held units end.
    const size_t runs_max = 2 * ranges + (has_penalty ? auction.bids.size() : 0);
    guest_ids_.reserve(auction.bids.size());
    held_units_.reserve(auction.bids.size());
    first_run_.reserve(auction.bids.size() + 1);
    if (has_penalty) keepable_units_.reserve(auction.bids.size());
    gain_ = std::make_unique_for_overwrite<Microcredits[]>(runs_max);
    units_ = std::make_unique_for_overwrite<int32_t[]>(runs_max);
    for (const Bid& bid : auction.bids) {
      guest_ids_.push_back(bid.guest_id);
      held_units_.push_back(bid.held_units);
      first_run_.push_back(runs_);
      if (!(has_penalty ? AppendWithPenalty(auction, bid) : Append(auction, bid))) return false;
    }
    first_run_.push_back(runs_);
    if (with_owners) shared_owners_ = SharedOwners(auction);
    return true;
  }

  ConcaveColumns View(const Auction& auction) const {
    return {auction.capacity_units,
            auction.reserve_unit_price_microcredits,
            auction.seed,
            guest_ids_,
            held_units_,
            first_run_,
            {gain_.get(), runs_},
            {units_.get(), runs_},
            keepable_units_,
            auction.reclaim_penalty_microcredits,
            shared_owners_};
  }

 private:
  // A bid's units as long as they are worth the reserve. Those behind are worth less each, so no
  // quantity with them is worth more.
  bool Append(const Auction& auction, const Bid& bid) {
    const Microcredits reserve = auction.reserve_unit_price_microcredits;
    Microcredits last_price = kValueMaxMicrocredits;
    return VisitMarginalUnits(bid, [&](int64_t units, Microcredits price, size_t) {
      if (price > last_price) return false;
      last_price = price;
      if (price >= reserve) AddRun(price - reserve, units);
      return true;
    });
  }

  // With a penalty a held unit may be worth keeping although it is worth less than the reserve, as
  // long as all units together are worth the reserve (Sellable). What they are worth above it, the
  // surplus, rises from 0 and then falls, so the quantities that can be sold are those up to some
  // last one.
  bool AppendWithPenalty(const Auction& auction, const Bid& bid) {
    const Microcredits penalty = auction.reclaim_penalty_microcredits;
    Microcredits last_price = kValueMaxMicrocredits;
    Microcredits surplus = 0;
    int64_t sellable_units = 0;
    bool is_ended = false;
    const bool is_concave = VisitMarginalUnits(bid, [&](int64_t units, Microcredits price, size_t) {
      if (price > last_price) return false;
      last_price = price;
      if (is_ended) return true;
      const Microcredits net_price = price - auction.reserve_unit_price_microcredits;
      if (net_price < 0) {
        const int64_t units_max = surplus / -net_price;
        is_ended = units_max < units;
        units = std::min(units, units_max);
      }
      surplus += net_price * units;
      const int64_t held_units = std::clamp<int64_t>(bid.held_units - sellable_units, 0, units);
      sellable_units += units;
      if (held_units > 0 && net_price + penalty >= 0) AddRun(net_price + penalty, held_units);
      if (held_units < units && net_price >= 0) AddRun(net_price, units - held_units);
      return true;
    });
    keepable_units_.push_back(std::min(bid.held_units, sellable_units));
    return is_concave;
  }

  void AddRun(Microcredits gain, int64_t units) {
    gain_[runs_] = gain;
    units_[runs_++] = static_cast<int32_t>(units);
  }

  std::vector<GuestId> guest_ids_;
  std::vector<int64_t> held_units_;
  std::vector<uint32_t> first_run_;
  std::vector<int64_t> keepable_units_;
  uint32_t runs_ = 0;
  std::unique_ptr<Microcredits[]> gain_;
  std::unique_ptr<int32_t[]> units_;
  std::vector<std::vector<size_t>> shared_owners_;
};

}  // namespace

absl::Status CheckConcave(const Bid& bid) {
  int64_t end_units = 0;
  for (size_t i = 0; i < bid.ranges.size(); ++i) {
    if (bid.ranges[i].min_units > end_units + 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          "ranges[", i, "].min_units: refuses ", end_units + 1, " to ", bid.ranges[i].min_units - 1,
          " units; only a rule for gaps can take this bid"));
    }
    end_units = bid.ranges[i].max_units;
  }
  Microcredits last_price = kValueMaxMicrocredits;
  size_t wrong = bid.ranges.size();
  bool wrong_at_min = false;
  int64_t at_units = 0;
  VisitMarginalUnits(bid, [&](int64_t units, Microcredits price, size_t range) {
    if (price > last_price) {
      wrong = range;
      wrong_at_min = at_units < bid.ranges[range].min_units;
      return false;
    }
    last_price = price;
    at_units += units;
    return true;
  });
  if (wrong == bid.ranges.size()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("ranges[", wrong, "].",
                   wrong_at_min ? "value_at_min_microcredits" : "unit_price_microcredits",
                   ": a unit is worth more than the one before it; only a rule for gaps can take "
                   "this bid"));
}

bool IsConcave(const Bid& bid) {
  Microcredits last_price = kValueMaxMicrocredits;
  return VisitMarginalUnits(bid, [&](int64_t, Microcredits price, size_t) {
    if (price > last_price) return false;
    last_price = price;
    return true;
  });
}

std::optional<ConcaveAwards> ClearConcave(const Auction& auction, bool with_charges, Work& work) {
  Columns columns;
  if (!columns.Fill(auction, with_charges, work)) return std::nullopt;
  ConcaveAwards awards;
  awards.units.resize(auction.bids.size(), 0);
  if (with_charges) awards.charges.resize(auction.bids.size(), 0);
  const std::optional<Microcredits> next_unit_price =
      ClearConcaveColumns(columns.View(auction), awards.units, awards.charges, work);
  if (!next_unit_price.has_value()) return std::nullopt;
  awards.next_unit_price_microcredits = *next_unit_price;
  return awards;
}

std::optional<ConcaveAwards> ClearConcave(const Auction& auction, bool with_charges) {
  Work work = Work::Unlimited();
  return ClearConcave(auction, with_charges, work);
}

}  // namespace nom::policies
