// SPDX-License-Identifier: Apache-2.0
#include "tests/referee/joint_promises.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "policies/cases/joint_case_file.h"
#include "policies/clearing/int128.h"
#include "tests/referee/joint_exhaustive.h"

namespace nom::policies {

Microcredits AtReserve(const JointAuction& auction, const UnitVector& units) {
  Int128 sum = 0;
  for (size_t r = 0; r < units.size(); ++r) {
    sum += Int128{units[r]} * auction.reserve_unit_prices_microcredits[r];
  }
  constexpr Int128 kMost = std::numeric_limits<Microcredits>::max();
  return static_cast<Microcredits>(std::clamp(sum, -kMost, kMost));
}

JointAward AwardOf(const JointClearing& clearing, GuestId guest_id) {
  for (const JointAward& award : clearing.awards) {
    if (award.guest_id == guest_id) return award;
  }
  return {guest_id, {}, 0, 0, 0};
}

size_t BidOf(const JointAuction& auction, GuestId guest_id) {
  size_t i = 0;
  while (i < auction.bids.size() && auction.bids[i].guest_id != guest_id) ++i;
  return i;
}

std::vector<size_t> BidsOfOwner(const JointAuction& auction, size_t bid) {
  std::vector<size_t> bids;
  for (size_t i = 0; i < auction.bids.size(); ++i) {
    const uint64_t owner_id = auction.bids[i].owner_id;
    if (i == bid || (owner_id != 0 && owner_id == auction.bids[bid].owner_id)) bids.push_back(i);
  }
  return bids;
}

std::string Replay(uint64_t seed, const JointAuction& auction) {
  return absl::StrCat("\nreplay: NOM_SEED=", seed, " NOM_COUNT=1\n", ToText(auction));
}

std::string BrokenPromise(const JointAuction& auction, const JointClearing& clearing) {
  std::vector<UnitVector> units(auction.bids.size());
  GuestId last = 0;
  for (const JointAward& award : clearing.awards) {
    const std::string who = absl::StrCat("guest ", award.guest_id, ": ");
    if (award.guest_id <= last) return who + "guests do not rise";
    last = award.guest_id;
    const size_t bid = BidOf(auction, award.guest_id);
    if (bid == units.size()) return who + "never bid";
    if (award.units == UnitVector{}) return who + "a winner of nothing";
    units[bid] = award.units;
    const Microcredits value = ValueOf(auction.bids[bid], award.units).value_or(-1);
    const bool is_between = AtReserve(auction, award.units) <= award.charge_least_microcredits &&
                            award.charge_least_microcredits <= award.charge_microcredits &&
                            award.charge_microcredits <= award.charge_bound_microcredits &&
                            award.charge_bound_microcredits <= value;
    if (!is_between) return who + "not reserve <= least <= charge <= bound <= value";
    const bool is_one = award.charge_least_microcredits == award.charge_bound_microcredits;
    if (clearing.charges_are_exact && !is_one) return who + "an exact charge is one number";
  }
  const auto welfare = JointWelfare(auction, units);
  if (!welfare.ok()) return absl::StrCat("the awards: ", welfare.status().message());
  if (*welfare != clearing.welfare_microcredits) return "welfare is not that of the awards";
  if (clearing.welfare_bound_microcredits < *welfare) return "welfare is above its bound";
  if (clearing.charges_are_exact && clearing.welfare_bound_microcredits != *welfare) {
    return "exact charges without an exact welfare";
  }
  for (size_t r = 0; r < clearing.bound_by.size(); ++r) {
    const Microcredits price = clearing.clearing_unit_prices_microcredits[r];
    const Microcredits reserve = auction.reserve_unit_prices_microcredits[r];
    if (price < reserve) return absl::StrCat("the price of resource ", r, " is below its reserve");
    if ((clearing.bound_by[r] == BoundBy::kBids) != (price > reserve)) {
      return absl::StrCat("bound_by[", r, "] is not what the price says");
    }
  }
  return "";
}

namespace {

// How the rule divides what an owner pays above the reserves, told another way than it is written:
// after the whole parts, one micro-credit after the other goes to whoever is furthest below its
// exact share, the first in the order of ties among equals.
std::vector<Microcredits> Divide(const JointAuction& auction, Microcredits amount,
                                 const std::vector<size_t>& winners,
                                 const std::vector<Microcredits>& surpluses) {
  Int128 whole = 0;
  for (const Microcredits surplus : surpluses) whole += surplus;
  std::vector<Microcredits> shares(winners.size(), 0);
  if (whole == 0) return shares;
  Microcredits given = 0;
  for (size_t k = 0; k < shares.size(); ++k) {
    shares[k] = static_cast<Microcredits>(Int128{amount} * surpluses[k] / whole);
    given += shares[k];
  }
  for (; given < amount; ++given) {
    size_t next = 0;
    const auto missing = [&](size_t k) {
      return Int128{amount} * surpluses[k] - shares[k] * whole;
    };
    const auto rank = [&](size_t k) {
      return TieOrder(auction.seed, auction.bids[winners[k]].guest_id);
    };
    for (size_t k = 1; k < shares.size(); ++k) {
      if (missing(k) > missing(next) || (missing(k) == missing(next) && rank(k) < rank(next))) {
        next = k;
      }
    }
    ++shares[next];
  }
  return shares;
}

}  // namespace

std::string DifferenceFromExhaustive(const JointAuction& auction, const JointClearing& clearing) {
  const auto largest = LargestJointWelfare(auction);
  if (!largest.ok()) return std::string(largest.status().message());
  if (clearing.welfare_microcredits != *largest ||
      clearing.welfare_bound_microcredits != *largest || !clearing.charges_are_exact) {
    return absl::StrCat("welfare ", clearing.welfare_microcredits, ", bound ",
                        clearing.welfare_bound_microcredits, " instead of ", *largest);
  }
  for (const JointAward& of_owner : clearing.awards) {
    const std::vector<size_t> bids = BidsOfOwner(auction, BidOf(auction, of_owner.guest_id));
    const auto without = LargestJointWelfare(auction, bids);
    if (!without.ok()) return std::string(without.status().message());
    std::vector<size_t> winners;
    std::vector<Microcredits> surpluses;
    Int128 surplus = 0;
    for (const size_t bid : bids) {
      const JointAward award = AwardOf(clearing, auction.bids[bid].guest_id);
      if (award.units == UnitVector{}) continue;
      winners.push_back(bid);
      surpluses.push_back(ValueOf(auction.bids[bid], award.units).value_or(0) -
                          AtReserve(auction, award.units));
      surplus += surpluses.back();
    }
    const auto excess = static_cast<Microcredits>(Int128{*without} - (Int128{*largest} - surplus));
    const std::vector<Microcredits> shares = Divide(auction, excess, winners, surpluses);
    for (size_t k = 0; k < winners.size(); ++k) {
      const GuestId guest_id = auction.bids[winners[k]].guest_id;
      const JointAward award = AwardOf(clearing, guest_id);
      const Microcredits charge = AtReserve(auction, award.units) + shares[k];
      if (award.charge_microcredits != charge) {
        return absl::StrCat("guest ", guest_id, ": charge ", award.charge_microcredits,
                            " instead of ", charge);
      }
    }
  }
  return "";
}

}  // namespace nom::policies
