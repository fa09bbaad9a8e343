// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/bids.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/base/money.h"
#include "marketd/base/status.h"
#include "policies/clearing/joint/joint_fallback.h"
#include "policies/clearing/rules.h"

namespace nom::market {
namespace {

using policies::Range;

Microcredits ValueAt(const Range& range, int64_t units) {
  if (units == range.min_units) return range.value_at_min_microcredits;
  return range.value_at_min_microcredits +
         (units - range.min_units) * range.unit_price_microcredits;
}

}  // namespace

absl::Status CheckBidForm(const Resource& resource, GuestId guest_id,
                          const std::vector<Range>& ranges, std::optional<Microcredits> budget) {
  if (budget && *budget < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("budget_microcredits: ", *budget, " is negative"));
  }
  if (ranges.empty()) {
    return absl::InvalidArgumentError("ranges: there are none; withdraw the bid instead");
  }
  const policies::Bid bid{.guest_id = guest_id, .ranges = ranges};
  if (resource.rule == policies::kJointVcg) return policies::ValidateBid(bid);  // Takes any.
  return policies::CheckBidForRule(resource.rule, bid);
}

absl::Status CheckBidMeans(const Resource& resource, const std::vector<Range>& ranges,
                           std::optional<Microcredits> budget, const Purse& purse) {
  int64_t least = std::numeric_limits<int64_t>::max();
  for (const Range& range : ranges) {
    if (range.max_units > 0) least = std::min(least, std::max<int64_t>(1, range.min_units));
  }
  if (least == std::numeric_limits<int64_t>::max()) return absl::OkStatus();  // Wants nothing.
  const Microcredits cost = SaturatingMultiply(least, resource.reserve_unit_price_microcredits);
  if (budget && *budget < cost) {
    return absl::FailedPreconditionError(absl::StrCat("budget_microcredits: ", *budget,
                                                      " would not pay the reserve for ", least,
                                                      " units, ", cost));
  }
  const Microcredits money = SaturatingAdd(purse.available, purse.escrow);
  if (money <= 0 || money < cost) {
    return absl::FailedPreconditionError(absl::StrCat("the account holds ", money,
                                                      " micro-credits; the reserve for ", least,
                                                      " units is ", cost));
  }
  return absl::OkStatus();
}

std::vector<Range> CutToUnits(const std::vector<Range>& ranges, int64_t units_max) {
  std::vector<Range> out;
  for (Range range : ranges) {
    if (range.min_units > units_max) break;
    range.max_units = std::min(range.max_units, units_max);
    out.push_back(range);
  }
  return out;
}

std::vector<Range> CutToMeans(const std::vector<Range>& ranges, Microcredits means) {
  std::vector<Range> out;
  if (means <= 0) return out;
  for (Range range : ranges) {
    if (range.value_at_min_microcredits >= means) {
      // Where it touches the range before, that one has already reached `means`.
      out.push_back(Range{range.min_units, range.min_units, means, 0});
      return out;
    }
    if (range.max_units == range.min_units || ValueAt(range, range.max_units) < means) {
      out.push_back(range);
      continue;
    }
    // Rising, and it reaches `means` on the way.
    const int64_t whole = (means - range.value_at_min_microcredits) / range.unit_price_microcredits;
    const int64_t last = range.min_units + whole;
    const Microcredits value = ValueAt(range, last);
    range.max_units = last;
    out.push_back(range);
    if (value < means && out.size() < static_cast<size_t>(policies::kRangesMax)) {
      out.push_back(Range{last, last + 1, value, means - value});
    }
    return out;
  }
  return out;
}

Microcredits ValueMax(const std::vector<Range>& ranges) {
  Microcredits most = 0;
  for (const Range& range : ranges) {
    most = std::max({most, range.value_at_min_microcredits, ValueAt(range, range.max_units)});
  }
  return most;
}

int64_t UnitsMax(const std::vector<Range>& ranges) {
  return ranges.empty() ? 0 : ranges.back().max_units;
}

Owners OwnersOf(const State& state, const HostId& host_id) {
  Owners owners;
  for (const GuestId guest_id : state.GuestsOf(host_id)) {  // By rising id.
    const TenantId& tenant_id = state.guests.at(guest_id).tenant_id;
    if (!owners.ids.emplace(tenant_id, guest_id).second) continue;
    owners.means[guest_id] = state.PurseOf(tenant_id).available;
  }
  return owners;
}

bool HasLapsed(const StandingBid& standing, RoundId round_id) {
  return standing.lease_rounds == 0 && standing.last_round_id != 0 &&
         standing.last_round_id < round_id;
}

std::vector<const StandingBid*> BidsOf(const State& state, const MadeBids& made, GuestId guest_id) {
  std::vector<const StandingBid*> out;
  for (const std::map<BidKey, StandingBid>* bids : {&state.bids, &made}) {
    for (auto it = bids->lower_bound({guest_id, kSeveralKinds});
         it != bids->end() && it->first.first == guest_id; ++it) {
      out.push_back(&it->second);
    }
  }
  return out;
}

std::map<ResourceKind, std::vector<policies::Bid>> BidsForRound(
    const State& state, const HostId& host_id, RoundId round_id,
    absl::Span<const Resource> resources, const std::map<ResourceKind, int64_t>& supply,
    const Owners& owners, const std::map<BidKey, int64_t>& held, const MadeBids& made) {
  std::map<ResourceKind, std::vector<policies::Bid>> out;
  for (const Resource& resource : resources) out[resource.kind];  // An auction without bids too.
  for (const GuestId guest_id : state.GuestsOf(host_id)) {
    const Guest& guest = state.guests.at(guest_id);
    if (guest.state != GuestState::kRunning) continue;
    const policies::OwnerId owner_id = owners.ids.at(guest.tenant_id);
    const Microcredits available = owners.means.at(owner_id);
    for (const StandingBid* const bid_of_guest : BidsOf(state, made, guest_id)) {
      const StandingBid& standing = *bid_of_guest;
      const ResourceKind kind = standing.kind;
      if (!out.contains(kind)) continue;
      if (HasLapsed(standing, round_id)) continue;
      int64_t units_max = supply.at(kind);
      if (kind == ResourceKind::kMemory && guest.memory_max_units > 0) {
        units_max = std::min(units_max, guest.memory_max_units - guest.seed_units(kind) -
                                            state.contracts.HeldUnits(guest_id, kind, round_id));
      }
      const Microcredits means =
          std::min(available, standing.budget_microcredits.value_or(available));
      policies::Bid bid{.guest_id = guest_id,
                        .ranges = CutToMeans(CutToUnits(standing.ranges, units_max), means),
                        .owner_id = owner_id};
      const auto holds = held.find({guest_id, kind});
      if (holds != held.end()) bid.held_units = holds->second;
      out[kind].push_back(std::move(bid));
    }
  }
  return out;
}

}  // namespace nom::market
