// SPDX-License-Identifier: Apache-2.0
// Everything durable that the market knows: what a ledger holds and an engine starts from.
//
// State changes only by transactions (transaction.h). The engine applies them in memory with the
// same function by which a reader can rebuild the state from nothing, so that the two can't drift.

#ifndef MARKETD_MARKET_STATE_H_
#define MARKETD_MARKET_STATE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "marketd/market/accounts.h"
#include "marketd/market/books.h"
#include "marketd/market/contracts.h"
#include "marketd/market/host_index.h"
#include "marketd/market/offers.h"
#include "marketd/market/types.h"

namespace nom::market {

// What who shows a token may do. Numbers equal nom.market.v1.TokenScope.
enum class TokenScope : uint8_t {
  kFull = 1,      // All that its tenant may.
  kReadOnly = 2,  // Look, and change nothing.
};

// A bearer token of a tenant's, of which nothing but a hash is kept.
struct Token {
  uint64_t token_id = 0;  // From 1 for each tenant; never given again.
  std::string hash;       // Opaque here.
  std::string label;      // For people.
  TokenScope scope = TokenScope::kFull;
  absl::Time created_time = absl::UnixEpoch();  // Epoch: before that was noted.
  absl::Time expire_time =
      absl::UnixEpoch();  // Good before it. Epoch: as long as it is not revoked.
  friend bool operator==(const Token&, const Token&) = default;
};
// Whether who shows it may still come in.
bool IsGood(const Token& token, absl::Time now);

struct Tenant {
  TenantId tenant_id;
  std::string display_name;
  std::vector<Token> tokens;   // By rising id; at most kTokensPerTenantMax.
  uint64_t last_token_id = 0;  // The highest that it ever had.

  const Token* FindToken(uint64_t token_id) const;  // Null if there is none.
  friend bool operator==(const Tenant&, const Tenant&) = default;
};
inline constexpr size_t kTokensPerTenantMax = 32;
inline constexpr uint64_t kFirstTokenId = 1;  // The one that a tenant is created with.

// Numbers equal nom.market.v1.GuestState, which tells kEnded by its cause.
enum class GuestState : uint8_t {
  kAdmitted = 1,  // Has its seed; being created on its host.
  kRunning = 2,
  kEnded = 3,     // Holds nothing and pays nothing; may be started again. See end_cause.
  kEvicted = 4,   // Gone. Kept in the ledger's records only.
  kEvicting = 5,  // Asked for and durable; the host has not yet confirmed.
};

// Why a guest ended, in words that a program can read. Numbers equal nom.market.v1.EndCause.
enum class EndCause : uint8_t {
  kNone = 0,     // It has not ended, or nobody noted why.
  kExited = 1,   // By itself, with code 0.
  kCrashed = 2,  // In any other way of its own, or it could not be created anew.
  kStopped = 3,  // Its owner or the operator asked for it.
  kEvicted = 4,  // The operator evicted it.
  kArrears = 5,  // Its tenant owed rent for longer than the grace that the operator gives.
};

struct Guest {
  GuestId guest_id = 0;
  HostId host_id;
  TenantId tenant_id;
  std::string name;
  std::string image;
  std::string arguments;
  std::vector<Holding> seeds;  // By rising kind; award_units and charges are 0.
  int64_t memory_max_units = 0;
  GuestState state = GuestState::kAdmitted;
  EndCause end_cause = EndCause::kNone;
  std::string exit_reason;              // The same for people.
  Microcredits spent_microcredits = 0;  // Settled since admission, rent included.
  bool has_run = false;                 // Some machine has created it.
  GuestMeters metered;  // All up to this reading is billed; zeros from its creation.
  // So many rounds in a row, up to the last one settled, its tenant owed rent at the round's end.
  uint32_t arrears_rounds = 0;

