// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/joint_bids.h"

#include <algorithm>
#include <array>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "marketd/base/money.h"
#include "marketd/base/status.h"
#include "marketd/market/round_auctions.h"
#include "policies/cases/joint_case_file.h"
#include "policies/clearing/joint/joint_fallback.h"

namespace nom::market {
namespace {

using policies::Combination;
using policies::JointAuction;
using policies::JointBid;
using policies::kJointResourcesMax;
using policies::Range;
using policies::UnitVector;

constexpr uint64_t kItemsAGuest = 8;
static_assert(kKindsCount < kItemsAGuest);

size_t EntryOf(ResourceKind kind) { return static_cast<size_t>(kind) - 1; }

// One curve alone: of whatever combination it is the only one.
JointBid SingleItem(GuestId guest_id, ResourceKind kind, size_t resource,
                    std::vector<Range> ranges) {
  JointBid item{.guest_id = ItemId(guest_id, kind)};
  item.curves.emplace().combination = Combination::kMax;
  item.curves->curves[resource] = std::move(ranges);
  return item;
}

// The items of a valuation, before money is looked at. What the host does not sell is left out.
std::vector<JointBid> ItemsOf(GuestId guest_id, absl::Span<const Resource> resources,
                              const Valuation& valuation) {
  std::vector<JointBid> items;
  // A sum needs no auction of bundles: kinds that have nothing to do with each other are cheaper to
  // clear one by one.
  if (valuation.curves && valuation.curves->combination == Combination::kSum) {
    for (size_t r = 0; r < resources.size(); ++r) {
      const std::vector<Range>& curve = valuation.curves->curves[EntryOf(resources[r].kind)];
      if (curve.empty()) continue;
      items.push_back(SingleItem(guest_id, resources[r].kind, r, curve));
    }
    return items;
  }
  JointBid& item = items.emplace_back();
  item.guest_id = ItemId(guest_id, kSeveralKinds);
  if (valuation.curves) {
    policies::CurveFamily& family = item.curves.emplace();
    family.combination = valuation.curves->combination;
    family.whole_value_microcredits = valuation.curves->whole_value_microcredits;
    for (size_t r = 0; r < resources.size(); ++r) {
      family.curves[r] = valuation.curves->curves[EntryOf(resources[r].kind)];
    }
    return items;
  }
  for (const policies::Bundle& bundle : valuation.bundles) {
    policies::Bundle& to = item.bundles.emplace_back();
    to.value_microcredits = bundle.value_microcredits;
    for (size_t r = 0; r < resources.size(); ++r) {
      to.units[r] = bundle.units[EntryOf(resources[r].kind)];
    }
  }
  return items;
}

// An auction of those resources and no bids; a capacity that is not known yet counts as the most.
JointAuction AuctionOf(absl::Span<const Resource> resources) {
  JointAuction auction;
  auction.resource_count = static_cast<int>(resources.size());
  for (size_t r = 0; r < resources.size(); ++r) {
    auction.capacity_units[r] =
        resources[r].capacity_units > 0 ? resources[r].capacity_units : policies::kUnitsMax;
    auction.reserve_unit_prices_microcredits[r] = resources[r].reserve_unit_price_microcredits;
  }
  return auction;
}

// In the words of the one who bid.
absl::Status InOwnWords(absl::Span<const Resource> resources, const absl::Status& status,
                        bool is_single) {
  // The rule knows resources by their place in an auction that the bidder has never seen.
  std::vector<std::pair<std::string, std::string>> words = {{"bids[0].", ""}};
  for (size_t r = 0; r < resources.size(); ++r) {
    const std::string name(KindName(resources[r].kind));
    if (is_single) {
      words.emplace_back(absl::StrCat("bids[0].curves.curves[", r, "]."), "");
    } else {
      words.emplace_back(absl::StrCat("curves.curves[", r, "]"),
                         absl::StrCat("curves[", name, "]"));
    }
    words.emplace_back(absl::StrCat("units[", r, "]"), absl::StrCat("units[", name, "]"));
  }
  return {status.code(), absl::StrCat(is_single ? "" : "valuation.",
                                      absl::StrReplaceAll(status.message(), words))};
}

absl::Status CheckItems(absl::Span<const Resource> resources, std::vector<JointBid> items,
                        int64_t steps_max, bool is_single) {
  int64_t steps = 0;
  for (JointBid& item : items) {
    JointAuction auction = AuctionOf(resources);
    auction.bids.push_back(std::move(item));
    if (absl::Status s = policies::ValidateJointAuction(auction); !s.ok()) {
      return InOwnWords(resources, s, is_single);
    }
    // Of all items together: split over many kinds, a bid costs those who clear it as much.
    steps += policies::ReadingSteps(auction, auction.bids.front());
  }
  if (steps <= steps_max) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(is_single ? "ranges" : "valuation", ": reading it takes ", steps,
                   " steps, and a guest of this host has ", steps_max,
                   ": bid fewer bundles, or quantities in larger steps"));
}

// The field of the first amount of what the host does not sell, or "".
std::string FirstNotSold(absl::Span<const Resource> resources, const Valuation& valuation) {
  std::array<bool, kKindsCount> is_sold = {};
  for (const Resource& resource : resources) is_sold[EntryOf(resource.kind)] = true;
  for (size_t k = 0; k < kKindsCount; ++k) {
    if (is_sold[k]) continue;
    const absl::string_view name = KindName(static_cast<ResourceKind>(k + 1));
    if (valuation.curves && !valuation.curves->curves[k].empty()) {
      return absl::StrCat("valuation.curves[", name, "]");
    }
    for (size_t i = 0; i < valuation.bundles.size(); ++i) {
      if (valuation.bundles[i].units[k] == 0) continue;
      return absl::StrCat("valuation.bundles[", i, "].units[", name, "]");
    }
  }
  return "";
}

// The part of the item that the guest may have and its money is worth. False: nothing is left of
// it.
bool CutItem(JointBid& item, absl::Span<const Resource> resources, const UnitVector& units_max,
             Microcredits means) {
  if (means <= 0) return false;
  if (!item.curves) {
    std::erase_if(item.bundles, [&](const policies::Bundle& bundle) {
      for (size_t r = 0; r < resources.size(); ++r) {
        if (bundle.units[r] > units_max[r]) return true;
      }
      return false;
    });
    if (item.bundles.empty()) return false;
  } else {
    const Combination combination = item.curves->combination;
    bool is_any = false;
    for (size_t r = 0; r < resources.size(); ++r) {
      std::vector<Range>& curve = item.curves->curves[r];
      if (curve.empty()) continue;
      curve = CutToUnits(curve, units_max[r]);
      is_any = is_any || !curve.empty();
      // A curve that is there no more would not count; but none of it can be had.
      if (curve.empty() && combination != Combination::kMax) return false;
    }
    if (!is_any) return false;
  }
  CapValues(item, means);
  return true;
}

}  // namespace

