// SPDX-License-Identifier: Apache-2.0
// Who pays whom, and when. Every function writes lines of one transaction.
//
//   deposit     the operator's issued -> available; arrears are paid from it at once
//   transfer    available -> transit in one book, transit -> available in another
//   decision    available -> escrow, a period's charge of every contract that is alive in the round
//   settlement  escrow -> the seller (the operator's revenue, a tenant's available), what was
//               delivered; at the contract's end the rest -> available
//   seed rent   available -> revenue as far as it goes; the rest is owed: arrears -> revenue
//
// All is billed for an interval of a guest's own meters (types.h), from the reading that the ledger
// holds to a newer one. So it matters to nobody's money how often marketd was restarted, stalled
// or cut off from the host meanwhile: what was held is paid, once.
//
// A contract costs charge * got / (units * period), rounded down, where `got` is what was offered
// beyond the seed, up to its units for as long as the guest lived (contracts.h): a machine that
// falls short gives the seed first and is not paid for the rest. If it was held for longer than its
// period because the market was away, it costs on at the same rate; what goes beyond the escrow is
// taken from what is available, and forgiven if that is not enough: nobody falls into debt by our
// absence. Seed rent costs seed * rent * age / period.
//
// Where the meters are lost (the machine restarted, or the guest is gone without a last reading)
// nothing is charged for the interval since the last reading: the doubt is in the tenant's favour.

#ifndef MARKETD_MARKET_MONEY_H_
#define MARKETD_MARKET_MONEY_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "marketd/market/contracts.h"
#include "marketd/market/host.h"
#include "marketd/market/state.h"
#include "marketd/market/transaction.h"

namespace nom::market {

// A book's money, in or out, is never counted above these. All that is ever paid is money that was
// issued, or owed while revenue is below its own limit: so no sum overflows 64 bits.
inline constexpr Microcredits kIssuedMaxMicrocredits = 4'000'000'000'000'000'000;
inline constexpr Microcredits kRevenueMaxMicrocredits = 5'000'000'000'000'000'000;
inline constexpr Microcredits kArrearsMaxMicrocredits = 1'000'000'000'000'000'000;

// What PostDeposit needs. NOT_FOUND, INVALID_ARGUMENT (zero; too much), FAILED_PRECONDITION (takes
// out more than is available).
absl::Status CheckDeposit(const State& state, const TenantId& tenant_id, Microcredits amount);
void PostDeposit(Scribe& scribe, const TenantId& tenant_id, Microcredits amount);

// Sends money to another book. Requires that it is available.
void PostSend(Scribe& scribe, const BookId& to_book, const Owner& owner, Microcredits amount);
// Takes in what another book has sent; arrears are paid from it at once.
void PostAccept(Scribe& scribe, const Transfer& transfer);

// Nothing if a meter fell, which no honest machine's does: then they were not the same meters.
std::optional<MeteredInterval> Between(const GuestMeters& from, const GuestMeters& to);

// Sets `amount` more aside for a contract. Requires that it is available. These three change
// `contract` only in memory: write it afterwards.
void PostEscrow(Scribe& scribe, Contract& contract, Microcredits amount);

// Pays `due` to the seller: from the escrow beyond `keep`, then from what is available. Returns
// what was paid. A tenant pays itself nothing.
Microcredits PostDue(Scribe& scribe, Contract& contract, Microcredits due, Microcredits keep);

// Gives back what is set aside beyond `keep`.
void PostRelease(Scribe& scribe, Contract& contract, Microcredits keep);

// Charges the rent of the seed in `outcome`, for as long as the guest lived in the interval, and
// adds it there; write the round afterwards.
void PostRent(Scribe& scribe, const MeteredInterval& interval,
              Microcredits seed_rent_unit_price_microcredits, absl::Duration period,
              Outcome& outcome);

}  // namespace nom::market

#endif  // MARKETD_MARKET_MONEY_H_
