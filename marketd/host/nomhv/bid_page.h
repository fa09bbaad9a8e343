// SPDX-License-Identifier: Apache-2.0
// What a guest wrote on its bid page, made into values. The page is a stranger's: any byte may be
// anything.

#ifndef MARKETD_HOST_NOMHV_BID_PAGE_H_
#define MARKETD_HOST_NOMHV_BID_PAGE_H_

#include <cstddef>
#include <optional>
#include <string>

#include "marketd/market/host.h"
#include "nomhv/abi/board.h"

namespace nom::market {

struct BidPageContents {
  GuestBids bids;                     // `error` says what is wrong with the page, if anything is.
  std::optional<GuestReport> report;  // Absent if the page is no bid page at all.
};

// True for a page that the guest has not begun to use.
bool BidPageUnused(const NomBidPage& page);

// Shape only: counts, kinds, versions. What a bid says is for the market to judge.
BidPageContents ReadBidPage(GuestId guest_id, const NomBidPage& page);

// At most `size` characters up to the first zero; what is not printable ASCII becomes '?'.
std::string PrintableText(const char* text, size_t size);

}  // namespace nom::market

#endif  // MARKETD_HOST_NOMHV_BID_PAGE_H_
