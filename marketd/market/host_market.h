// SPDX-License-Identifier: Apache-2.0
// One host's market in memory: its config, the link to its machine, where its round is, the bid
// pages that wait, and what was counted. What is durable of it is in the book's state.
//
// Beside that: what can be said of a host from both, and what it is told from both.

#ifndef MARKETD_MARKET_HOST_MARKET_H_
#define MARKETD_MARKET_HOST_MARKET_H_

#include <cstdint>
#include <map>
#include <vector>

#include "absl/time/time.h"
#include "marketd/market/bid_pages.h"
#include "marketd/market/config.h"
#include "marketd/market/event.h"
#include "marketd/market/host_link.h"
#include "marketd/market/live_book.h"
#include "marketd/market/notices.h"
#include "marketd/market/round_clock.h"
#include "marketd/market/shares.h"
#include "marketd/market/state.h"
#include "marketd/market/view.h"

namespace nom::market {

struct HostMarket {
  // `host` outlives it.
  HostMarket(const HostConfig& host, HostLink::Send send)
      : config(host), link(host, std::move(send)), clock(host) {}

  const HostConfig& config;
  HostLink link;
  RoundClock clock;
  BidPages pages;
  HostCounters counters;
  absl::Time last_decided_time = absl::UnixEpoch();

  const HostId& id() const { return config.host_id; }
  HostShares Shares(const State& state) const {
    return {state, config.host_id, link.resources(), link.unmanaged(), link.holdings()};
  }
  const HostBook& Book(const State& state) const { return BookOf(state, config.host_id); }
  const Round* InForce(const State& state) const { return RoundInForce(Book(state)); }
  const Round* Decided(const State& state) const { return RoundDecided(Book(state)); }
};

// All hosts of the config, by id.
class HostMarkets {
 public:
  using Map = std::map<HostId, HostMarket>;
  // `config` outlives it. Commands go to `send`.
  HostMarkets(const MarketConfig& config, const HostLink::Send& send);

  HostMarket* Find(const HostId& host_id);
  const HostMarket* Find(const HostId& host_id) const;
  Map& all() { return hosts_; }
  const Map& all() const { return hosts_; }

  // Null if there is none, or it is not the caller's, or its host is not in the config.
  const Guest* FindGuest(const State& state, GuestId guest_id, const Caller& caller) const;

 private:
  Map hosts_;
};

// The round in which a bid that comes now first takes part: close is close, so what comes while a
// round is being cleared is for the next one.
RoundId RoundOfNewBids(const State& state, const HostMarket& host);

// Of the last round decided; before the first one, the reserves.
std::vector<ResourcePrice> PricesOf(const State& state, const HostMarket& host,
                                    uint64_t market_seed);

// Units that are taken, now or once the decided round is in force, whichever is more: by guests
// that run, are being created or removed, or have ended, and by those that the ledger does not
// know.
int64_t UsedUnits(const State& state, const HostMarket& host, ResourceKind kind);

// Tells guests what they hold, and will hold from the decided round's time on, if one is decided.
void TellGrants(LiveBook& book, HostMarket& host);
// Gives notice to guests whose units change when the decided round takes effect. Requires one.
void TellNotices(LiveBook& book, const HostMarket& host, Notices& notices);
// Tells guests prices and the round's times. Requires that a round runs.
void TellBoard(LiveBook& book, HostMarket& host, uint64_t market_seed);

// The host is gone, or must be attached anew: no round runs. `counts` as a failure: it waits longer
// from one to the next, and not at all otherwise.
void LetGo(LiveBook& book, HostMarket& host, const std::string& why, bool counts);
// It was lost when it should have been there.
void Lose(LiveBook& book, HostMarket& host, const std::string& why);

}  // namespace nom::market

#endif  // MARKETD_MARKET_HOST_MARKET_H_
