// SPDX-License-Identifier: Apache-2.0
// The nouns of the SDK: resources, prices, bids, grants, notices. Plain values, no behaviour.
//
// Money is whole micro-credits, never floating point. Quantities are counts of units: a unit is the
// integer lot in which a host sells a resource (ResourceState::unit_size says how big one is).
// Every price is for one unit for one round.

#ifndef NOM_TYPES_H_
#define NOM_TYPES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace nom {

// A kind of thing sold. The numbers are those of nom.market.v1.ResourceKind.
enum class Resource : uint8_t {
  kCpu = 1,      // Millicores.
  kMemory = 2,   // Bytes.
  kCache = 3,    // Ways.
  kNetwork = 4,  // Mbit/s.
  kDisk = 5,     // IOPS.
  kDevice = 6,   // A PCI function.
};
inline constexpr size_t kResourceCount = 6;
inline constexpr std::array<Resource, kResourceCount> kAllResources = {
    Resource::kCpu,     Resource::kMemory, Resource::kCache,
    Resource::kNetwork, Resource::kDisk,   Resource::kDevice};

// "cpu", "memory", "cache", "network", "disk", "device".
absl::string_view ResourceName(Resource resource);
// The reverse; nullopt if it is none of them.
std::optional<Resource> ParseResource(absl::string_view name);

// What set a price: the operator's reserve, or the bids.
enum class BoundBy : uint8_t { kUnknown = 0, kReserve = 1, kBids = 2 };

struct Price {
  // False: not on sale. This host does not sell it, or no round has priced it yet; the prices below
  // say nothing then, least of all that it is free.
  bool offered = false;
  BoundBy bound_by = BoundBy::kUnknown;
  int64_t unit_price_microcredits = 0;
  int64_t reserve_unit_price_microcredits = 0;
};

// The prices of the last round decided, taken as a whole: never of two rounds at once.
struct Prices {
  uint64_t round_id = 0;  // The round that set them; 0: none yet.
  // True if they are not to be trusted: too old, or the market is out of reach. Spend nothing new.
  bool stale = true;
  // To be trusted until then, by this machine's clock.
  absl::Time valid_until = absl::UnixEpoch();
  std::array<Price, kResourceCount> by_resource;

  // Of what is no resource: not on sale.
  const Price& operator[](Resource resource) const {
    static constexpr Price kNone;
    const size_t place = static_cast<size_t>(resource) - 1;
    return place < kResourceCount ? by_resource[place] : kNone;
  }
  // nullopt: not on sale.
  std::optional<int64_t> UnitPrice(Resource resource) const {
    const Price& price = (*this)[resource];
    return price.offered ? std::optional<int64_t>(price.unit_price_microcredits) : std::nullopt;
  }
};

// One continuous range of quantities beyond the seed, all of which are acceptable:
//   value(q) = value_at_min + (q - min_units) * unit_price, for min_units <= q <= max_units.
struct BidRange {
  int64_t min_units = 0;
  int64_t max_units = 0;
  int64_t value_at_min_microcredits = 0;
  int64_t unit_price_microcredits = 0;

  friend bool operator==(const BidRange&, const BidRange&) = default;
};
inline constexpr size_t kBidRangesMax = 16;
inline constexpr int64_t kBidUnitsMax = int64_t{1} << 24;
inline constexpr int64_t kBidValueMaxMicrocredits = 1'000'000'000'000'000;

// Amounts of several resources beyond the seed, all or nothing, and what they are worth together.
struct Bundle {
  std::map<Resource, int64_t> units = {};  // At least one above 0; what is not named is not wanted.
  int64_t value_microcredits = 0;

  friend bool operator==(const Bundle&, const Bundle&) = default;
};
inline constexpr size_t kBundlesMax = 4'096;

