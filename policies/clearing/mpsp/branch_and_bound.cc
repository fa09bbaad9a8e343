// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/mpsp/branch_and_bound.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>

#include "policies/clearing/mpsp/branch_problem.h"
#include "policies/clearing/mpsp/branch_search.h"
#include "policies/clearing/mpsp/first_of_equals.h"
#include "policies/clearing/mpsp/relaxation.h"

namespace nom::policies {
namespace {

using branches::FirstOfEquals;
using branches::kKeyMax;
using branches::Restriction;
using branches::Search;

template <typename Key>
bool FindBest(Search<Key>& search, int64_t capacity_units, Solution<Key>& solution) {
  typename Search<Key>::Found found;
  found.is_wanted = true;
  solution.best = -1;  // Nothing for anybody is better than that.
  const bool is_known = search.Maximise(capacity_units, kKeyMax<Key>, solution.best, &found);
  solution.units = std::move(found.units);
  return is_known;
}

// Takes bids out of a search, and puts them back.
template <typename Key>
class Absence {
 public:
  explicit Absence(Search<Key>& search, const Absences<Key>& absences)
      : search_(search), absences_(absences) {}

  void Begin(std::span<const size_t> bids) {
    pieces_.resize(std::max(pieces_.size(), bids.size()));
    gone_.clear();
    count_ = 0;
    for (size_t k = 0; k < bids.size(); ++k) {
      pieces_[k] = absences_.pieces_without(bids[k]);
      // Who counts for nothing is left out: of many, all at once.
      if (pieces_[k].empty() && bids.size() > kAloneMax) {
        gone_.push_back(bids[k]);
        continue;
      }
      if (count_ == restrictions_.size()) {
        restrictions_.push_back(std::make_unique<Restriction<Key>>());
      }
      Restriction<Key>& restriction = *restrictions_[count_++];
      search_.Restrict(bids[k], pieces_[k], 0, pieces_[k].empty() ? 0 : pieces_[k].back().max_units,
                       restriction);
      search_.Push(restriction);
    }
    if (gone_.empty()) return;
    search_.RestrictMany(gone_, many_);
    search_.MarkMany(gone_, 1);
    search_.Push(many_);
  }
  void End() {
    for (size_t k = 0; k < count_ + (gone_.empty() ? 0 : 1); ++k) search_.Pop();
    search_.MarkMany(gone_, -1);
  }

  // What the k-th bid still counts for with these units.
  Key KeyOfUnits(size_t k, int64_t units) const { return KeyOf<Key>(pieces_[k], units); }

 private:
  static constexpr size_t kAloneMax = 4;

