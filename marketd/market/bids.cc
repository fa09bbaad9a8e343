#include "marketd/market/bids.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/base/money.h"
#include "marketd/base/status.h"
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
  return policies::CheckBidForRule(resource.rule,
                                   policies::Bid{.guest_id = guest_id, .ranges = ranges});
}

absl::Status CheckBidMeans(const Resource& resource, const std::vector<Range>& ranges,
                           std::optional<Microcredits> budget, const Balances& balances) {
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
  const Microcredits money = SaturatingAdd(balances.available, balances.escrow);
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

std::map<ResourceKind, std::vector<policies::Bid>> BidsForRound(
    const State& state, const HostId& host_id, RoundId round_id,
    absl::Span<const Resource> resources, const std::map<ResourceKind, int64_t>& supply,
    const std::map<BidKey, int64_t>& held) {
  std::map<ResourceKind, std::vector<policies::Bid>> out;
  for (const Resource& resource : resources) out[resource.kind];  // An auction without bids too.
  std::map<TenantId, Microcredits> left;
  for (const auto& [key, standing] : state.bids) {  // By rising guest_id, then kind.
    const auto& [guest_id, kind] = key;
    const auto guest = state.guests.find(guest_id);
    if (guest == state.guests.end() || guest->second.host_id != host_id ||
        guest->second.state != GuestState::kRunning || !out.contains(kind)) {
      continue;
    }
    if (standing.last_round_id != 0 && standing.last_round_id < round_id) continue;
    const TenantId& tenant_id = guest->second.tenant_id;
    const Microcredits available = state.tenants.at(tenant_id).balances.available;
    Microcredits& rest = left.emplace(tenant_id, available).first->second;

    int64_t units_max = supply.at(kind);
    if (kind == ResourceKind::kMemory && guest->second.memory_max_units > 0) {
      units_max =
          std::min(units_max, guest->second.memory_max_units - guest->second.seed_units(kind));
    }
    const Microcredits means = std::min(rest, standing.budget_microcredits.value_or(rest));
    policies::Bid bid{.guest_id = guest_id,
                      .ranges = CutToMeans(CutToUnits(standing.ranges, units_max), means)};
    const auto holds = held.find(key);
    if (holds != held.end()) bid.held_units = holds->second;
    rest -= ValueMax(bid.ranges);
    NOM_CHECK(rest >= 0, "a bid was cut to more than there is");
    out[kind].push_back(std::move(bid));
  }
  return out;
}

}  // namespace nom::market
