#include "policies/clearing/mpsp/core_solver.h"

#include <algorithm>
#include <array>
#include <bit>
#include <iterator>
#include <utility>
#include <vector>

#include "policies/clearing/mpsp/choice.h"
#include "policies/clearing/mpsp/core.h"
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

enum class Outcome { kSolved, kOutside, kTooMuch };

// Within one window.
class CoreSolver {
 public:
  CoreSolver(const KeyBids<int64_t>& bids, const PriceWindow& window, int64_t capacity_units,
             const TableOptions& options, const PiecesWithout<int64_t>& pieces_without)
      : bids_(bids),
        window_(window),
        capacity_units_(capacity_units),
        options_(options),
        pieces_without_(pieces_without),
        open_(OpenBids(bids, window)),
        parts_(PartsOf(open_)),
        open_units_(capacity_units - window.units()),
        relaxation_(parts_, capacity_units),
        core_(open_) {
    for (size_t bid = 0; bid < bids.size(); ++bid) {
      const PriceWindow::Decision& decision = window.decisions()[bid];
      if (decision.units == 0) continue;
      decided_.push_back({bid, decision.units, decision.key});
      decided_sizes_.Add(decision.units);
      decided_units_max_ = std::max(decided_units_max_, decision.units);
      decided_key_min_ = std::min(decided_key_min_, decision.key);
    }
  }

  // kOutside: the window does not cover needed(). kTooMuch: if all that counts is to be decided by
  // tables, that is no less than half of everything; or the window's bids are too much already.
  Outcome Solve(TableResult<int64_t>& result) {
    if (open_units_ < 0) {
      // Prices are rounded down: at that, a part can lose a little less than its units.
      if (window_.gap() >= capacity_units_) return Outcome::kTooMuch;
      needed_ = {window_.low_price(), std::max<int64_t>(1, 2 * window_.gap())};
      return Outcome::kOutside;
    }
    const int64_t price = relaxation_.PriceAt(open_units_);
    const int64_t bound = window_.key() + relaxation_.BoundAt(price, open_units_);
    BeginSmall(price);
    while (true) {
      TableProblem<int64_t> problem = core_.Problem(open_units_);
      if (problem.bids.pieces.size() > bids_.pieces.size() / 2) return Outcome::kTooMuch;
      problem.base_key += window_.key();
      problem.table_units =
          std::max(problem.table_units, problem.capacity_units + decided_units_max_);
      TableResult<int64_t> found;
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
      needed_ = {price, std::max(bound - found.best, bound - price - found.best_of_one_less)};
      if (!window_.Covers(needed_)) {
        if (KeepAllOfWindow()) continue;
        return Outcome::kOutside;
      }
      if (core_.Keep({&needed_, 1})) continue;
      const std::vector<int64_t> units = tables->Awards();
      FillIn(units, *tables, found);
      if (options_.with_charges) {
        const std::vector<Core::Limit> limits = LimitsWithout(units, found);
        const auto outside =
            std::find_if_not(limits.begin(), limits.end(),
                             [this](const Core::Limit& limit) { return window_.Covers(limit); });
        if (outside != limits.end()) {
          if (KeepAllOfWindow()) continue;
          needed_ = *outside;
          return Outcome::kOutside;
        }
        if (core_.Keep(limits)) continue;
      }
      result = std::move(found);
      return Outcome::kSolved;
    }
  }

  const Core::Limit& needed() const { return needed_; }

 private:
  struct Decided {
    size_t bid;
    int64_t units;
    int64_t key;
  };

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

  void BeginSmall(int64_t price) {
    std::vector<int64_t> prices = {price};
    if (options_.with_charges) {
      Sizes sizes = decided_sizes_;
      for (size_t open = 0; open < open_.size(); ++open) {
        sizes.Add(ChoiceAt(open_.PiecesOf(open), price).units);
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

  // A core that was begun too small reaches little, which says little. True if this was more.
  bool KeepAllOfWindow() {
    for (Core::Limit& limit : begun_) limit.gap = window_.gap();
    return core_.Keep(begun_);
  }

  void FillIn(const std::vector<int64_t>& open_units, TableSolver<MaxPlus>& tables,
              TableResult<int64_t>& found) const {
    found.units.assign(bids_.size(), 0);
    for (size_t open = 0; open < open_units.size(); ++open) {
      found.units[open_.origin[open]] = open_units[open];
    }
    for (const Decided& winner : decided_) found.units[winner.bid] = winner.units;
    if (!options_.with_charges) return;
    found.without.assign(bids_.size(), 0);
    const std::vector<int64_t> without = tables.Without(
        open_units, [this](size_t open) { return pieces_without_(open_.origin[open]); });
    for (size_t open = 0; open < open_units.size(); ++open) {
      found.without[open_.origin[open]] = without[open];
    }
    for (const Decided& winner : decided_) {
      found.without[winner.bid] =
          tables.WithoutDecided(winner.units, winner.key, pieces_without_(winner.bid));
    }
  }

  // One for each size of winners: what can be best without any one of them.
  std::vector<Core::Limit> LimitsWithout(const std::vector<int64_t>& open_units,
                                         const TableResult<int64_t>& found) const {
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
      for (const KeyPiece<int64_t>& piece : pieces_without_(bid)) {
        for (int64_t a : {piece.min_units, piece.max_units}) {
          surplus = std::max(surplus, piece.KeyAt(a) - a * prices[c]);
        }
      }
      gaps[c] = std::max(gaps[c], bounds[c] - own + surplus - found.without[bid]);
    };
    for (const Decided& winner : decided_) {
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
  const TableOptions& options_;
  const PiecesWithout<int64_t>& pieces_without_;
  const KeyBids<int64_t> open_;
  const std::vector<Part> parts_;  // Of those.
  const int64_t open_units_;       // What the decided bids leave.
  const Relaxation relaxation_;    // Of the open bids.
  Core core_;                      // Of the open bids.
  std::vector<Decided> decided_;   // Winners only.
  Sizes decided_sizes_;
  int64_t decided_units_max_ = 0;
  int64_t decided_key_min_ = kKeySumMax;
  std::vector<Core::Limit> begun_;  // With what the core began.
  Core::Limit needed_;
};

// Around the price, down to what it would be without the largest winner.
PriceWindow FirstWindow(const KeyBids<int64_t>& bids, int64_t capacity_units) {
  const std::vector<Part> parts = PartsOf(bids);
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

bool SolveByCore(const KeyBids<int64_t>& bids, int64_t capacity_units, const TableOptions& options,
                 const PiecesWithout<int64_t>& pieces_without, std::optional<PriceWindow>& window,
                 TableResult<int64_t>& result) {
  bool is_new = !window.has_value();
  while (true) {
    if (!window.has_value()) window.emplace(FirstWindow(bids, capacity_units));
    CoreSolver solver(bids, *window, capacity_units, options, pieces_without);
    switch (solver.Solve(result)) {
      case Outcome::kSolved:
        return true;
      case Outcome::kOutside: {
        // Step by step: what more bids reach mostly needs less.
        Core::Limit limit = solver.needed();
        if (limit.gap / kGapGrowth > window->gap()) limit.gap = kGapGrowth * (window->gap() + 1);
        window->Cover(limit);
        break;
      }
      case Outcome::kTooMuch:
        window.reset();
        if (is_new) return false;
        is_new = true;
    }
  }
}

}  // namespace nom::policies
