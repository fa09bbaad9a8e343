// SPDX-License-Identifier: Apache-2.0
// A round's auctions as one snapshot of a host's market, and what they decide.
//
// Between the two nothing is asked of the engine: the same snapshot gives the same decision,
// wherever and whenever it is cleared.

#ifndef MARKETD_MARKET_DECISION_H_
#define MARKETD_MARKET_DECISION_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "marketd/market/clearing.h"
#include "marketd/market/config.h"
#include "marketd/market/joint_round.h"
#include "marketd/market/means_pacing.h"
#include "marketd/market/state.h"
#include "marketd/market/transaction.h"

namespace nom::market {

// How auctions are cleared: by the rules within the work, unless a test says otherwise.
struct ClearFunctions {
  ClearFunctions() = default;
  // The kinds' alone; an empty function is ClearByRule.
  template <typename Clear>
  requires std::is_convertible_v<Clear, ClearFunction> ClearFunctions(
      Clear clear) {  // NOLINT(google-explicit-constructor): most have no other.
    ClearFunction given = std::move(clear);
    if (given) of_kind = std::move(given);
  }

  ClearFunction of_kind = ClearByRule;
  JointClearFunction joint = policies::ClearJointWithin;
};

struct RoundSnapshot {
  // What of one kind is sold, and from which price on.
  struct OnSale {
    Resource resource;
    int64_t supply_units = 0;
    int64_t contracted_units = 0;  // Of the host's own, by contracts that are alive in the round.
    std::string reserve_policy;
    Microcredits reserve_unit_price_microcredits = 0;
    Microcredits reserve_change_microcredits = 0;  // What the policy asks for the next time.
    uint64_t seed = 0;                             // Orders ties.
    // Where each kind is cleared by itself: one a guest, by rising guest.
    std::vector<policies::Bid> bids;
  };

  HostId host_id;
  RoundId round_id = 0;
  std::vector<OnSale> kinds;                      // By rising kind.
  bool is_joint = false;                          // All kinds are one auction:
  std::vector<policies::JointBid> items;          // Its bids.
  OwnerMoney means;                               // What each owner of a bid can pay.
  std::map<policies::OwnerId, TenantId> tenants;  // Who the owners are.
  int64_t work_max = 0;                           // Steps, of each auction.
  std::string objective;                          // What the round is for, by name and version.
  std::map<BidKey, int64_t> held;                 // By awards till now, what is auctioned again.
};

// Of the bids that stand now. `supply` has every kind of `resources`, which are by rising kind;
// `held` is what guests hold that is auctioned again; `hosts` how many share the processor that
// clears.
RoundSnapshot TakeSnapshot(const State& state, const HostConfig& host, uint64_t market_seed,
                           size_t hosts, absl::Span<const Resource> resources,
                           const std::map<ResourceKind, int64_t>& supply,
                           const std::map<BidKey, int64_t>& held, RoundId round_id);

Certificate CertificateOf(const policies::JointCleared& cleared);

struct Decision {
  std::vector<ResourcePrice> prices;       // By rising kind.
  std::optional<Certificate> certificate;  // If all kinds were cleared together.
  std::vector<KindAward> awards;           // In no order; a guest at most once for each kind.
  std::vector<AuctionRecord> records;      // See PutRound.
  std::map<BidKey, int64_t> asked;         // By each bid, see Outcome::asked_units.
};

// Whether what was decided can still be done, should the market have gone on meanwhile: every
// winner runs, every owner can pay what its guests were charged, and `supply` has what was sold.
bool StillHolds(const RoundSnapshot& snapshot, const Decision& decision, const State& state,
                const std::map<ResourceKind, int64_t>& supply);

// The snapshot's bids, of guests that still run, with the supply and the means of now.
RoundSnapshot AsOfNow(RoundSnapshot snapshot, const State& state,
                      const std::map<ResourceKind, int64_t>& supply);

// Clears the auctions so that whoever wins can pay.
Decision Decide(const RoundSnapshot& snapshot, const ClearFunctions& clear);

}  // namespace nom::market

#endif  // MARKETD_MARKET_DECISION_H_
