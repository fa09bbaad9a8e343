// SPDX-License-Identifier: Apache-2.0
// The search of branch and bound (branch_and_bound.h says how it goes). Inside
// policies/clearing/mpsp only.

#ifndef NOM_POLICIES_CLEARING_MPSP_BRANCH_SEARCH_H_
#define NOM_POLICIES_CLEARING_MPSP_BRANCH_SEARCH_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "policies/clearing/int128.h"
#include "policies/clearing/mpsp/branch_problem.h"
#include "policies/clearing/mpsp/key_bids.h"
#include "policies/clearing/mpsp/price_limit.h"
#include "policies/clearing/mpsp/relaxation.h"
#include "policies/clearing/work.h"

namespace nom::policies::branches {

// So many parts behind the one that does not fit are tried for the units that it leaves over.
inline constexpr size_t kFilledMax = 8;
// Deeper, bids are so nearly alike that tables are the better way.
inline constexpr size_t kDepthMax = 256;

// Above every sum of keys.
template <typename Key>
constexpr Key kKeyMax = (((Key{1} << (8 * sizeof(Key) - 2)) - 1) << 1) + 1;

// So many problems are looked at before it is asked what of them can be left out.
inline constexpr int64_t kProblemsBeforeReducing = 48;
inline constexpr int kReductionsMax = 6;

// Steps of work.h: measured by bench/policies/work_goals.cc.
inline constexpr int64_t kWorkARelaxation = 10;
inline constexpr int64_t kWorkARestrictedBid = 4;
inline constexpr int64_t kWorkARestriction = 20;
inline constexpr int64_t kWorkAPieceRestricted = 15;
inline constexpr int64_t kWorkAScannedBid = 10;

// Quantities that a bid accepts, nothing among them.
template <typename Key>
int64_t LargestUpTo(std::span<const KeyPiece<Key>> pieces, int64_t units) {
  int64_t largest = 0;
  for (const KeyPiece<Key>& piece : pieces) {
    if (piece.min_units <= units) largest = std::min(piece.max_units, units);
  }
  return largest;
}
// More than all if there is none.
template <typename Key>
int64_t SmallestAbove(std::span<const KeyPiece<Key>> pieces, int64_t units) {
  for (const KeyPiece<Key>& piece : pieces) {
    if (piece.max_units > units) return std::max(piece.min_units, units + 1);
  }
  return std::numeric_limits<int64_t>::max();
}

template <typename Key>
class Search {
 public:
  // `parts` are PartsOf(bids).
  Search(const KeyBids<Key>& bids, std::vector<Part<Key>> parts, int64_t capacity_units, Work& work,
         int reductions = 0)
      : bids_(bids),
        capacity_units_(capacity_units),
        work_(work),
        parts_(std::move(parts)),
        reductions_(reductions) {
    if (!work_.Take(kWorkAScannedBid * static_cast<int64_t>(parts_.size() + bids.size()))) return;
    sums_.resize(parts_.size() + 1);
    first_position_.assign(bids.size() + 1, 0);
    for (size_t i = 0; i < parts_.size(); ++i) {
      sums_[i + 1] = {sums_[i].units + parts_[i].units, sums_[i].key + parts_[i].key};
      ++first_position_[parts_[i].bid + 1];
    }
    for (size_t bid = 0; bid < bids.size(); ++bid) first_position_[bid + 1] += first_position_[bid];
    positions_.resize(parts_.size());
    std::vector<size_t> next(first_position_.begin(), first_position_.end() - 1);
    for (size_t i = 0; i < parts_.size(); ++i) positions_[next[parts_[i].bid]++] = i;
    is_restricted_.assign(bids.size(), 0);
  }

  // Raises `best`, a sum of keys that some allocation is known to reach, to the best sum within
  // `capacity_units` and the active restrictions; stops when it has reached `enough`. The
  // allocation that reaches it is left in `found` if something better than `best` was found and it
  // is asked for. False if the work is used up, and then nothing is known.
  struct Found {
    bool is_better = false;
    std::vector<int64_t> units;  // By bid. Of bids that are restricted together, 0,
    int64_t units_of_many = 0;   // and here what the last such restriction has above its base.
    bool is_wanted = false;
  };
  bool Maximise(int64_t capacity_units, Key enough, Key& best, Found* found) {
    problem_units_ = capacity_units;
    enough_ = enough;
    best_ = best;
    found_ = found;
    if (found_ != nullptr) found_->is_better = false;
    const Relaxed<Key> root = Relax();
    problems_left_ = kProblemsBeforeReducing << (2 * reductions_);
    Descend(root, 0);
    bool is_known = true;
    if (problems_left_ <= 0) is_known = CanReduce() ? MaximiseReduced(root) : Finish(root);
    best = best_;
    return is_known && !work_.is_used_up() && !is_too_deep_;
  }

