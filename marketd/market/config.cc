// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/config.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "marketd/market/joint_round.h"
#include "marketd/market/reserves.h"
#include "policies/clearing/fallback.h"
#include "policies/clearing/rules.h"
#include "policies/tiers/tiers.h"

namespace nom::market {
namespace {

// About a hundred bundles.
constexpr int64_t kGuestReadingStepsMin = 25'000;

absl::Status Wrong(absl::string_view where, absl::string_view field, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(where, field, ": ", what));
}

absl::Status CheckMoney(absl::string_view where, absl::string_view field, Microcredits amount) {
  if (amount >= 0 && amount <= policies::kValueMaxMicrocredits) return absl::OkStatus();
  return Wrong(where, field,
               absl::StrCat(amount, " is outside [0, ", policies::kValueMaxMicrocredits, "]"));
}

absl::Status CheckResource(absl::string_view where, const HostConfig& host,
                           const Resource& resource) {
  if (resource.kind < ResourceKind{1} || static_cast<size_t>(resource.kind) > kKindsCount) {
    return Wrong(where, "kind", "unknown");
  }
  if (resource.unit_size < 1) return Wrong(where, "unit_size", "must be at least 1");
  if (resource.capacity_units < 0 || resource.capacity_units > policies::kUnitsMax) {
    return Wrong(
        where, "capacity_units",
        absl::StrCat(resource.capacity_units, " is outside [0, ", policies::kUnitsMax, "]"));
  }
  // A price is published with the name of its rule, and there is one rule.
  if (!host.joint_rule.empty()) {
    if (resource.rule != host.joint_rule) {
      return Wrong(where, "rule",
                   absl::StrCat("is '", resource.rule,
                                "'; all resources of this host are cleared by ", host.joint_rule));
    }
  } else if (policies::FindRule(resource.rule) == nullptr) {
    return Wrong(where, "rule", absl::StrCat("no rule is called '", resource.rule, "'"));
  }
  if (absl::Status s = policies::ValidateReserve(ReservePolicyOf(resource, 0, "")); !s.ok()) {
    return Wrong(where, "reserve", s.message());
  }
  if (resource.reserve_kind == policies::ReserveKind::kNone &&
      resource.reserve_unit_price_microcredits != 0) {
    return Wrong(where, "reserve_unit_price_microcredits", "must be 0 where there is no reserve");
  }
  for (const auto& [field, amount] :
       {std::pair<absl::string_view, Microcredits>{"reserve_unit_price_microcredits",
                                                   resource.reserve_unit_price_microcredits},
        {"reclaim_penalty_microcredits", resource.reclaim_penalty_microcredits},
        {"seed_rent_unit_price_microcredits", resource.seed_rent_unit_price_microcredits}}) {
    if (absl::Status s = CheckMoney(where, field, amount); !s.ok()) return s;
  }
  if (!resource.forward) return absl::OkStatus();
  const ForwardSale& forward = *resource.forward;
  if (forward.share_ppm < 0 || forward.share_ppm > 1'000'000) {
    return Wrong(where, "forward.share_ppm",
                 absl::StrCat(forward.share_ppm, " is outside [0, 1000000]"));
  }
  if (forward.look_back_rounds < 1 ||
      forward.look_back_rounds > static_cast<int64_t>(kPastPricesMax)) {
    return Wrong(where, "forward.look_back_rounds",
                 absl::StrCat(forward.look_back_rounds, " is outside [1, ", kPastPricesMax, "]"));
  }
  if (absl::Status s = policies::ValidateForward(forward.policy); !s.ok()) {
    return Wrong(where, "forward", s.message());
  }
  return absl::OkStatus();
}

// What one auction for all kinds needs.
absl::Status CheckJoint(absl::string_view where, const HostConfig& host, size_t hosts) {
  if (host.joint_rule != policies::kJointVcg) {
    return Wrong(where, "clearing",
                 absl::StrCat("no rule for all resources is called '", host.joint_rule, "'"));
  }
  const auto bidders =
      static_cast<int64_t>(host.guests_max) * static_cast<int64_t>(host.resources.size());
  if (bidders > policies::kJointBidsMax) {
    return Wrong(where, "guests_max",
                 absl::StrCat(host.guests_max, " guests and ", host.resources.size(),
                              " resources are more than ", policies::kJointBidsMax,
                              " bidders in one auction"));
  }
  const int64_t steps = GuestReadingSteps(ClearingWorkMax(host, hosts), host.guests_max);
  if (steps < kGuestReadingStepsMin) {
    return Wrong(where, "clearing_work_max",
                 absl::StrCat("leaves each of ", host.guests_max, " guests ", steps,
                              " steps for reading its bid; ", kGuestReadingStepsMin,
                              " are the least: give more time to clearing, or fewer guests"));
  }
  return absl::OkStatus();
}

// What the rounds are for.
absl::Status CheckObjective(absl::string_view where, const HostConfig& host) {
  const Objective& objective = host.objective;
  if (ObjectiveName(objective.kind).empty()) return Wrong(where, "objective", "unknown");
  if (objective.look_back_rounds < 1 ||
      objective.look_back_rounds > static_cast<int64_t>(kPastAsksMax)) {
    return Wrong(where, "objective_look_back_rounds",
                 absl::StrCat(objective.look_back_rounds, " is outside [1, ", kPastAsksMax, "]"));
  }
  if (objective.steepness < 1 || objective.steepness > policies::kSteepnessMax) {
    return Wrong(
        where, "objective_steepness",
        absl::StrCat(objective.steepness, " is outside [1, ", policies::kSteepnessMax, "]"));
  }
  const std::string wrong = WrongObjective(host);
  return wrong.empty() ? absl::OkStatus() : Wrong(where, "objective", wrong);
}

// The table for guests that do not bid themselves.
absl::Status CheckTiers(absl::string_view where, const HostConfig& host) {
  if (host.tiers.size() > kTiersMax) {
    return Wrong(where, "tiers", absl::StrCat("more than ", kTiersMax));
  }
  std::vector<policies::Tier> rows;
  for (size_t i = 0; i < host.tiers.size(); ++i) {
    const Tier& tier = host.tiers[i];
    const std::string at = absl::StrCat(where, "tiers[", i, "].");
    for (const auto& [kind, units] : tier.floor_units) {
      const Resource* const resource = FindResource(host.resources, kind);
      if (resource == nullptr) {
        return Wrong(at, "floor", absl::StrCat(KindName(kind), " is not sold on this host"));
      }
      const int64_t most =
          resource->capacity_units == 0 ? policies::kUnitsMax : resource->capacity_units;
      if (units < 1 || units > most) {
        return Wrong(at, "floor",
                     absl::StrCat(KindName(kind), ": ", units, " is outside [1, ", most, "]"));
      }
    }
    if (tier.floor_units.empty() != (tier.floor_every_rounds == 0)) {
      return Wrong(at, "floor_every_rounds", "goes with a floor, and a floor with it");
    }
    rows.push_back({.name = tier.name,
                    .price_multiple_ppm = tier.price_multiple_ppm,
                    .floor_units = tier.floor_units.empty() ? 0 : 1,
                    .floor_every_rounds = tier.floor_every_rounds});
  }
  if (absl::Status s = policies::ValidateTiers(rows); !s.ok()) {
    return Wrong(where, "tiers", s.message());
  }
  if (host.tiers.empty()) return absl::OkStatus();
  for (const Resource& resource : host.resources) {
    if (resource.kind == ResourceKind::kDevice ||
        host.tiers.front().floor_units.contains(resource.kind)) {
      continue;
    }
    return Wrong(where, "tiers[0].floor",
                 absl::StrCat("has no ", KindName(resource.kind),
                              ": the lowest tier must get some of everything now and then"));
  }
  return absl::OkStatus();
}

absl::Status CheckHost(absl::string_view where, const HostConfig& host, size_t hosts) {
  if (!IsName(host.host_id, 32)) {
    return Wrong(where, "host_id", "must be 1 to 32 characters of a-z, 0-9 and '-'");
  }
  if (host.period < kPeriodMin || host.period > kPeriodMax) {
    return Wrong(where, "period",
                 absl::StrCat(absl::FormatDuration(host.period), " is outside [",
                              absl::FormatDuration(kPeriodMin), ", ",
                              absl::FormatDuration(kPeriodMax), "]"));
  }
  if (host.grace < absl::ZeroDuration() || host.clearing <= absl::ZeroDuration() ||
      host.grace + host.clearing > host.period / 2) {
    return Wrong(where, "grace",
                 "grace must not be negative, clearing must be above zero, and both together at "
                 "most half the period");
  }
  if (host.quotes_valid < absl::Seconds(1) || host.quotes_valid > absl::Hours(1)) {
    return Wrong(where, "quotes_valid",
                 absl::StrCat(absl::FormatDuration(host.quotes_valid), " is outside [1s, 1h]"));
  }
  if (host.clearing_work_max < 0) return Wrong(where, "clearing_work_max", "must not be negative");
  if (host.guests_max < 1 || host.guests_max > kHostGuestsMax) {
    return Wrong(where, "guests_max", absl::StrCat("must be in [1, ", kHostGuestsMax, "]"));
  }
  if (host.resources.empty()) return Wrong(where, "resources", "there are none");
  if (absl::Status s = CheckTiers(where, host); !s.ok()) return s;
  if (!host.joint_rule.empty()) {
    if (absl::Status s = CheckJoint(where, host, hosts); !s.ok()) return s;
  }
  std::set<ResourceKind> kinds;
  for (size_t i = 0; i < host.resources.size(); ++i) {
    const std::string at = absl::StrCat(where, "resources[", i, "].");
    if (absl::Status s = CheckResource(at, host, host.resources[i]); !s.ok()) return s;
    if (!kinds.insert(host.resources[i].kind).second) return Wrong(at, "kind", "is there twice");
  }
  return CheckObjective(where, host);
}

}  // namespace

