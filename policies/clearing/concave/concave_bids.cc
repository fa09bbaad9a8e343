#include "policies/clearing/concave/concave_bids.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "policies/clearing/concave/columns.h"

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

// The columns of an auction, and what they are made of.
class Columns {
 public:
  // False if a bid is not concave.
  bool Fill(const Auction& auction) {
    size_t ranges = 0;
    for (const Bid& bid : auction.bids) ranges += bid.ranges.size();
    guest_ids_.reserve(auction.bids.size());
    held_units_.reserve(auction.bids.size());
    first_run_.reserve(auction.bids.size() + 1);
    gain_ = std::make_unique_for_overwrite<Microcredits[]>(2 * ranges);
    units_ = std::make_unique_for_overwrite<int32_t[]>(2 * ranges);
    for (const Bid& bid : auction.bids) {
      guest_ids_.push_back(bid.guest_id);
      held_units_.push_back(bid.held_units);
      first_run_.push_back(runs_);
      if (!Append(bid, auction.reserve_unit_price_microcredits)) return false;
    }
    first_run_.push_back(runs_);
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
            {units_.get(), runs_}};
  }

 private:
  bool Append(const Bid& bid, Microcredits reserve) {
    Microcredits last_price = kValueMaxMicrocredits;
    return VisitMarginalUnits(bid, [&](int64_t units, Microcredits price, size_t) {
      if (price > last_price) return false;
      last_price = price;
      if (price >= reserve) {
        gain_[runs_] = price - reserve;
        units_[runs_++] = static_cast<int32_t>(units);
      }
      return true;
    });
  }

  std::vector<GuestId> guest_ids_;
  std::vector<int64_t> held_units_;
  std::vector<uint32_t> first_run_;
  // A range is at most two runs: its first unit and the rest.
  uint32_t runs_ = 0;
  std::unique_ptr<Microcredits[]> gain_;
  std::unique_ptr<int32_t[]> units_;
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

std::optional<ConcaveAwards> ClearConcave(const Auction& auction, bool with_charges) {
  if (auction.reclaim_penalty_microcredits > 0 &&
      std::any_of(auction.bids.begin(), auction.bids.end(),
                  [](const Bid& bid) { return bid.held_units > 0; })) {
    return std::nullopt;
  }
  Columns columns;
  if (!columns.Fill(auction)) return std::nullopt;
  ConcaveAwards awards;
  awards.units.resize(auction.bids.size(), 0);
  if (with_charges) awards.charges.resize(auction.bids.size(), 0);
  awards.next_unit_price_microcredits =
      ClearConcaveColumns(columns.View(auction), awards.units, awards.charges);
  return awards;
}

}  // namespace nom::policies