  int64_t capacity_units() const { return capacity_units_; }

  // What is known of the whole problem.
  Relaxed<Key> RelaxWhole() {
    problem_units_ = capacity_units_;
    return Relax();
  }

  // Restrictions hold from one to the other. Those of one bid lie on each other: the last one
  // counts.
  void Push(const Restriction<Key>& restriction) {
    active_.push_back(&restriction);
    if (restriction.bid != kManyBids) ++is_restricted_[restriction.bid];
  }
  void Pop() {
    if (active_.back()->bid != kManyBids) --is_restricted_[active_.back()->bid];
    active_.pop_back();
  }
  // The bids of a restriction of many.
  void MarkMany(const std::vector<size_t>& bids, int by) {
    for (size_t bid : bids) is_restricted_[bid] += by;
  }

  // `pieces` must outlive the restriction.
  void Restrict(size_t bid, std::span<const KeyPiece<Key>> pieces, int64_t low_units,
                int64_t high_units, Restriction<Key>& out) const {
    out.bid = bid;
    out.pieces = pieces;
    out.low_units = low_units;
    out.high_units = high_units;
    out.base_units = low_units;
    out.base_key = KeyOf(pieces, low_units);
    out.parts.clear();
    AppendParts(pieces, bid, low_units, out.base_key, high_units, out.parts);
    PlaceParts(out);
    out.left_out.clear();
    Delta<Key> sum;
    for (size_t p = first_position_[bid]; p < first_position_[bid + 1]; ++p) {
      Append(positions_[p], parts_[positions_[p]], sum, out.left_out);
    }
    static_cast<void>(work_.Take(kWorkARestriction +
                                 kWorkAPieceRestricted * static_cast<int64_t>(pieces.size())));
  }

  // Several bids that add nothing but `base` and one part.
  void RestrictMany(const std::vector<size_t>& bids, Restriction<Key>& out) const {
    std::vector<size_t> positions;
    for (size_t bid : bids) {
      positions.insert(positions.end(), positions_.begin() + Offset(first_position_[bid]),
                       positions_.begin() + Offset(first_position_[bid + 1]));
    }
    std::sort(positions.begin(), positions.end());
    out.bid = kManyBids;
    out.left_out.clear();
    Delta<Key> sum;
    for (size_t position : positions) Append(position, parts_[position], sum, out.left_out);
    static_cast<void>(work_.Take(kStepsASortedPart * static_cast<int64_t>(positions.size())));
  }

  void PlaceParts(Restriction<Key>& out) const {
    out.added.clear();
    Delta<Key> sum;
    for (const Part<Key>& part : out.parts) Append(PositionOf(part), part, sum, out.added);
  }

 private:
  struct Sum {
    int64_t units = 0;
    Key key = 0;
  };

  // Everything again, as often as it takes, from what is known by now.
  bool Finish(const Relaxed<Key>& root) {
    problems_left_ = std::numeric_limits<int64_t>::max();
    Descend(root, 0);
    return true;
  }

  // Bids that are restricted together have no quantities of their own, unless they have none at
  // all.
  bool CanReduce() const {
    return reductions_ < kReductionsMax &&
           std::all_of(active_.begin(), active_.end(), [](const Restriction<Key>* restriction) {
             return restriction->bid != kManyBids ||
                    (restriction->parts.empty() && restriction->base_units == 0);
           });
  }

