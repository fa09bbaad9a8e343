// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/joint/parts.h"

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <utility>

#include "policies/clearing/int128.h"
#include "policies/clearing/owners.h"

namespace nom::policies::joint {
namespace {

using Wanted = std::array<bool, kJointResourcesMax>;

Wanted WantedBy(const JointBid& bid) {
  Wanted wanted = {};
  for (const Bundle& bundle : bid.bundles) {
    for (size_t r = 0; r < wanted.size(); ++r) wanted[r] = wanted[r] || bundle.units[r] > 0;
  }
  if (bid.curves.has_value()) {
    for (size_t r = 0; r < wanted.size(); ++r) wanted[r] = !bid.curves->curves[r].empty();
  }
  return wanted;
}

size_t FirstOf(const Wanted& wanted) {
  return static_cast<size_t>(std::find(wanted.begin(), wanted.end(), true) - wanted.begin());
}

// The entries of `resources`, in their order.
template <typename Vector>
Vector Select(const Vector& from, const std::vector<size_t>& resources) {
  Vector to = {};
  for (size_t r = 0; r < resources.size(); ++r) to[r] = from[resources[r]];
  return to;
}

JointBid Select(const JointBid& bid, const std::vector<size_t>& resources) {
  JointBid out;
  out.guest_id = bid.guest_id;
  out.owner_id = bid.owner_id;
  // What it holds of others is lost whatever it wins.
  out.held_units = Select(bid.held_units, resources);
  for (const Bundle& bundle : bid.bundles) {
    out.bundles.push_back({Select(bundle.units, resources), bundle.value_microcredits});
  }
  if (bid.curves.has_value()) {
    CurveFamily& family = out.curves.emplace();
    family.combination = bid.curves->combination;
    family.whole_value_microcredits = bid.curves->whole_value_microcredits;
    family.curves = Select(bid.curves->curves, resources);
  }
  return out;
}

// A winner, and what it leaves above its reserves.
struct Winner {
  JointAward* award = nullptr;
  Microcredits at_reserve = 0;
  Microcredits surplus = 0;
};

// What the owner pays above the reserves, proven to be between `least` and `most`, by surplus.
void DivideAgain(std::vector<Winner>& winners, const JointAuction& auction) {
  const auto rank = [&auction](const Winner& winner) {
    return TieOrder(auction.seed, winner.award->guest_id);
  };
  std::sort(winners.begin(), winners.end(),
            [&rank](const Winner& a, const Winner& b) { return rank(a) < rank(b); });
  Int128 excess = 0;
  Int128 least = 0;
  Int128 most = 0;
  Int128 surplus = 0;
  std::vector<Microcredits> surpluses;
  for (const Winner& winner : winners) {
    excess += winner.award->charge_microcredits - winner.at_reserve;
    least += winner.award->charge_least_microcredits - winner.at_reserve;
    most += winner.award->charge_bound_microcredits - winner.at_reserve;
    surplus += winner.surplus;
    surpluses.push_back(winner.surplus);
  }
  surplus = std::max<Int128>(1, surplus);
  const std::vector<Microcredits> shares = SplitExcess(excess, surpluses);
  const bool is_proven = least == most;
  for (size_t i = 0; i < winners.size(); ++i) {
    JointAward& award = *winners[i].award;
    const Microcredits reserve = winners[i].at_reserve;
    award.charge_microcredits = reserve + shares[i];
    award.charge_least_microcredits = award.charge_microcredits;
    award.charge_bound_microcredits = award.charge_microcredits;
    if (is_proven) continue;
    // As in charges.cc: rounded down and up, these contain every way to divide. Surpluses are below
    // 2^50, so products with them fit.
    award.charge_least_microcredits =
        reserve + static_cast<Microcredits>(least * surpluses[i] / surplus);
    award.charge_bound_microcredits =
        reserve + static_cast<Microcredits>((most * surpluses[i] + surplus - 1) / surplus);
  }
}

}  // namespace

std::vector<Part> PartsOf(const JointAuction& auction) {
  // A resource's group is named by its first resource.
  std::array<size_t, kJointResourcesMax> group;
  std::iota(group.begin(), group.end(), size_t{0});
  Wanted by_any = {};
  for (const JointBid& bid : auction.bids) {
    const Wanted wanted = WantedBy(bid);
    size_t into = group.size();
    for (size_t r = 0; r < group.size(); ++r) {
      if (!wanted[r]) continue;
      by_any[r] = true;
      if (into == group.size()) into = group[r];
      const size_t low = std::min(into, group[r]);
      const size_t high = std::max(into, group[r]);
      std::replace(group.begin(), group.end(), high, low);
      into = low;
    }
  }
  std::vector<Part> parts;
  for (size_t first = 0; first < group.size(); ++first) {
    Part part;
    for (size_t r = first; r < group.size(); ++r) {
      if (by_any[r] && group[r] == first) part.resources.push_back(r);
    }
    if (part.resources.empty()) continue;
    part.auction.resource_count = static_cast<int>(part.resources.size());
    part.auction.seed = auction.seed;
    part.auction.capacity_units = Select(auction.capacity_units, part.resources);
    part.auction.reserve_unit_prices_microcredits =
        Select(auction.reserve_unit_prices_microcredits, part.resources);
    part.auction.reclaim_penalties_microcredits =
        Select(auction.reclaim_penalties_microcredits, part.resources);
    parts.push_back(std::move(part));
  }
  for (const JointBid& bid : auction.bids) {
    const size_t r = FirstOf(WantedBy(bid));
    if (r == group.size()) continue;  // Wants nothing.
    for (Part& part : parts) {
      if (std::find(part.resources.begin(), part.resources.end(), r) == part.resources.end()) {
        continue;
      }
      part.auction.bids.push_back(Select(bid, part.resources));
    }
  }
  return parts;
}

absl::StatusOr<JointClearing> PutTogether(const JointAuction& auction,
                                          const std::vector<Part>& parts,
                                          const std::vector<JointClearing>& clearings) {
  JointClearing out;
  out.clearing_unit_prices_microcredits = auction.reserve_unit_prices_microcredits;
  Int128 open = 0;  // What W may be above what was found.
  for (size_t p = 0; p < parts.size(); ++p) {
    const JointClearing& clearing = clearings[p];
    const std::vector<size_t>& resources = parts[p].resources;
    for (size_t r = 0; r < resources.size(); ++r) {
      out.clearing_unit_prices_microcredits[resources[r]] =
          clearing.clearing_unit_prices_microcredits[r];
      out.bound_by[resources[r]] = clearing.bound_by[r];
    }
    for (const JointAward& award : clearing.awards) {
      JointAward& to = out.awards.emplace_back(award);
      to.units = {};
      for (size_t r = 0; r < resources.size(); ++r) to.units[resources[r]] = award.units[r];
    }
    out.charges_are_exact = out.charges_are_exact && clearing.charges_are_exact;
    out.work += clearing.work;
    open += Int128{clearing.welfare_bound_microcredits} - clearing.welfare_microcredits;
  }
  std::sort(out.awards.begin(), out.awards.end(),
            [](const JointAward& a, const JointAward& b) { return a.guest_id < b.guest_id; });

  std::map<GuestId, size_t> bids;
  for (size_t i = 0; i < auction.bids.size(); ++i) bids[auction.bids[i].guest_id] = i;
  std::vector<UnitVector> units(auction.bids.size());
  std::map<uint64_t, std::vector<Winner>> winners;  // By owner, of those that have several guests.
  for (JointAward& award : out.awards) {
    const size_t i = bids.at(award.guest_id);
    const JointBid& bid = auction.bids[i];
    units[i] = award.units;
    if (bid.owner_id == 0) continue;
    Int128 at_reserve = 0;
    for (size_t r = 0; r < award.units.size(); ++r) {
      at_reserve += Int128{award.units[r]} * auction.reserve_unit_prices_microcredits[r];
    }
    const auto reserve = static_cast<Microcredits>(at_reserve);
    winners[bid.owner_id].push_back({&award, reserve, *ValueOf(bid, award.units) - reserve});
  }
  for (auto& [owner_id, of_owner] : winners) {
    if (of_owner.size() > 1) DivideAgain(of_owner, auction);
  }
  const absl::StatusOr<Microcredits> welfare = JointWelfare(auction, units);
  if (!welfare.ok()) return welfare.status();
  out.welfare_microcredits = *welfare;
  const auto bound = ToMicrocredits(*welfare + open, "welfare_bound");
  if (!bound.ok()) return bound.status();
  out.welfare_bound_microcredits = *bound;
  return out;
}

}  // namespace nom::policies::joint
