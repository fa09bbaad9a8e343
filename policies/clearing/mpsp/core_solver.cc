// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/mpsp/core_solver.h"

#include <algorithm>
#include <array>
#include <bit>
#include <iterator>
#include <utility>
#include <vector>

#include "policies/clearing/mpsp/choice.h"
#include "policies/clearing/mpsp/core.h"
#include "policies/clearing/mpsp/price_window.h"
#include "policies/clearing/mpsp/relaxation.h"
#include "policies/clearing/mpsp/table_solver.h"

namespace nom::policies {
namespace {

// A core to begin with: its tables cost little, and it mostly turns out to be enough.
constexpr size_t kCoreBids = 32;
// Bids that are open besides those whose choice changes within the window: what a core can grow to.
constexpr size_t kOpenBids = 48;
// Parts on either side of the prices that are looked at first: how far the price can move until a
// window has to be made anew.
constexpr size_t kPartsAround = 16;

// Steps of work.h: measured by bench/policies/work_goals.cc.
constexpr int64_t kWorkAPieceLookedAt = 8;

// By so much a window's gap grows at a time.
constexpr int64_t kGapGrowth = 4;

// False if every quantity of the piece loses more than the gap at every price from low to high,
// against one quantity and its key: both lie on straight lines, so the ends are enough.
bool IsWithin(const KeyPiece<int64_t>& piece, int64_t units, int64_t key,
              const PriceWindow& window) {
  for (int64_t a : {piece.min_units, piece.max_units}) {
    for (int64_t price : {window.low_price(), window.high_price()}) {
      if (key - piece.KeyAt(a) - price * (units - a) <= window.gap()) return true;
    }
  }
  return false;
}

// With the pieces that can matter within the window.
KeyBids<int64_t> OpenBids(const KeyBids<int64_t>& bids, const PriceWindow& window) {
  KeyBids<int64_t> open;
  for (size_t bid = 0; bid < bids.size(); ++bid) {
    if (!window.decisions()[bid].is_open) continue;
    const auto pieces = bids.PiecesOf(bid);
    const int64_t low = ChoiceAt(pieces, window.low_price()).units;
    const int64_t high = ChoiceAt(pieces, window.high_price()).units;
    const int64_t key_low = KeyOf(pieces, low);
    const int64_t key_high = KeyOf(pieces, high);
    std::copy_if(pieces.begin(), pieces.end(), std::back_inserter(open.pieces),
                 [&](const KeyPiece<int64_t>& piece) {
                   return IsWithin(piece, low, key_low, window) &&
                          IsWithin(piece, high, key_high, window);
                 });
    open.EndBid(bid);
  }
  return open;
}

// Winners of about as many units: two classes an octave.
struct Sizes {
  static constexpr size_t kClasses = 64;

  static size_t ClassOf(int64_t units) {
    const auto octave = static_cast<size_t>(std::bit_width(static_cast<uint64_t>(units))) - 1;
    return 2 * octave + (octave > 0 ? static_cast<size_t>(units >> (octave - 1)) & 1 : 0);
  }
  // 0 counts for nothing.
  void Add(int64_t more_units) {
    if (more_units == 0) return;
    ++count[ClassOf(more_units)];
    units[ClassOf(more_units)] += more_units;
  }

  std::array<int64_t, kClasses> count{};
  std::array<int64_t, kClasses> units{};
};

enum class Outcome {
  kSolved,
  kGrown,    // The core was too small to prove anything and is larger now: again.
  kOutside,  // The window does not cover what is needed.
  kTooMuch,  // So much is left to decide that tables over everything are no worse.
  kTooDear,  // The tables would take more steps than they may.
};

// Within one window.
class CoreSolver {
 public:
  CoreSolver(const KeyBids<int64_t>& bids, const PriceWindow& window, int64_t capacity_units,
             const SolverOptions& options, const Absences<int64_t>& absences, int64_t steps_max,
             Work& work)
      : bids_(bids),
        window_(window),
        capacity_units_(capacity_units),
        options_(options),
        absences_(absences),
        steps_max_(steps_max),
        work_(work),
        open_(OpenBids(bids, window)),
        parts_(PartsOf(open_)),
        open_units_(capacity_units - window.units()),
        relaxation_(parts_, capacity_units),
        core_(open_) {
    std::vector<char> is_shared(bids.size(), 0);
    for (const std::vector<size_t>& owned : absences.shared) {
      for (size_t bid : owned) is_shared[bid] = 1;
    }
    for (size_t open = 0; open < open_.size(); ++open) {
      is_alone_.push_back(is_shared[open_.origin[open]] == 0);
    }
    for (size_t bid = 0; bid < bids.size(); ++bid) {
      const PriceWindow::Decision& decision = window.decisions()[bid];
      if (decision.units == 0) continue;
      decided_.push_back({bid, decision.units, decision.key, is_shared[bid] == 0});
      if (is_shared[bid] == 0) {
        decided_sizes_.Add(decision.units);
        if (absences.are_wanted && !absences.pieces_without(bid).empty()) ++decided_extensions_;
      }
      decided_units_max_ = std::max(decided_units_max_, decision.units);
      decided_key_min_ = std::min(decided_key_min_, decision.key);
    }
  }

