// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/mpsp.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "policies/clearing/concave/concave_bids.h"
#include "policies/clearing/int128.h"
#include "policies/clearing/mpsp/branch_and_bound.h"
#include "policies/clearing/mpsp/in_money.h"
#include "policies/clearing/mpsp/lots.h"
#include "policies/clearing/mpsp/normal_form.h"
#include "policies/clearing/mpsp/solver.h"
#include "policies/clearing/outcome.h"
#include "policies/clearing/owners.h"

namespace nom::policies {
namespace {

// The bids of each owner that has more than one that can win: places in `bids`, rising.
std::vector<std::vector<size_t>> SharedPlaces(const Auction& auction, const KeyBids<Int128>& bids) {
  std::vector<std::vector<size_t>> shared = SharedOwners(auction);
  if (shared.empty()) return shared;
  std::vector<size_t> place_of(auction.bids.size(), bids.size());
  for (size_t place = 0; place < bids.size(); ++place) place_of[bids.origin[place]] = place;
  for (std::vector<size_t>& owned : shared) {
    for (size_t& index : owned) index = place_of[index];
    owned.erase(std::remove(owned.begin(), owned.end(), bids.size()), owned.end());
    std::sort(owned.begin(), owned.end());
  }
  std::erase_if(shared, [](const std::vector<size_t>& owned) { return owned.size() < 2; });
  return shared;
}

// What there is to solve: an auction in normal form, in lots of one unit or more.
struct Problem {
  Int128 key_scale = 1;
  int64_t capacity_lots = 0;
  KeyBids<Int128> in_units;
  KeyBids<Int128> in_lots;  // The same if a lot is a unit.
  bool fits_in_64_bits = false;
};

Problem ProblemOf(const Auction& auction, int64_t lot_units, Ties ties) {
  NormalAuction normal = Normalise(auction, ties);
  Problem problem;
  problem.key_scale = normal.key_scale;
  problem.in_units = std::move(normal.bids);
  problem.capacity_lots = normal.capacity_units;
  problem.in_lots = problem.in_units;
  if (lot_units > 1) {
    problem.in_lots = InLots(problem.in_units, lot_units);
    // By units: an absent owner may keep more than any lots are worth to it when it bids.
    int64_t wanted_lots = 0;
    for (size_t place = 0; place < problem.in_units.size(); ++place) {
      const auto pieces = problem.in_units.PiecesOf(place);
      if (!pieces.empty()) wanted_lots += (pieces.back().max_units + lot_units - 1) / lot_units;
    }
    problem.capacity_lots = std::min(wanted_lots, auction.capacity_units / lot_units);
  }
  // Who is absent still saves the penalty for each unit that it keeps, which may be more than its
  // own pieces rise by.
  const Int128 penalty_slope = problem.key_scale * auction.reclaim_penalty_microcredits * lot_units;
  problem.fits_in_64_bits = FitsIn64Bits(problem.in_lots, problem.capacity_lots, penalty_slope);
  return problem;
}

class MpspClearing {
 public:
  MpspClearing(const Auction& auction, int64_t lot_units, const MpspOptions& options, Work& work)
      : auction_(auction),
        lot_units_(lot_units),
        options_(options),
        solver_options_{options.table_bytes_max, options.always_tables, options.always_branches,
                        options.portable ? Vectors::kPortable : Vectors::kBest},
        work_(work) {}

  // Nothing if the work is used up.
  std::optional<InMoney> Clear() {
    const Problem problem = ProblemOf(auction_, lot_units_, Ties::kInKeys);
    shared_ = SharedPlaces(auction_, problem.in_units);
    if (problem.fits_in_64_bits) return SolveIn<int64_t>(problem, {});
    if (problem.key_scale > 1 && !options_.always_tables) {
      std::optional<InMoney> money = SolveGainsThenTies(problem);
      if (money.has_value() || work_.is_used_up()) return money;
    }
    return SolveIn<Int128>(problem, {});
  }

 private:
  // Charges ask for gains only, and those mostly fit in 64 bits where gains and ties together do
  // not. The awards, among which ties decide, are found before by branch and bound, for which wide
  // keys are no great matter. Nothing if that is not to be.
  std::optional<InMoney> SolveGainsThenTies(const Problem& problem) {
    const Problem gains = ProblemOf(auction_, lot_units_, Ties::kLeftToOrder);
    if (!gains.fits_in_64_bits) return std::nullopt;
    const std::optional<std::vector<int64_t>> lots =
        AwardsByBranchAndBound(problem.in_lots, problem.capacity_lots, work_);
    if (!lots.has_value()) return std::nullopt;
    return SolveIn<int64_t>(gains, *lots);
  }