policies::GuestId ItemId(GuestId guest_id, ResourceKind kind) {
  return guest_id * kItemsAGuest + static_cast<uint64_t>(kind);
}

std::pair<GuestId, ResourceKind> OfItem(policies::GuestId item_id) {
  return {item_id / kItemsAGuest, static_cast<ResourceKind>(item_id % kItemsAGuest)};
}

std::string ToText(const Valuation& valuation) {
  JointAuction auction;
  auction.resource_count = static_cast<int>(kKindsCount);
  auction.bids.push_back(
      JointBid{.guest_id = 1, .bundles = valuation.bundles, .curves = valuation.curves});
  return policies::ToText(auction);
}

absl::StatusOr<Valuation> ParseValuation(const std::string& text) {
  absl::StatusOr<JointAuction> auction = policies::ParseJointAuction(text);
  if (!auction.ok()) return auction.status();
  if (auction->bids.size() != 1) return absl::InvalidArgumentError("a valuation is one bid");
  JointBid& bid = auction->bids.front();
  return Valuation{.bundles = std::move(bid.bundles), .curves = std::move(bid.curves)};
}

absl::Status CheckValuation(absl::Span<const Resource> resources, const Valuation& valuation,
                            std::optional<Microcredits> budget, int64_t steps_max) {
  const auto wrong = [](absl::string_view where, absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat(where, ": ", what));
  };
  if (budget && *budget < 0) {
    return wrong("budget_microcredits", absl::StrCat(*budget, " is negative"));
  }
  if (!valuation.bundles.empty() && valuation.curves) {
    return wrong("valuation.bundles", "do not go together with curves");
  }
  if (const std::string field = FirstNotSold(resources, valuation); !field.empty()) {
    return wrong(field, "is not sold on this host");
  }
  const bool has_curves =
      valuation.curves &&
      std::any_of(valuation.curves->curves.begin(), valuation.curves->curves.end(),
                  [](const std::vector<Range>& curve) { return !curve.empty(); });
  if (valuation.bundles.empty() && !has_curves)
    return wrong("valuation", "there is nothing in it; withdraw the bid instead");
  if (valuation.curves && valuation.curves->combination != Combination::kProduct &&
      valuation.curves->whole_value_microcredits != 0) {
    return wrong("valuation.whole_value_microcredits", "is for a product");
  }
  return CheckItems(resources, ItemsOf(1, resources, valuation), steps_max, /*is_single=*/false);
}

