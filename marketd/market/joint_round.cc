// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/joint_round.h"

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <utility>

#include "absl/numeric/int128.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "marketd/base/money.h"
#include "marketd/base/status.h"
#include "marketd/market/joint_bids.h"

namespace nom::market {
namespace {

using policies::JointAuction;
using policies::JointAward;
using policies::JointBid;
using policies::JointCleared;
using policies::JointClearing;
using policies::OwnerId;
using policies::PriceVector;
using policies::UnitVector;

using Wide = absl::int128;
using Wides = std::array<Wide, policies::kJointResourcesMax>;
constexpr Wide kWeightsMax = Wide(1) << 62;

Wide Sum(const Wides& wides) { return std::accumulate(wides.begin(), wides.end(), Wide(0)); }

std::map<policies::GuestId, const JointBid*> BidsById(const JointAuction& auction) {
  std::map<policies::GuestId, const JointBid*> bids;
  for (const JointBid& bid : auction.bids) bids[bid.guest_id] = &bid;
  return bids;
}

JointCleared ClearOrRepeat(const JointClearFunction& clear, const JointAuction& auction,
                           int64_t work_max, std::string* fault) {
  fault->clear();
  absl::StatusOr<JointCleared> cleared = clear(auction, work_max);
  if (cleared.ok()) {
    const absl::Status kept = CheckClearing(auction, cleared->clearing);
    if (kept.ok()) return *std::move(cleared);
    cleared = kept;
  }
  *fault = cleared.status().ToString();
  absl::StatusOr<JointClearing> repeated = policies::RepeatLastJoint(auction);
  if (repeated.ok()) return {*std::move(repeated), policies::Method::kRepeatLast};
  absl::StrAppend(fault, "; ", repeated.status().ToString());
  JointCleared nothing{.method = policies::Method::kRepeatLast};
  nothing.clearing.clearing_unit_prices_microcredits = auction.reserve_unit_prices_microcredits;
  // No statement about anybody's harm: it is what is left when there is no answer.
  nothing.clearing.charges_are_exact = false;
  return nothing;
}

class PacedRound final : public PacedAuctions {
 public:
  PacedRound(JointRound& round, const JointClearFunction& clear)
      : round_(round), as_bid_(round.auction.bids), clear_(clear) {}

  void Clear(int64_t work_max) override {
    round_.work_max = work_max;
    round_.cleared = ClearOrRepeat(clear_, round_.auction, work_max, &round_.fault);
  }

  OwnerMoney Charges() const override {
    OwnerMoney charges;
    const auto bids = BidsById(round_.auction);
    for (const JointAward& award : round_.cleared.clearing.awards) {
      Microcredits& sum = charges[bids.at(award.guest_id)->owner_id];
      sum = SaturatingAdd(sum, award.charge_microcredits);
    }
    return charges;
  }

  Microcredits ValueWon() const override {
    std::map<policies::GuestId, const JointBid*> bids;
    for (const JointBid& bid : as_bid_) bids[bid.guest_id] = &bid;
    Microcredits value = 0;
    for (const JointAward& award : round_.cleared.clearing.awards) {
      // By what was bid, not by what it was scaled to: of several tries the one is kept that serves
      // bidders best.
      value = SaturatingAdd(value,
                            policies::ValueOf(*bids.at(award.guest_id), award.units).value_or(0));
    }
    return value;
  }

  void Scale(const std::map<OwnerId, int64_t>& factors) override {
    for (size_t b = 0; b < as_bid_.size(); ++b) {
      JointBid& bid = round_.auction.bids[b];
      const auto factor = factors.find(bid.owner_id);
      if (factor == factors.end()) continue;
      // Always from the bid itself: what is rounded at each try would add up.
      bid = as_bid_[b];
      ScaleValues(bid, factor->second, kWholeFactor);
    }
  }

  void CutInOrder(OwnerId owner_id, Microcredits means) override {
    std::map<policies::GuestId, JointBid*> bids;  // By guest, then kind.
    for (JointBid& bid : round_.auction.bids) {
      if (bid.owner_id == owner_id) bids[bid.guest_id] = &bid;
    }
    for (const auto& [id, bid] : bids) {
      CapValues(*bid, means);
      means -= policies::ValueMax(*bid);
      NOM_CHECK(means >= 0, "a bid was cut to more than there is");
    }
  }

  void Keep() override { kept_ = round_; }
  void Restore() override { round_ = kept_; }

