// The inside of the engine: seen by engine.cc, calls.cc, host_link.cc, rounds.cc, view_builder.cc
// only.

#ifndef MARKETD_MARKET_ENGINE_IMPL_H_
#define MARKETD_MARKET_ENGINE_IMPL_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "marketd/market/billing.h"
#include "marketd/market/decision.h"
#include "marketd/market/engine.h"
#include "marketd/market/holdings.h"
#include "marketd/market/promises.h"
#include "marketd/market/schedule.h"
#include "marketd/market/shared_list.h"
#include "marketd/market/shares.h"

namespace nom::market {

// What a command that is out was for.
struct PendingCommand {
  enum class Kind { kAttach, kCreate, kDestroy, kPrepare, kApply, kPublish };
  Kind kind = Kind::kPublish;
  GuestId guest_id = 0;
};

// What the engine knows of a host beyond its book. All of it is lost at a restart, and found again
// by attaching.
struct HostRun {
  enum class Link {
    kDetached,   // Tries again at next_attach.
    kAttaching,  // Attach is out.
    kRunning,    // Rounds run.
  };

  const HostConfig* config = nullptr;
  std::vector<Resource> resources;  // Capacities are those in use; 0 before the first attach.
  Link link = Link::kDetached;
  absl::Time next_attach = absl::InfinitePast();
  int attach_failures = 0;
  std::string detail = "not attached yet";
  std::map<uint64_t, PendingCommand> pending;
  std::vector<HostGuest> unmanaged;
  HostHoldings holdings;  // Of the guests that the ledger knows.
  std::vector<HostSum> sums;
  HostCounters counters;
  absl::Time last_decided_time = absl::UnixEpoch();
  std::set<GuestId> creating;  // The host was told to create them, and has not answered.
  // Guests whose bid page is checked and not yet written, by when it may be.
  std::set<std::pair<absl::Time, GuestId>> pages_waiting;

  // While kRunning.
  std::optional<Schedule> schedule;
  RoundId round_id = 0;
  bool decided = false;   // round_id is: it waits for its effective time.
  bool applying = false;  // And is being put in force:
  GrantSet told;          // this is what it was told to put in force.
  // round_id is closed and being cleared beside the engine.
  struct Clearing {
    uint64_t clear_id = 0;
    std::shared_ptr<const RoundSnapshot> snapshot;
  };
  std::optional<Clearing> clearing;
};

// Between tries to attach: 100 ms, doubling up to 5 s.
absl::Duration RetryAfter(int failures);

struct GuestRun {
  GuestReport report;
  std::string bid_page_error;
  std::vector<Outcome> last_settled;
  RoundId last_settled_round_id = 0;
  std::vector<Decided> decided;  // In the last round decided since the start.
  RoundId decided_round_id = 0;
  std::optional<GuestBids> page_waiting;        // Checked, and not yet written.
  absl::Time page_next = absl::InfinitePast();  // When the next bid page may be written.
  std::vector<CallId> waiting;                  // For the guest to run, or to be gone.
  std::optional<RequestKey> started_by;         // Of the StartGuest that is being done.
};

class Engine::Impl {
 public:
  Impl(MarketConfig config, State state, ClearFunctions clear, Clearing clearing);

  Effects Handle(const Event& event, absl::Time now);
  const State& state() const { return state_; }
  std::string FirstBrokenPromise() const;

 private:
  using Link = HostRun::Link;

  // --- engine.cc: events, what is held back, time. ---
  void On(const Tick& tick);
  void On(const CallEvent& event);
  void On(const CommitDone& done);
  void On(const HostNewsEvent& event);
  void On(const HostCommandDone& done);
  void On(const ClearDone& done);
  void ClockMoved(absl::Duration by);
  absl::Time NextTick() const;
  void Advance();
  // Hosts in the ledger that the config no longer has: nobody can meter or drive them.
  void CloseAbsentHosts();
  void Commit(Scribe&& scribe);
  // A promise of ours that does not hold any more aborts: nothing may be told that rests on it.
  void CheckPromises(const Transaction& transaction);
  void Answer(CallId call_id, Reply reply);
  void AnswerWaiting(GuestId guest_id, const Reply& reply);
  void Send(HostRun& host, PendingCommand pending, decltype(HostCommand::command) command);
  void Flush();
  HostRun* FindHost(const HostId& host_id);
  const HostBook& Book(const HostRun& host) const { return BookOf(state_, host.config->host_id); }

