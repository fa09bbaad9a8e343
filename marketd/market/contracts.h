// SPDX-License-Identifier: Apache-2.0
// Contracts: who holds which units, in which rounds, at what price, and whom it pays.
//
// Whatever a guest holds beyond its seed it holds by a contract. An award is the ordinary contract
// of one round. One of several rounds, one that begins in a later round (a future) and one whose
// units are out of another's (a sublet) differ from it in their terms only. What can be auctioned
// for a round is the capacity less the seeds less what open contracts promise in that round.
//
// Terms never change once a contract is open. What does: what is set aside for it, up to when it is
// billed, from which round on its holder has left it, and in the end why it ended.
//
// A contract that was sold forward has a fee for leaving it early. What is set aside always covers
// the round that it is alive in and the fee for leaving it right after: so nobody has to trust that
// a tenant will still have the money.

#ifndef MARKETD_MARKET_CONTRACTS_H_
#define MARKETD_MARKET_CONTRACTS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "marketd/market/accounts.h"
#include "marketd/market/types.h"

namespace nom::market {

using ContractId = uint64_t;  // Counts from 1 in its book.

// Units of one kind in a contract.
struct Lot {
  ResourceKind kind = ResourceKind::kMemory;
  int64_t units = 0;                     // Above zero.
  Microcredits charge_microcredits = 0;  // For all of them, for one period of the contract.
  friend bool operator==(const Lot&, const Lot&) = default;
};

struct Contract {
  // Terms.
  ContractId contract_id = 0;
  GuestId guest_id = 0;      // Who holds the units.
  TenantId tenant_id;        // Who pays: the guest's.
  Owner seller = kOperator;  // Who is paid.
  // The contract, of another guest, out of which these units are; it holds so much less meanwhile.
  // 0: they are the host's own.
  ContractId part_of = 0;
  std::vector<Lot> lots;       // By rising kind.
  RoundId from_round_id = 0;   // The first round in which it is alive,
  RoundId until_round_id = 0;  // and the first in which it no longer is.
  absl::Duration period;       // That the lots' charges are for.
  // Name and version of what priced it: forward/1; tiers/1 of a tier's floor; empty of an award
  // and of a sublet.
  std::string policy;
  int64_t end_fee_ppm = 0;  // Of what the rounds that are left would cost; see policies::EndFee.

  // How it stands.
  // It is not alive from this round on: its holder left it, or could not pay. 0: up to its end.
  RoundId left_from_round_id = 0;
  Microcredits fees_microcredits = 0;  // Paid for leaving it.
  Microcredits paid_microcredits = 0;  // For what was held of it; fees apart.
  std::string left_because;            // One of the reasons below; empty unless it was left.
  // Renewed by itself at its end, if a round of the new one costs no more. 0: not renewed.
  Microcredits renew_ceiling_microcredits = 0;
  Microcredits escrow_microcredits = 0;            // Set aside for it.
  absl::Time settled_through = absl::UnixEpoch();  // Billed up to then.
  std::string ended;                               // Why it ended; empty while it is open.
  friend bool operator==(const Contract&, const Contract&) = default;
};

// Why contracts end, in words that do not change: programs look at them. A reason may go on after
// ": ".
inline constexpr char kEndedOver[] = "its rounds are over";
inline constexpr char kEndedNotRenewed[] = "its rounds are over: not renewed";
inline constexpr char kEndedLeft[] = "its holder left it";
inline constexpr char kEndedUnpaid[] = "it could not be paid";
inline constexpr char kEndedGuestStopped[] = "the guest does not run";
inline constexpr char kEndedGuestEnded[] = "the guest was ended";
inline constexpr char kEndedGuestEvicted[] = "the guest was evicted";
inline constexpr char kEndedReleased[] = "its round was released";
inline constexpr char kEndedMachine[] = "the machine restarted";
inline constexpr char kEndedLost[] = "the machine lost the guest";
inline constexpr char kEndedHostClosed[] = "the host is no longer in the config";

// For each of these a word that labels may be made of ("over", "left", "unpaid", ...), in the order
// above, and the word of a reason; "other" if it is none of them.
absl::Span<const absl::string_view> EndWords();
absl::string_view EndWord(absl::string_view ended);

// The first round in which it is no longer alive, as things are.
RoundId EndOf(const Contract& contract);
bool AliveIn(const Contract& contract, RoundId round_id);
// Whether it takes units out of what a host may sell forward.
bool IsForward(const Contract& contract);
// Whether it is the floor of its guest's tier, for one round.
bool IsFloor(const Contract& contract);
// Whether it was won in an auction.
bool IsAward(const Contract& contract);
// What leaving the contract costs if it is not alive from `round_id` on; 0 at its end, and once it
// is left.
Microcredits FeeFrom(const Contract& contract, RoundId round_id);
// What must be set aside for a contract that is alive in `round_id`, or begins later: a period's
// charge, and the fee for leaving it before the next round, or before it begins.
Microcredits ToCover(const Contract& contract, RoundId round_id);
int64_t UnitsOf(const Contract& contract, ResourceKind kind);
// For all lots, for one period.
Microcredits ChargeOf(const Contract& contract);

// All contracts of a book that have not ended, with what is looked up about them.
class OpenContracts {
 public:
  OpenContracts() = default;
  OpenContracts(const OpenContracts& other);
  OpenContracts& operator=(const OpenContracts& other);
  OpenContracts(OpenContracts&&) = default;
  OpenContracts& operator=(OpenContracts&&) = default;
  ~OpenContracts() = default;

