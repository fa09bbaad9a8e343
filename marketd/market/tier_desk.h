// SPDX-License-Identifier: Apache-2.0
// Where tiers are asked for (tiers.h), one transaction each, and where their floors are given.
//
// A guest has a tier or bids of its own. A tier takes the place of all its bids, also of those that
// a program keeps by a lease; from then on bids are refused (bid_desk.h) until the tier is cleared:
// what its owner decided is not undone by a program that bids by habit.
//
// Not thread-safe: the engine's thread owns it.

#ifndef MARKETD_MARKET_TIER_DESK_H_
#define MARKETD_MARKET_TIER_DESK_H_

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "marketd/market/bid_leases.h"
#include "marketd/market/event.h"
#include "marketd/market/host_market.h"
#include "marketd/market/live_book.h"
#include "marketd/market/shares.h"
#include "marketd/market/state.h"
#include "marketd/market/tiers.h"

namespace nom::market {

class TierDesk {
 public:
  // All outlive it.
  TierDesk(LiveBook& book, HostMarkets& hosts, BidLeases& leases, uint64_t market_seed);

  // What they promise is in event.h.
  Reply Set(const SetTier& call, const Caller& caller, const Request& request);
  Reply Clear(const ClearTier& call, const Caller& caller, const Request& request);

  // The host's round is about to be decided: guests whose turn it is are given their tier's floor,
  // as contracts of that round, before anybody bids. Harmless if it is done again.
  void GiveFloors(HostMarket& host);

 private:
  // The tier as it will stand. Errors as SetTier.
  absl::StatusOr<GuestTier> Check(const SetTier& call, const Guest& guest,
                                  const HostMarket& host) const;
  // What of the round's floors this guest is given now: none if it does not run, has it already, or
  // its tenant can't pay.
  std::optional<Contract> FloorContract(const HostMarket& host, const Guest& guest,
                                        const UnitPrices& reserves, const Units& supply) const;

  LiveBook& book_;
  HostMarkets& hosts_;
  BidLeases& leases_;
  const uint64_t market_seed_;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_TIER_DESK_H_