  Outcome Solve(Solution<int64_t>& solution) {
    if (open_units_ < 0) {
      // Prices are rounded down: at that, a part can lose a little less than its units.
      if (window_.gap() >= capacity_units_) return Outcome::kTooMuch;
      needed_ = {window_.low_price(), std::max<int64_t>(1, 2 * window_.gap())};
      return Outcome::kOutside;
    }
    price_ = relaxation_.PriceAt(open_units_);
    bound_ = window_.key() + relaxation_.BoundAt(price_, open_units_);
    BeginSmall();
    Outcome outcome = Outcome::kGrown;
    while (outcome == Outcome::kGrown) outcome = SolveCore(solution);
    return outcome;
  }

  const Core::Limit& needed() const { return needed_; }
  // Of the tables that were too dear.
  int64_t steps_wanted() const { return steps_wanted_; }

 private:
  struct Decided {
    size_t bid;
    int64_t units;
    int64_t key;
    bool is_alone;
  };

  // Solves the core as it is, and looks whether that proves what it found.
  Outcome SolveCore(Solution<int64_t>& solution) {
    TableProblem<int64_t> problem = core_.Problem(open_units_);
    const size_t pieces = problem.bids.pieces.size();
    if (pieces > bids_.pieces.size() / 2) return Outcome::kTooMuch;
    problem.base_key += window_.key();
    problem.table_units =
        std::max(problem.table_units, problem.capacity_units + decided_units_max_);
    steps_wanted_ = StepsOfTables<MaxPlus>(pieces, problem.bids.size() + decided_extensions_,
                                           std::max<int64_t>(0, problem.table_units));
    if (steps_wanted_ > steps_max_ || !work_.Take(steps_wanted_)) return Outcome::kTooDear;
    Solution<int64_t> found;
    found.best = window_.key() + relaxation_.WholeParts(open_units_);
    // With nothing left to take from, a winner has to go.
    found.best_of_one_less =
        window_.key() +
        (open_units_ == 0 ? -decided_key_min_ : relaxation_.WholeParts(open_units_ - 1));
    std::optional<TableSolver<MaxPlus>> tables;
    if (problem.capacity_units >= 0) {
      tables.emplace(problem, options_);
      found.best = std::max(found.best, tables->Best(0));
      if (problem.capacity_units > 0) {
        found.best_of_one_less = std::max(found.best_of_one_less, tables->Best(1));
      }
    }
    // Whatever loses more than this is in no best allocation, nor in one of a unit less.
    needed_ = {price_, std::max(bound_ - found.best, bound_ - price_ - found.best_of_one_less)};
    if (!window_.Covers(needed_)) return GrowOrLeave();
    if (core_.Keep({&needed_, 1})) return Outcome::kGrown;
    const std::vector<int64_t> units =
        absences_.known_units.empty() ? tables->Awards() : KnownOpenUnits();
    FillIn(units, *tables, found);
    if (absences_.are_wanted) {
      // The same for each absence, which leaves its units to others at a lower price.
      const std::vector<Core::Limit> limits = LimitsWithout(units, found);
      const auto outside =
          std::find_if_not(limits.begin(), limits.end(),
                           [this](const Core::Limit& limit) { return window_.Covers(limit); });
      if (outside != limits.end()) {
        needed_ = *outside;
        return GrowOrLeave();
      }
      if (core_.Keep(limits)) return Outcome::kGrown;
    }
    solution = std::move(found);
    return Outcome::kSolved;
  }

