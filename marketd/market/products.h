// SPDX-License-Identifier: Apache-2.0
// What is sold beside the auction: contracts for several rounds, futures, sublets, renewals.
//
// Each function looks at the state as it is and says what may be sold and at what price; it writes
// nothing. A contract's price is forward/1 (policies/forward), fixed when it is quoted. Units are
// promised once: whatever begins later is kept free in all its rounds, beside seeds, contracts, and
// what holders of contracts that are to be renewed are asked first for.

#ifndef MARKETD_MARKET_PRODUCTS_H_
#define MARKETD_MARKET_PRODUCTS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "marketd/market/config.h"
#include "marketd/market/event.h"
#include "marketd/market/offers.h"
#include "marketd/market/shares.h"
#include "marketd/market/state.h"

namespace nom::market {

// One host, as its products are sold now. Refers to what must outlive it.
struct HostSales {
  const HostConfig& config;
  HostShares shares;
  absl::Span<const ResourcePrice> prices;  // Of the last round: what the reserves are.
  RoundId next_round_id = 0;  // The first that the host's own units may be sold for: bids are open.
  // The first in which units may pass from one guest to another: its grants are not yet in force.
  RoundId next_change_round_id = 0;
  absl::Time now;
};

// Errors: see GetQuote, OfferSublet, TakeOffer in event.h. Ids are left 0, but that of a sublet's
// whole.
absl::StatusOr<Offer> MakeQuote(const HostSales& sales, const Guest& guest, const GetQuote& call);
absl::StatusOr<Offer> MakeSublet(const HostSales& sales, const Contract& whole,
                                 const OfferSublet& call);
// The percentile of the last rounds' prices that forward/1 begins with; 0 before the first.
// Requires a resource of the host that is sold forward.
Microcredits ForecastOf(const State& state, const HostId& host_id, const Resource& resource);
// As it is sold now. Requires the same, and its forecast.
ForwardOnSale OnSale(const HostSales& sales, const Resource& resource, Microcredits forecast);

// The contract with which `guest`, which is not in the state yet, is admitted. Its id is left 0.
// Errors: see AdmitGuest in event.h.
absl::StatusOr<Contract> BundleFor(const HostSales& sales, const Guest& guest,
                                   const Bundle& bundle);

// The contract that `guest` has once it takes the offer.
absl::StatusOr<Contract> TakeAs(const HostSales& sales, const Offer& offer, const Guest& guest,
                                Microcredits renew_ceiling_microcredits);

// Whether the contract is to be renewed for the round that is about to be decided.
bool IsDueForRenewal(const Contract& contract, RoundId round_id);
// The contract that follows one that is due. FAILED_PRECONDITION or RESOURCE_EXHAUSTED: why none
// does.
absl::StatusOr<Contract> RenewalOf(const HostSales& sales, const Contract& contract);

// Whether the call is of this file: what a tenant may do with its guests' contracts.
bool IsOfProducts(const Call& call);

}  // namespace nom::market

#endif  // MARKETD_MARKET_PRODUCTS_H_
