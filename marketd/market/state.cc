#include "marketd/market/state.h"

#include "absl/strings/str_cat.h"

namespace nom::market {

AccountSummary Summarize(const Purse& purse) {
  return AccountSummary{.available = purse.available,
                        .escrow = purse.escrow,
                        .arrears = purse.arrears,
                        .spent = purse.spent + purse.arrears};
}

int64_t Guest::seed_units(ResourceKind kind) const {
  for (const Holding& seed : seeds) {
    if (seed.kind == kind) return seed.seed_units;
  }
  return 0;
}

bool operator==(const StandingBid& a, const StandingBid& b) {
  const bool same_valuation =
      a.valuation == b.valuation ||
      (a.valuation != nullptr && b.valuation != nullptr && *a.valuation == *b.valuation);
  return same_valuation && a.guest_id == b.guest_id && a.kind == b.kind && a.ranges == b.ranges &&
         a.budget_microcredits == b.budget_microcredits && a.first_round_id == b.first_round_id &&
         a.last_round_id == b.last_round_id && a.fence == b.fence &&
         a.lease_rounds == b.lease_rounds;
}

absl::string_view KindName(ResourceKind kind) {
  if (kind == kSeveralKinds) return "several kinds";
  switch (kind) {
    case ResourceKind::kCpu:
      return "cpu";
    case ResourceKind::kMemory:
      return "memory";
    case ResourceKind::kCache:
      return "cache";
    case ResourceKind::kNetwork:
      return "network";
    case ResourceKind::kDisk:
      return "disk";
    case ResourceKind::kDevice:
      return "device";
  }
  return "unknown";
}

void State::RebuildIndexes() {
  host_guests.clear();
  for (const auto& [guest_id, guest] : guests) host_guests[guest.host_id].insert(guest_id);
}

std::string FirstBrokenPromise(const State& state) {
  if (std::string wrong = FirstBrokenPromise(state.purses); !wrong.empty()) return wrong;
  for (const auto& [owner, purse] : state.purses) {
    if (std::string wrong = FirstBrokenEscrow(state, owner); !wrong.empty()) return wrong;
  }
  for (const auto& [tenant_id, escrow] : state.contracts.escrows()) {
    if (std::string wrong = FirstBrokenEscrow(state, tenant_id); !wrong.empty()) return wrong;
  }
  return "";
}

std::string FirstBrokenEscrow(const State& state, const Owner& owner) {
  const Microcredits holds = state.PurseOf(owner).escrow;
  const Microcredits should = state.contracts.EscrowOf(owner);
  if (holds == should) return "";
  return absl::StrCat(owner, ": ", holds, " in escrow, for open contracts of ", should);
}

std::vector<BidKey> State::BidsOf(GuestId guest_id) const {
  std::vector<BidKey> keys;
  for (auto bid = bids.lower_bound({guest_id, kSeveralKinds});
       bid != bids.end() && bid->first.first == guest_id; ++bid) {
    keys.push_back(bid->first);
  }
  return keys;
}

const Purse& State::PurseOf(const Owner& owner) const {
  static const Purse kNone;
  const auto it = purses.find(owner);
  return it == purses.end() ? kNone : it->second;
}

const std::set<GuestId>& State::GuestsOf(const HostId& host_id) const {
  static const std::set<GuestId> kNone;
  const auto it = host_guests.find(host_id);
  return it == host_guests.end() ? kNone : it->second;
}

}  // namespace nom::market
