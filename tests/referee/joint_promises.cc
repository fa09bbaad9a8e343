#include "tests/referee/joint_promises.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "policies/cases/joint_case_file.h"
#include "tests/referee/joint_exhaustive.h"

namespace nom::policies {

Microcredits AtReserve(const JointAuction& auction, const UnitVector& units) {
  Microcredits sum = 0;
  for (size_t r = 0; r < units.size(); ++r) {
    sum += units[r] * auction.reserve_unit_prices_microcredits[r];
  }
  return sum;
}

JointAward AwardOf(const JointClearing& clearing, GuestId guest_id) {
  for (const JointAward& award : clearing.awards) {
    if (award.guest_id == guest_id) return award;
  }
  return {guest_id, {}, 0, 0};
}

size_t BidOf(const JointAuction& auction, GuestId guest_id) {
  size_t i = 0;
  while (i < auction.bids.size() && auction.bids[i].guest_id != guest_id) ++i;
  return i;
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
    const bool is_between = AtReserve(auction, award.units) <= award.charge_microcredits &&
                            award.charge_microcredits <= award.charge_bound_microcredits &&
                            award.charge_bound_microcredits <= value;
    if (!is_between) return who + "not reserve <= charge <= bound <= value";
    const bool is_one = award.charge_microcredits == award.charge_bound_microcredits;
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

std::string DifferenceFromExhaustive(const JointAuction& auction, const JointClearing& clearing) {
  const auto largest = LargestJointWelfare(auction, -1);
  if (!largest.ok()) return std::string(largest.status().message());
  if (clearing.welfare_microcredits != *largest ||
      clearing.welfare_bound_microcredits != *largest || !clearing.charges_are_exact) {
    return absl::StrCat("welfare ", clearing.welfare_microcredits, ", bound ",
                        clearing.welfare_bound_microcredits, " instead of ", *largest);
  }
  for (const JointAward& award : clearing.awards) {
    const size_t bid = BidOf(auction, award.guest_id);
    const auto without = LargestJointWelfare(auction, static_cast<int>(bid));
    if (!without.ok()) return std::string(without.status().message());
    const Microcredits at_reserve = AtReserve(auction, award.units);
    const Microcredits value = ValueOf(auction.bids[bid], award.units).value_or(-1);
    const Microcredits charge = at_reserve + *without - (*largest - (value - at_reserve));
    if (award.charge_microcredits != charge) {
      return absl::StrCat("guest ", award.guest_id, ": charge ", award.charge_microcredits,
                          " instead of ", charge);
    }
  }
  return "";
}

}  // namespace nom::policies