bool IsName(const std::string& text, size_t max_bytes) {
  return !text.empty() && text.size() <= max_bytes &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

const GuestQuota& QuotaOf(const HostConfig& host, const TenantId& tenant_id) {
  const auto own = host.tenant_quotas.find(tenant_id);
  return own == host.tenant_quotas.end() ? host.quota : own->second;
}

std::string WrongObjective(const HostConfig& host) {
  const ObjectiveKind kind = host.objective.kind;
  const absl::string_view name = ObjectiveName(kind);
  if (kind != ObjectiveKind::kWelfare && !host.joint_rule.empty()) {
    return absl::StrCat(name, " needs resources that are each cleared by a rule of their own");
  }
  bool any_learnt = false;
  for (const Resource& resource : host.resources) {
    const bool is_learnt = resource.reserve_kind == policies::ReserveKind::kLearnt;
    any_learnt = any_learnt || is_learnt;
    // That a reserve is there to earn more is said where everybody can see it.
    if (is_learnt && kind != ObjectiveKind::kRevenue) {
      return absl::StrCat("a reserve by learnt/1 is for revenue/1, not for ", name);
    }
    const policies::RuleInfo* const rule = policies::FindRule(resource.rule);
    if (kind == ObjectiveKind::kLeastSatisfied && rule != nullptr && !rule->efficient) {
      return absl::StrCat(resource.rule, " maximises nothing that ", name, " could weigh");
    }
  }
  if (kind == ObjectiveKind::kRevenue && !any_learnt) {
    return "revenue/1 needs a resource whose reserve is by learnt/1";
  }
  return "";
}

int64_t ClearingWorkMax(const HostConfig& host, size_t hosts) {
  if (host.clearing_work_max > 0) return host.clearing_work_max;
  const double seconds = absl::ToDoubleSeconds(host.clearing);
  // One auction has what as many as there are resources would have.
  const size_t auctions = host.joint_rule.empty() ? host.resources.size() : 1;
  const auto shares = static_cast<int64_t>(auctions * hosts);
  return std::max<int64_t>(
      1, static_cast<int64_t>(seconds * policies::kWorkASecond) / std::max<int64_t>(1, shares));
}

absl::Status ValidateConfig(const MarketConfig& config) {
  if (config.hosts.empty()) return Wrong("", "hosts", "there are none");
  if (config.hosts.size() > static_cast<size_t>(kHostsMax)) {
    return Wrong("", "hosts", absl::StrCat("more than ", kHostsMax));
  }
  std::set<HostId> ids;
  for (size_t i = 0; i < config.hosts.size(); ++i) {
    const std::string at = absl::StrCat("hosts[", i, "].");
    if (absl::Status s = CheckHost(at, config.hosts[i], config.hosts.size()); !s.ok()) return s;
    if (!ids.insert(config.hosts[i].host_id).second) return Wrong(at, "host_id", "is there twice");
  }
  return absl::OkStatus();
}

}  // namespace nom::market