  // Something better than what is known can only have quantities that do not lose more than there
  // is between it and the bound. With these alone most bids have nothing left to decide, the curves
  // of the others are lower, and so is the bound.
  bool MaximiseReduced(const Relaxed<Key>& root) {
    const PriceLimit<Key> limit = LimitOf<Key>(root, best_ + 1);
    if (limit.gap < 0) return true;
    static_cast<void>(
        work_.Take(kWorkAScannedBid * static_cast<int64_t>(bids_.size() + bids_.pieces.size())));
    KeyBids<Key> reduced;
    std::vector<int64_t> base_units(bids_.size(), 0);
    int64_t capacity_units = problem_units_;
    Key base_key = 0;
    for (size_t bid = 0; bid < bids_.size(); ++bid) {
      const Restriction<Key>* restriction = RestrictionOf(bid);
      if (restriction == nullptr && is_restricted_[bid] != 0) continue;  // It is left out.
      const auto pieces = restriction == nullptr ? bids_.PiecesOf(bid) : restriction->pieces;
      const int64_t low_units = restriction == nullptr ? 0 : restriction->low_units;
      const int64_t high_units =
          restriction == nullptr ? std::numeric_limits<int64_t>::max() : restriction->high_units;
      const size_t first = reduced.pieces.size();
      bool has_base = false;
      int64_t own_units = 0;
      Key own_key = 0;
      VisitWithin<Key>(
          pieces, low_units, high_units, limit,
          [&](int64_t low, int64_t high, Key low_key, Key high_key) {
            const Key slope = low == high ? Key{0} : (high_key - low_key) / (high - low);
            if (!has_base) {
              has_base = true;
              own_units = low;
              own_key = low_key;
              if (low++ == high) return;
              low_key += slope;
            }
            reduced.pieces.push_back({low - own_units, high - own_units, low_key - own_key,
                                      low == high ? Key{0} : slope});
          });
      if (reduced.pieces.size() > first) reduced.EndBid(bid);
      base_units[bid] = own_units;
      capacity_units -= own_units;
      base_key += own_key;
    }
    if (capacity_units < 0) return true;  // Nothing is better.
    Search<Key> search(reduced, PartsOf(reduced), capacity_units, work_, reductions_ + 1);
    Found found;
    found.is_wanted = found_ != nullptr && found_->is_wanted;
    Key best = best_ - base_key;
    const bool is_known = search.Maximise(
        capacity_units, enough_ > best_ && enough_ < kKeyMax<Key> ? enough_ - base_key : enough_,
        best, found_ == nullptr ? nullptr : &found);
    best_ = best + base_key;
    if (found_ != nullptr && found.is_better) {
      found_->is_better = true;
      if (found_->is_wanted) {
        found_->units = std::move(base_units);
        for (size_t k = 0; k < reduced.size(); ++k) {
          found_->units[reduced.origin[k]] += found.units[k];
        }
        found_->units_of_many = 0;
      }
    }
    return is_known;
  }

  static std::ptrdiff_t Offset(size_t i) { return static_cast<std::ptrdiff_t>(i); }

  static void Append(size_t position, const Part<Key>& part, Delta<Key>& sum,
                     std::vector<Delta<Key>>& deltas) {
    sum = {position, sum.units + part.units, sum.key + part.key};
    deltas.push_back(sum);
  }

  // Of the first part that is taken after this one.
  size_t PositionOf(const Part<Key>& part) const {
    return static_cast<size_t>(
        std::partition_point(parts_.begin(), parts_.end(),
                             [&](const Part<Key>& other) { return IsTakenBefore(other, part); }) -
        parts_.begin());
  }

  // True if a later restriction of the same bid counts instead.
  bool IsHidden(size_t i) const {
    const size_t bid = active_[i]->bid;
    if (bid == kManyBids || is_restricted_[bid] < 2) return false;
    for (size_t k = i + 1; k < active_.size(); ++k) {
      if (active_[k]->bid == bid) return true;
    }
    return false;
  }

  // The units of all parts that come before a position.
  int64_t UnitsBefore(size_t position) const {
    int64_t units = sums_[position].units;
    for (const Restriction<Key>* restriction : counted_) {
      if (const auto* added = LastBefore(restriction->added, position)) units += added->units;
      if (const auto* gone = LastBefore(restriction->left_out, position)) units -= gone->units;
    }
    return units;
  }
  Key KeyBefore(size_t position) const {
    Key key = sums_[position].key;
    for (const Restriction<Key>* restriction : counted_) {
      if (const auto* added = LastBefore(restriction->added, position)) key += added->key;
      if (const auto* gone = LastBefore(restriction->left_out, position)) key -= gone->key;
    }
    return key;
  }

