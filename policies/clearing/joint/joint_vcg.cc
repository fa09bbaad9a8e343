// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/joint/joint_vcg.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "policies/clearing/int128.h"
#include "policies/clearing/joint/charges.h"
#include "policies/clearing/joint/parts.h"

namespace nom::policies {
namespace {

// Of the work: 1 / this.
constexpr int64_t kChargesPart = 4;
constexpr int64_t kStepsABid = 150;  // Counted work, however little it says.

using joint::CellList;
using joint::Context;
using joint::Maximum;
using joint::Problem;
using joint::ProblemPrices;

void Promise(bool is_kept, const char* what) {
  if (is_kept) return;
  std::fprintf(stderr, "ClearJointVcg: %s\n", what);
  std::abort();
}

// Indices into auction.bids, in the order of TieOrder.
std::vector<size_t> BidsInTieOrder(const JointAuction& auction) {
  std::vector<std::pair<uint64_t, size_t>> ranks;
  for (size_t i = 0; i < auction.bids.size(); ++i) {
    ranks.emplace_back(TieOrder(auction.seed, auction.bids[i].guest_id), i);
  }
  std::sort(ranks.begin(), ranks.end());
  std::vector<size_t> order;
  order.reserve(ranks.size());
  for (const auto& [rank, index] : ranks) order.push_back(index);
  return order;
}

double MostGain(const CellList& list) {
  return list.size() == 0 ? 0 : *std::max_element(list.gain.begin(), list.gain.end());
}

// W of the state in which nobody wins anything.
Int128 BaseWelfare(const JointAuction& auction) {
  Int128 base = 0;
  for (size_t r = 0; r < auction.capacity_units.size(); ++r) {
    base += Int128{auction.capacity_units[r]} * auction.reserve_unit_prices_microcredits[r];
    for (const JointBid& bid : auction.bids) {
      base -= Int128{bid.held_units[r]} * auction.reclaim_penalties_microcredits[r];
    }
  }
  return base;
}

class Rule {
 public:
  Rule(const JointAuction& auction, const JointVcgOptions& options)
      : auction_(auction), options_(options) {}

  absl::StatusOr<JointClearing> Clear() {
    std::vector<CellList> lists;
    Int128 gain_sum = 0;
    int64_t steps = 0;
    for (const size_t index : BidsInTieOrder(auction_)) {
      absl::StatusOr<CellList> list =
          joint::MakeCells(auction_, auction_.bids[index], joint::Values::kAsBid);
      if (!list.ok()) return list.status();
      steps += list->steps + kStepsABid;
      if (list->size() == 0) continue;
      gain_sum += static_cast<Int128>(MostGain(*list));
      order_.push_back(index);
      lists.push_back(*std::move(list));
    }
    steps += joint::KeepHighestPerBundle(auction_, MostOfOneOwner(), lists);
    // What is kept is for the charges, however hard the awards are to prove.
    const int64_t kept = std::max<int64_t>(0, options_.work_max / kChargesPart);
    Context context = Context::Make(auction_, gain_sum, options_.work_max - kept);
    context.work_left -= steps;
    context.shortlist_cells = options_.shortlist_cells;
    context.box_work = options_.box_work;
    Problem problem;
    problem.capacity_units = auction_.capacity_units;
    for (CellList& list : lists) {
      problem.lists.push_back(std::make_shared<const CellList>(std::move(list)));
    }
    const ProblemPrices prices(context, problem, static_cast<double>(gain_sum + 1));
    const Maximum best = joint::Maximise(context, problem, prices, 0, /*with_choices=*/true);
    context.work_left += kept;
    return Assemble(context, problem, prices, best);
  }

 private:
  // The most bidders that are taken out together to find what they pay.
  int64_t MostOfOneOwner() const {
    int64_t most = 1;
    std::map<uint64_t, int64_t> bidders;
    for (const size_t index : order_) {
      const uint64_t owner = auction_.bids[index].owner_id;
      if (owner != 0) most = std::max(most, ++bidders[owner]);
    }
    return most;
  }

  absl::StatusOr<JointClearing> Assemble(Context& context, const Problem& problem,
                                         const ProblemPrices& prices, const Maximum& best) {
    std::vector<UnitVector> units(auction_.bids.size());
    for (size_t i = 0; i < best.awards.size(); ++i) {
      for (size_t r = 0; r < best.awards[i].size(); ++r) {
        units[order_[i]][r] = best.awards[i][r];
      }
    }
    const absl::StatusOr<Microcredits> welfare = JointWelfare(auction_, units);
    if (!welfare.ok()) {
      Promise(absl::IsOutOfRange(welfare.status()), "the awards can't be sold");
      return welfare.status();
    }
    const Int128 base = BaseWelfare(auction_);
    Promise(base + best.gain == *welfare, "the awards gain something else than was found");
    const auto bound = ToMicrocredits(base + best.gain_bound, "welfare_bound");
    if (!bound.ok()) return bound.status();
    JointClearing clearing;
    clearing.welfare_microcredits = *welfare;
    clearing.welfare_bound_microcredits = *bound;
    clearing.charges_are_exact = best.gain_bound == best.gain;
    for (size_t r = 0; r < static_cast<size_t>(auction_.resource_count); ++r) {
      const auto above_reserve = static_cast<Microcredits>(prices.prices()[r]);
      clearing.clearing_unit_prices_microcredits[r] =
          auction_.reserve_unit_prices_microcredits[r] + above_reserve;
      clearing.bound_by[r] = above_reserve > 0 ? BoundBy::kBids : BoundBy::kReserve;
    }
    clearing.awards = joint::ChargeWinners(context, {auction_, order_, problem, prices, best});
    for (const JointAward& award : clearing.awards) {
      clearing.charges_are_exact =
          clearing.charges_are_exact &&
          award.charge_least_microcredits == award.charge_bound_microcredits;
    }
    clearing.work = options_.work_max - context.work_left;
    return clearing;
  }

  const JointAuction& auction_;
  const JointVcgOptions& options_;
  std::vector<size_t> order_;  // By bidder of the problem: an index into auction.bids.
};

}  // namespace

absl::StatusOr<JointClearing> ClearJointVcg(const JointAuction& auction,
                                            const JointVcgOptions& options) {
  if (auto s = ValidateJointAuction(auction); !s.ok()) return s;
  const std::vector<joint::Part> parts = joint::PartsOf(auction);
  const bool is_whole =
      parts.empty() || (parts.size() == 1 && parts[0].auction.bids.size() == auction.bids.size() &&
                        parts[0].auction.resource_count == auction.resource_count);
  if (is_whole) return Rule(auction, options).Clear();
  std::vector<JointClearing> clearings;
  int64_t work_left = options.work_max;
  for (size_t p = 0; p < parts.size(); ++p) {
    // An equal share each; what one leaves goes to those that come after it.
    JointVcgOptions of_part = options;
    of_part.work_max = std::max<int64_t>(0, work_left) / static_cast<int64_t>(parts.size() - p);
    absl::StatusOr<JointClearing> clearing = Rule(parts[p].auction, of_part).Clear();
    if (!clearing.ok()) return clearing.status();
    work_left -= clearing->work;
    clearings.push_back(*std::move(clearing));
  }
  return joint::PutTogether(auction, parts, clearings);
}

}  // namespace nom::policies