 private:
  JointRound& round_;
  const std::vector<JointBid> as_bid_;
  JointRound kept_;
  const JointClearFunction& clear_;
};

}  // namespace

int64_t GuestReadingSteps(int64_t work_max, int guests_max) {
  const int64_t least = LeastWork(work_max, kJointMeansTries, kJointMeansTryWork);
  return policies::ReadingStepsWithin(least) / std::max(1, guests_max);
}

void ClearWithinMeans(JointRound& round, const OwnerMoney& means, int64_t work_max,
                      const JointClearFunction& clear) {
  PacedRound paced(round, clear);
  ClearWithin(paced, means, work_max, kJointMeansTries, kJointMeansTryWork);
}

absl::Status CheckClearing(const JointAuction& auction, const JointClearing& clearing) {
  const auto bids = BidsById(auction);
  UnitVector sold = {};
  policies::GuestId before = 0;
  for (const JointAward& award : clearing.awards) {
    const auto wrong = [&award](absl::string_view what) {
      return absl::InternalError(absl::StrCat("award of bidder ", award.guest_id, " for ",
                                              award.charge_microcredits, ": ", what));
    };
    if (award.guest_id <= before) return wrong("not by rising id, or twice");
    before = award.guest_id;
    const auto bid = bids.find(award.guest_id);
    if (bid == bids.end()) return wrong("did not bid");
    const auto value = policies::ValueOf(*bid->second, award.units);
    if (award.units == UnitVector{} || !value) return wrong("not a bundle that it accepts");
    if (award.charge_microcredits < 0 || award.charge_microcredits > *value) {
      return wrong("the charge is negative or above the value");
    }
    for (size_t r = 0; r < sold.size(); ++r) sold[r] = SaturatingAdd(sold[r], award.units[r]);
  }
  for (size_t r = 0; r < sold.size(); ++r) {
    if (sold[r] > auction.capacity_units[r]) {
      return absl::InternalError(absl::StrCat("sold ", sold[r], " units of ",
                                              auction.capacity_units[r], " of resource ", r));
    }
  }
  return absl::OkStatus();
}

PriceVector SplitCharge(Microcredits charge, const UnitVector& units,
                        const PriceVector& unit_prices, const PriceVector& reserve_unit_prices) {
  Wides at_reserve = {};
  Wides weights = {};
  for (size_t r = 0; r < units.size(); ++r) {
    at_reserve[r] = Wide(units[r]) * reserve_unit_prices[r];
    weights[r] =
        Wide(units[r]) * std::max<Microcredits>(0, unit_prices[r] - reserve_unit_prices[r]);
  }
  // Nothing is dearer than its reserve: by what each kind costs at that, and where all are free, by
  // units.
  if (Sum(weights) == 0) weights = at_reserve;
  if (Sum(weights) == 0) std::copy(units.begin(), units.end(), weights.begin());
  // So that products with a charge fit; prices of real auctions are never so high.
  while (Sum(weights) > kWeightsMax) {
    for (Wide& weight : weights) weight /= 2;
  }
  // A charge below the reserves would be no rule's; all of it is divided by the weights then.
  if (Sum(at_reserve) > charge) at_reserve = {};
  const Wide excess = charge - Sum(at_reserve);
  PriceVector parts = {};
  Wides remainders = {};
  Wide over = excess;
  for (size_t r = 0; r < units.size(); ++r) {
    const Wide share = excess * weights[r];
    const Wide part = share / Sum(weights);
    remainders[r] = share % Sum(weights);
    parts[r] = static_cast<Microcredits>(at_reserve[r] + part);
    over -= part;
  }
  std::array<size_t, policies::kJointResourcesMax> order = {};
  std::iota(order.begin(), order.end(), size_t{0});
  // Largest remainders first, equal ones by kind: the same on every machine, and the parts add up
  // to the charge.
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return remainders[a] > remainders[b]; });
  // As many as there are remainders above zero, at the most.
  for (size_t i = 0; over > 0; ++i, --over) ++parts[order[i]];
  return parts;
}

std::vector<KindAward> AwardsByKind(const JointAuction& auction, const JointClearing& clearing,
                                    absl::Span<const ResourceKind> kinds) {
  std::vector<KindAward> out;
  for (const JointAward& award : clearing.awards) {  // By rising item, so by guest and kind.
    const PriceVector charges = SplitCharge(award.charge_microcredits, award.units,
                                            clearing.clearing_unit_prices_microcredits,
                                            auction.reserve_unit_prices_microcredits);
    for (size_t r = 0; r < kinds.size(); ++r) {
      if (award.units[r] == 0) continue;
      out.push_back(KindAward{OfItem(award.guest_id).first, kinds[r], award.units[r], charges[r]});
    }
  }
  return out;
}

}  // namespace nom::market
