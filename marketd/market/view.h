// SPDX-License-Identifier: Apache-2.0
// What services and metrics see: one immutable picture of the whole market, all of it durable.
//
// A view is published whole and never changes; readers keep it as long as they like. Everything in
// it is "latest": a reader that skips views misses nothing but moments. Notices are told apart by
// their own sequence, so that a reader can tell each once.

#ifndef MARKETD_MARKET_VIEW_H_
#define MARKETD_MARKET_VIEW_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "marketd/market/config.h"
#include "marketd/market/host.h"
#include "marketd/market/shared_list.h"
#include "marketd/market/state.h"

namespace nom::market {

// Told after the decision is durable, before it takes effect.
struct Notice {
  uint64_t sequence = 0;  // Rises over all notices of the market.
  GuestId guest_id = 0;
  HostId host_id;
  RoundId round_id = 0;
  ResourceKind kind = ResourceKind::kMemory;
  int64_t units_now = 0;   // Seed plus award, in force.
  int64_t units_next = 0;  // From effective_time on.
  absl::Time effective_time;
  Microcredits charge_microcredits = 0;
  // The change that was told does not come: its round was released. units_next is units_now.
  bool withdrawn = false;
};

// What a guest won of one resource, and why no more.
struct Decided {
  ResourceKind kind = ResourceKind::kMemory;
  int64_t seed_units = 0;
  int64_t award_units = 0;
  Microcredits charge_microcredits = 0;
  AwardReason reason = AwardReason::kUnknown;
  friend bool operator==(const Decided&, const Decided&) = default;
};

struct GuestView {
  Guest guest;
  std::vector<Holding> now;           // In force, by rising kind.
  std::vector<Holding> next;          // From the round's effective time; equal to now if undecided.
  std::vector<StandingBid> bids;      // By rising kind.
  std::optional<GuestTier> tier;      // In their place.
  GuestReport report;                 // The guest's own words.
  std::string bid_page_error;         // Why its bid page was last refused; empty if it was not.
  std::vector<Outcome> last_settled;  // Of the last round that was in force while it lived.
  RoundId last_settled_round_id = 0;
  std::vector<Decided> decided;  // In the last round decided, by rising kind.
  RoundId decided_round_id = 0;
  std::vector<Contract> contracts;  // Open ones that it holds, by rising id; awards among them.
  friend bool operator==(const GuestView&, const GuestView&) = default;
};

// Counted since the process started.
struct HostCounters {
  uint64_t rounds_decided = 0;
  uint64_t rounds_settled = 0;
  uint64_t rounds_released = 0;  // Decided, but never in force.
  uint64_t rounds_skipped = 0;   // Whole periods in which nothing could be decided.
  uint64_t clearings_exact = 0;  // By method, per resource.
  uint64_t clearings_bounded = 0;
  uint64_t clearings_coarser = 0;
  uint64_t clearings_greedy = 0;
  uint64_t clearings_repeat_last = 0;
  // Decided again, of the same bids: what had been cleared beside could not be done any more.
  uint64_t clearings_again = 0;
  uint64_t attaches = 0;
  uint64_t losses = 0;  // Host lost or command unanswered.
  uint64_t applies_refused = 0;
  uint64_t differences = 0;  // Found holding other than the ledger says; its next round mends it.
  uint64_t guests_ended = 0;
  uint64_t evictions_for_arrears = 0;
  uint64_t bids_accepted = 0;
  uint64_t bids_refused = 0;
  uint64_t bid_pages_refused = 0;
  uint64_t tiers_set = 0;
  uint64_t tier_floors = 0;       // Rounds in which a guest was given its tier's floor.
  uint64_t contracts_bought = 0;  // From the host: bundles too, renewals not.
  uint64_t sublets_taken = 0;
  uint64_t contracts_renewed = 0;
  uint64_t contracts_not_renewed = 0;  // They were to be, and could not.
  uint64_t contracts_left = 0;
  uint64_t guests_requested = 0;        // By their tenants.
  uint64_t guest_requests_refused = 0;  // For want of quota, seeds or a bundle.
  uint64_t forced_units = 0;            // Taken by force, all resources.
  uint64_t meters_lost = 0;             // Intervals of guests for which nothing could be charged.
  Microcredits forgiven_microcredits = 0;  // Held beyond a round's period and beyond all means.
};

struct HostView {
  HostId host_id;
  std::string kind;
  bool connected = false;
  std::string detail;  // Why not, or version and machine.
  absl::Duration period;
  RoundId round_id = 0;                     // Being collected or in grace; 0: no round runs.
  RoundPhase phase = RoundPhase::kCollect;  // kCollect or kGrace.
  absl::Time start_time;
  absl::Time close_time;
  absl::Time effective_time;
  absl::Time valid_until;             // Prices are to be trusted until then.
  std::vector<Resource> resources;    // With the capacities in use.
  std::vector<ResourcePrice> prices;  // Of the last round decided.
  RoundId priced_round_id = 0;
  std::vector<ForwardOnSale> forward;  // Of the kinds that are sold forward.
  std::vector<Tier> tiers;             // The lowest first.
  GuestQuota quota;                    // Of each tenant, and of single ones in place of that.
  std::map<TenantId, GuestQuota> tenant_quotas;
  absl::Time last_decided_time;
  RoundId in_force_round_id = 0;
  std::vector<HostSum> sums;                // As the host last said.
  std::vector<HostGuest> unmanaged_guests;  // The host runs them; the ledger does not know them.
  std::vector<GuestId> guest_ids;           // By rising id.
  std::string objective;                    // What its rounds are for, by name and version.
  bool publish_border_prices = false;
  uint32_t arrears_grace_rounds = 0;
  std::string ledger_id;
  HostCounters counters;
};

struct TenantView : Tenant {
  Purse purse;
  friend bool operator==(const TenantView&, const TenantView&) = default;
};

struct View {
  uint64_t sequence = 0;                               // Rises with each view, also over restarts.
  uint64_t transaction_id = 0;                         // All transactions up to this one are in it.
  absl::Time time;                                     // When it was taken.
  std::vector<std::shared_ptr<const HostView>> hosts;  // By rising id.
  // By rising id; none that is evicted. One of which nothing has changed is that of the view
  // before.
  std::vector<std::shared_ptr<const GuestView>> guests;
  SharedList<TenantView> tenants;  // By rising id.
  Purse operator_purse;
  // Contracts but awards that ended since the process started, by EndWord.
  std::map<std::string, uint64_t> contracts_ended;
  SharedList<Offer> offers;    // Open ones, by rising id.
  SharedList<Notice> notices;  // The latest for each guest and kind, by rising sequence.

  // Null if there is none.
  const HostView* FindHost(const HostId& host_id) const;
  const GuestView* FindGuest(GuestId guest_id) const;
  const TenantView* FindTenant(const TenantId& tenant_id) const;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_VIEW_H_
