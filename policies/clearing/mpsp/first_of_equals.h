// SPDX-License-Identifier: Apache-2.0
// Ties: which of the best allocations it is. Inside policies/clearing/mpsp only.

#ifndef NOM_POLICIES_CLEARING_MPSP_FIRST_OF_EQUALS_H_
#define NOM_POLICIES_CLEARING_MPSP_FIRST_OF_EQUALS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "policies/clearing/mpsp/branch_problem.h"
#include "policies/clearing/mpsp/branch_search.h"
#include "policies/clearing/mpsp/key_bids.h"
#include "policies/clearing/mpsp/price_limit.h"
#include "policies/clearing/work.h"

namespace nom::policies::branches {

// Of all allocations that add up to the best sum, the one that gives the first bid the most, then
// the second, and so on.
//
// Most bids have the same quantity in all of them: an allocation with any other loses more at the
// price where the relaxation ends than the best one loses (core.h). Of the bids that are left, one
// whose quantities all lie on one straight line with the slope of that price may have any of them
// as long as the sum of all such bids stays the same. These are the pool: where hundreds of bids
// are equal at the margin, they are two or three numbers. The others are asked one by one.
template <typename Key>
class FirstOfEquals {
 public:
  FirstOfEquals(const KeyBids<Key>& bids, Search<Key>& search, Work& work, Key best,
                std::vector<int64_t>& units)
      : bids_(bids), search_(search), work_(work), best_(best), units_(units) {}

  // False if the work is used up.
  bool Find() {
    limit_ = LimitOf<Key>(search_.RelaxWhole(), best_);
    for (size_t bid = 0; bid < bids_.size(); ++bid) Classify(bid);
    if (!work_.Take(kWorkAScannedBid * static_cast<int64_t>(bids_.size() + bids_.pieces.size()))) {
      return false;
    }
    if (pool_.size() + free_.size() == 0) return true;
    BeginPool();
    size_t in_pool = 0;
    size_t run_begin = 0;
    for (const Free& bid : free_) {
      // Those of the pool that come first in the order of ties have their turn first.
      while (in_pool < pool_.size() && pool_[in_pool].bid < bid.bid) ++in_pool;
      if (!ShareOut(run_begin, in_pool) || !Raise(bid)) return false;
      run_begin = in_pool;
    }
    if (!ShareOut(run_begin, pool_.size())) return false;
    for (size_t k = 0; k < fixed_.size(); ++k) search_.Pop();
    return true;
  }

 private:
  struct Pooled {
    size_t bid = 0;
    Run run;
  };
  struct Free {
    size_t bid = 0;
    std::vector<Run> runs;
  };

  void Classify(size_t bid) {
    runs_.clear();
    bool is_straight = true;
    Key last_key = 0;
    VisitWithin<Key>(bids_.PiecesOf(bid), 0, std::numeric_limits<int64_t>::max(), limit_,
                     [&](int64_t low, int64_t high, Key low_key, Key high_key) {
                       const bool is_next = !runs_.empty() && runs_.back().high + 1 == low;
                       if (!runs_.empty()) {
                         is_straight &= is_next && IsOnPrice(low_key - last_key, 1);
                       }
                       is_straight &= IsOnPrice(high_key - low_key, high - low);
                       if (is_next) {
                         runs_.back().high = high;
                       } else {
                         runs_.push_back({low, high});
                       }
                       last_key = high_key;
                     });
    if (runs_.size() == 1 && runs_[0].low == runs_[0].high) return;  // It has that in all of them.
    if (runs_.size() == 1 && is_straight) {
      pool_.push_back({bid, runs_[0]});
    } else {
      free_.push_back({bid, runs_});
    }
  }

  bool IsOnPrice(Key key, int64_t units) const { return limit_.SurplusOf(key, units) == 0; }

  void BeginPool() {
    pool_bids_.reserve(pool_.size());
    for (const Pooled& pooled : pool_) {
      pool_bids_.push_back(pooled.bid);
      base_units_ += pooled.run.low;
      base_key_ += KeyOf(bids_.PiecesOf(pooled.bid), pooled.run.low);
      later_units_ += pooled.run.high - pooled.run.low;
      pool_units_ += units_[pooled.bid] - pooled.run.low;
    }
    if (!pool_.empty()) search_.RestrictMany(pool_bids_, many_);
  }

