// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/holdings.h"

#include <algorithm>

namespace nom::market {
namespace {

constexpr int64_t kHeldUnitsMax = int64_t{1} << 40;

}  // namespace

void HostHoldings::Set(GuestId guest_id, const std::vector<Holding>& holdings) {
  Remove(guest_id);
  std::map<ResourceKind, int64_t>& units = guests_[guest_id];
  for (const Holding& holding : holdings) {
    // A machine may say anything; no sum of as many guests as a host can have overflows.
    int64_t& held = units[holding.kind];
    sums_[holding.kind] -= held;
    held = std::clamp(holding.units(), -kHeldUnitsMax, kHeldUnitsMax);
    sums_[holding.kind] += held;
  }
}

void HostHoldings::Remove(GuestId guest_id) {
  const auto guest = guests_.find(guest_id);
  if (guest == guests_.end()) return;
  for (const auto& [kind, units] : guest->second) sums_[kind] -= units;
  guests_.erase(guest);
}

void HostHoldings::Clear() {
  guests_.clear();
  sums_.clear();
}

int64_t HostHoldings::Units(GuestId guest_id, ResourceKind kind) const {
  const auto guest = guests_.find(guest_id);
  if (guest == guests_.end()) return 0;
  const auto units = guest->second.find(kind);
  return units == guest->second.end() ? 0 : units->second;
}

int64_t HostHoldings::Sum(ResourceKind kind) const {
  const auto sum = sums_.find(kind);
  return sum == sums_.end() ? 0 : sum->second;
}

}  // namespace nom::market
