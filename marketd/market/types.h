// SPDX-License-Identifier: Apache-2.0
// The market's nouns: ids, money, resources, bids, grants. Plain values, no behaviour.
//
// A unit is the lot in which a resource is sold; a seed is what a guest owns from admission to
// exit; an award is what it won in a round; a grant is both together.

#ifndef MARKETD_MARKET_TYPES_H_
#define MARKETD_MARKET_TYPES_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "policies/clearing/auction.h"
#include "policies/clearing/joint/joint_auction.h"
#include "policies/forward/forward.h"
#include "policies/objective/least_satisfied.h"
#include "policies/reserve/reserve.h"

namespace nom::market {

using policies::GuestId;
using policies::Microcredits;
inline constexpr GuestId kGuestIdMax = (GuestId{1} << 53) - 1;  // Of those that we give.
using RoundId = uint64_t;                         // Counts from 1 on each host; 0 is "none".
inline constexpr RoundId kNoRound = ~RoundId{0};  // After all others.
using HostId = std::string;
using TenantId = std::string;  // [a-z0-9-]{1,32}

// Numbers equal nom.market.v1.ResourceKind and enum NomResource.
enum class ResourceKind : uint8_t {
  kCpu = 1,
  kMemory = 2,
  kCache = 3,
  kNetwork = 4,
  kDisk = 5,
  kDevice = 6
};

inline constexpr size_t kKindsCount = 6;
static_assert(kKindsCount == policies::kJointResourcesMax, "one auction takes all kinds");
// In the place of a kind: a bid for several kinds, a record of them all.
inline constexpr ResourceKind kSeveralKinds{0};

// "cpu", "memory", ...; "several kinds"; "unknown" for anything else.
absl::string_view KindName(ResourceKind kind);

// What may be sold of a resource beside the auction, for several rounds at a price that holds.
struct ForwardSale {
  // Of the capacity; from 0 to 1,000,000. What is sold forward in any round is at most that.
  int64_t share_ppm = 0;
  int64_t look_back_rounds = 1'440;  // Whose prices make the forecast; from 1 to kPastPricesMax.
  policies::ForwardPolicy policy;

  friend bool operator==(const ForwardSale&, const ForwardSale&) = default;
};

// What a host's rounds are for.
enum class ObjectiveKind : uint8_t {
  kWelfare,         // "welfare/1": what the awards are worth by the bids.
  kRevenue,         // "revenue/1": the same above reserves that are learnt from bids (learnt/1).
  kLeastSatisfied,  // policies::kLeastSatisfied: owners that had least of what they asked for
                    // first.
};
struct Objective {
  ObjectiveKind kind = ObjectiveKind::kWelfare;
  // Of kLeastSatisfied: over how many rounds, from 1 to kPastAsksMax; and how much a smaller share
  // counts, from 1 to policies::kSteepnessMax.
  int64_t look_back_rounds = 60;
  int64_t steepness = 2;
  friend bool operator==(const Objective&, const Objective&) = default;
};
// Name and version, as it is published and recorded.
absl::string_view ObjectiveName(ObjectiveKind kind);

// A kind of thing sold on a host.
struct Resource {
  ResourceKind kind = ResourceKind::kMemory;
  int64_t unit_size = 1;       // Bytes of memory, millicores of cpu, ... in one unit.
  int64_t capacity_units = 0;  // The whole host, seeds included.
  // Clearing rule and version, see policies/clearing/rules.h; on a host where all kinds are cleared
  // together it is HostConfig::joint_rule.
  std::string rule;
  // The operator's lowest price of a unit for a round, as policies/reserve/reserve.h says: fixed,
  // or from this floor up to the ceiling by policy. Each round's own stands in its ResourcePrice.
  Microcredits reserve_unit_price_microcredits = 0;
  policies::ReserveKind reserve_kind = policies::ReserveKind::kFixed;
  Microcredits reserve_ceiling_unit_price_microcredits = 0;
  int64_t reserve_knee_ppm = 0;
  int64_t reserve_look_back_rounds = 60;               // Of learnt/1.
  Microcredits reclaim_penalty_microcredits = 0;       // A unit taken from a holder.
  Microcredits seed_rent_unit_price_microcredits = 0;  // A unit of seed, a round.
  std::optional<ForwardSale> forward;                  // Nothing: not sold forward.
};

// A row of the operator's table for guests that do not want to bid, see policies/tiers. The floor
// has units of each kind; without one it is empty, and floor_every_rounds is 0.
struct Tier {
  std::string name;
  int64_t price_multiple_ppm = 1'000'000;
  std::map<ResourceKind, int64_t> floor_units;
  int64_t floor_every_rounds = 0;

  friend bool operator==(const Tier&, const Tier&) = default;
};
inline constexpr size_t kTiersMax = 16;

// That of the kind, or null if it is not sold.
const Resource* FindResource(absl::Span<const Resource> resources, ResourceKind kind);

// What amounts of several kinds are worth together: bundles, of which at most one is won, or one
// curve a kind joined by a combination (policies/clearing/joint/joint_auction.h). All arrays of
// units and curves have the entry of a kind at kind - 1. Under kSum every kind stands for itself:
// each is sold at its reserve or above.
struct Valuation {
  std::vector<policies::Bundle> bundles;
  std::optional<policies::CurveFamily> curves;  // Not together with bundles.

  friend bool operator==(const Valuation&, const Valuation&) = default;
};

struct UnitsOfKind {
  ResourceKind kind = ResourceKind::kMemory;
  int64_t units = 0;
  friend bool operator==(const UnitsOfKind&, const UnitsOfKind&) = default;
};

// One guest's hold on one resource, in units.
struct Holding {
  ResourceKind kind = ResourceKind::kMemory;
  int64_t seed_units = 0;
  int64_t award_units = 0;
  Microcredits charge_microcredits = 0;  // For the award, for its round.

  int64_t units() const { return seed_units + award_units; }
  friend bool operator==(const Holding&, const Holding&) = default;
};

// What a machine's meters say of one guest: counted up since the guest was created, by the
// machine's own clock, which nobody sets. They never fall while the machine is not restarted, and
// are apart from whoever reads them: what was held is known whatever became of marketd meanwhile.
struct GuestMeters {
  struct Amount {
    ResourceKind kind = ResourceKind::kMemory;
    // Unit-microseconds, modulo 2^64: a difference of less than 2^63 (six days of the most units
    // that there can be) is exact. `offered` counts what was the guest's to use, used or not.
    uint64_t offered_unit_us = 0;
    uint64_t used_unit_us = 0;
    friend bool operator==(const Amount&, const Amount&) = default;
  };

  GuestId guest_id = 0;
  int64_t age_us = 0;           // Since it was created, whether or not it has ended meanwhile.
  int64_t alive_us = 0;         // Since it was created until it ended.
  std::vector<Amount> amounts;  // By rising kind.

  friend bool operator==(const GuestMeters&, const GuestMeters&) = default;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_TYPES_H_
