// SPDX-License-Identifier: Apache-2.0
#include "tests/referee/exhaustive.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "policies/clearing/int128.h"

namespace nom::policies {
namespace {

const std::vector<size_t> kNobody;

// All that can be sold to a bid, nothing included, by rising units.
std::vector<int64_t> SellableUnits(const Bid& bid, const Auction& auction) {
  std::vector<int64_t> units = {0};
  for (const Range& range : bid.ranges) {
    for (int64_t a = range.min_units; a <= std::min(range.max_units, auction.capacity_units); ++a) {
      // Where ranges touch, the quantity is in both.
      if (a > units.back() && Sellable(bid, a, auction.reserve_unit_price_microcredits)) {
        units.push_back(a);
      }
    }
  }
  return units;
}

class Search {
 public:
  // `without`: the bids whose quantities are worth exactly the reserve.
  Search(const Auction& auction, int64_t lot, int64_t capacity_units, std::vector<size_t> without)
      : auction_(auction),
        lot_(lot),
        capacity_units_(capacity_units),
        without_(std::move(without)),
        order_(InTieOrder(auction)),
        units_(auction.bids.size(), 0) {
    for (const Bid& bid : auction.bids) sellable_.push_back(SellableUnits(bid, auction));
    Try(0, capacity_units / lot);
  }

  Int128 best_welfare() const { return best_->welfare; }
  const std::vector<int64_t>& best_units() const { return best_units_; }

 private:
  // In the order of comparison, after the order of guests.
  struct Score {
    Int128 welfare;
    Int128 units_taken;
  };

  Score ScoreOfUnits() const {
    Int128 sold_units = 0;
    Score score{0, 0};
    for (size_t i = 0; i < units_.size(); ++i) {
      sold_units += units_[i];
      score.units_taken += std::max<int64_t>(0, auction_.bids[i].held_units - units_[i]);
      const bool is_without = std::count(without_.begin(), without_.end(), i) > 0;
      score.welfare += is_without ? Int128{units_[i]} * auction_.reserve_unit_price_microcredits
                                  : Int128{ValueOf(auction_.bids[i], units_[i])};
    }
    score.welfare += (capacity_units_ - sold_units) * auction_.reserve_unit_price_microcredits;
    score.welfare -= score.units_taken * auction_.reclaim_penalty_microcredits;
    return score;
  }

  bool LexicographicallyGreater() const {
    for (size_t index : order_) {
      if (units_[index] != best_units_[index]) return units_[index] > best_units_[index];
    }
    return false;
  }

  void Try(size_t place, int64_t left_lots) {
    if (place == order_.size()) {
      const Score score = ScoreOfUnits();
      const bool better =
          !best_.has_value() || score.welfare > best_->welfare ||
          (score.welfare == best_->welfare &&
           (score.units_taken < best_->units_taken ||
            (score.units_taken == best_->units_taken && LexicographicallyGreater())));
      if (better) {
        best_ = score;
        best_units_ = units_;
      }
      return;
    }
    const size_t index = order_[place];
    for (int64_t a : sellable_[index]) {
      const int64_t lots = (a + lot_ - 1) / lot_;
      if (lots > left_lots) break;
      units_[index] = a;
      Try(place + 1, left_lots - lots);
    }
    units_[index] = 0;
  }