  int64_t seed_units(ResourceKind kind) const;
  friend bool operator==(const Guest&, const Guest&) = default;
};

// Who wrote a bid last: writers of one bid are told apart by fences, of which the highest wins, and
// a writer's own writes by their sequence. A fence is given out once, and rises over restarts.
struct BidFence {
  uint64_t fence = 0;     // Of a lease, or of one write that needed none; 0: never written.
  uint64_t sequence = 0;  // Of the lease's write; 0 without a lease.
  friend auto operator<=>(const BidFence&, const BidFence&) = default;
};

// A bid as it stands until it is replaced, withdrawn or lapses. A guest has either bids for single
// kinds, each of its own, or one for several kinds under one valuation, which replace each other.
struct StandingBid {
  GuestId guest_id = 0;
  ResourceKind kind = ResourceKind::kMemory;        // kSeveralKinds: see `valuation`.
  std::vector<policies::Range> ranges;              // Of a single kind; not empty.
  std::shared_ptr<const Valuation> valuation = {};  // Of several; null for a single one.
  std::optional<Microcredits> budget_microcredits;  // The most it may be charged in a round.
  RoundId first_round_id = 0;  // Takes part from this round on; 0: from the next.
  RoundId last_round_id = 0;   // Takes part up to this round; 0: until replaced.
  BidFence fence;              // Who wrote it.
  // Takes part in so many rounds after its lease was last renewed, which nothing durable tells, and
  // up to last_round_id in any case. 0: last_round_id is all.
  uint32_t lease_rounds = 0;
  friend bool operator==(const StandingBid& a, const StandingBid& b);
};
using BidKey = std::pair<GuestId, ResourceKind>;

// A guest that does not bid itself: what the market bids for it, see tiers.h. It has a tier or bids
// of its own, never both.
struct GuestTier {
  GuestId guest_id = 0;
  std::string tier;               // Its name in the host's table, which may not have it any more.
  std::vector<UnitsOfKind> most;  // Beyond its seed; by rising kind, each above 0.
  Microcredits ceiling_microcredits = 0;  // For a round, of all kinds together; above 0.
  int64_t slot = 0;  // Which of so many rounds is its turn for the floor; from 0.
  friend bool operator==(const GuestTier&, const GuestTier&) = default;
};

// What a round's auction of one resource came to (measures.h).
struct RoundMeasures {
  // What the awards were worth by the bids as they were cleared, cut to what their owners can pay,
  // with what is not sold at the reserve and less reclaim penalties; no awards are worth more than
  // the bound. Not of a kind that was cleared together with others: see Round::certificate.
  std::optional<Microcredits> welfare_microcredits;
  std::optional<Microcredits> welfare_bound_microcredits;
  // The same as the objective counts it: where it weighs bids another number, and what was in fact
  // maximised. The weights stand in the auction's record.
  std::optional<Microcredits> maximised_microcredits;
  std::optional<Microcredits> maximised_bound_microcredits;
  Microcredits revenue_microcredits = 0;  // What the awards are charged, for one period.
  int64_t moved_units = 0;  // That changed hands against what guests held by awards till then.
  // Jain's index over tenants, of the share that each was awarded of what it asked for.
  std::optional<int64_t> jain_index_ppm;
  // What one price would have earned the most of these bids: what learnt/1 learns from. Nobody is
  // told. Nothing where the reserve is not learnt.
  std::optional<Microcredits> best_unit_price_microcredits;
  friend bool operator==(const RoundMeasures&, const RoundMeasures&) = default;
};

// The public outcome of one round for one resource.
struct ResourcePrice {
  ResourceKind kind = ResourceKind::kMemory;
  Microcredits unit_price_microcredits = 0;
  Microcredits reserve_unit_price_microcredits = 0;
  std::string reserve_policy;                    // Name and version: "fixed/1".
  Microcredits reserve_change_microcredits = 0;  // See policies::ReserveOutput.
  // Auctioned: capacity less seeds and less what contracts have, which is contracted_units.
  int64_t supply_units = 0;
  int64_t contracted_units = 0;
  int64_t demand_units = 0;  // Sum of the most that each bid asks for.
  int64_t sold_units = 0;
  Microcredits highest_rejected_unit_price_microcredits = 0;
  policies::BoundBy bound_by = policies::BoundBy::kReserve;
  std::string rule;
  policies::Method method = policies::Method::kExact;
  std::optional<RoundMeasures> measures = {};  // Noted since that is done, when it was decided.
  friend bool operator==(const ResourcePrice&, const ResourcePrice&) = default;
};

// What one auction for all kinds proved of its awards.
struct Certificate {
  policies::Method method = policies::Method::kExact;
  // What the awards are worth, and what is not sold at the reserves, as policies' joint rule
  // defines; no awards are worth more than the bound.
  Microcredits welfare_microcredits = 0;
  Microcredits welfare_bound_microcredits = 0;
  bool charges_are_exact = true;  // Each is what its owner's presence costs the others.
  friend bool operator==(const Certificate&, const Certificate&) = default;
};

// Why a guest won what it won of a resource in a round. Numbers equal nom.market.v1.AwardReason.
enum class AwardReason : uint8_t {
  kUnknown = 0,  // Decided by a marketd that did not note it.
  kServed = 1,
  kPartlyServed = 2,
  kOutbid = 3,
  kBelowReserve = 4,
  kNoMeans = 5,
  kNoBid = 6,
  kNotRunning = 7,
  kLargerThanSupply = 8,  // The least that it asked for is more than was sold.
};

// One guest, one resource, one round.
struct Outcome {
  GuestId guest_id = 0;
  ResourceKind kind = ResourceKind::kMemory;
  TenantId tenant_id;  // Who was charged.
  int64_t seed_units = 0;
  int64_t award_units = 0;
  int64_t contracted_units = 0;          // By contracts that were open before the decision.
  Microcredits charge_microcredits = 0;  // For the award, for one period of it.
  bool settled = false;                  // Nothing more will be charged for the units.
  // Charged for what was delivered: above the charge if it was held for longer than the period.
  Microcredits settled_microcredits = 0;
  // For the seed, while the round was the one in force; in a host's first round, also before it.
  Microcredits rent_microcredits = 0;
  int64_t delivered_milliunits = 0;  // Mean over `held`, by the host's meters.
  int64_t used_milliunits = 0;
  absl::Duration held;  // From taking effect to settling, by the host's own clock.
  AwardReason reason = AwardReason::kUnknown;  // Noted when it was decided.
  int64_t asked_units = 0;  // The most that its bid asked for at the reserve, within the supply.
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

enum class RoundPhase : uint8_t {
  kCollect = 1,    // Bids come in. Never in a ledger.
  kGrace = 2,      // Decided; losers give back.
  kEffective = 3,  // The grants it decided are in force.
  kSettled = 4,    // What was delivered is charged.
  kReleased = 5,   // Never took effect; all escrow was returned.
};

// One round of one host, without the auctions' text (see AuctionRecord).
struct Round {
  HostId host_id;
  RoundId round_id = 0;
  RoundPhase phase = RoundPhase::kGrace;
  absl::Time start_time;  // Collecting began.
  absl::Time close_time;  // Bids counted until then.
  absl::Time decided_time;
  absl::Time effective_time;  // Planned.
  absl::Time applied_time;    // When the host had put it in force; epoch before that.
  absl::Duration period;
  std::string objective;                   // What it was for, see Objective; empty: not noted.
  std::string reason;                      // Why it was released, or ended before its time.
  std::vector<ResourcePrice> prices;       // By rising kind.
  std::optional<Certificate> certificate;  // Of a round whose kinds were cleared together.
  // By rising guest_id, then kind: all guests with a seed when it was decided, and those that came
  // later and paid rent while it was in force.
  std::vector<Outcome> outcomes;
  friend bool operator==(const Round&, const Round&) = default;
};

// What a unit of a kind cost in a round that was decided.
struct PastPrice {
  RoundId round_id = 0;
  Microcredits unit_price_microcredits = 0;
  std::optional<Microcredits> best_unit_price_microcredits = {};  // See RoundMeasures.
  friend bool operator==(const PastPrice&, const PastPrice&) = default;
};
// Those of the last so many rounds are kept at hand: of a day, if a round is half a minute.
inline constexpr size_t kPastPricesMax = 2'880;

// What a tenant asked for of a kind in a round, and was awarded.
struct TenantAsk {
  TenantId tenant_id;
  ResourceKind kind = ResourceKind::kMemory;
  int64_t asked_units = 0;
  int64_t awarded_units = 0;
  friend bool operator==(const TenantAsk&, const TenantAsk&) = default;
};
// All of a round that was decided with the least satisfied first, by rising kind, then tenant.
struct PastAsks {
  RoundId round_id = 0;
  std::vector<TenantAsk> asks;
  friend bool operator==(const PastAsks&, const PastAsks&) = default;
};
// Those of the last so many rounds are kept at hand.
inline constexpr size_t kPastAsksMax = 100;

// What a host's market must remember.
struct HostBook {
  HostId host_id;
  uint64_t boot_id = 0;  // Of the machine that holds the guests; 0: never attached.
  RoundId last_decided_round_id = 0;
  // The last that took effect; 0: none yet. What is not settled of it is what the host holds.
  RoundId in_force_round_id = 0;
  std::vector<ResourcePrice> prices;  // Of the last round decided.
  // Of the last rounds decided, the newest last; kinds that were never sold are not there.
  std::map<ResourceKind, std::vector<PastPrice>> past_prices;
  // Of those of the last rounds that were for the least satisfied, the newest last; see AsksOf.
  std::vector<PastAsks> past_asks;
  // In force, or decided and waiting for its time; at most two.
  std::map<RoundId, Round> open_rounds;
  friend bool operator==(const HostBook&, const HostBook&) = default;
};

// What became of one bid of a PlaceBids.
enum class LeasedBidState : uint8_t;
struct PlacedBid {
  absl::Status status;
  RoundId round_id = 0;
  bool removed = false;
  std::optional<LeasedBidState> lost_to = std::nullopt;  // Refused as the bid is somebody else's.
  friend bool operator==(const PlacedBid&, const PlacedBid&) = default;
};

// Numbers equal nom.market.v1.LeasedBidState.
enum class LeasedBidState : uint8_t {
  kHeld = 1,
  kNone = 2,
  kTakenOver = 3,
  kWithdrawn = 4,
  kGuestGone = 5,
};
struct LeasedBid {
  LeasedBidState state = LeasedBidState::kNone;
  RoundId last_round_id = 0;
  uint64_t sequence = 0;
  friend bool operator==(const LeasedBid&, const LeasedBid&) = default;
};
// What a tenant is told of its purse.
struct AccountSummary {
  Microcredits available = 0;
  Microcredits escrow = 0;
  Microcredits arrears = 0;  // <= 0
  Microcredits spent = 0;    // What was paid: what is owed is in arrears only.
  friend bool operator==(const AccountSummary&, const AccountSummary&) = default;
};
AccountSummary Summarize(const Purse& purse);

// The answer to a call, kept so that a retry gets it again.
struct Reply {
  absl::Status status;
  GuestId guest_id = 0;        // AdmitGuest.
  uint64_t token_id = 0;       // CreateToken.
  RoundId round_id = 0;        // PlaceBid: the first round in which the bid takes part.
  bool removed = false;        // WithdrawBid.
  AccountSummary account;      // Deposit: after it.
  OfferId offer_id = 0;        // GetQuote, OfferSublet.
  ContractId contract_id = 0;  // TakeOffer: what it became.
  // Never kept:
  std::shared_ptr<const Offer> offer;  // GetQuote, OfferSublet: while it is open.
  uint64_t fence = 0;                  // OpenLease.
  std::vector<PlacedBid> placed_bids;  // PlaceBids.
  std::vector<LeasedBid> leased_bids;  // RenewLease.
  friend bool operator==(const Reply&, const Reply&) = default;
};

// A write that was done. Ids belong to whoever chose them: nobody can use up, probe or push out
// another's.
struct RequestKey {
  Owner owner;
  std::string request_id;  // 1 to 64 characters.
  friend bool operator==(const RequestKey&, const RequestKey&) = default;
  friend bool operator<(const RequestKey& a, const RequestKey& b) {
    return a.owner != b.owner ? a.owner < b.owner : a.request_id < b.request_id;
  }
};
struct Request {
  RequestKey key;
  // Of a bid: whose it is. The owner's last kBidRequestsKept for each guest are kept until the
  // guest is evicted. 0: of money, tenants and guests; kept for ever.
  GuestId bid_guest_id = 0;
  uint64_t fingerprint = 0;  // Of the content; the same id with another content is refused.
  Reply reply;
  uint64_t transaction_id = 0;
  friend bool operator==(const Request&, const Request&) = default;
};
// Whether it asked for a guest, or, later, for its end: the first that did is its admission.
bool Admits(const Request& request);
inline constexpr size_t kRequestIdBytesMax = 64;
inline constexpr size_t kBidRequestsKept = 64;

// One line of the audit log: what somebody did that changed who may do what, or whose money or
// guests they are; not bids and rounds, which have records of their own. When it was is its
// transaction's time.
struct AuditEvent {
  std::string kind;          // "deposit": the name that it has in marketd's log, too.
  Owner by;                  // A tenant, kOperator, or kTheMarket by itself.
  uint64_t by_token_id = 0;  // The tenant's token that was shown; 0: none, or the operator's.
  TenantId tenant_id;        // To whom, where it was to one.
  HostId host_id;            // Where,
  GuestId guest_id = 0;      // and to which guest; 0: none.
  uint64_t token_id = 0;     // About which of the tenant's tokens; 0: none.
  Microcredits amount_microcredits = 0;  // Of a deposit; of a contract, what a round of it costs.
  std::string detail;                    // The rest for people.
  friend bool operator==(const AuditEvent&, const AuditEvent&) = default;
};
inline constexpr char kTheMarket[] = "@market";  // No tenant can be called that.

// Which ledger this is. It is what the state was read from, and no part of what the state says.
struct LedgerIdentity {
  std::string id;         // Drawn when the ledger was made.
  uint64_t openings = 0;  // How often it was opened; rises with each process that serves it.
  friend bool operator==(const LedgerIdentity&, const LedgerIdentity&) { return true; }
};

struct State {
  // The indexes anew: call after the state was filled by hand.
  void RebuildIndexes();
  // Opens a contract, or takes how it stands; one that has ended goes. Keeps the indexes.
  void PutContract(const Contract& contract);
  const HostIndex& Host(const HostId& host_id) const;  // An empty one where nothing is.
  // By rising id; a guest that comes or goes makes it another list.
  const std::vector<GuestId>& GuestsOf(const HostId& host_id) const {
    return Host(host_id).guests();
  }
  std::vector<BidKey> BidsOf(GuestId guest_id) const;
  // An empty one of an owner that never had money.
  const Purse& PurseOf(const Owner& owner) const;

