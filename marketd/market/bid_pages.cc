// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/bid_pages.h"

namespace nom::market {

void BidPages::Put(GuestBids page) {
  const GuestId guest_id = page.guest_id;
  Page& of_guest = pages_[guest_id];
  of_guest.waiting = std::move(page);
  due_.insert({of_guest.next, guest_id});
}

std::optional<GuestBids> BidPages::Take(absl::Time now, bool at_close) {
  if (due_.empty() || (!at_close && now < due_.begin()->first)) return std::nullopt;
  Page& page = pages_[due_.begin()->second];
  due_.erase(due_.begin());
  page.next = now + kInterval;
  return std::exchange(page.waiting, std::nullopt);
}

void BidPages::ForgetGuest(GuestId guest_id) {
  const auto page = pages_.find(guest_id);
  if (page == pages_.end()) return;
  due_.erase({page->second.next, guest_id});
  pages_.erase(page);
}

absl::Time BidPages::next() const {
  return due_.empty() ? absl::InfiniteFuture() : due_.begin()->first;
}

}  // namespace nom::market
