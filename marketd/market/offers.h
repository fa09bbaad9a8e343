// SPDX-License-Identifier: Apache-2.0
// Offers: contracts that somebody may take, at a price that holds until they lapse.
//
// A quote is the operator's offer of the host's own units to one guest; a sublet is a holder's, of
// units out of a contract of its own, to one guest or to any of its host. An offer binds its price,
// not its units: who takes it first has them. It is closed by being taken or withdrawn, or once its
// time is over or what it was out of is.

#ifndef MARKETD_MARKET_OFFERS_H_
#define MARKETD_MARKET_OFFERS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "marketd/market/contracts.h"
#include "marketd/market/types.h"

namespace nom::market {

using OfferId = uint64_t;  // Counts from 1 in its book.

// Of one tenant, and of one guest's quotes: more are refused until some are taken or lapse.
inline constexpr size_t kOpenOffersMax = 64;

struct Offer {
  // Terms.
  OfferId offer_id = 0;
  HostId host_id;
  TenantId tenant_id;    // Who asked for the quote, or offers the sublet.
  GuestId guest_id = 0;  // Who may take it; 0: any guest of the host.
  Contract contract;     // What is taken; of its taker it says nothing, and its id is 0.
  absl::Time valid_until = absl::UnixEpoch();

  // How it stands.
  ContractId taken_as = 0;  // The contract that it became.
  std::string closed;       // Why it is closed; empty while it is open.
  friend bool operator==(const Offer&, const Offer&) = default;
};

bool IsQuote(const Offer& offer);

// A kind, as it is sold forward now: published, so that nobody is sold a secret.
struct ForwardOnSale {
  ResourceKind kind = ResourceKind::kMemory;
  RoundId round_id = 0;     // The next that units may be bought for.
  int64_t share_units = 0;  // The most that is sold forward in a round,
  int64_t sold_units = 0;   // and what is in that one, with what its holders are asked first for.
  // The percentile of the last rounds' prices that forward/1 begins with; 0: none was decided yet.
  Microcredits forecast_unit_price_microcredits = 0;
  // Of one unit more, for that round alone. Nothing: none is left.
  std::optional<Microcredits> unit_price_microcredits;
  int64_t rounds_max = 0;  // The longest contract.
  friend bool operator==(const ForwardOnSale&, const ForwardOnSale&) = default;
};

inline constexpr char kOfferTaken[] = "it was taken";
inline constexpr char kOfferWithdrawn[] = "it was withdrawn";
inline constexpr char kOfferLapsed[] = "its time was over";
inline constexpr char kOfferGone[] = "what it was out of is over";

}  // namespace nom::market

#endif  // MARKETD_MARKET_OFFERS_H_