// How curves of several resources make one value.
enum class Combination : uint8_t {
  kSum = 1,      // Independent needs: as bids for single resources, under one budget.
  kMin = 2,      // Complements: the scarcest decides.
  kMax = 3,      // Substitutes: the best decides.
  kProduct = 4,  // Each resource scales what the others make.
};
// 1 in the curves of a product.
inline constexpr int64_t kLevelOne = int64_t{1} << 20;

// What several resources are worth together: bundles, of which at most one is won, or one curve a
// resource. For hosts that clear all resources together (ResourceState::rule "joint_vcg/1").
struct Valuation {
  std::vector<Bundle> bundles = {};  // At most kBundlesMax; no two with the same units.
  Combination combination = Combination::kSum;
  std::map<Resource, std::vector<BidRange>> curves = {};  // Not together with bundles.
  // kProduct only, whose curves are levels, parts of kLevelOne: what all of them at the top are
  // worth.
  int64_t whole_value_microcredits = 0;

  friend bool operator==(const Valuation&, const Valuation&) = default;
};

// What quantity beyond the seed is worth to a guest, for one round. Quantities between ranges are
// refused; none at all is always accepted. A guest has either bids for single resources or one with
// a valuation of several: each replaces the other.
struct Bid {
  uint64_t guest_id = 0;                  // 0: the only guest of the session.
  Resource resource = Resource::kMemory;  // Says nothing where there is a valuation.
  std::vector<BidRange> ranges = {};      // Rising, at most kBidRangesMax. Empty: wants nothing.
  // The most that it may be charged in a round; unset: the session's budget, if it has one.
  std::optional<int64_t> budget_microcredits = std::nullopt;
  // In how many rounds it takes part, and then lapses at the market. 0: the session renews it until
  // it is replaced or withdrawn.
  uint32_t rounds = 0;
  // Of several resources; then there are no ranges. An empty one: wants nothing.
  std::optional<Valuation> valuation = std::nullopt;

  friend bool operator==(const Bid&, const Bid&) = default;
};

// What a guest holds of one resource.
struct Grant {
  Resource resource = Resource::kMemory;
  int64_t seed_units = 0;
  int64_t award_units = 0;
  int64_t charge_microcredits = 0;  // For the award, for the round in force.

  int64_t units() const { return seed_units + award_units; }
  friend bool operator==(const Grant&, const Grant&) = default;
};

// What a guest holds will change. Told after the decision is durable and before it takes effect.
struct Notice {
  uint64_t guest_id = 0;
  uint64_t round_id = 0;
  Resource resource = Resource::kMemory;
  int64_t units_now = 0;      // Seed plus award, in force.
  int64_t units_next = 0;     // From effective_time on.
  absl::Time effective_time;  // The deadline: what has not been given back then is taken.
  int64_t charge_microcredits = 0;
  // The change that was told before does not come: its round was released. units_next is units_now.
  bool withdrawn = false;

  friend bool operator==(const Notice&, const Notice&) = default;
};

enum class GuestState : uint8_t {
  kUnknown = 0,
  kAdmitted = 1,  // Being created on its host.
  kRunning = 2,
  kCrashed = 3,  // See GuestStatus::exit_reason. Holds nothing and pays nothing.
  kEvicted = 4,
  kEvicting = 5,  // Eviction is decided; its host has not yet confirmed it. Bids for nothing.
  kEnded = 6,     // By itself with code 0, or as its owner asked. Holds nothing and pays nothing.
};

// What the market bids for a guest that does not bid itself (Session::SetTier).
struct GuestTier {
  std::string tier;                        // Nothing is bid while the operator's table lacks it.
  std::map<Resource, int64_t> most_units;  // Beyond the seed, contracts included.
  int64_t ceiling_microcredits = 0;        // No round costs more, all resources together.

  friend bool operator==(const GuestTier&, const GuestTier&) = default;
};