  // --- calls.cc: what tenants and operators ask for. ---
  Reply Do(const CallEvent& event, const RequestKey& key, uint64_t fingerprint, bool* later);
  Reply DoCreateTenant(const CreateTenant& call, const Request& request);
  // Tokens; see tokens.cc.
  absl::Status CheckToken(const Caller& caller) const;
  Reply DoCreateToken(const CreateToken& call, const Caller& caller, const Request& request);
  Reply DoRevokeToken(const RevokeToken& call, const Caller& caller, const Request& request);
  // A retry of the call that made it, which was answered `reply`: the token gets the new hash.
  Reply ReplaceToken(const TenantId& tenant_id, uint64_t token_id, const std::string& hash,
                     const Caller& caller, const Reply& reply);
  Reply DoDeposit(const Deposit& call, const Request& request);
  Reply DoAdmitGuest(const AdmitGuest& call, const Request& request, CallId call_id, bool* later);
  Reply DoEvictGuest(const EvictGuest& call, const Request& request, CallId call_id, bool* later);
  Reply DoEndGuest(const EndGuest& call, const CallEvent& event, const Request& request,
                   bool* later);
  Reply DoStartGuest(const StartGuest& call, const CallEvent& event, const Request& request,
                     bool* later);
  absl::Status CheckStart(const Guest& guest, const HostRun& host) const;
  // Whether what a call that was answered OK began is still being done.
  bool IsUnderWay(const Call& call, GuestId guest_id);
  Reply DoPlaceBid(const PlaceBid& call, const Caller& caller, const Request& request);
  Reply DoWithdrawBid(const WithdrawBid& call, const Caller& caller, const Request& request);
  void Remember(Scribe& scribe, Request request, const Reply& reply);
  static void LogGuest(Scribe& scribe, const char* kind, const Caller& by, const Guest& guest);
  // Null if there is none, or it is not the caller's, or its host is not in the config.
  const Guest* FindGuest(GuestId guest_id, const Caller& caller);
  // The bid as it will stand, but for its fence, if it may: errors as PlaceBid. Counts refusals.
  absl::StatusOr<StandingBid> CheckBid(const PlaceBid& call, const Caller& caller);
  absl::Status CheckAdmit(const AdmitGuest& call, std::vector<Holding>* seeds);

  // What of a bid can be judged without knowing anyone's money, and what the host's rule says to
  // it.
  absl::Status CheckForm(const HostRun& host, GuestId guest_id, ResourceKind kind,
                         const std::vector<policies::Range>& ranges, const Valuation* valuation,
                         std::optional<Microcredits> budget) const;
  // Bids for single kinds, if one for several comes, and the other way round.
  void DropReplaced(Scribe& scribe, GuestId guest_id, ResourceKind kind, BidFence fence);

  // --- leases.cc: whose a bid is, and how long it stands without being written again. ---
  Reply DoOpenLease();
  Reply DoPlaceBids(const PlaceBids& call, const Caller& caller);
  // Writes one of them, unless it is refused.
  PlacedBid PlaceOne(const PlaceBid& bid, BidFence fence, const Caller& caller, Scribe& scribe);
  // The last write of what stands and excludes `key`: the guest's bid for several kinds if `key` is
  // of a single one, or the other way round. Zero: none stands.
  BidFence LastToExclude(const BidKey& key) const;
  Reply DoRenewLease(const RenewLease& call, const Caller& caller);
  LeasedBid RenewOne(const BidKey& key, BidFence fence, const Caller& caller);
  // Of a write that needs no lease: ends all leases opened before, as far as its bid goes.
  BidFence NextFence() { return {.fence = ++last_fence_}; }
  // The last round in which the bid takes part as things are; 0: until replaced.
  RoundId LastRound(const StandingBid& bid) const;
  // After a start nobody knows when leases were last renewed: as if they had been just now.
  void PresumeLeasesRenewed();

