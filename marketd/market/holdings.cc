#include "marketd/market/holdings.h"

#include "marketd/base/money.h"

namespace nom::market {

void HostHoldings::Set(GuestId guest_id, const std::vector<Holding>& holdings) {
  std::map<ResourceKind, int64_t>& units = guests_[guest_id];
  units.clear();
  for (const Holding& holding : holdings) units[holding.kind] = holding.units();
}

int64_t HostHoldings::Units(GuestId guest_id, ResourceKind kind) const {
  const auto guest = guests_.find(guest_id);
  if (guest == guests_.end()) return 0;
  const auto units = guest->second.find(kind);
  return units == guest->second.end() ? 0 : units->second;
}

int64_t HostHoldings::Sum(ResourceKind kind) const {
  int64_t sum = 0;
  for (const auto& [guest_id, units] : guests_) {
    const auto of_kind = units.find(kind);
    if (of_kind != units.end()) sum = SaturatingAdd(sum, of_kind->second);
  }
  return sum;
}

}  // namespace nom::market