  // Opens it, or takes how it stands; one that has ended goes.
  void Put(const Contract& contract);

  const Contract* Find(ContractId contract_id) const;  // Null if it is not open.
  const std::map<ContractId, Contract>& all() const { return all_; }
  // By rising id.
  std::vector<const Contract*> Of(GuestId guest_id) const;
  std::vector<const Contract*> AliveIn(GuestId guest_id, RoundId round_id) const;

  // What the guest holds beyond its seed: by its contracts, less what of them is in others' hands.
  int64_t HeldUnits(GuestId guest_id, ResourceKind kind, RoundId round_id) const;
  // What the guest's contracts take out of the host's own units: all but what is part of a contract
  // that is open itself.
  int64_t PromisedUnits(GuestId guest_id, ResourceKind kind, RoundId round_id) const;
  // Whether its units are the host's own: it is part of no contract that is open itself.
  bool IsOfHost(const Contract& contract) const;
  // From when on they are: at once, or once the contract that they are out of is over.
  RoundId OfHostFrom(const Contract& contract) const;
  // Who is paid: its seller, but for a part whose whole was given up. The operator honours it to
  // its end, and is paid for it.
  const Owner& PayeeOf(const Contract& contract) const;
  // By rising id, those that are part of it.
  std::vector<const Contract*> PartsOf(ContractId contract_id) const;
  // What of a contract's units is in others' hands.
  int64_t PassedOnUnits(ContractId contract_id, ResourceKind kind, RoundId round_id) const;
  // What is set aside for all contracts that `tenant_id` pays.
  Microcredits EscrowOf(const TenantId& tenant_id) const;
  const std::map<TenantId, Microcredits>& escrows() const { return escrows_; }

  // Whether `part` may be opened out of the contract that it names: within its rounds, and of units
  // that are not in others' hands in any of them. A part has no parts. Errors: NOT_FOUND,
  // INVALID_ARGUMENT, RESOURCE_EXHAUSTED.
  absl::Status CheckPart(const Contract& part) const;

  friend bool operator==(const OpenContracts& a, const OpenContracts& b) {
    return a.all_ == b.all_ && a.escrows_ == b.escrows_;
  }

 private:
  // By rising id; each points to its value in `all_`, which stays where it is while it is open. Who
  // holds what is asked of each guest several times a round: a list is read without a search.
  using List = std::vector<const Contract*>;

  void AddEscrow(const TenantId& tenant_id, Microcredits amount);
  void Index();  // The lists, of `all_`.
  const List& ListOf(GuestId guest_id) const;
  const List& PartsListOf(ContractId contract_id) const;

  std::map<ContractId, Contract> all_;
  absl::flat_hash_map<GuestId, List> of_guest_;  // No empty lists, here and below.
  absl::flat_hash_map<ContractId, List> parts_;
  std::map<TenantId, Microcredits> escrows_;  // No zeros.
};

// What a guest's meters counted between two readings.
struct MeteredInterval {
  int64_t age_us = 0;
  int64_t alive_us = 0;
  struct Amount {
    ResourceKind kind = ResourceKind::kMemory;
    int64_t offered_unit_us = 0;
    int64_t used_unit_us = 0;
  };
  std::vector<Amount> amounts;
};

// What is due for one lot.
struct LotBill {
  ContractId contract_id = 0;
  ResourceKind kind = ResourceKind::kMemory;
  Microcredits due_microcredits = 0;
};

// One of a guest's contracts through an interval, and its units of each kind that were in others'
// hands all the while.
struct BilledContract {
  const Contract* contract = nullptr;
  std::map<ResourceKind, int64_t> passed_on_units;
};

// Bills the contracts that one guest held through an interval. What was offered to it beyond its
// seed fills its lots, those of the oldest contract first: a machine that falls short is not paid
// for the rest. A lot costs charge * got / (units * period), rounded down. What it passed on it
// pays for as if it had got it: whoever has it pays in turn.
std::vector<LotBill> BillContracts(absl::Span<const BilledContract> contracts,
                                   const std::vector<Holding>& seeds,
                                   const MeteredInterval& interval);

}  // namespace nom::market

#endif  // MARKETD_MARKET_CONTRACTS_H_
