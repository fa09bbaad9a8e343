// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/linux/amounts.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "marketd/base/money.h"

namespace nom::market {
namespace {

bool IsEnforced(ResourceKind kind) {
  return std::find(kEnforcedKinds.begin(), kEnforcedKinds.end(), kind) != kEnforcedKinds.end();
}

template <typename Combine>
Amounts Each(const Amounts& a, const Amounts& b, Combine combine) {
  Amounts out;
  for (const ResourceKind kind : kEnforcedKinds) {
    AmountOf(out, kind) = combine(AmountOf(a, kind), AmountOf(b, kind));
  }
  return out;
}

}  // namespace

int64_t& AmountOf(Amounts& amounts, ResourceKind kind) {
  switch (kind) {
    case ResourceKind::kMemory:
      return amounts.memory_bytes;
    case ResourceKind::kNetwork:
      return amounts.network_mbits;
    case ResourceKind::kDisk:
      return amounts.disk_iops;
    default:
      return amounts.millicores;
  }
}

int64_t AmountOf(const Amounts& amounts, ResourceKind kind) {
  return AmountOf(const_cast<Amounts&>(amounts), kind);
}

Amounts SmallerOf(const Amounts& a, const Amounts& b) {
  return Each(a, b, [](int64_t x, int64_t y) { return std::min(x, y); });
}
Amounts LargerOf(const Amounts& a, const Amounts& b) {
  return Each(a, b, [](int64_t x, int64_t y) { return std::max(x, y); });
}
Amounts SumOf(const Amounts& a, const Amounts& b) {
  return Each(a, b, [](int64_t x, int64_t y) { return SaturatingAdd(x, y); });
}

std::string MiBText(int64_t bytes) { return absl::StrCat((bytes + (1 << 20) - 1) >> 20, " MiB"); }

int64_t Units::SizeOf(ResourceKind kind) const {
  for (const Resource& resource : resources_) {
    if (resource.kind == kind) return resource.unit_size;
  }
  return 0;
}

Amounts Units::ToAmounts(const std::vector<Holding>& holdings) const {
  Amounts out;
  for (const Holding& holding : holdings) {
    if (!IsEnforced(holding.kind)) continue;
    AmountOf(out, holding.kind) = SaturatingMultiply(holding.units(), SizeOf(holding.kind));
  }
  return out;
}

std::vector<Holding> Units::ToHoldings(const Amounts& seed, const Amounts& held) const {
  std::vector<Holding> out;
  for (const Resource& resource : resources_) {
    if (!IsEnforced(resource.kind)) continue;
    const int64_t seed_units = AmountOf(seed, resource.kind) / resource.unit_size;
    out.push_back({.kind = resource.kind,
                   .seed_units = seed_units,
                   .award_units = AmountOf(held, resource.kind) / resource.unit_size - seed_units});
  }
  return out;
}

std::vector<HostSum> Units::ToSums(const Amounts& granted, const Amounts& granted_max,
                                   const Amounts& capacity) const {
  std::vector<HostSum> sums;
  for (const Resource& resource : resources_) {
    if (!IsEnforced(resource.kind)) continue;
    const int64_t unit = resource.unit_size;
    sums.push_back({.kind = resource.kind,
                    .granted_units = (AmountOf(granted, resource.kind) + unit - 1) / unit,
                    .granted_max_units = (AmountOf(granted_max, resource.kind) + unit - 1) / unit,
                    .capacity_units = AmountOf(capacity, resource.kind) / unit});
  }
  return sums;
}

}  // namespace nom::market
