// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/mpsp/solver.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "policies/clearing/mpsp/branch_and_bound.h"
#include "policies/clearing/mpsp/core_solver.h"
#include "policies/clearing/mpsp/table_solver.h"

namespace nom::policies {
namespace {

// Fewer pieces are not worth a look at which of them count.
constexpr size_t kPiecesForCoreMin = 8;
// Tables that take no more steps are made at once: a millisecond.
constexpr int64_t kCheapTableSteps = 500'000;
// Branch and bound may take so many steps in any case.
constexpr int64_t kBranchStepsMin = 2'000'000;

// All that there is to decide, with nothing left out.
template <typename Key>
TableProblem<Key> WholeProblem(const KeyBids<Key>& bids, int64_t capacity_units) {
  TableProblem<Key> problem;
  problem.bids = bids;
  std::iota(problem.bids.origin.begin(), problem.bids.origin.end(), size_t{0});
  problem.capacity_units = capacity_units;
  problem.table_units = capacity_units;
  problem.base_units.resize(bids.size(), 0);
  problem.base_keys.resize(bids.size(), 0);
  return problem;
}

template <typename Key>
using Extender = std::conditional_t<sizeof(Key) == sizeof(int64_t), MaxPlus, WideMaxPlus>;

template <typename Key>
int64_t StepsOfWhole(const KeyBids<Key>& bids, int64_t capacity_units) {
  return StepsOfTables<Extender<Key>>(bids.pieces.size(), bids.size(), capacity_units);
}

template <typename Key>
std::optional<Solution<Key>> SolveWhole(const KeyBids<Key>& bids, int64_t capacity_units,
                                        const SolverOptions& options, const Absences<Key>& absences,
                                        Work& work) {
  if (!work.Take(StepsOfWhole(bids, capacity_units))) return std::nullopt;
  const TableProblem<Key> problem = WholeProblem(bids, capacity_units);
  TableSolver<Extender<Key>> tables(problem, options);
  Solution<Key> solution;
  solution.best = tables.Best(0);
  if (capacity_units > 0) solution.best_of_one_less = tables.Best(1);
  solution.units = absences.known_units.empty() ? tables.Awards() : absences.known_units;
  if (absences.are_wanted) {
    solution.without =
        tables.Without(UnitsOfAlone(absences, solution.units), absences.pieces_without);
  }
  return solution;
}

// Branch and bound, which gives up when it has taken as much work as its alternative would.
template <typename Key>
std::optional<Solution<Key>> TryBranches(const KeyBids<Key>& bids,
                                         const std::vector<Part<Key>>& parts,
                                         int64_t capacity_units, const Absences<Key>& absences,
                                         int64_t steps_max, Work& work) {
  Work part(std::min(std::max(steps_max, kBranchStepsMin), work.left_steps()));
  std::optional<Solution<Key>> solution =
      SolveByBranchAndBound(bids, parts, capacity_units, absences, part);
  work.TakeWhatWasTakenOf(part);
  return solution;
}

std::optional<Solution<int64_t>> SolveAwards(const KeyBids<int64_t>& bids, int64_t capacity_units,
                                             const SolverOptions& options,
                                             const Absences<int64_t>& absences, Work& work) {
  int64_t steps = StepsOfWhole(bids, capacity_units);
  const bool has_core =
      bids.pieces.size() >= kPiecesForCoreMin && capacity_units > 0 && !options.always_branches;
  if (!has_core && steps <= kCheapTableSteps && !options.always_branches) {
    return SolveWhole(bids, capacity_units, options, absences, work);
  }
  if (!work.Take(StepsOfParts(bids))) return std::nullopt;
  const std::vector<Part<int64_t>> parts = PartsOf(bids);
  if (has_core) {
    CoreResult core =
        SolveByCore(bids, parts, capacity_units, options, absences, kCheapTableSteps, work);
    if (core.solution.has_value()) return std::move(core.solution);
    steps = std::min(steps, core.steps_wanted);
  }
  auto solution = TryBranches(bids, parts, capacity_units, absences, steps, work);
  if (solution.has_value()) return solution;
  if (has_core) {
    CoreResult core = SolveByCore(bids, parts, capacity_units, options, absences,
                                  std::numeric_limits<int64_t>::max(), work);
    if (core.solution.has_value()) return std::move(core.solution);
  }
  return SolveWhole(bids, capacity_units, options, absences, work);
}

std::optional<Solution<Int128>> SolveAwards(const KeyBids<Int128>& bids, int64_t capacity_units,
                                            const SolverOptions& options,
                                            const Absences<Int128>& absences, Work& work) {
  if (!work.Take(StepsOfParts(bids))) return std::nullopt;
  auto solution = TryBranches(bids, PartsOf(bids), capacity_units, absences,
                              StepsOfWhole(bids, capacity_units), work);
  return solution.has_value() ? solution
                              : SolveWhole(bids, capacity_units, options, absences, work);
}

// With the pieces that an owner's bids count for in its absence.
template <typename Key>
KeyBids<Key> BidsWithout(const KeyBids<Key>& bids, const Absences<Key>& absences,
                         const std::vector<size_t>& owned) {
  KeyBids<Key> others;
  for (size_t bid = 0; bid < bids.size(); ++bid) {
    if (std::binary_search(owned.begin(), owned.end(), bid)) {
      const std::vector<KeyPiece<Key>> kept = absences.pieces_without(bid);
      others.pieces.insert(others.pieces.end(), kept.begin(), kept.end());
    } else {
      const auto pieces = bids.PiecesOf(bid);
      others.pieces.insert(others.pieces.end(), pieces.begin(), pieces.end());
    }
    others.EndBid(bid);
  }
  return others;
}

// Tables that serve every winner's absence cannot serve that of several bids at once: these are
// asked one owner at a time.
template <typename Key>
bool SolveShared(const KeyBids<Key>& bids, int64_t capacity_units, const SolverOptions& options,
                 const Absences<Key>& absences, Solution<Key>& solution, Work& work) {
  solution.without_shared.assign(absences.shared.size(), 0);
  size_t owner = 0;
  if (!options.always_tables) {
    Work part(std::min(work.left_steps(), std::max(kBranchStepsMin, work.left_steps() / 4)));
    owner = WithoutSharedByBranchAndBound(bids, capacity_units, absences, solution, part);
    work.TakeWhatWasTakenOf(part);
  }
  Absences<Key> none;
  none.are_wanted = false;
  for (; owner < absences.shared.size(); ++owner) {
    const std::vector<size_t>& owned = absences.shared[owner];
    if (!HasUnits(owned, solution.units)) continue;
    const KeyBids<Key> others = BidsWithout(bids, absences, owned);
    const auto without = options.always_tables
                             ? SolveWhole(others, capacity_units, options, none, work)
                             : SolveAwards(others, capacity_units, options, none, work);
    if (!without.has_value()) return false;
    solution.without_shared[owner] = without->best;
  }
  return true;
}

template <typename Key>
std::optional<Solution<Key>> SolveAll(const KeyBids<Key>& bids, int64_t capacity_units,
                                      const SolverOptions& options, const Absences<Key>& absences,
                                      Work& work) {
  std::optional<Solution<Key>> solution =
      options.always_tables ? SolveWhole(bids, capacity_units, options, absences, work)
                            : SolveAwards(bids, capacity_units, options, absences, work);
  // Branch and bound has answered all.
  if (!solution.has_value() || !absences.are_wanted ||
      solution->without_shared.size() == absences.shared.size()) {
    return solution;
  }
  if (!SolveShared(bids, capacity_units, options, absences, *solution, work)) return std::nullopt;
  return solution;
}

}  // namespace

std::optional<Solution<int64_t>> Solve(const KeyBids<int64_t>& bids, int64_t capacity_units,
                                       const SolverOptions& options,
                                       const Absences<int64_t>& absences, Work& work) {
  return SolveAll(bids, capacity_units, options, absences, work);
}

std::optional<Solution<Int128>> Solve(const KeyBids<Int128>& bids, int64_t capacity_units,
                                      const SolverOptions& options,
                                      const Absences<Int128>& absences, Work& work) {
  return SolveAll(bids, capacity_units, options, absences, work);
}

Int128 LargestKey(std::span<const KeyPiece<Int128>> pieces) {
  Int128 largest = 0;
  for (const KeyPiece<Int128>& piece : pieces) {
    largest = std::max({largest, piece.key_at_min, piece.KeyAt(piece.max_units)});
  }
  return largest;
}

bool FitsIn64Bits(const KeyBids<Int128>& bids, int64_t capacity_units, Int128 slope_max) {
  Int128 sum = 0;
  for (size_t k = 0; k < bids.size(); ++k) sum += LargestKey(bids.PiecesOf(k));
  return sum <= kKeySumMax && slope_max * (capacity_units + 4) <= kKeySumMax &&
         std::all_of(bids.pieces.begin(), bids.pieces.end(), [&](const KeyPiece<Int128>& piece) {
           return piece.key_slope * (capacity_units + 4) <= kKeySumMax;
         });
}

KeyBids<int64_t> Narrow(const KeyBids<Int128>& bids) {
  KeyBids<int64_t> narrow;
  narrow.first = bids.first;
  narrow.origin = bids.origin;
  narrow.pieces.reserve(bids.pieces.size());
  for (const KeyPiece<Int128>& p : bids.pieces) {
    narrow.pieces.push_back({p.min_units, p.max_units, static_cast<int64_t>(p.key_at_min),
                             static_cast<int64_t>(p.key_slope)});
  }
  return narrow;
}

}  // namespace nom::policies