  // A core that was begun too small reaches little, which says little: before the window is left,
  // all that it covers is kept.
  Outcome GrowOrLeave() {
    for (Core::Limit& limit : begun_) limit.gap = window_.gap();
    return core_.Keep(begun_) ? Outcome::kGrown : Outcome::kOutside;
  }

  // At which the capacity is full without a winner of each size, nearly. Any price gives a bound.
  std::array<int64_t, Sizes::kClasses> PricesWithout(const Sizes& sizes) const {
    std::array<int64_t, Sizes::kClasses> prices{};
    for (size_t c = 0; c < Sizes::kClasses; ++c) {
      if (sizes.count[c] > 0) {
        prices[c] = relaxation_.PriceAt(open_units_ + sizes.units[c] / sizes.count[c]);
      }
    }
    return prices;
  }

  void BeginSmall() {
    std::vector<int64_t> prices = {price_};
    if (absences_.are_wanted) {
      Sizes sizes = decided_sizes_;
      for (size_t open = 0; open < open_.size(); ++open) {
        if (is_alone_[open]) sizes.Add(ChoiceAt(open_.PiecesOf(open), price_).units);
      }
      const auto without = PricesWithout(sizes);
      for (size_t c = 0; c < Sizes::kClasses; ++c) {
        if (sizes.count[c] > 0) prices.push_back(without[c]);
      }
    }
    const auto [low, high] = std::minmax_element(prices.begin(), prices.end());
    const int64_t gap = std::min(core_.GapFor(kCoreBids, *low, *high), window_.gap());
    for (int64_t at : prices) begun_.push_back({at, gap});
    core_.Keep(begun_);
  }

  void FillIn(const std::vector<int64_t>& open_units, TableSolver<MaxPlus>& tables,
              Solution<int64_t>& found) const {
    found.units.assign(bids_.size(), 0);
    for (size_t open = 0; open < open_units.size(); ++open) {
      found.units[open_.origin[open]] = open_units[open];
    }
    for (const Decided& winner : decided_) found.units[winner.bid] = winner.units;
    if (!absences_.are_wanted) return;
    found.without.assign(bids_.size(), 0);
    const std::vector<int64_t> without = tables.Without(
        UnitsOfAloneOpen(open_units),
        [this](size_t open) { return absences_.pieces_without(open_.origin[open]); });
    for (size_t open = 0; open < open_units.size(); ++open) {
      found.without[open_.origin[open]] = without[open];
    }
    for (const Decided& winner : decided_) {
      if (!winner.is_alone) continue;
      found.without[winner.bid] =
          tables.WithoutDecided(winner.units, winner.key, absences_.pieces_without(winner.bid));
    }
  }

  std::vector<int64_t> KnownOpenUnits() const {
    std::vector<int64_t> units;
    for (size_t bid : open_.origin) units.push_back(absences_.known_units[bid]);
    return units;
  }

  std::vector<int64_t> UnitsOfAloneOpen(std::vector<int64_t> open_units) const {
    for (size_t open = 0; open < open_units.size(); ++open) {
      if (!is_alone_[open]) open_units[open] = 0;
    }
    return open_units;
  }

