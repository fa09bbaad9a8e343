// SPDX-License-Identifier: Apache-2.0
// How a guest without a network bids and reports: it writes a page, nomhv carries it to marketd.

#ifndef CLIENT_GUEST_BID_PAGE_H_
#define CLIENT_GUEST_BID_PAGE_H_

#include <cstdint>
#include <span>
#include <string_view>

#include "client/guest/address.h"
#include "nomhv/abi/board.h"
#include "nomhv/abi/guest.h"

namespace nom::guest {

// What the guest says of its work; shown beside its name, believed by nobody.
struct Report {
  uint64_t work_done = 0;          // In work_unit, since the start.
  std::string_view work_unit;      // Up to 15 characters.
  int64_t value_microcredits = 0;  // What that work was worth, since the start.
  std::string_view activity;       // Up to 31 characters.
};

// The only writer of the page. Each change is one seqlocked write, so that nomhv never carries half
// of it; a change that changes nothing writes nothing. One thread; not from an interrupt handler.
class BidPage {
 public:
  // `page` outlives this and is nobody else's to write: in a guest, BidPageOfGuest().
  explicit BidPage(NomBidPage* page);

  // Replaces the standing bid for `kind`. Ranges are extra units beyond the seed, rising. False,
  // and nothing is written, if there are more than NOM_RANGES_MAX or no place is left.
  // `budget_microcredits`: the most to be charged in a round, 0 for no limit of its own.
  [[nodiscard]] bool Bid(NomResource kind, std::span<const NomRange> ranges,
                         int64_t budget_microcredits);

  // For machines whose resources are cleared together: one bid, of which at most one bundle is won,
  // in the place of all bids for single resources. False, and nothing is written, if there are none
  // or more than NOM_BUNDLES_MAX.
  [[nodiscard]] bool BidTogether(std::span<const NomBundle> bundles, int64_t budget_microcredits);

  // Takes the bid back; nothing happens if there is none.
  void Withdraw(NomResource kind);
  void WithdrawAll();  // The one for several resources, too.

  void Say(const Report& report);

  // What stands on the page now.
  const NomBidPage& contents() const { return copy_; }

 private:
  void ForgetBids(NomBidForm form);
  void Publish();

  NomBidPage* page_;
  NomBidPage copy_{};  // The page as last written; its sequence is even.
};

inline NomBidPage* BidPageOfGuest() { return PointerTo<NomBidPage>(NOM_GPA_BID_PAGE); }

}  // namespace nom::guest

#endif  // CLIENT_GUEST_BID_PAGE_H_