absl::Status CheckSingleBid(const Resource& resource, GuestId guest_id,
                            const std::vector<Range>& ranges, int64_t steps_max) {
  return CheckItems({&resource, 1}, {SingleItem(guest_id, resource.kind, 0, ranges)}, steps_max,
                    /*is_single=*/true);
}

absl::Status CheckValuationMeans(absl::Span<const Resource> resources, const Valuation& valuation,
                                 std::optional<Microcredits> budget, const Purse& purse) {
  // The least that any of its bundles can cost: for curves, of what they need at the least.
  Microcredits least = std::numeric_limits<Microcredits>::max();
  const JointAuction auction = AuctionOf(resources);
  for (const JointBid& item : ItemsOf(1, resources, valuation)) {
    const bool needs_all = item.curves && item.curves->combination != Combination::kMax;
    Microcredits all = 0;
    for (size_t r = 0; r < resources.size(); ++r) {
      const Microcredits reserve = auction.reserve_unit_prices_microcredits[r];
      if (!item.curves) continue;
      int64_t units = std::numeric_limits<int64_t>::max();
      for (const Range& range : item.curves->curves[r]) {
        if (range.max_units > 0) units = std::min(units, std::max<int64_t>(1, range.min_units));
      }
      if (units == std::numeric_limits<int64_t>::max()) continue;
      // At the reserve, which prices are never below: what can not be paid even there can never
      // win.
      const Microcredits cost = SaturatingMultiply(units, reserve);
      all = SaturatingAdd(all, cost);
      if (!needs_all) least = std::min(least, cost);
    }
    if (needs_all) least = std::min(least, all);
    for (const policies::Bundle& bundle : item.bundles) {
      Microcredits cost = 0;
      for (size_t r = 0; r < resources.size(); ++r) {
        cost = SaturatingAdd(
            cost, SaturatingMultiply(bundle.units[r], auction.reserve_unit_prices_microcredits[r]));
      }
      least = std::min(least, cost);
    }
  }
  if (least == std::numeric_limits<Microcredits>::max()) return absl::OkStatus();
  if (budget && *budget < least) {
    return absl::FailedPreconditionError(
        absl::StrCat("budget_microcredits: ", *budget,
                     " would not pay the reserves for the least that the bid asks for, ", least));
  }
  // With the escrow, which may be free again by the time that the bid is decided.
  const Microcredits money = SaturatingAdd(purse.available, purse.escrow);
  if (money <= 0 || money < least) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the account holds ", money,
        " micro-credits; the reserves for the least that the bid asks for are ", least));
  }
  return absl::OkStatus();
}

void CapValues(JointBid& bid, Microcredits means) {
  for (policies::Bundle& bundle : bid.bundles) {
    bundle.value_microcredits = std::min(bundle.value_microcredits, means);
  }
  if (!bid.curves) return;
  policies::CurveFamily& family = *bid.curves;
  if (family.combination == Combination::kProduct) {
    family.whole_value_microcredits = std::min(family.whole_value_microcredits, means);
    return;
  }
  for (std::vector<Range>& curve : family.curves) {
    if (!curve.empty()) curve = CutToMeans(curve, means);
  }
}