  LedgerIdentity ledger;
  uint64_t last_transaction_id = 0;
  GuestId last_guest_id = 0;  // FirstGuestIdOf the book at first.
  ContractId last_contract_id = 0;
  OfferId last_offer_id = 0;
  std::map<TenantId, Tenant> tenants;
  Purses purses;
  std::map<GuestId, Guest> guests;  // All but the evicted.
  // The key of a bid for several kinds is its guest and kSeveralKinds.
  std::map<BidKey, StandingBid> bids;
  std::map<BidKey, BidFence> bid_fences;  // Kept when a bid goes, until its guest does.
  std::map<GuestId, GuestTier> tiers;
  OpenContracts contracts;
  std::map<OfferId, Offer> offers;  // Those that are open.
  std::map<HostId, HostBook> hosts;
  std::map<RequestKey, Request> requests;
  // The ids of `requests` with a bid_guest_id, oldest first, by guest and owner.
  std::map<std::pair<GuestId, Owner>, std::vector<std::string>> bid_requests;
  // Indexes of the above, kept by whoever changes it (ApplyChange, a ledger's Load).
  std::map<HostId, HostIndex> host_index;  // Of `guests` and `contracts`; none that is empty.
  // Of `requests`, the one that asked for each guest that is not evicted.
  std::map<GuestId, RequestKey> admissions;
  friend bool operator==(const State&, const State&) = default;

 private:
  // In its host's index, what the open contract takes out of the host's own units, or no longer.
  void CountAtHost(const Contract& contract, bool take);
};

// What does not add up in the books, or "": purses (accounts.h), escrow that is not that of open
// contracts.
std::string FirstBrokenPromise(const State& state);
// Of one owner's escrow alone.
std::string FirstBrokenEscrow(const State& state, const Owner& owner);

}  // namespace nom::market

#endif  // MARKETD_MARKET_STATE_H_
