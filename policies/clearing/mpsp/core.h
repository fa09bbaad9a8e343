// SPDX-License-Identifier: Apache-2.0
// What of an auction is left to decide once prices have said all that they can. Inside
// policies/clearing only.
//
// An allocation that gives quantity a to bid i reaches at most L(u) - loss_i(a; u), see
// relaxation.h, with loss_i(a; u) = s_i(u) - (key_i(a) - u * a), quantity 0 and its key 0 among
// them.
//
// If that is below what some allocation reaches, a is in no best allocation, and ties are no
// exception: below means below (reduced-cost fixing). Most bids keep one quantity only: none, or
// the one that is best at the price. Those are not in tables, and nor is the capacity that the
// others have at least. What is left is the core of a knapsack problem (Balas and Zemel 1980),
// often a few bids of a thousand.

#ifndef NOM_POLICIES_CLEARING_MPSP_CORE_H_
#define NOM_POLICIES_CLEARING_MPSP_CORE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "policies/clearing/mpsp/key_bids.h"

namespace nom::policies {

// A problem for tables. Each bid has at least its base, and its pieces are what it may have beyond.
template <typename Key>
struct TableProblem {
  KeyBids<Key> bids;           // `origin` is the place of a bid in the lists below.
  int64_t capacity_units = 0;  // Beyond all bases. Negative if these are too much already.
  int64_t table_units = 0;     // The largest capacity that any question about it is asked for.
  Key base_key = 0;            // Of all bids.
  // By bid, those without pieces included.
  std::vector<int64_t> base_units;
  std::vector<Key> base_keys;
};

class Core {
 public:
  // What can be in a best allocation: all that loses no more than `gap` at the price.
  struct Limit {
    int64_t price = 0;
    int64_t gap = 0;
  };

  // `bids` must outlive this.
  explicit Core(const KeyBids<int64_t>& bids);

  // A gap with which Keep leaves about `count` bids more than one quantity, if limits are given
  // from one price to the other.
  int64_t GapFor(size_t count, int64_t low_price, int64_t high_price) const;
  // Keeps, in addition to what was kept before, what is within any of the limits. Never less than
  // that, and now and then a little more. True if anything was new.
  bool Keep(std::span<const Limit> limits);

  TableProblem<int64_t> Problem(int64_t capacity_units) const;

 private:
  struct Interval {
    int64_t low = 1;
    int64_t high = 0;

    bool is_empty() const { return low > high; }
    // True if it has grown.
    bool Include(int64_t from, int64_t to);
  };
  bool KeepWithin(size_t bid, const Limit& limit);

  const KeyBids<int64_t>& bids_;
  std::vector<Interval> kept_;       // By piece.
  std::vector<char> keeps_nothing_;  // By bid: quantity 0.
};

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_MPSP_CORE_H_
