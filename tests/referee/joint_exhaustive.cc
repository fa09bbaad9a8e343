// SPDX-License-Identifier: Apache-2.0
#include "tests/referee/joint_exhaustive.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "policies/clearing/int128.h"

namespace nom::policies {
namespace {

struct Option {
  UnitVector units = {};
  Int128 adds = 0;  // To W: value, less what is not sold at the reserve, less penalties.
};

// Every bundle within the capacity that can be sold, the empty one among them.
std::vector<Option> OptionsOf(const JointAuction& auction, const JointBid& bid, bool is_without) {
  std::vector<Option> options;
  UnitVector units = {};
  for (;;) {
    const std::optional<Microcredits> value = ValueOf(bid, units);
    Int128 at_reserve = 0;
    Int128 penalty = 0;
    for (size_t r = 0; r < units.size(); ++r) {
      at_reserve += Int128{units[r]} * auction.reserve_unit_prices_microcredits[r];
      penalty += Int128{std::max<int64_t>(0, bid.held_units[r] - units[r])} *
                 auction.reclaim_penalties_microcredits[r];
    }
    if (value.has_value() && *value >= at_reserve) {
      options.push_back({units, (is_without ? 0 : *value - at_reserve) - penalty});
    }
    size_t r = 0;
    while (r < units.size() && ++units[r] > auction.capacity_units[r]) units[r++] = 0;
    if (r == units.size()) return options;
  }
}

class Search {
 public:
  Search(const JointAuction& auction, std::vector<std::vector<Option>> options)
      : options_(std::move(options)) {
    Try(0, auction.capacity_units, 0);
  }

  Int128 best() const { return *best_; }

 private:
  void Try(size_t bid, const UnitVector& left, Int128 sum) {
    if (bid == options_.size()) {
      best_ = best_.has_value() ? std::max(*best_, sum) : sum;
      return;
    }
    for (const Option& option : options_[bid]) {
      UnitVector after = left;
      bool fits = true;
      for (size_t r = 0; r < after.size(); ++r) fits = (after[r] -= option.units[r]) >= 0 && fits;
      if (fits) Try(bid + 1, after, sum + option.adds);
    }
  }

  const std::vector<std::vector<Option>> options_;
  std::optional<Int128> best_;
};

}  // namespace

absl::StatusOr<Microcredits> LargestJointWelfare(const JointAuction& auction,
                                                 const std::vector<size_t>& without) {
  if (auto s = ValidateJointAuction(auction); !s.ok()) return s;
  std::vector<std::vector<Option>> options;
  int64_t allocations = 1;
  for (size_t i = 0; i < auction.bids.size(); ++i) {
    const bool is_without = std::find(without.begin(), without.end(), i) != without.end();
    options.push_back(OptionsOf(auction, auction.bids[i], is_without));
    const auto count = static_cast<int64_t>(options.back().size());
    if (allocations > kJointExhaustiveMax / count) {
      return absl::ResourceExhaustedError(
          absl::StrCat("bids: more than ", kJointExhaustiveMax, " combinations"));
    }
    allocations *= count;
  }
  Int128 base = 0;
  for (size_t r = 0; r < auction.capacity_units.size(); ++r) {
    base += Int128{auction.capacity_units[r]} * auction.reserve_unit_prices_microcredits[r];
  }
  return ToMicrocredits(base + Search(auction, std::move(options)).best(), "welfare");
}

}  // namespace nom::policies
