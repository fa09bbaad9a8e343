// SPDX-License-Identifier: Apache-2.0
// Clears the auctions of a round so that whoever wins can pay. Inside market/ only.
//
// What an owner is charged is mostly far below what its bids are worth, so its guests and kinds do
// not stand in each other's way. Only if an owner's charges, added up, exceed its means are its
// bids made worth less, all of them by one factor, and the auctions cleared again. As one owner
// bids less others are charged less, so factors go up again, too, as in pacing equilibria
// (Conitzer, Kroer, Sodomka, Stier-Moses, "Multiplicative pacing equilibria in auction markets",
// 2022), a bounded number of times; of the clearings in which everybody can pay the one that is
// worth the most by the bids as they came counts. If there is none, every owner's bids are cut, in
// rising order of guest and then kind, to what the ones before leave: no rule charges more than a
// bid is worth.

#ifndef MARKETD_MARKET_MEANS_PACING_H_
#define MARKETD_MARKET_MEANS_PACING_H_

#include <cstdint>
#include <map>

#include "marketd/market/types.h"
#include "policies/clearing/auction.h"

namespace nom::market {

using OwnerMoney = std::map<policies::OwnerId, Microcredits>;

// Factors are parts of this.
inline constexpr int64_t kWholeFactor = int64_t{1} << 30;

// What is cleared: the auctions of all kinds, or one for all of them.
class PacedAuctions {
 public:
  virtual ~PacedAuctions() = default;

  // With the bids as they are now, within `work_max` steps each.
  virtual void Clear(int64_t work_max) = 0;
  // Of the last clearing, by owner, of those that won something.
  virtual OwnerMoney Charges() const = 0;
  // What was won in it is worth by the bids as they came in.
  virtual Microcredits ValueWon() const = 0;
  // The bids become as they came in, their values times their owner's factor.
  virtual void Scale(const std::map<policies::OwnerId, int64_t>& factors) = 0;
  // The owner's bids, as they are now, become worth no more than `means` together.
  virtual void CutInOrder(policies::OwnerId owner_id, Microcredits means) = 0;
  // Remembers the bids and the last clearing; brings what was remembered back.
  virtual void Keep() = 0;
  virtual void Restore() = 0;
};

// Within `work_max` steps for each auction, the repetitions included: at most `tries`, as many as
// the work allows with `try_work` steps each, but at least kMeansTriesMin. `means` is what each
// owner of a bid can pay.
inline constexpr int kMeansTriesMin = 3;
void ClearWithin(PacedAuctions& auctions, const OwnerMoney& means, int64_t work_max, int tries_max,
                 int64_t try_work);

// The steps of the least clearing that ClearWithin may make of `work_max`.
int64_t LeastWork(int64_t work_max, int tries_max, int64_t try_work);

}  // namespace nom::market

#endif  // MARKETD_MARKET_MEANS_PACING_H_