  template <typename Key>
  std::optional<InMoney> SolveIn(const Problem& problem, const std::vector<int64_t>& known_lots) {
    const KeyBids<Key> units = ToKeys<Key>(problem.in_units);
    const KeyBids<Key> lots = ToKeys<Key>(problem.in_lots);
    Absences<Key> absences;
    absences.are_wanted = options_.with_charges;
    absences.pieces_without = [&](size_t place) {
      std::vector<KeyPiece<Key>> pieces = PiecesWithoutValue(
          auction_, auction_.bids[units.origin[place]], units.PiecesOf(place), problem.key_scale);
      return lot_units_ == 1 ? pieces : InLots<Key>(pieces, lot_units_);
    };
    absences.shared = shared_;
    absences.known_units = known_lots;
    std::optional<Solution<Key>> solution =
        Solve(lots, problem.capacity_lots, solver_options_, absences, work_);
    if (!solution.has_value()) return std::nullopt;
    if (lot_units_ > 1) {
      for (size_t place = 0; place < lots.size(); ++place) {
        int64_t& awarded = solution->units[place];
        if (awarded == 0) continue;
        awarded = UnitsOfLots(problem.in_units.PiecesOf(place), lot_units_, awarded);
      }
    }
    return ToMoney(auction_, lots.origin, problem.key_scale, shared_, *solution,
                   // If less was enough for everybody, one less makes no difference.
                   problem.capacity_lots == auction_.capacity_units / lot_units_ ? lot_units_ : 0);
  }

  template <typename Key>
  static KeyBids<Key> ToKeys(const KeyBids<Int128>& bids) {
    if constexpr (sizeof(Key) == sizeof(Int128)) {
      return bids;
    } else {
      return Narrow(bids);
    }
  }

  const Auction& auction_;
  const int64_t lot_units_;
  const MpspOptions& options_;
  const SolverOptions solver_options_;
  Work& work_;
  std::vector<std::vector<size_t>> shared_;
};

// For each bid and range: checking it and saying what came of it; rewriting it.
constexpr int64_t kStepsChecked = 10;
constexpr int64_t kStepsRewritten = 40;

int64_t BidsAndRanges(const Auction& auction) {
  auto count = static_cast<int64_t>(auction.bids.size());
  for (const Bid& bid : auction.bids) count += static_cast<int64_t>(bid.ranges.size());
  return count;
}

absl::StatusOr<std::optional<Clearing>> ClearingOf(const Auction& auction,
                                                   const std::optional<InMoney>& money) {
  if (!money.has_value()) return std::optional<Clearing>();
  Microcredits price = money->next_unit_price_microcredits;
  if (auction.capacity_units == 0) {
    price = std::max(price, HighestRejectedUnitPrice(auction, money->units));
  }
  absl::StatusOr<Clearing> clearing = MakeClearing(auction, money->units, money->charges, price);
  if (!clearing.ok()) return clearing.status();
  return *std::move(clearing);
}

}  // namespace

absl::StatusOr<Clearing> ClearMpsp(const Auction& auction, const MpspOptions& options) {
  Work work = Work::Unlimited();
  absl::StatusOr<std::optional<Clearing>> clearing = ClearMpspWithin(auction, options, work);
  if (!clearing.ok()) return clearing.status();
  return *std::move(*clearing);
}

absl::StatusOr<std::optional<Clearing>> ClearMpspWithin(const Auction& auction,
                                                        const MpspOptions& options, Work& work) {
  if (auto s = ValidateAuction(auction); !s.ok()) return s;
  const int64_t count = BidsAndRanges(auction);
  if (!work.Take(kStepsChecked * count)) return std::optional<Clearing>();
  std::optional<InMoney> money;
  if (!options.always_tables && !options.always_branches) {
    if (auto awards = ClearConcave(auction, options.with_charges, work); awards.has_value()) {
      money = {std::move(awards->units), std::move(awards->charges),
               awards->next_unit_price_microcredits};
      money->charges.resize(auction.bids.size(), 0);
    }
  }
  if (!money.has_value() && work.Take(kStepsRewritten * count)) {
    money = MpspClearing(auction, /*lot_units=*/1, options, work).Clear();
  }
  return ClearingOf(auction, money);
}

absl::StatusOr<std::optional<Clearing>> ClearMpspInLots(const Auction& auction, int64_t lot_units,
                                                        Work& work) {
  if (auto s = ValidateAuction(auction); !s.ok()) return s;
  if (!work.Take((kStepsChecked + kStepsRewritten) * BidsAndRanges(auction))) {
    return std::optional<Clearing>();
  }
  const MpspOptions options;
  return ClearingOf(auction, MpspClearing(auction, lot_units, options, work).Clear());
}

}  // namespace nom::policies
