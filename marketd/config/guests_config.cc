// SPDX-License-Identifier: Apache-2.0
#include "marketd/config/guests_config.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "policies/tiers/tiers.h"

namespace nom::marketd {
namespace {

constexpr int64_t kPpmOfPercent = 10'000;
constexpr size_t kNameBytesMax = 32;

// Units of kinds that the host sells, as `floor: {memory: 8, cpu: 5}`.
void ReadUnits(MapReader& owner, const std::string& key, const market::HostConfig& market,
               YamlErrors* errors, std::map<market::ResourceKind, int64_t>* units) {
  YAML::Node node;
  if (!owner.Map(key, Need::kOptional, &node)) return;
  MapReader reader(node, owner.PathOf(key), errors);
  for (const market::Resource& resource : market.resources) {
    const int64_t most =
        resource.capacity_units == 0 ? policies::kUnitsMax : resource.capacity_units;
    const std::string kind(market::KindName(resource.kind));
    int64_t count = 1;
    reader.Int(kind, Need::kOptional, 1, most, &count);
    // One that is wrong is complained of there, and is not missing besides.
    if (node.IsMap() && node[kind]) (*units)[resource.kind] = count;
  }
  reader.Finish();
}

// The lowest must not starve of anything that can be shared.
void CheckFloorOfLowest(MapReader& reader, const market::Tier& tier,
                        const market::HostConfig& market) {
  for (const market::Resource& resource : market.resources) {
    if (resource.kind == market::ResourceKind::kDevice ||
        tier.floor_units.contains(resource.kind)) {
      continue;
    }
    reader.Complain("floor", absl::StrCat("the lowest tier needs one of every kind; ",
                                          market::KindName(resource.kind), " is missing"));
    return;
  }
}

void ReadQuota(MapReader& reader, const market::HostConfig& market, YamlErrors* errors,
               market::GuestQuota* quota) {
  int64_t guests_max = 0;
  reader.Int("guests_max", Need::kOptional, 0, market.guests_max, &guests_max);
  quota->guests_max = static_cast<int>(guests_max);
  ReadUnits(reader, "seeds", market, errors, &quota->seed_units);
}

}  // namespace

void ReadTiers(MapReader& host, YamlErrors* errors, market::HostConfig* market) {
  std::vector<YAML::Node> rows;
  if (!host.List("tiers", Need::kOptional, 1, &rows)) return;
  if (rows.size() > market::kTiersMax) {
    host.Complain("tiers", absl::StrCat("more than ", market::kTiersMax));
    return;
  }
  std::set<std::string> names;
  for (size_t i = 0; i < rows.size(); ++i) {
    MapReader reader(rows[i], absl::StrCat(host.PathOf("tiers"), "[", i, "]"), errors);
    market::Tier tier;
    if (reader.String("name", Need::kRequired, &tier.name)) {
      if (!market::IsName(tier.name, kNameBytesMax)) {
        reader.Complain("name", "must be 1 to 32 of a-z, 0-9 and -");
      } else if (!names.insert(tier.name).second) {
        reader.Complain("name", absl::StrCat("another tier is already called \"", tier.name, "\""));
      }
    }
    int64_t percent = 0;
    if (reader.Int("price_percent", Need::kRequired, 0,
                   policies::kTierMultipleMaxPpm / kPpmOfPercent, &percent)) {
      tier.price_multiple_ppm = percent * kPpmOfPercent;
      if (i > 0 && tier.price_multiple_ppm < market->tiers.back().price_multiple_ppm) {
        reader.Complain("price_percent", "is below that of the tier before it, which is lower");
      }
    }
    ReadUnits(reader, "floor", *market, errors, &tier.floor_units);
    const bool has_rounds =
        reader.Int("floor_every_rounds", Need::kOptional, 1, policies::kTierFloorEveryRoundsMax,
                   &tier.floor_every_rounds);
    if (has_rounds == tier.floor_units.empty()) {
      reader.Complain("floor_every_rounds", "goes with a floor, and a floor with it");
    }
    if (i == 0) CheckFloorOfLowest(reader, tier, *market);
    reader.Finish();
    market->tiers.push_back(std::move(tier));
  }
}

void ReadGuestRequests(MapReader& host, YamlErrors* errors, market::HostConfig* market) {
  YAML::Node node;
  if (!host.Map("guest_requests", Need::kOptional, &node)) return;
  MapReader reader(node, host.PathOf("guest_requests"), errors);
  ReadQuota(reader, *market, errors, &market->quota);
  std::vector<YAML::Node> tenants;
  reader.List("tenants", Need::kOptional, 1, &tenants);
  for (size_t i = 0; i < tenants.size(); ++i) {
    MapReader tenant(tenants[i], absl::StrCat(reader.PathOf("tenants"), "[", i, "]"), errors);
    std::string id;
    market::GuestQuota quota;
    const bool has_id = tenant.String("id", Need::kRequired, &id);
    if (has_id && !market::IsName(id, kNameBytesMax)) {
      tenant.Complain("id", "must be 1 to 32 of a-z, 0-9 and -");
    }
    ReadQuota(tenant, *market, errors, &quota);
    if (has_id && !market->tenant_quotas.emplace(id, std::move(quota)).second) {
      tenant.Complain("id", absl::StrCat("\"", id, "\" is there twice"));
    }
    tenant.Finish();
  }
  reader.Finish();
}

}  // namespace nom::marketd
