// SPDX-License-Identifier: Apache-2.0
// Bid pages of a host's guests that were read and not yet written. A guest may change its page as
// often as it likes, and what counts is what stands at close: so of pages that follow each other
// fast only the last is written, at most once a second for each guest, and in any case at close.
//
// Not thread-safe: the engine's thread owns it.

#ifndef MARKETD_MARKET_BID_PAGES_H_
#define MARKETD_MARKET_BID_PAGES_H_

#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/time/time.h"
#include "marketd/market/host.h"

namespace nom::market {

class BidPages {
 public:
  static constexpr absl::Duration kInterval = absl::Seconds(1);  // Between two of one guest.

  // In the place of the guest's page before, if that was not written.
  void Put(GuestBids page);
  // One that may be written at `now`, or, at a close, any; it counts as written then.
  std::optional<GuestBids> Take(absl::Time now, bool at_close);
  void ForgetGuest(GuestId guest_id);
  // When the next one may be written; InfiniteFuture: none waits.
  absl::Time next() const;

 private:
  struct Page {
    std::optional<GuestBids> waiting;
    absl::Time next = absl::InfinitePast();  // When it may be written.
  };
  std::map<GuestId, Page> pages_;
  std::set<std::pair<absl::Time, GuestId>> due_;  // Those that wait.
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_BID_PAGES_H_
