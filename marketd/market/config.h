// SPDX-License-Identifier: Apache-2.0
// What the operator decides about a market: its hosts, their rounds, their resources.

#ifndef MARKETD_MARKET_CONFIG_H_
#define MARKETD_MARKET_CONFIG_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "marketd/market/types.h"

namespace nom::market {

inline constexpr absl::Duration kPeriodMin = absl::Seconds(1);
inline constexpr absl::Duration kPeriodMax = absl::Hours(24);
inline constexpr int kHostsMax = 256;
inline constexpr int kHostGuestsMax = 65'536;

// What a tenant's guests on a host may be together, if it asks for one more itself: all that it has
// there count, whoever admitted them.
struct GuestQuota {
  int guests_max = 0;
  std::map<ResourceKind, int64_t> seed_units;  // A kind that is not here: none.
};

// One host's market. A round collects bids for period - grace - clearing, is cleared and committed
// within `clearing`, and gives guests `grace` to comply.
struct HostConfig {
  HostId host_id;    // [a-z0-9-]{1,32}
  std::string kind;  // "nomhv", "simulated": shown, never interpreted here.
  absl::Duration period = absl::Seconds(60);
  absl::Duration grace = absl::Seconds(12);    // Default: a fifth of the period.
  absl::Duration clearing = absl::Seconds(6);  // Default: a tenth of the period.
  // Not empty: the rule that clears all resources together, policies::kJointVcg, and the rule of
  // each of them. Empty: each has its own.
  std::string joint_rule;
  Objective objective;  // What its rounds are for.
  // capacity_units 0: all that the host has. The host's own capacity is never exceeded.
  std::vector<Resource> resources;
  bool publish_border_prices = false;  // Tell watchers the highest rejected price.
  int guests_max = 32;                 // At most kHostGuestsMax; nomhv has room for 32.
  // A guest whose tenant still owes rent when so many rounds in a row have been settled has had its
  // grace: it is evicted when one more is. 0: never.
  uint32_t arrears_grace_rounds = 60;
  // How long a quote holds, and a sublet that does not say: from 1 s to an hour.
  absl::Duration quotes_valid = absl::Seconds(60);
  // What each tenant may admit here by itself, and single tenants in place of that. A tenant with
  // neither, or with a quota of no guests, may not.
  GuestQuota quota;
  std::map<TenantId, GuestQuota> tenant_quotas;
  // Of guests that do not bid themselves: the lowest first, which has a floor of every kind but
  // devices. Empty: no guest can have one.
  std::vector<Tier> tiers;
  // Steps of work that one auction may take (policies/clearing/fallback.h); 0: what one core does
  // in `clearing`, shared evenly by the resources and by all hosts of the market. See
  // ClearingWorkMax.
  int64_t clearing_work_max = 0;

  // Sets grace and clearing to their default shares of `period`.
  void SetPeriod(absl::Duration new_period) {
    period = new_period;
    grace = new_period / 5;
    clearing = new_period / 10;
  }
};

struct MarketConfig {
  std::vector<HostConfig> hosts;
  uint64_t seed = 0;  // Orders ties in auctions, mixed with host, round and resource.
};

// The steps of work that each of the host's auctions may take, or its one auction of all kinds:
// above zero. All `hosts` of a process share its processors, and their rounds may close at the same
// instant.
int64_t ClearingWorkMax(const HostConfig& host, size_t hosts);

// Why the host's objective does not go with its clearing rules and reserves; "": it does.
std::string WrongObjective(const HostConfig& host);

// INVALID_ARGUMENT naming the first thing that is wrong: "hosts[0].resources[1].unit_size: ...".
absl::Status ValidateConfig(const MarketConfig& config);

// That of the tenant on the host.
const GuestQuota& QuotaOf(const HostConfig& host, const TenantId& tenant_id);

// [a-z0-9-]{1,max_bytes}
bool IsName(const std::string& text, size_t max_bytes);

}  // namespace nom::market

#endif  // MARKETD_MARKET_CONFIG_H_
