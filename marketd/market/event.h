// SPDX-License-Identifier: Apache-2.0
// What can happen to a market: the engine's only input.

#ifndef MARKETD_MARKET_EVENT_H_
#define MARKETD_MARKET_EVENT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "marketd/market/decision.h"
#include "marketd/market/host.h"
#include "marketd/market/state.h"

namespace nom::market {

// --- Calls: what tenants and operators ask for. ---
//
// Every call is answered with one Reply, once what it did is durable. The same request_id with the
// same content again is answered the same and changes nothing; with another content:
// ALREADY_EXISTS. A request_id has 1 to 64 characters. Refused calls leave no trace and may be
// tried again under the same id. Ids belong to whoever calls (each tenant; all operators together):
// those of money, tenants and guests are kept for ever, those of bids until the same caller has
// made kBidRequestsKept newer writes for the same guest.

// Who asks, as the credential said.
struct Caller {
  bool is_operator = false;
  TenantId tenant_id;  // Unless is_operator.
  // Of a tenant that showed a token; 0: it showed a certificate alone.
  uint64_t token_id = 0;
  bool read_only = false;  // By its token: every call here is PERMISSION_DENIED.
};

// Operators only. Errors: INVALID_ARGUMENT, ALREADY_EXISTS (the id is taken).
// A retry may bring a new token_hash (the first answer, with its token, may never have arrived):
// it replaces the old one. FAILED_PRECONDITION if that token was revoked since.
struct CreateTenant {
  std::string request_id;
  TenantId tenant_id;
  std::string display_name;  // At most 128 bytes.
  std::string token_hash;    // At most 128 bytes. The tenant's first token, which never expires.
};

// A tenant for itself, or an operator for any. Tokens of the tenant that have expired go. A retry
// may bring a new token_hash, as in CreateTenant. Errors: NOT_FOUND (no such tenant, or not the
// caller), INVALID_ARGUMENT, RESOURCE_EXHAUSTED (it has as many as it may),
// PERMISSION_DENIED (it would outlive the token that asks for it), FAILED_PRECONDITION (a retry,
// and the token was revoked since).
struct CreateToken {
  std::string request_id;
  TenantId tenant_id;
  std::string label;  // At most 128 bytes.
  TokenScope scope = TokenScope::kFull;
  absl::Duration lifetime = absl::InfiniteDuration();
  std::string token_hash;  // At most 128 bytes.
};

// A tenant for itself, or an operator for any. Also the token that asks for it. Errors: NOT_FOUND
// (no such tenant, or not the caller; no such token).
struct RevokeToken {
  std::string request_id;
  TenantId tenant_id;
  uint64_t token_id = 0;
};

// Operators only. Negative takes out. Arrears are paid first. Errors: NOT_FOUND,
// FAILED_PRECONDITION (would go below zero), INVALID_ARGUMENT (zero, or overflow).
struct Deposit {
  std::string request_id;
  TenantId tenant_id;
  Microcredits amount_microcredits = 0;
};

// A contract with which a guest is admitted, from the next round on that bids are taken for.
struct Bundle {
  std::vector<std::pair<ResourceKind, int64_t>> lots;  // Units of each.
  int64_t rounds = 0;
  // The most that a round of it may cost, at first and when it is renewed.
  Microcredits ceiling_microcredits = 0;
};

// Operators; or, if `by_tenant`, a tenant for itself, within the quota that the config gives it.
// Answered once the host runs it; Reply::contract_id is that of the bundle. Errors: NOT_FOUND
// (host, tenant, image), INVALID_ARGUMENT, ALREADY_EXISTS (name), RESOURCE_EXHAUSTED (seeds,
// guests, quota, units of the bundle) and FAILED_PRECONDITION (the bundle's price), both with a
// Shortage; UNAVAILABLE (host is away), FAILED_PRECONDITION (the host says that the image is not
// one, or a kind of the bundle is not sold forward), PERMISSION_DENIED (a tenant without a quota).
struct AdmitGuest {
  std::string request_id;
  HostId host_id;
  TenantId tenant_id;
  std::string name;       // [a-z0-9-]{1,31}, unique among the host's guests.
  std::string image;      // A file name, never a path.
  std::string arguments;  // Up to 255 bytes.
  std::vector<std::pair<ResourceKind, int64_t>> seeds;
  int64_t memory_max_units = 0;                 // 0: the host's whole capacity.
  std::optional<Bundle> bundle = std::nullopt;  // All of it is had, or nothing is admitted.
  bool by_tenant = false;
};

// Operators only. Answered once the host has scrubbed it. What it held until then is paid. A guest
// whose host is no longer in the config is gone at once. Errors: NOT_FOUND.
struct EvictGuest {
  std::string request_id;
  GuestId guest_id = 0;
};

// Ends a running guest, which stays admitted: its owner may start it again. If `for_good` it goes
// as an evicted one does, whether it runs or not, but by its owner's will, who pays the fees of the
// contracts that it leaves. Answered once the host has scrubbed what it held. Errors: NOT_FOUND (no
// such guest, or not the caller's), FAILED_PRECONDITION (it does not run, and not `for_good`).
struct EndGuest {
  std::string request_id;
  GuestId guest_id = 0;
  bool for_good = false;
};

// Creates a guest that has ended anew, from its image and with its seed. Answered once the host
// runs it. Errors: NOT_FOUND (no such guest, or not the caller's), FAILED_PRECONDITION (it has not
// ended, or is not yet gone from its host), RESOURCE_EXHAUSTED (its seed is no longer free),
// UNAVAILABLE (host is away), and those of the host.
struct StartGuest {
  std::string request_id;
  GuestId guest_id = 0;
};

// Errors: NOT_FOUND (no such guest, or not the caller's), INVALID_ARGUMENT names the field,
// FAILED_PRECONDITION (the guest has ended, or has a tier; or the budget or the account could not
// even pay the reserve for the least quantity). A bid for several kinds, which a host takes that
// clears all together, replaces all bids of the guest; a bid for one kind replaces what stands for
// it, and a bid for several.
struct PlaceBid {
  std::string request_id;  // Empty as part of PlaceBids.
  GuestId guest_id = 0;
  ResourceKind kind = ResourceKind::kMemory;             // kSeveralKinds: see `valuation`.
  std::vector<policies::Range> ranges;                   // Of a single kind.
  std::shared_ptr<const Valuation> valuation = nullptr;  // Of several; null for a single one.
  std::optional<Microcredits> budget_microcredits;
  uint32_t expires_after_rounds = 0;  // 0: stands until replaced.
  bool renewed =
      false;  // Part of PlaceBids only: each RenewLease counts expires_after_rounds anew.
};

struct WithdrawBid {
  std::string request_id;
  GuestId guest_id = 0;
  ResourceKind kind = ResourceKind::kMemory;  // kSeveralKinds: the bid for several.
};

// --- Leases of bids. These calls have no request_id: fence and sequence make retries harmless. ---

// Never fails. The fence is above all given out before, and above that of every bid that stands.
struct OpenLease {};

// Each bid is answered by itself (Reply::placed_bids): errors as PlaceBid and WithdrawBid, ABORTED
// if a higher fence, or a higher sequence of the same, has written it since. All that are taken are
// one transaction. Errors of the whole: INVALID_ARGUMENT (a fence or sequence that cannot be, too
// many bids, one twice).
struct PlaceBids {
  std::string ledger_id;  // Of the lease; FAILED_PRECONDITION if it is another's. Empty: any.
  BidFence fence;
  std::vector<PlaceBid> bids;  // Without ranges: withdraws.
};

// Answered with what stands of each bid (Reply::leased_bids). Errors: INVALID_ARGUMENT.
struct RenewLease {
  std::string ledger_id;  // As in PlaceBids.
  // Writes of this lease to these bids, up to this sequence, are refused (ABORTED) if they come
  // after this: a request that was given up may be on its way still. None outlives this process.
  BidFence fence;
  std::vector<BidKey> bids;
};
inline constexpr size_t kBidsPerCallMax = 256;
inline constexpr size_t kBidsPerRenewalMax = 4'096;
inline constexpr uint32_t kLeaseRoundsMin = 2;

// --- Products: contracts for several rounds, see products.h. ---

// Whose guest it is, or an operator. Answered with Reply::offer_id: the offer stands in the state
// until it is taken or lapses. Errors: NOT_FOUND (no such guest, or not the caller's);
// INVALID_ARGUMENT names the field; FAILED_PRECONDITION (the guest has ended, or a kind is not sold
// forward); RESOURCE_EXHAUSTED, with what is left (the share, the machine, or too many offers).
struct GetQuote {
  std::string request_id;
  GuestId guest_id = 0;
  std::vector<std::pair<ResourceKind, int64_t>> lots;  // Units of each.
  RoundId from_round_id = 0;                           // 0: the first that it can be taken for.
  int64_t rounds = 0;
};

// The holder of a contract offers units out of it. Errors as GetQuote; NOT_FOUND (no such contract,
// or not of the caller's guest); INVALID_ARGUMENT, RESOURCE_EXHAUSTED (beyond what it is).
struct OfferSublet {
  std::string request_id;
  ContractId contract_id = 0;
  std::vector<Lot> lots;      // Charges are for a round.
  GuestId to_guest_id = 0;    // 0: any guest of the host.
  RoundId from_round_id = 0;  // 0: the first that it can be taken for.
  int64_t rounds = 0;
  absl::Duration valid_for;  // Zero: as long as quotes are.
};

// The offer becomes a contract of the guest's: Reply::contract_id. Errors: NOT_FOUND (no such guest
// of the caller's, or no such offer for it: also if it was taken, withdrawn or lapsed);
// FAILED_PRECONDITION (the guest has ended, the first round has closed, or less money is available
// than a round and the fee for leaving); RESOURCE_EXHAUSTED (others were first).
struct TakeOffer {
  std::string request_id;
  OfferId offer_id = 0;
  GuestId guest_id = 0;
  Microcredits renew_ceiling_microcredits = 0;  // See SetRenewal; 0: it is not renewed.
};

// Errors: NOT_FOUND (no such open offer of the caller's).
struct WithdrawOffer {
  std::string request_id;
  OfferId offer_id = 0;
};

// The holder gives a contract up: it pays the fee for leaving, and what is left is auctioned from
// the next round on that bids are taken for: Reply::round_id. Errors: NOT_FOUND (no such contract
// of the caller's guest), FAILED_PRECONDITION (it is an award, or was left before).
struct LeaveContract {
  std::string request_id;
  ContractId contract_id = 0;
};

// At its end the contract is renewed for as many rounds at the price of the day, before others can
// buy, if a round of all its units costs no more than that; 0: it is not. Errors: NOT_FOUND;
// FAILED_PRECONDITION (it was not sold forward, or is left); INVALID_ARGUMENT.
struct SetRenewal {
  std::string request_id;
  ContractId contract_id = 0;
  Microcredits renew_ceiling_microcredits = 0;
};

// --- Tiers: for guests that do not bid themselves, see tiers.h. ---

// Whose guest it is, or an operator. From the round on that bids are taken for (Reply::round_id)
// the market bids for the guest as its tier says, in the place of all its bids; PlaceBid and
// PlaceBids are refused for it until the tier is cleared. Again for another tier, or another wish.
// Errors: NOT_FOUND (no such guest, or not the caller's); INVALID_ARGUMENT names the field;
// FAILED_PRECONDITION (the guest has ended, or its host has no tiers).
struct SetTier {
  std::string request_id;
  GuestId guest_id = 0;
  std::string tier;
  std::vector<std::pair<ResourceKind, int64_t>> most;  // Units of each beyond the seed.
  Microcredits ceiling_microcredits = 0;               // For a round, all kinds together.
};

// Reply::removed: whether it had one. Errors: NOT_FOUND.
struct ClearTier {
  std::string request_id;
  GuestId guest_id = 0;
};

using Call = std::variant<CreateTenant, Deposit, AdmitGuest, EvictGuest, PlaceBid, WithdrawBid,
                          OpenLease, PlaceBids, RenewLease, EndGuest, StartGuest, GetQuote,
                          OfferSublet, TakeOffer, WithdrawOffer, LeaveContract, SetRenewal,
                          CreateToken, RevokeToken, SetTier, ClearTier>;

// Chosen by the runtime; names who waits for the answer.
using CallId = uint64_t;

struct CallEvent {
  CallId call_id = 0;
  Caller caller;
  Call call;
};

// --- Time, the ledger, hosts. ---

// Time has passed: sent when Effects::next_tick comes, and harmless at any other time.
struct Tick {};

// Every transaction up to this one is durable.
struct CommitDone {
  uint64_t through_transaction_id = 0;
};

struct HostNewsEvent {
  HostId host_id;
  HostNews news;
};

// A command was carried out or refused.
struct HostCommandDone {
  HostId host_id;
  uint64_t command_id = 0;
  absl::Status status;
  HostFacts facts;     // Of Attach, if OK.
  RoundReport report;  // Of Apply, if OK.
  GuestMeters meters;  // Of Destroy, if OK: the guest's last.
};

// A round was cleared, see ClearRequest.
struct ClearDone {
  HostId host_id;
  uint64_t clear_id = 0;
  Decision decision;
};

using Event = std::variant<Tick, CallEvent, CommitDone, HostNewsEvent, HostCommandDone, ClearDone>;

}  // namespace nom::market

#endif  // MARKETD_MARKET_EVENT_H_