  Search<Key>& search_;
  const Absences<Key>& absences_;
  std::vector<std::vector<KeyPiece<Key>>> pieces_;
  std::vector<size_t> gone_;
  Restriction<Key> many_;  // Those.
  size_t count_ = 0;       // Of the restrictions of one bid that are in use.
  std::vector<std::unique_ptr<Restriction<Key>>> restrictions_;
};

// The best sum of keys without some bids. What all others have is possible without them, too, and
// is where the search begins.
template <typename Key>
bool FindWithout(const KeyBids<Key>& bids, Search<Key>& search, Absence<Key>& absence,
                 std::span<const size_t> absent, const std::vector<int64_t>& units, Key best,
                 Key& without) {
  absence.Begin(absent);
  without = best;
  for (size_t k = 0; k < absent.size(); ++k) {
    const int64_t own_units = units[absent[k]];
    if (own_units == 0) continue;
    without += absence.KeyOfUnits(k, own_units) - KeyOf(bids.PiecesOf(absent[k]), own_units);
  }
  const bool is_known = search.Maximise(search.capacity_units(), kKeyMax<Key>, without, nullptr);
  absence.End();
  return is_known;
}

}  // namespace

template <typename Key>
std::optional<Solution<Key>> SolveByBranchAndBound(const KeyBids<Key>& bids,
                                                   const std::vector<Part<Key>>& parts,
                                                   int64_t capacity_units,
                                                   const Absences<Key>& absences, Work& work) {
  Search<Key> search(bids, parts, capacity_units, work);
  Solution<Key> solution;
  if (work.is_used_up() || !FindBest(search, capacity_units, solution)) return std::nullopt;
  if (capacity_units > 0) {
    // As a unit more is worth nothing or more, this is as much at most.
    solution.best_of_one_less = -1;
    if (!search.Maximise(capacity_units - 1, solution.best, solution.best_of_one_less, nullptr)) {
      return std::nullopt;
    }
  }
  if (absences.known_units.empty()) {
    FirstOfEquals<Key> first(bids, search, work, solution.best, solution.units);
    if (!first.Find()) return std::nullopt;
  } else {
    solution.units = absences.known_units;
  }
  if (!absences.are_wanted) return solution;
  Absence<Key> absence(search, absences);
  std::vector<char> is_shared(bids.size(), 0);
  solution.without_shared.assign(absences.shared.size(), 0);
  for (size_t owner = 0; owner < absences.shared.size(); ++owner) {
    const std::vector<size_t>& owned = absences.shared[owner];
    for (size_t bid : owned) is_shared[bid] = 1;
    if (HasUnits(owned, solution.units) &&
        !FindWithout<Key>(bids, search, absence, owned, solution.units, solution.best,
                          solution.without_shared[owner])) {
      return std::nullopt;
    }
  }
  solution.without.assign(bids.size(), 0);
  for (size_t bid = 0; bid < bids.size(); ++bid) {
    if (solution.units[bid] == 0 || is_shared[bid] != 0) continue;
    if (!FindWithout<Key>(bids, search, absence, {&bid, 1}, solution.units, solution.best,
                          solution.without[bid])) {
      return std::nullopt;
    }
  }
  return solution;
}

template <typename Key>
std::optional<std::vector<int64_t>> AwardsByBranchAndBound(const KeyBids<Key>& bids,
                                                           int64_t capacity_units, Work& work) {
  if (!work.Take(StepsOfParts(bids))) return std::nullopt;
  Search<Key> search(bids, PartsOf(bids), capacity_units, work);
  Solution<Key> solution;
  if (work.is_used_up() || !FindBest(search, capacity_units, solution)) return std::nullopt;
  FirstOfEquals<Key> first(bids, search, work, solution.best, solution.units);
  if (!first.Find()) return std::nullopt;
  return std::move(solution.units);
}

template <typename Key>
size_t WithoutSharedByBranchAndBound(const KeyBids<Key>& bids, int64_t capacity_units,
                                     const Absences<Key>& absences, Solution<Key>& solution,
                                     Work& work) {
  if (!work.Take(StepsOfParts(bids))) return 0;
  Search<Key> search(bids, PartsOf(bids), capacity_units, work);
  if (work.is_used_up()) return 0;
  Absence<Key> absence(search, absences);
  for (size_t owner = 0; owner < absences.shared.size(); ++owner) {
    const std::vector<size_t>& owned = absences.shared[owner];
    if (!HasUnits(owned, solution.units)) continue;
    Key without = 0;
    if (!FindWithout<Key>(bids, search, absence, owned, solution.units, solution.best, without)) {
      return owner;
    }
    solution.without_shared[owner] = without;
  }
  return absences.shared.size();
}

template std::optional<Solution<int64_t>> SolveByBranchAndBound(const KeyBids<int64_t>&,
                                                                const std::vector<Part<int64_t>>&,
                                                                int64_t, const Absences<int64_t>&,
                                                                Work&);
template std::optional<Solution<Int128>> SolveByBranchAndBound(const KeyBids<Int128>&,
                                                               const std::vector<Part<Int128>>&,
                                                               int64_t, const Absences<Int128>&,
                                                               Work&);
template std::optional<std::vector<int64_t>> AwardsByBranchAndBound(const KeyBids<Int128>&, int64_t,
                                                                    Work&);
template size_t WithoutSharedByBranchAndBound(const KeyBids<int64_t>&, int64_t,
                                              const Absences<int64_t>&, Solution<int64_t>&, Work&);
template size_t WithoutSharedByBranchAndBound(const KeyBids<Int128>&, int64_t,
                                              const Absences<Int128>&, Solution<Int128>&, Work&);

}  // namespace nom::policies
