// SPDX-License-Identifier: Apache-2.0
// One guest's view of its market: boards read afresh, rounds noticed, bids refused while nobody
// renews the prices.

#ifndef CLIENT_GUEST_MARKET_H_
#define CLIENT_GUEST_MARKET_H_

#include <cstdint>
#include <optional>
#include <span>

#include "client/guest/bid_page.h"
#include "client/guest/board.h"
#include "client/guest/clock.h"
#include "client/guest/notice.h"
#include "policies/bidding/curve.h"
#include "policies/bidding/safe_mode.h"

namespace nom::guest {

struct Pages {
  const NomMachineBoard* machine = nullptr;
  const NomGuestBoard* guest = nullptr;
  NomBidPage* bids = nullptr;
};

// Where they lie in a guest.
inline Pages PagesOfGuest() { return {MachineBoardPage(), GuestBoardPage(), BidPageOfGuest()}; }

// One thread. Look() once in each turn of the guest's loop; everything else answers from that look.
class Market {
 public:
  // Rounds are taken to be so long while no board says otherwise.
  static constexpr uint64_t kDefaultRoundUs = 2'000'000;
  static constexpr int64_t kDefaultCpuUnitMillicores = 10;
  static constexpr int64_t kDefaultMemoryUnitBytes = 1 << 20;

  // `clock` and the pages outlive the market.
  Market(const Clock* clock, const Pages& pages);

  // In safe mode (policies/bidding/safe_mode.h), that is while the machine board is stale or has
  // not been renewed for some periods, all bids are withdrawn: nothing is spent unseen.
  void Look();

  bool safe_mode() const { return safe_mode_.on(); }
  // True in the first look of a round. In safe mode rounds go on by the clock, so that a guest
  // without a market has a rhythm too.
  bool round_began() const { return round_began_; }
  uint64_t rounds_seen() const { return rounds_seen_; }
  uint64_t round_us() const;  // 1 ms to 1 hour.
  // A notice that came since the last look.
  const std::optional<Notice>& notice() const { return notice_; }

  const NomMachineBoard& machine() const { return machine_; }
  const NomGuestBoard& guest() const { return guest_; }

  // Of a unit for a round; nothing while it is unknown.
  std::optional<int64_t> Price(NomResource kind) const;
  // What one unit is: bytes, millicores. The defaults if the board does not say.
  int64_t UnitSize(NomResource kind) const;
  // Millicores that are the guest's in any case, and those in force now.
  int64_t SeedMillicores() const;
  int64_t Millicores() const;
  // Processor cycles in one unit of cpu for one round.
  uint64_t CyclesPerCpuUnit() const;

  // Replaces the bid for `kind`; an empty list withdraws it. `budget_microcredits` as in BidPage;
  // value beyond it is not bid. False in safe mode: nothing was bid.
  bool Bid(NomResource kind, const policies::RangeList& ranges, int64_t budget_microcredits);
  // Replaces all bids by one for bundles, on machines whose resources are cleared together; none
  // withdraws it. False as above, and if there are too many.
  bool BidTogether(std::span<const NomBundle> bundles, int64_t budget_microcredits);
  void Say(const Report& report) { bids_.Say(report); }

 private:
  void LookForPrices(uint64_t now_tsc);

  const Clock* clock_;
  Pages pages_;
  BidPage bids_;
  NoticeReader notices_;
  NomMachineBoard machine_{};
  NomGuestBoard guest_{};
  std::optional<Notice> notice_;
  policies::SafeMode safe_mode_;  // Its ticks are the TSC's.
  bool round_began_ = false;
  uint64_t rounds_seen_ = 0;
  uint64_t round_began_tsc_ = 0;
};

}  // namespace nom::guest

#endif  // CLIENT_GUEST_MARKET_H_
