// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/round_auctions.h"

#include <algorithm>
#include <utility>

#include "marketd/base/money.h"
#include "marketd/base/status.h"
#include "marketd/market/bids.h"
#include "marketd/market/means_pacing.h"

namespace nom::market {
namespace {

using policies::Bid;
using policies::OwnerId;
using policies::Range;

class KindAuctions final : public PacedAuctions {
 public:
  KindAuctions(std::vector<KindAuction>& auctions, const ClearFunction& clear)
      : auctions_(auctions), as_bid_(auctions), clear_(clear) {}

  void Clear(int64_t work_max) override {
    for (KindAuction& kind : auctions_) {
      kind.work_max = work_max;
      kind.clearing =
          ClearOrRepeat(clear_, kind.resource->rule, kind.auction, work_max, &kind.fault);
    }
  }

  OwnerMoney Charges() const override {
    OwnerMoney charges;
    for (const KindAuction& kind : auctions_) {
      std::map<GuestId, OwnerId> owners;
      for (const Bid& bid : kind.auction.bids) owners[bid.guest_id] = bid.owner_id;
      for (const policies::Award& award : kind.clearing.awards) {
        Microcredits& sum = charges[owners.at(award.guest_id)];
        sum = SaturatingAdd(sum, award.charge_microcredits);
      }
    }
    return charges;
  }

  Microcredits ValueWon() const override {
    Microcredits value = 0;
    for (size_t k = 0; k < auctions_.size(); ++k) {
      std::map<GuestId, const Bid*> bids;
      for (const Bid& bid : as_bid_[k].auction.bids) bids[bid.guest_id] = &bid;
      for (const policies::Award& award : auctions_[k].clearing.awards) {
        const Bid& bid = *bids.at(award.guest_id);
        // A scaled curve that falls may end early, never where the bid refuses.
        value = SaturatingAdd(value, policies::ValueOf(bid, award.units));
      }
    }
    return value;
  }

  void Scale(const std::map<OwnerId, int64_t>& factors) override {
    for (size_t k = 0; k < auctions_.size(); ++k) {
      std::vector<Bid>& bids = auctions_[k].auction.bids;
      for (size_t b = 0; b < bids.size(); ++b) {
        const auto factor = factors.find(bids[b].owner_id);
        if (factor == factors.end()) continue;
        // Always from the bid itself: what is rounded at each try would add up.
        bids[b].ranges =
            ScaleValues(as_bid_[k].auction.bids[b].ranges, factor->second, kWholeFactor);
      }
    }
  }

  void CutInOrder(OwnerId owner_id, Microcredits means) override {
    std::map<BidKey, Bid*> bids;
    for (KindAuction& kind : auctions_) {
      for (Bid& bid : kind.auction.bids) {
        if (bid.owner_id == owner_id) bids[{bid.guest_id, kind.resource->kind}] = &bid;
      }
    }
    for (const auto& [key, bid] : bids) {
      // In an order that no bid can change, so that there is nothing to be gained by it.
      bid->ranges = CutToMeans(bid->ranges, means);
      means -= ValueMax(bid->ranges);
      NOM_CHECK(means >= 0, "a bid was cut to more than there is");
    }
  }

  void Keep() override { kept_ = auctions_; }
  void Restore() override { auctions_ = kept_; }

 private:
  std::vector<KindAuction>& auctions_;
  const std::vector<KindAuction> as_bid_;
  std::vector<KindAuction> kept_;
  const ClearFunction& clear_;
};

}  // namespace

std::vector<Range> ScaleValues(const std::vector<Range>& ranges, int64_t numerator,
                               int64_t denominator) {
  std::vector<Range> out;
  const auto scale = [&](int64_t value) {
    return value < 0 ? -ShareRoundedDown(-value, numerator, denominator)
                     : ShareRoundedDown(value, numerator, denominator);
  };
  for (Range range : ranges) {
    // Ranges that touch have one value where they do; rounded each by itself they could have two.
    const bool touches = !out.empty() && out.back().max_units == range.min_units;
    range.value_at_min_microcredits = touches ? out.back().value_at_min_microcredits +
                                                    (out.back().max_units - out.back().min_units) *
                                                        out.back().unit_price_microcredits
                                              : scale(range.value_at_min_microcredits);
    const int64_t price = scale(range.unit_price_microcredits);
    range.unit_price_microcredits = price;
    // Values that fall may meet zero a little earlier, as those that rose before were rounded down.
    const int64_t wide =
        price < 0 ? range.value_at_min_microcredits / -price : range.max_units - range.min_units;
    const bool ends = wide < range.max_units - range.min_units;
    if (ends) range.max_units = range.min_units + wide;
    out.push_back(range);
    if (ends) break;
  }
  return out;
}

void ClearWithinMeans(std::vector<KindAuction>& auctions,
                      const std::map<OwnerId, Microcredits>& means, int64_t work_max,
                      const ClearFunction& clear) {
  KindAuctions paced(auctions, clear);
  ClearWithin(paced, means, work_max, kMeansTries, kMeansTryWork);
}

}  // namespace nom::market