void ScaleValues(JointBid& bid, int64_t numerator, int64_t denominator) {
  for (policies::Bundle& bundle : bid.bundles) {
    bundle.value_microcredits = ShareRoundedDown(bundle.value_microcredits, numerator, denominator);
  }
  if (!bid.curves) return;
  policies::CurveFamily& family = *bid.curves;
  if (family.combination == Combination::kProduct) {
    family.whole_value_microcredits =
        ShareRoundedDown(family.whole_value_microcredits, numerator, denominator);
    return;
  }
  for (std::vector<Range>& curve : family.curves) {
    curve = ScaleValues(curve, numerator, denominator);
  }
}

std::vector<JointBid> ItemsForRound(const State& state, const HostId& host_id, RoundId round_id,
                                    absl::Span<const Resource> resources,
                                    const std::map<ResourceKind, int64_t>& supply,
                                    const Owners& owners, const std::map<BidKey, int64_t>& held,
                                    int64_t steps_max) {
  const JointAuction as_auction = AuctionOf(resources);
  std::vector<JointBid> out;
  for (const GuestId guest_id : state.GuestsOf(host_id)) {
    const Guest& guest = state.guests.at(guest_id);
    // One guest has eight numbers as a bidder (ItemId), so that ids beyond an eighth of all have
    // none.
    if (guest.state != GuestState::kRunning || guest_id > kGuestIdMax) continue;
    const policies::OwnerId owner_id = owners.ids.at(guest.tenant_id);
    UnitVector units_max = {};
    for (size_t r = 0; r < resources.size(); ++r) {
      const ResourceKind kind = resources[r].kind;
      units_max[r] = supply.at(kind);
      if (kind == ResourceKind::kMemory && guest.memory_max_units > 0) {
        units_max[r] =
            std::min(units_max[r], guest.memory_max_units - guest.seed_units(kind) -
                                       state.contracts.HeldUnits(guest_id, kind, round_id));
      }
    }
    for (const BidKey& key : state.BidsOf(guest_id)) {
      const StandingBid& standing = state.bids.at(key);
      if (HasLapsed(standing, round_id)) continue;
      const Microcredits available = owners.means.at(owner_id);
      const Microcredits means =
          std::min(available, standing.budget_microcredits.value_or(available));
      std::vector<JointBid> items;
      if (standing.valuation != nullptr) {
        // It came when the host sold something that it no longer does.
        if (!FirstNotSold(resources, *standing.valuation).empty()) continue;
        items = ItemsOf(guest_id, resources, *standing.valuation);
      } else {
        for (size_t r = 0; r < resources.size(); ++r) {
          if (resources[r].kind != key.second) continue;
          items.push_back(SingleItem(guest_id, key.second, r, standing.ranges));
        }
      }
      // Looked at when it came, and now again: the config may have changed, and with it what a
      // guest's bid may cost to read.
      std::erase_if(items, [&](JointBid& item) {
        return policies::ReadingSteps(as_auction, item) > steps_max ||
               !CutItem(item, resources, units_max, means);
      });
      // One budget for several items: nobody knows which of them will be charged how much.
      Microcredits worth = 0;
      for (const JointBid& item : items) {
        worth = SaturatingAdd(worth, policies::ValueMax(item));
      }
      const bool is_above =
          items.size() > 1 && standing.budget_microcredits && worth > *standing.budget_microcredits;
      for (JointBid& item : items) {
        if (is_above) ScaleValues(item, *standing.budget_microcredits, worth);
        item.owner_id = owner_id;
        const UnitVector wanted = UnitsMax(item);
        for (size_t r = 0; r < resources.size(); ++r) {
          const auto holds = held.find({guest_id, resources[r].kind});
          if (wanted[r] > 0 && holds != held.end()) item.held_units[r] = holds->second;
        }
        out.push_back(std::move(item));
      }
    }
  }
  return out;
}

UnitVector UnitsMax(const JointBid& bid) {
  UnitVector most = {};
  for (const policies::Bundle& bundle : bid.bundles) {
    for (size_t r = 0; r < most.size(); ++r) most[r] = std::max(most[r], bundle.units[r]);
  }
  if (bid.curves) {
    for (size_t r = 0; r < most.size(); ++r) most[r] = UnitsMax(bid.curves->curves[r]);
  }
  return most;
}

}  // namespace nom::market