  // --- host_link.cc: attaching, finding out what a host holds, losing it; guests coming and going.
  void AdvanceLink(HostRun& host);
  void OnAttached(HostRun& host, const HostCommandDone& done);
  absl::Status UseCapacities(HostRun& host, const HostFacts& facts);
  void Reconcile(HostRun& host, const HostFacts& facts);
  // A guest of the ledger, and what the host has of it (null: nothing).
  void ReconcileGuest(HostRun& host, const Guest& guest, const HostGuest* has);
  void OnCreated(HostRun& host, GuestId guest_id, const absl::Status& status);
  void OnDestroyed(HostRun& host, GuestId guest_id, const HostCommandDone& done);
  // Bills a guest to its last reading (null: none), and takes it out of the ledger.
  void Evict(HostRun& host, GuestId guest_id, const GuestMeters* reading);
  void OnGuestBids(HostRun& host, const GuestBids& page);
  void WritePage(HostRun& host, GuestId guest_id, const GuestBids& page);
  void WriteWaitingPages(HostRun& host, bool all);
  void OnGuestEnded(HostRun& host, const GuestEnded& ended);
  void Detach(HostRun& host, const std::string& why, absl::Duration retry_after);
  void Lose(HostRun& host, const std::string& why);
  // Ends those of its contracts that would end with this round in any case.
  void EndAwards(Scribe& scribe, GuestId guest_id, RoundId round_id, const std::string& why);
  // Ends the bids and changes the state; money is left to the round.
  void EndLife(Scribe& scribe, GuestId guest_id, GuestState state, EndCause cause,
               const std::string& reason);
  // What EvictGuest begins: durable at once, done when the host has confirmed it.
  void BeginEviction(HostRun& host, Scribe&& scribe, GuestId guest_id, EndCause cause,
                     const std::string& reason);
  void SendDestroy(HostRun& host, GuestId guest_id);
  // What is known of a guest that is gone.
  void ForgetRun(HostRun& host, GuestId guest_id);
  // Of a guest that has ended, and is to be started: its old instance, if the host still has it,
  // goes before the new one is created.
  void ClearAwayForStart(HostRun& host, GuestId guest_id);
  // The host has nothing of the guest any more: bills it to its last reading (null: none) and ends
  // its contracts.
  void BillDestroyed(HostRun& host, GuestId guest_id, const GuestMeters* reading, Scribe& scribe,
                     const std::string& why);
  // Creates the admitted guests whose seeds fit beside all that is, or is about to be, in force.
  void TryCreate(HostRun& host);