struct GuestStatus {
  uint64_t guest_id = 0;
  std::string name;
  GuestState state = GuestState::kUnknown;
  std::string exit_reason;
  std::vector<Grant> grants;
  int64_t spent_microcredits = 0;         // Settled since admission, rent included.
  uint64_t work_done = 0;                 // As the guest itself reports it, in work_unit.
  std::string work_unit;                  //
  int64_t value_earned_microcredits = 0;  // What the guest itself says its work was worth.
  std::string activity;                   // What the guest itself says it is doing.
  std::optional<GuestTier> tier;          // By which the market bids for it; unset: none.
};

struct AccountStatus {
  int64_t available_microcredits = 0;
  int64_t escrow_microcredits = 0;   // Set aside for awards not yet settled.
  int64_t arrears_microcredits = 0;  // Rent that could not be paid.
  int64_t spent_microcredits = 0;    // Settled, all time.
};

enum class RoundPhase : uint8_t {
  kUnknown = 0,
  kCollect = 1,    // Bids come in.
  kGrace = 2,      // Decided; losers give back.
  kEffective = 3,  // The grants it decided are in force.
  kSettled = 4,    // What was delivered is charged.
  kReleased = 5,   // Never took effect; all that was set aside for it was returned.
};

// One resource of a host, as the last round left it.
struct ResourceState {
  Resource resource = Resource::kMemory;
  int64_t unit_size = 1;       // Bytes of memory, millicores of cpu, ... in one unit.
  int64_t capacity_units = 0;  // The whole host, seeds included.
  int64_t supply_units = 0;    // Auctioned: capacity less seeds.
  int64_t demand_units = 0;    // Sum of the most that each bid asked for.
  int64_t sold_units = 0;
  std::string rule;  // That clears it, and its version; "joint_vcg/1": all resources together.
  Price price;
  // The best marginal offer that was not served, where the operator publishes it.
  std::optional<int64_t> highest_rejected_unit_price_microcredits;
};

// Why a guest won what it won of a resource in a round. The numbers are those of
// nom.market.v1.AwardReason.
enum class AwardReason : uint8_t {
  kUnknown = 0,           // Not told: the round was decided before the market kept reasons.
  kServed = 1,            // All that it asked for.
  kPartlyServed = 2,      // Less: others offered more for the rest.
  kOutbid = 3,            // Nothing: others offered more.
  kBelowReserve = 4,      // Nothing: the bid did not reach the operator's reserve.
  kNoMeans = 5,           // Nothing: its budget and the account could pay for nothing.
  kNoBid = 6,             // No bid stood.
  kNotRunning = 7,        // The guest does not run.
  kLargerThanSupply = 8,  // Nothing: the least that it asked for is more than was sold.
};
// "all that it asked for", "outbid", ...: for people.
absl::string_view AwardReasonText(AwardReason reason);

// What one guest won of one resource in one round, and what became of it.
struct Award {
  uint64_t guest_id = 0;
  Resource resource = Resource::kMemory;
  int64_t seed_units = 0;
  int64_t award_units = 0;
  int64_t charge_microcredits = 0;  // For one period of it.
  int64_t contracted_units = 0;     // By contracts, beside the award.
  AwardReason reason = AwardReason::kUnknown;
  // Known once the round is over: what was charged for what was delivered, and the seed's rent.
  bool settled = false;
  int64_t settled_microcredits = 0;
  int64_t rent_microcredits = 0;

  friend bool operator==(const Award&, const Award&) = default;
};

// One round that was decided: its prices, and what the caller's guests won.
struct Round {
  uint64_t round_id = 0;
  RoundPhase phase = RoundPhase::kUnknown;
  std::vector<ResourceState> resources;
  std::vector<Award> awards;  // By rising guest, then resource.
  std::string reason;         // Why it was released, or ended before its time.

  // Over all awards.
  int64_t charge_microcredits() const;
  // Of one guest (0: all together) and resource; 0 if it won nothing.
  int64_t award_units(Resource resource, uint64_t guest_id = 0) const;
};

// What a resource cost in a past round, and by which policies.
struct PastPrice {
  Resource resource = Resource::kMemory;
  Price price;
  int64_t supply_units = 0;
  int64_t demand_units = 0;
  int64_t sold_units = 0;
  std::string rule;            // "mpsp/1".
  std::string reserve_policy;  // "fixed/1".
};

