// Who pays whom, and when. Every function writes lines of one transaction.
//
//   deposit     deposits -> available; arrears are paid from it at once
//   decision    available -> escrow, the whole charge of each award
//   settlement  escrow -> revenue, the delivered share of the charge; the rest -> available
//   seed rent   available -> revenue as far as it goes; the rest is owed: arrears -> revenue
//
// What a round's award costs: charge * delivered / awarded * min(interval, period) / period,
// rounded down. `delivered` is what the host's meters say was offered beyond the seed, up to the
// award, so a machine that falls short gives the seed first and is not paid for the rest. An
// interval longer than the period costs no more than the charge that was agreed.

#ifndef MARKETD_MARKET_MONEY_H_
#define MARKETD_MARKET_MONEY_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "marketd/market/host.h"
#include "marketd/market/state.h"
#include "marketd/market/transaction.h"

namespace nom::market {

// No tenant's money, in or out, is ever counted above these; far inside 64 bits, so that no sum of
// a tenant's books can overflow.
inline constexpr Microcredits kDepositsMaxMicrocredits = 4'000'000'000'000'000'000;
inline constexpr Microcredits kArrearsMaxMicrocredits = 1'000'000'000'000'000'000;

// What PostDeposit needs. NOT_FOUND, INVALID_ARGUMENT (zero; too much), FAILED_PRECONDITION (takes
// out more than is available).
absl::Status CheckDeposit(const State& state, const TenantId& tenant_id, Microcredits amount);
void PostDeposit(Scribe& scribe, const TenantId& tenant_id, Microcredits amount);

// Sets the charge of an award aside. Requires that it is available.
void PostEscrow(Scribe& scribe, const Outcome& outcome);

// Settles one outcome; `delivered` is null if the host did not meter it: nothing is charged then.
// Changes `outcome` only in memory: write the round afterwards.
void PostSettlement(Scribe& scribe, const Delivered* delivered, absl::Duration interval,
                    absl::Duration period, Outcome& outcome);

// Gives an outcome's escrow back, charging nothing.
void PostRelease(Scribe& scribe, Outcome& outcome);

// Charges the rent of a guest's seed from rented_until to now, but for one period at the most: when
// the market was away it bills nobody for its absence. Writes the guest. Returns what was charged
// for each kind.
std::map<ResourceKind, Microcredits> PostRent(Scribe& scribe, GuestId guest_id,
                                              absl::Span<const Resource> resources,
                                              absl::Duration period);

}  // namespace nom::market

#endif  // MARKETD_MARKET_MONEY_H_
