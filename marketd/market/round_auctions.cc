#include "marketd/market/round_auctions.h"

#include <algorithm>

#include "marketd/base/money.h"
#include "marketd/base/status.h"
#include "marketd/market/bids.h"

namespace nom::market {
namespace {

using policies::Bid;
using policies::OwnerId;
using policies::Range;

// Factors are parts of this.
constexpr int64_t kWhole = int64_t{1} << 30;

// Owners whose charges exceed their means, and their charges.
std::map<OwnerId, Microcredits> Overspent(const std::vector<KindAuction>& auctions,
                                          const std::map<OwnerId, Microcredits>& means) {
  std::map<OwnerId, Microcredits> charges;
  for (const KindAuction& kind : auctions) {
    std::map<GuestId, OwnerId> owners;
    for (const Bid& bid : kind.auction.bids) owners[bid.guest_id] = bid.owner_id;
    for (const policies::Award& award : kind.clearing.awards) {
      Microcredits& sum = charges[owners.at(award.guest_id)];
      sum = SaturatingAdd(sum, award.charge_microcredits);
    }
  }
  std::erase_if(charges, [&means](const auto& c) { return c.second <= means.at(c.first); });
  return charges;
}

void ClearOne(KindAuction& kind, int64_t work_max, const ClearFunction& clear) {
  kind.work_max = work_max;
  kind.clearing = ClearOrRepeat(clear, kind.resource->rule, kind.auction, work_max, &kind.fault);
}

// In rising order of guest and kind, to what the bids before leave.
void CutInOrder(std::vector<KindAuction>& auctions, OwnerId owner_id, Microcredits means) {
  std::map<BidKey, Bid*> bids;
  for (KindAuction& kind : auctions) {
    for (Bid& bid : kind.auction.bids) {
      if (bid.owner_id == owner_id) bids[{bid.guest_id, kind.resource->kind}] = &bid;
    }
  }
  for (const auto& [key, bid] : bids) {
    bid->ranges = CutToMeans(bid->ranges, means);
    means -= ValueMax(bid->ranges);
    NOM_CHECK(means >= 0, "a bid was cut to more than there is");
  }
}

}  // namespace

std::vector<Range> ScaleValues(const std::vector<Range>& ranges, int64_t numerator,
                               int64_t denominator) {
  std::vector<Range> out;
  const auto scale = [&](int64_t value) {
    return value < 0 ? -ShareRoundedDown(-value, numerator, denominator)
                     : ShareRoundedDown(value, numerator, denominator);
  };
  for (Range range : ranges) {
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
  // Half of the work for the first clearing, which is mostly the only one.
  const int64_t first_work = std::max<int64_t>(1, work_max - work_max / 2);
  const int64_t again_work = std::max<int64_t>(1, work_max / 2 / (kMeansTries + 1));
  const std::vector<KindAuction> as_bid = auctions;
  for (KindAuction& kind : auctions) ClearOne(kind, first_work, clear);

  std::map<OwnerId, int64_t> factors;
  for (int i = 0; i < kMeansTries; ++i) {
    const std::map<OwnerId, Microcredits> overspent = Overspent(auctions, means);
    if (overspent.empty()) return;
    for (const auto& [owner_id, charges] : overspent) {
      int64_t& factor = factors.emplace(owner_id, kWhole).first->second;
      factor = ShareRoundedDown(factor, means.at(owner_id), charges);
    }
    for (size_t k = 0; k < auctions.size(); ++k) {
      std::vector<Bid>& bids = auctions[k].auction.bids;
      bool changed = false;
      for (size_t b = 0; b < bids.size(); ++b) {
        if (!overspent.contains(bids[b].owner_id)) continue;
        const std::vector<Range>& whole = as_bid[k].auction.bids[b].ranges;
        bids[b].ranges = ScaleValues(whole, factors.at(bids[b].owner_id), kWhole);
        changed = true;
      }
      if (changed) ClearOne(auctions[k], again_work, clear);
    }
  }
  if (Overspent(auctions, means).empty()) return;
  // All owners: cutting one may make a winner of another, and there is no further turn.
  for (const auto& [owner_id, most] : means) CutInOrder(auctions, owner_id, most);
  for (KindAuction& kind : auctions) ClearOne(kind, again_work, clear);
  NOM_CHECK(Overspent(auctions, means).empty(), "a rule charged more than a bid is worth");
}

}  // namespace nom::market