  // One for each size of winners: what can be best without any one of them.
  std::vector<Core::Limit> LimitsWithout(const std::vector<int64_t>& all_open_units,
                                         const Solution<int64_t>& found) const {
    const std::vector<int64_t> open_units = UnitsOfAloneOpen(all_open_units);
    Sizes sizes = decided_sizes_;
    for (int64_t units : open_units) sizes.Add(units);
    const auto prices = PricesWithout(sizes);
    std::array<int64_t, Sizes::kClasses> bounds{};
    std::array<int64_t, Sizes::kClasses> gaps{};
    for (size_t c = 0; c < Sizes::kClasses; ++c) {
      if (sizes.count[c] == 0) continue;
      bounds[c] = window_.key() + relaxation_.BoundAt(prices[c], open_units_);
    }
    // `own` is what the winner added to the bound.
    const auto raise = [&](size_t bid, size_t c, int64_t own) {
      int64_t surplus = 0;
      for (const KeyPiece<int64_t>& piece : absences_.pieces_without(bid)) {
        for (int64_t a : {piece.min_units, piece.max_units}) {
          surplus = std::max(surplus, piece.KeyAt(a) - a * prices[c]);
        }
      }
      gaps[c] = std::max(gaps[c], bounds[c] - own + surplus - found.without[bid]);
    };
    for (const Decided& winner : decided_) {
      if (!winner.is_alone) continue;
      const size_t c = Sizes::ClassOf(winner.units);
      raise(winner.bid, c, winner.key - winner.units * prices[c]);
    }
    for (size_t open = 0; open < open_units.size(); ++open) {
      if (open_units[open] == 0) continue;
      const size_t c = Sizes::ClassOf(open_units[open]);
      raise(open_.origin[open], c, ChoiceAt(open_.PiecesOf(open), prices[c]).surplus);
    }
    std::vector<Core::Limit> limits;
    for (size_t c = 0; c < Sizes::kClasses; ++c) {
      if (sizes.count[c] > 0) limits.push_back({prices[c], gaps[c]});
    }
    return limits;
  }

  const KeyBids<int64_t>& bids_;
  const PriceWindow& window_;
  const int64_t capacity_units_;
  const SolverOptions& options_;
  const Absences<int64_t>& absences_;
  const int64_t steps_max_;
  Work& work_;
  const KeyBids<int64_t> open_;
  const std::vector<Part<int64_t>> parts_;  // Of those.
  const int64_t open_units_;                // What the decided bids leave.
  const Relaxation relaxation_;             // Of the open bids.
  Core core_;                               // Of the open bids.
  std::vector<char> is_alone_;              // By open bid: no other has its owner.
  std::vector<Decided> decided_;            // Winners only.
  Sizes decided_sizes_;
  size_t decided_extensions_ = 0;  // Of them, who is extended by what it counts for when absent.
  int64_t decided_units_max_ = 0;
  int64_t decided_key_min_ = kKeySumMax;
  std::vector<Core::Limit> begun_;  // With what the core began.
  int64_t price_ = 0;
  int64_t bound_ = 0;  // At that price, with what the window decides.
  Core::Limit needed_;
  int64_t steps_wanted_ = 0;
};

// Around the price, down to what it would be without the largest winner.
PriceWindow FirstWindow(const KeyBids<int64_t>& bids, std::span<const Part<int64_t>> parts,
                        int64_t capacity_units) {
  const Relaxation relaxation(parts, capacity_units);
  const int64_t price = relaxation.PriceAt(capacity_units);
  int64_t largest_units = 0;
  for (size_t bid = 0; bid < bids.size(); ++bid) {
    largest_units = std::max(largest_units, ChoiceAt(bids.PiecesOf(bid), price).units);
  }
  return {bids, relaxation.PriceAfter(capacity_units + largest_units, kPartsAround),
          relaxation.PriceBefore(capacity_units, kPartsAround),
          std::min(kOpenBids, bids.size() / 2)};
}

}  // namespace

CoreResult SolveByCore(const KeyBids<int64_t>& bids, std::span<const Part<int64_t>> parts,
                       int64_t capacity_units, const SolverOptions& options,
                       const Absences<int64_t>& absences, int64_t steps_max, Work& work) {
  CoreResult result;
  const auto pieces = static_cast<int64_t>(bids.pieces.size() + bids.size());
  PriceWindow window = FirstWindow(bids, parts, capacity_units);
  while (work.Take(kWorkAPieceLookedAt * pieces)) {
    CoreSolver solver(bids, window, capacity_units, options, absences, steps_max, work);
    Solution<int64_t> solution;
    switch (solver.Solve(solution)) {
      case Outcome::kSolved:
        result.solution = std::move(solution);
        return result;
      case Outcome::kOutside: {
        // Step by step: what more bids reach mostly needs less.
        Core::Limit limit = solver.needed();
        if (limit.gap / kGapGrowth > window.gap()) limit.gap = kGapGrowth * (window.gap() + 1);
        window.Cover(limit);
        break;
      }
      case Outcome::kTooDear:
        result.steps_wanted = solver.steps_wanted();
        return result;
      case Outcome::kTooMuch:
      case Outcome::kGrown:
        return result;
    }
  }
  return result;
}

}  // namespace nom::policies