struct PricedRound {
  uint64_t round_id = 0;
  absl::Time close_time;  // Bids counted until then.
  absl::Time effective_time;
  bool released = false;          // It never took effect: nobody paid these prices.
  std::vector<PastPrice> prices;  // By rising resource.
};

// What one guest paid for one resource, over the rounds of a statement.
struct StatementLine {
  uint64_t guest_id = 0;
  Resource resource = Resource::kMemory;
  int64_t rounds = 0;               // In which it paid anything.
  int64_t charge_microcredits = 0;  // For what was delivered of its awards.
  int64_t rent_microcredits = 0;    // For its seed.

  friend bool operator==(const StatementLine&, const StatementLine&) = default;
};

// Where the money went. Over all rounds, a tenant's statement is what its account says was spent
// and is in arrears. Sums that would not fit stay at the largest number.
struct Statement {
  uint64_t first_round_id = 0;  // Of the settled rounds in it; 0: there are none.
  uint64_t last_round_id = 0;
  int64_t settled_rounds = 0;
  int64_t open_rounds = 0;           // Decided, and not settled yet: they are in no sum.
  std::vector<StatementLine> lines;  // By rising guest, then resource.

  int64_t charge_microcredits() const;
  int64_t rent_microcredits() const;
};

// A bid that a session keeps, or is trying to.
struct StandingBid {
  Bid bid;  // After the session's limits.
  // True: the market has said that this bid stands, and nothing is on its way to change that.
  // False: it is being placed, or what has become of it is not known yet.
  bool confirmed = false;
  uint64_t first_round_id = 0;  // The first round in which it took part, as far as is known.
  // Takes part up to this round even if nothing more is heard of the session; 0: not known.
  uint64_t confirmed_through_round_id = 0;
  std::string problem;  // What last went wrong with it, for people; empty: nothing.
};

// A resource as it is sold by contract now.
struct ForwardState {
  Resource resource = Resource::kMemory;
  uint64_t round_id = 0;    // The next that units may be bought for.
  int64_t share_units = 0;  // The most that is sold by contract in a round.
  int64_t sold_units = 0;   // What is in that one, with what holders may renew.
  // What the seller takes the next rounds to cost, and begins its prices with. 0: no round yet.
  int64_t forecast_unit_price_microcredits = 0;
  // Of one unit more, for that round alone; unset: none is left.
  std::optional<int64_t> unit_price_microcredits;
  int64_t rounds_max = 0;  // The longest contract.

  friend bool operator==(const ForwardState&, const ForwardState&) = default;
};

// A row of the operator's table for guests that do not bid themselves.
struct Tier {
  std::string name;
  // What is bid for a unit, of the last round's price or the reserve, whichever is higher.
  int64_t price_multiple_ppm = 0;
  // In one of every so many rounds a guest of the tier is given that much before the auction, at
  // the reserve. Empty and 0: it has no floor.
  std::map<Resource, int64_t> floor_units = {};
  int64_t floor_every_rounds = 0;

  friend bool operator==(const Tier&, const Tier&) = default;
};

// One host's market, as last told.
struct MarketStatus {
  std::string ledger_id;  // Under another one, the same ids mean other guests and rounds.
  std::string host_id;
  uint64_t round_id = 0;  // Being collected or in grace.
  RoundPhase phase = RoundPhase::kUnknown;
  absl::Time close_time;      // Bids count until then.
  absl::Time effective_time;  // What is decided takes effect then.
  absl::Duration period;
  uint64_t priced_round_id = 0;  // The round that set the prices.
  std::vector<ResourceState> resources;
  std::vector<ForwardState> forward;  // Of the resources that are sold by contract.
  std::vector<Tier> tiers;            // The lowest first; empty: the host has none.
};

}  // namespace nom

#endif  // NOM_TYPES_H_