  // --- rounds.cc: a round's life. ---
  void BeginRounds(HostRun& host);
  void AdvanceRound(HostRun& host);
  void Decide(HostRun& host);
  // The decision becomes the round, and is told. `scribe` has what went before it.
  void Conclude(HostRun& host, const RoundSnapshot& snapshot, Decision decision, Scribe&& scribe);
  // The round in which a bid that comes now first takes part.
  RoundId RoundOfNewBids(const HostRun& host) const;
  static void CountClearings(HostRun& host, const Decision& decision);
  // Contracts that are alive in the round being decided and were open before: covered for it, or
  // ended.
  void ExtendContracts(HostRun& host, Scribe& scribe);
  void WriteDecision(HostRun& host, const RoundSnapshot& snapshot, Decision decision,
                     Scribe& scribe);
  void SendApply(HostRun& host);
  void OnApplied(HostRun& host, const HostCommandDone& done);
  // The decided round is in force since `meters` were read: settles the one before.
  // In stages: all guests are billed for what they held, on outcomes of `billed`; what they hold
  // from now on is noted; the past round is settled, contracts whose rounds are over end, the next
  // round is in force, and bids that were for a number of rounds have used this one up.
  void TakeEffect(HostRun& host, const std::vector<GuestMeters>& meters);
  void BillAll(HostRun& host, const std::vector<GuestMeters>& meters, Round& billed,
               RoundId decided, Scribe& scribe);
  void HoldNext(HostRun& host, const Round& next);
  void SettlePast(HostRun& host, Round past, Scribe& scribe);
  void EndPastContracts(HostRun& host, RoundId next, Scribe& scribe);
  void PutInForce(HostRun& host, Round next, Scribe& scribe);
  void DropUsedBids(HostRun& host, Scribe& scribe);
  void ReleaseDecided(HostRun& host, const std::string& why);
  // A decided round that does not come: its contracts end, those of other rounds too stay.
  void UncoverRound(const HostRun& host, const Contract& contract, RoundId round_id,
                    const std::string& why, Scribe& scribe);
  void NextRound(HostRun& host);
  static void Count(HostRun& host, const Billed& billed);
  // One more round was settled: notes whose tenants owe rent.
  void CountArrears(HostRun& host, Scribe& scribe);
  // The guests whose tenants have owed it for longer than the config's grace.
  void EvictInArrears(HostRun& host);
  void TellNotices(HostRun& host, const Round& round);
  void WithdrawNotices(HostRun& host, const Round& round);
  void SendPrepare(HostRun& host);
  void SendBoard(HostRun& host);
  const Round* InForce(const HostRun& host) const { return RoundInForce(Book(host)); }
  const Round* Decided(const HostRun& host) const { return RoundDecided(Book(host)); }
  HostShares Shares(const HostRun& host) const {
    return {state_, host.config->host_id, host.resources, host.unmanaged, host.holdings};
  }
  // Of the last round decided; before the first one, the reserves.
  std::vector<ResourcePrice> Prices(const HostRun& host) const;
  // Units that are taken, now or once the decided round is in force, whichever is more: by guests
  // that run, are being created or removed, or have ended, and by those that the ledger does not
  // know.
  int64_t UsedUnits(const HostRun& host, ResourceKind kind) const;

  // --- view_builder.cc: what changed is built anew, the rest is that of the view before. ---
  void Touch(const Transaction& transaction);
  void TouchHost(const HostId& host_id);  // All its guests.
  void TouchAll();
  // What the last view shows, if nothing has changed since, and is not so; or "".
  std::string FirstStaleView() const;
  std::shared_ptr<const View> BuildView();
  std::shared_ptr<const HostView> BuildHostView(const HostRun& host) const;
  std::shared_ptr<const GuestView> BuildGuestView(const HostRun* host, const Guest& guest) const;

  const MarketConfig config_;
  const ClearFunctions clear_;
  const Clearing clearing_;
  State state_;
  MoneyPromises money_promises_;
  std::map<HostId, HostRun> hosts_;
  std::map<GuestId, GuestRun> guest_runs_;
  std::map<std::pair<GuestId, ResourceKind>, Notice> notices_;
  std::map<BidKey, RoundId> renewed_through_;  // Of bids with lease_rounds that were renewed.
  std::map<BidKey, BidFence> closed_through_;  // What may not be written any more, see RenewLease.
  uint64_t last_fence_ = 0;

  absl::Time now_ = absl::InfinitePast();
  uint64_t durable_transaction_id_ = 0;
  uint64_t next_command_id_ = 1;
  uint64_t next_clear_id_ = 1;
  uint64_t view_sequence_ = 0;
  uint64_t notice_sequence_ = 0;
  GuestId guest_id_seen_max_ = 0;  // On any host, known to the ledger or not.
  bool started_ = false;
  bool view_dirty_ = true;
  bool notices_changed_ = false;
  KeptList<GuestId, GuestView> guests_seen_;
  KeptList<TenantId, TenantView> tenants_seen_;
  SharedList<Notice> notices_seen_;
  std::shared_ptr<const View> last_view_;
  bool view_waiting_ = false;  // One is in the outbox; no second is built until it is out.

  // What waits for transactions up to `after`; `after` never falls.
  struct Held {
    uint64_t after = 0;
    std::variant<ReplyEffect, HostCommand, std::shared_ptr<const View>> effect;
  };
  std::deque<Held> outbox_;
  Effects effects_;  // Of the event being handled.
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_ENGINE_IMPL_H_
