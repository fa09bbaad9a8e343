// SPDX-License-Identifier: Apache-2.0
// Bids at the door of a market: placed by callers, kept by leases, written on guests' bid pages.
// All are checked as a stranger's, and written as transactions; whose a bid is, leases.h knows.
//
// Not thread-safe: the engine's thread owns it.

#ifndef MARKETD_MARKET_BID_DESK_H_
#define MARKETD_MARKET_BID_DESK_H_

#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "marketd/market/bid_leases.h"
#include "marketd/market/event.h"
#include "marketd/market/guest_notes.h"
#include "marketd/market/host_market.h"
#include "marketd/market/live_book.h"

namespace nom::market {

class BidDesk {
 public:
  // All outlive it.
  BidDesk(LiveBook& book, HostMarkets& hosts, BidLeases& leases, NotesOfGuests& notes);

  // --- Calls: what they promise is in event.h. `request` is remembered if they succeed. ---

  Reply Place(const PlaceBid& call, const Caller& caller, const Request& request);
  Reply Withdraw(const WithdrawBid& call, const Caller& caller, const Request& request);
  Reply PlaceLeased(const PlaceBids& call, const Caller& caller);
  Reply Renew(const RenewLease& call, const Caller& caller);

  // --- Bid pages. ---

  // Refused as a whole, which the guest's notes say, or put with those that wait.
  void OnPage(HostMarket& host, const GuestBids& page);
  // Writes those whose time has come; at close, all.
  void WritePages(HostMarket& host, bool at_close);

 private:
  // What of a bid can be judged without knowing anyone's money, and what the host's rule says to
  // it.
  absl::Status CheckForm(const HostMarket& host, GuestId guest_id, ResourceKind kind,
                         const std::vector<policies::Range>& ranges, const Valuation* valuation,
                         std::optional<Microcredits> budget) const;
  // The bid as it will stand, but for its fence, if it may: errors as PlaceBid. Counts refusals.
  absl::StatusOr<StandingBid> Check(const PlaceBid& call, const Caller& caller);
  absl::Status CheckPage(const HostMarket& host, const GuestBids& page) const;
  // Writes one of a lease's, unless it is refused.
  PlacedBid PlaceOne(const PlaceBid& bid, BidFence fence, const Caller& caller, Scribe& scribe);
  LeasedBid RenewOne(const BidKey& key, BidFence fence, const Caller& caller);
  void WritePage(HostMarket& host, const GuestBids& page);
  // Bids for single kinds, if one for several comes, and the other way round. Also of those that do
  // not stand it is written down that they were replaced by this fence: a write from before, on its
  // way for long, must not come to stand once what replaced it is gone.
  void DropReplaced(Scribe& scribe, const HostMarket& host, BidKey by, BidFence fence) const;

  LiveBook& book_;
  HostMarkets& hosts_;
  BidLeases& leases_;
  NotesOfGuests& notes_;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_BID_DESK_H_