  Key KeyOnPrice(int64_t units) const {
    return static_cast<Key>(Int128{limit_.price} * units / limit_.price_units);
  }

  // True if there is an allocation as good that satisfies what is pushed, with `at_least` units of
  // the pool; it is then the one that is known.
  bool IsThereAnother(int64_t at_least, bool& is_there) {
    if (!pool_.empty()) {
      many_.base_units = base_units_ + at_least;
      many_.base_key = base_key_ + KeyOnPrice(at_least);
      many_.parts.clear();
      const int64_t more = later_units_ - (at_least - given_units_);
      if (more > 0) {
        many_.parts.push_back({kManyBids, more, KeyOnPrice(more), 0, 0});
      }
      search_.PlaceParts(many_);
      search_.MarkMany(pool_bids_, 1);
      search_.Push(many_);
    }
    Key best = best_ - 1;
    typename Search<Key>::Found found;
    found.is_wanted = true;
    const bool is_known = search_.Maximise(search_.capacity_units(), best_, best, &found);
    if (!pool_.empty()) {
      search_.Pop();
      search_.MarkMany(pool_bids_, -1);
    }
    if (!is_known) return false;
    is_there = found.is_better;
    if (is_there) {
      // What was given stays given.
      for (const Pooled& pooled : pool_) found.units[pooled.bid] = units_[pooled.bid];
      units_ = std::move(found.units);
      pool_units_ = at_least + found.units_of_many;
    }
    return true;
  }

  // The bids [begin, end) of the pool: as much as can be, the first of them first.
  bool ShareOut(size_t begin, size_t end) {
    if (begin == end) return true;
    int64_t width = 0;
    for (size_t p = begin; p < end; ++p) width += pool_[p].run.high - pool_[p].run.low;
    int64_t taken = std::min(width, pool_units_ - given_units_);
    while (taken < width) {
      bool is_there = false;
      if (!IsThereAnother(given_units_ + taken + 1, is_there)) return false;
      if (!is_there) break;
      taken = std::min(width, pool_units_ - given_units_);
    }
    given_units_ += taken;
    later_units_ -= width;
    for (size_t p = begin; p < end; ++p) {
      const Run& run = pool_[p].run;
      const int64_t units = std::min(taken, run.high - run.low);
      units_[pool_[p].bid] = run.low + units;
      taken -= units;
    }
    return true;
  }

  bool Raise(const Free& bid) {
    const auto pieces = bids_.PiecesOf(bid.bid);
    auto restriction = std::make_unique<Restriction<Key>>();
    while (true) {
      // The next quantity that could be in an allocation as good.
      int64_t next = -1;
      for (const Run& run : bid.runs) {
        if (run.high > units_[bid.bid]) {
          next = std::max(run.low, units_[bid.bid] + 1);
          break;
        }
      }
      if (next < 0) break;
      search_.Restrict(bid.bid, pieces, next, bid.runs.back().high, *restriction);
      search_.Push(*restriction);
      bool is_there = false;
      const bool is_known = IsThereAnother(given_units_, is_there);
      search_.Pop();
      if (!is_known) return false;
      if (!is_there) break;
    }
    search_.Restrict(bid.bid, pieces, units_[bid.bid], units_[bid.bid], *restriction);
    search_.Push(*restriction);
    fixed_.push_back(std::move(restriction));
    return true;
  }

  const KeyBids<Key>& bids_;
  Search<Key>& search_;
  Work& work_;
  const Key best_;
  std::vector<int64_t>& units_;
  PriceLimit<Key> limit_;
  std::vector<Run> runs_;
  std::vector<Free> free_;  // In the order of ties, as is the pool.
  std::vector<Pooled> pool_;
  std::vector<size_t> pool_bids_;
  Restriction<Key> many_;  // The pool.
  int64_t base_units_ = 0;
  Key base_key_ = 0;
  int64_t pool_units_ = 0;   // What it has above that,
  int64_t given_units_ = 0;  // what of it was shared out,
  int64_t later_units_ = 0;  // and what those who have not had their turn can take at most.
  std::vector<std::unique_ptr<Restriction<Key>>> fixed_;
};

}  // namespace nom::policies::branches

#endif  // NOM_POLICIES_CLEARING_MPSP_FIRST_OF_EQUALS_H_