  const Auction& auction_;
  const int64_t lot_;
  const int64_t capacity_units_;
  const std::vector<size_t> without_;
  const std::vector<size_t> order_;
  std::vector<std::vector<int64_t>> sellable_;  // By bid.
  std::vector<int64_t> units_;
  std::optional<Score> best_;
  std::vector<int64_t> best_units_;
};

absl::Status CheckSize(const Auction& auction) {
  int64_t allocations = 1;
  for (const Bid& bid : auction.bids) {
    int64_t quantities = 1;
    for (const Range& range : bid.ranges) {
      quantities += std::max<int64_t>(
          0, std::min(range.max_units, auction.capacity_units) - range.min_units + 1);
    }
    if (allocations > kExhaustiveAllocationsMax / quantities) {
      return absl::ResourceExhaustedError(
          absl::StrCat("bids: more than ", kExhaustiveAllocationsMax, " combinations"));
    }
    allocations *= quantities;
  }
  return absl::OkStatus();
}

// The bids that speak for the owner of bid i: those of the same owner in the order of ties, or i.
std::vector<size_t> Siblings(const Auction& auction, size_t i) {
  std::vector<size_t> siblings;
  for (size_t k : InTieOrder(auction)) {
    const bool is_sibling =
        auction.bids[k].owner_id == auction.bids[i].owner_id && auction.bids[i].owner_id != 0;
    if (k == i || is_sibling) siblings.push_back(k);
  }
  return siblings;
}

// What bid i pays of the excess of its owner, share by share as owners.h says it: everybody's share
// rounded down, then one micro-credit at a time to whoever was cut most, the first of equals.
Int128 ShareOf(const Auction& auction, const std::vector<size_t>& siblings, size_t i,
               const std::vector<int64_t>& units, Int128 excess) {
  std::vector<Int128> surpluses;
  Int128 sum = 0;
  for (size_t k : siblings) {
    surpluses.push_back(Int128{ValueOf(auction.bids[k], units[k])} -
                        Int128{units[k]} * auction.reserve_unit_price_microcredits);
    sum += surpluses.back();
  }
  if (sum == 0) return 0;
  std::vector<Int128> shares;
  std::vector<Int128> cut;
  Int128 left = excess;
  for (Int128 surplus : surpluses) {
    shares.push_back(excess * surplus / sum);
    cut.push_back(excess * surplus % sum);
    left -= shares.back();
  }
  for (; left > 0; --left) {
    const auto most = static_cast<size_t>(std::max_element(cut.begin(), cut.end()) - cut.begin());
    ++shares[most];
    cut[most] = -1;
  }
  return shares[static_cast<size_t>(std::find(siblings.begin(), siblings.end(), i) -
                                    siblings.begin())];
}

// The best offer for more units, by looking at every quantity.
Int128 HighestRejected(const Auction& auction, const std::vector<int64_t>& units) {
  Int128 best = 0;
  for (size_t i = 0; i < units.size(); ++i) {
    const Bid& bid = auction.bids[i];
    for (const Range& range : bid.ranges) {
      for (int64_t q = std::max(range.min_units, units[i] + 1); q <= range.max_units; ++q) {
        const Int128 more = Int128{ValueOf(bid, q)} - ValueOf(bid, units[i]);
        if (more > 0) best = std::max(best, more / (q - units[i]));
      }
    }
  }
  return best;
}

}  // namespace

absl::StatusOr<Clearing> ClearExhaustive(const Auction& auction) {
  return ClearExhaustiveInLots(auction, 1);
}

absl::StatusOr<Clearing> ClearExhaustiveInLots(const Auction& auction, int64_t lot) {
  if (auto s = ValidateAuction(auction); !s.ok()) return s;
  if (auto s = CheckSize(auction); !s.ok()) return s;
  const Search all(auction, lot, auction.capacity_units, kNobody);
  const Int128 reserve = auction.reserve_unit_price_microcredits;
  Clearing clearing;
  for (size_t i = 0; i < auction.bids.size(); ++i) {
    const int64_t units = all.best_units()[i];
    if (units == 0) continue;
    const std::vector<size_t> siblings = Siblings(auction, i);
    const Search without(auction, lot, auction.capacity_units, siblings);
    Int128 excess = without.best_welfare() - all.best_welfare();
    for (size_t k : siblings) {
      excess +=
          Int128{ValueOf(auction.bids[k], all.best_units()[k])} - reserve * all.best_units()[k];
    }
    const Int128 charge = reserve * units + ShareOf(auction, siblings, i, all.best_units(), excess);
    clearing.awards.push_back({auction.bids[i].guest_id, units, static_cast<Microcredits>(charge)});
  }
  std::sort(clearing.awards.begin(), clearing.awards.end(),
            [](const Award& a, const Award& b) { return a.guest_id < b.guest_id; });
  const Int128 rejected = HighestRejected(auction, all.best_units());
  const Int128 price =
      auction.capacity_units < lot
          ? std::max(reserve, rejected)
          : FloorDivide(
                all.best_welfare() -
                    Search(auction, lot, auction.capacity_units - lot, kNobody).best_welfare(),
                lot);
  clearing.highest_rejected_unit_price_microcredits = static_cast<Microcredits>(rejected);
  clearing.clearing_unit_price_microcredits = static_cast<Microcredits>(price);
  clearing.bound_by = price > reserve ? BoundBy::kBids : BoundBy::kReserve;
  absl::StatusOr<Microcredits> welfare = ToMicrocredits(all.best_welfare(), "welfare");
  if (!welfare.ok()) return welfare.status();
  clearing.welfare_microcredits = *welfare;
  clearing.welfare_bound_microcredits = *welfare;
  return clearing;
}

}  // namespace nom::policies