  // Takes parts in their order until one does not fit.
  Relaxed<Key> Relax() {
    Relaxed<Key> relaxed;
    counted_.clear();
    relaxed.left_units = problem_units_;
    for (size_t i = 0; i < active_.size(); ++i) {
      if (IsHidden(i)) continue;
      counted_.push_back(active_[i]);
      relaxed.left_units -= active_[i]->base_units;
      relaxed.whole_key += active_[i]->base_key;
    }
    const auto depth = static_cast<int64_t>(std::bit_width(parts_.size()));
    if (!work_.Take(kWorkARelaxation +
                    kWorkARestrictedBid * depth * (1 + static_cast<int64_t>(counted_.size())))) {
      return relaxed;
    }
    if (relaxed.left_units < 0) return relaxed;
    relaxed.is_possible = true;
    // The last position before which all fits.
    size_t low = 0;
    size_t high = parts_.size();
    while (low < high) {
      const size_t middle = (low + high + 1) / 2;
      if (UnitsBefore(middle) <= relaxed.left_units) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    relaxed.position = low;
    relaxed.left_units -= UnitsBefore(low);
    relaxed.whole_key += KeyBefore(low);
    TakePartsAt(low, relaxed);
    relaxed.bound = relaxed.whole_key;
    if (relaxed.has_part && relaxed.left_units > 0) {
      relaxed.bound +=
          static_cast<Key>(Int128{relaxed.part.key} * relaxed.left_units / relaxed.part.units);
    }
    return relaxed;
  }

  // The parts of restricted bids that come just before a position, then the one that is there.
  void TakePartsAt(size_t position, Relaxed<Key>& relaxed) {
    here_.clear();
    for (const Restriction<Key>* restriction : counted_) {
      for (size_t p = 0; p < restriction->parts.size(); ++p) {
        if (restriction->added[p].position == position) here_.push_back(restriction->parts[p]);
      }
    }
    if (here_.size() > 1) std::stable_sort(here_.begin(), here_.end(), IsTakenBefore<Key>);
    if (position < parts_.size() && is_restricted_[parts_[position].bid] == 0) {
      here_.push_back(parts_[position]);
    }
    for (const Part<Key>& part : here_) {
      if (part.units > relaxed.left_units) {
        relaxed.has_part = true;
        relaxed.part = part;
        return;
      }
      relaxed.left_units -= part.units;
      relaxed.whole_key += part.key;
    }
  }

  const Restriction<Key>* RestrictionOf(size_t bid) const {
    for (size_t i = active_.size(); i-- > 0;) {
      if (active_[i]->bid == bid) return active_[i];
    }
    return nullptr;
  }

  // The problem of the active restrictions, and what it is when relaxed.
  void Descend(const Relaxed<Key>& relaxed, size_t depth) {
    if (!relaxed.is_possible || relaxed.bound <= best_ || best_ >= enough_) return;
    if (--problems_left_ <= 0) return;
    if (!relaxed.has_part || relaxed.left_units == 0) {
      Keep(relaxed, relaxed.whole_key, 0, 0);
      return;
    }
    const Part<Key>& part = relaxed.part;
    if (part.bid == kManyBids) {  // Many bids as one accept every quantity.
      Keep(relaxed, relaxed.bound, relaxed.left_units, 0);
      return;
    }
    const Restriction<Key>* restriction = RestrictionOf(part.bid);
    const auto pieces = restriction == nullptr ? bids_.PiecesOf(part.bid) : restriction->pieces;
    const int64_t low_units = restriction == nullptr ? 0 : restriction->low_units;
    const int64_t high_units =
        restriction == nullptr ? std::numeric_limits<int64_t>::max() : restriction->high_units;
    const int64_t units = part.from_units + relaxed.left_units;
    const int64_t below = LargestUpTo(pieces, units);
    if (below == units && Int128{KeyOf(pieces, units) - part.from_key} * part.units ==
                              Int128{part.key} * relaxed.left_units) {
      Keep(relaxed, relaxed.bound, units - part.from_units, 0);
      return;
    }
    KeepWhatFits(relaxed, pieces);
    if (relaxed.bound <= best_ || best_ >= enough_) return;
    if (depth == kDepthMax) is_too_deep_ = true;
    if (is_too_deep_) return;

    while (restrictions_.size() < 2 * depth + 2) {
      restrictions_.push_back(std::make_unique<Restriction<Key>>());
    }
    Restriction<Key>& at_most = *restrictions_[2 * depth];
    Restriction<Key>& at_least = *restrictions_[2 * depth + 1];
    Restrict(part.bid, pieces, low_units, below, at_most);
    const int64_t above = SmallestAbove(pieces, units);
    Push(at_most);
    const Relaxed<Key> less = Relax();
    Pop();
    Relaxed<Key> more;
    if (above <= high_units) {
      Restrict(part.bid, pieces, above, high_units, at_least);
      Push(at_least);
      more = Relax();
      Pop();
    }
    // Where more can be reached first: what is found there ends the other one sooner.
    const bool is_more_first = more.is_possible && more.bound > less.bound;
    for (bool is_more : {is_more_first, !is_more_first}) {
      if (is_more && !more.is_possible) continue;
      if (work_.is_used_up() || is_too_deep_ || problems_left_ <= 0) return;
      Push(is_more ? at_least : at_most);
      Descend(is_more ? more : less, depth + 1);
      Pop();
    }
  }

  // The bid whose part does not fit takes the best that it accepts of what is left, and a few parts
  // behind it fill up.
  void KeepWhatFits(const Relaxed<Key>& relaxed, std::span<const KeyPiece<Key>> pieces) {
    const Part<Key>& part = relaxed.part;
    int64_t taken_units = 0;
    Key key = 0;
    const int64_t most = part.from_units + relaxed.left_units;
    for (const KeyPiece<Key>& piece : pieces) {
      for (int64_t q : {piece.min_units, std::min(piece.max_units, most)}) {
        if (q < piece.min_units || q > most || q <= part.from_units) continue;
        const Key more = piece.KeyAt(q) - part.from_key;
        if (more > key) {
          key = more;
          taken_units = q - part.from_units;
        }
      }
    }
    filled_.clear();
    skipped_ = {part.bid};
    int64_t left_units = relaxed.left_units - taken_units;
    for (size_t i = relaxed.position;
         i < parts_.size() && i < relaxed.position + kFilledMax && left_units > 0; ++i) {
      const Part<Key>& next = parts_[i];
      if (is_restricted_[next.bid] != 0 ||
          std::find(skipped_.begin(), skipped_.end(), next.bid) != skipped_.end()) {
        continue;
      }
      if (next.units > left_units) {
        skipped_.push_back(next.bid);  // Its next parts lie on top of this one.
        continue;
      }
      left_units -= next.units;
      key += next.key;
      filled_.push_back(i);
    }
    if (relaxed.whole_key + key > best_) {
      Keep(relaxed, relaxed.whole_key + key, taken_units, filled_.size());
    }
  }

  // The parts that fit, some units of the one that does not, and the first so many that fill up.
  void Keep(const Relaxed<Key>& relaxed, Key key, int64_t taken_units, size_t filled) {
    if (key <= best_) return;
    best_ = key;
    if (found_ == nullptr) return;
    found_->is_better = true;
    if (!found_->is_wanted) return;
    found_->units.assign(bids_.size(), 0);
    found_->units_of_many = 0;
    static_cast<void>(work_.Take(static_cast<int64_t>(relaxed.position + bids_.size())));
    for (size_t i = 0; i < relaxed.position; ++i) {
      if (is_restricted_[parts_[i].bid] == 0) found_->units[parts_[i].bid] = parts_[i].to_units();
    }
    const auto is_taken = [&](const Restriction<Key>& restriction, size_t p) {
      const size_t position = restriction.added[p].position;
      if (position != relaxed.position) return position < relaxed.position;
      return !relaxed.has_part || IsTakenBefore(restriction.parts[p], relaxed.part);
    };
    for (size_t i = 0; i < active_.size(); ++i) {
      if (IsHidden(i)) continue;
      const Restriction<Key>& restriction = *active_[i];
      int64_t units = restriction.base_units;
      for (size_t p = 0; p < restriction.parts.size() && is_taken(restriction, p); ++p) {
        units += restriction.parts[p].units;
      }
      if (restriction.bid == kManyBids) {
        found_->units_of_many = units - restriction.base_units;
      } else {
        found_->units[restriction.bid] = units;
      }
    }
    // All parts at the position fit if none does not, the last of them one of all bids'.
    if (taken_units > 0) {
      if (relaxed.part.bid == kManyBids) {
        found_->units_of_many = taken_units;
      } else {
        found_->units[relaxed.part.bid] = relaxed.part.from_units + taken_units;
      }
    }
    for (size_t f = 0; f < filled; ++f) {
      found_->units[parts_[filled_[f]].bid] = parts_[filled_[f]].to_units();
    }
  }

  const KeyBids<Key>& bids_;
  const int64_t capacity_units_;
  Work& work_;
  const std::vector<Part<Key>> parts_;  // Of all bids, in the order in which they are taken.
  std::vector<Sum> sums_;               // Of all parts before one.
  // By bid, the positions of its parts: positions_ from first_position_[bid] on.
  std::vector<size_t> first_position_;
  std::vector<size_t> positions_;

  std::vector<const Restriction<Key>*> active_;
  std::vector<int> is_restricted_;  // By bid: how often.
  std::vector<const Restriction<Key>*> counted_;
  std::vector<Part<Key>> here_;
  std::vector<size_t> filled_;
  std::vector<size_t> skipped_;
  std::vector<std::unique_ptr<Restriction<Key>>> restrictions_;  // Two for each depth.

  const int reductions_;
  int64_t problems_left_ = 0;
  int64_t problem_units_ = 0;
  Key enough_ = 0;
  Key best_ = 0;
  Found* found_ = nullptr;
  bool is_too_deep_ = false;
};

}  // namespace nom::policies::branches

#endif  // NOM_POLICIES_CLEARING_MPSP_BRANCH_SEARCH_H_
