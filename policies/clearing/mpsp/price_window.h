// SPDX-License-Identifier: Apache-2.0
// Which bids are decided at all prices in a range. Inside policies/clearing only.
//
// At a price of a unit each bid has a best quantity, and every other one leaves it with less: that
// is the other one's loss. As the price moves, a loss changes along a straight line. So if the same
// quantity is best at the lowest price of a range and at the highest, it is best at all between,
// and if another one loses more than some gap at both ends, it does at all between.
//
// A window is a range of prices with a gap. A bid of which one quantity is best throughout, and all
// others lose more than the gap, is decided: whatever price in the range the auction ends at, and
// as long as the best allocation loses no more than the gap there, the bid has that quantity. Of a
// thousand bids a few dozen are left open.

#ifndef NOM_POLICIES_CLEARING_MPSP_PRICE_WINDOW_H_
#define NOM_POLICIES_CLEARING_MPSP_PRICE_WINDOW_H_

#include <cstdint>
#include <vector>

#include "policies/clearing/mpsp/core.h"
#include "policies/clearing/mpsp/key_bids.h"

namespace nom::policies {

class PriceWindow {
 public:
  struct Decision {
    bool is_open = true;
    // If not: what the bid has, nothing included.
    int64_t units = 0;
    int64_t key = 0;
  };

  // `bids` must outlive this. Chooses the gap as large as it can be so that about `open_max` bids
  // stay undecided. Bids whose best quantity changes within the range stay undecided at any gap,
  // and do not count.
  PriceWindow(const KeyBids<int64_t>& bids, int64_t low_price, int64_t high_price, size_t open_max);

  bool Covers(const Core::Limit& limit) const {
    return low_price_ <= limit.price && limit.price <= high_price_ && limit.gap <= gap_;
  }
  // Widens the window so that it does.
  void Cover(const Core::Limit& limit);

  int64_t low_price() const { return low_price_; }
  int64_t high_price() const { return high_price_; }
  int64_t gap() const { return gap_; }
  const std::vector<Decision>& decisions() const { return decisions_; }  // By bid.
  // Of all decided bids.
  int64_t units() const { return units_; }
  int64_t key() const { return key_; }

 private:
  void Look(size_t bid);
  void Decide(size_t bid);

  const KeyBids<int64_t>& bids_;
  int64_t low_price_;
  int64_t high_price_;
  int64_t gap_ = 0;
  // By bid: what is best throughout, and the least that anything else loses anywhere in the window;
  // -1 if not the same is best throughout.
  std::vector<int64_t> best_units_;
  std::vector<int64_t> next_loss_;
  std::vector<Decision> decisions_;
  int64_t units_ = 0;
  int64_t key_ = 0;
};

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_MPSP_PRICE_WINDOW_H_
