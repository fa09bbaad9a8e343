// SPDX-License-Identifier: Apache-2.0
// The picture that readers get of the market: built from the book and from what is in memory beside
// it, of what has changed; the rest is that of the view before.
//
// Not thread-safe: the engine's thread owns it; the views that it builds never change.

#ifndef MARKETD_MARKET_VIEW_BUILDER_H_
#define MARKETD_MARKET_VIEW_BUILDER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "marketd/market/guest_notes.h"
#include "marketd/market/host_market.h"
#include "marketd/market/live_book.h"
#include "marketd/market/notices.h"
#include "marketd/market/view.h"

namespace nom::market {

class ViewBuilder {
 public:
  // All outlive it.
  ViewBuilder(LiveBook& book, const HostMarkets& hosts, const NotesOfGuests& notes,
              Notices& notices, uint64_t market_seed);

  // Hands a view out through the book if something has changed since the last one, and none waits
  // there.
  void ShowChanges();

  // What the last view shows, if nothing has changed since, and is not so; or "".
  std::string FirstStale() const;

 private:
  std::shared_ptr<const View> Build();
  std::shared_ptr<const HostView> BuildHost(const HostMarket& host);
  // What it sells forward, at `prices`.
  std::vector<ForwardOnSale> BuildForward(const HostMarket& host,
                                          const std::vector<ResourcePrice>& prices);
  std::shared_ptr<const GuestView> BuildGuest(const Guest& guest) const;
  // What was decided by the process before this one.
  void AddDecidedBefore(const HostMarket& host, GuestView& view) const;

  LiveBook& book_;
  const HostMarkets& hosts_;
  const NotesOfGuests& notes_;
  Notices& notices_;
  const uint64_t market_seed_;
  uint64_t sequence_ = 0;
  std::shared_ptr<const View> last_;
  // Forecasts change with the rounds only, and are made of thousands of prices.
  struct Forecast {
    RoundId last_decided_round_id = 0;
    ForwardSale sale;
    Microcredits unit_price_microcredits = 0;
  };
  std::map<std::pair<HostId, ResourceKind>, Forecast> forecasts_;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_VIEW_BUILDER_H_
