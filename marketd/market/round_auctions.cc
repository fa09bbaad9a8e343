#include "marketd/market/round_auctions.h"

#include <algorithm>
#include <utility>

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

// By owner, of those that won something.
std::map<OwnerId, Microcredits> ChargesOf(const std::vector<KindAuction>& auctions) {
  std::map<OwnerId, Microcredits> charges;
  for (const KindAuction& kind : auctions) {
    std::map<GuestId, OwnerId> owners;
    for (const Bid& bid : kind.auction.bids) owners[bid.guest_id] = bid.owner_id;
    for (const policies::Award& award : kind.clearing.awards) {
      Microcredits& sum = charges[owners.at(award.guest_id)];
      sum = SaturatingAdd(sum, award.charge_microcredits);
    }
  }
  return charges;
}

bool AllCanPay(const std::map<OwnerId, Microcredits>& charges,
               const std::map<OwnerId, Microcredits>& means) {
  return std::all_of(charges.begin(), charges.end(), [&means](const auto& charge) {
    return charge.second <= means.at(charge.first);
  });
}

// What was won is worth by the bids as they came in.
Microcredits ValueWon(const std::vector<KindAuction>& as_bid,
                      const std::vector<KindAuction>& auctions) {
  Microcredits value = 0;
  for (size_t k = 0; k < auctions.size(); ++k) {
    std::map<GuestId, const Bid*> bids;
    for (const Bid& bid : as_bid[k].auction.bids) bids[bid.guest_id] = &bid;
    for (const policies::Award& award : auctions[k].clearing.awards) {
      const Bid& bid = *bids.at(award.guest_id);
      // A scaled curve that falls may end early, never where the bid refuses.
      value = SaturatingAdd(value, policies::ValueOf(bid, award.units));
    }
  }
  return value;
}

// The next factors: lower for whoever was charged more than it has; if nobody was, half of the way
// up for whoever was scaled so far that it has much left. False if nothing is to be changed.
bool Pace(const std::map<OwnerId, Microcredits>& charges,
          const std::map<OwnerId, Microcredits>& means, std::map<OwnerId, int64_t>& factors) {
  bool is_changed = false;
  const bool all_can_pay = AllCanPay(charges, means);
  for (const auto& [owner_id, most] : means) {
    const auto found = charges.find(owner_id);
    const Microcredits charge = found == charges.end() ? 0 : found->second;
    if (charge > most) {
      int64_t& factor = factors.emplace(owner_id, kWhole).first->second;
      factor = std::min(factor - 1, ShareRoundedDown(factor, most, charge));
      factor = std::max<int64_t>(0, factor);
      is_changed = true;
    } else if (const auto scaled = factors.find(owner_id); all_can_pay && scaled != factors.end() &&
                                                           scaled->second < kWhole &&
                                                           charge < most - most / 8) {
      const int64_t up =
          charge <= most / 2 ? kWhole : ShareRoundedDown(kWhole, most - charge, charge);
      scaled->second = std::min(kWhole, scaled->second + scaled->second / 2 * up / kWhole + 1);
      is_changed = true;
    }
  }
  return is_changed;
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
  const auto tries = static_cast<int>(
      std::clamp<int64_t>(work_max / 2 / kMeansTryWork - 1, kMeansTriesMin, kMeansTries));
  const int64_t again_work = std::max<int64_t>(1, work_max / 2 / (tries + 1));
  const std::vector<KindAuction> as_bid = auctions;
  for (KindAuction& kind : auctions) ClearOne(kind, first_work, clear);

  std::map<OwnerId, int64_t> factors;
  std::vector<KindAuction> best;  // Of those in which all can pay, the one that is worth the most.
  Microcredits best_value = -1;
  for (int i = 0;; ++i) {
    const std::map<OwnerId, Microcredits> charges = ChargesOf(auctions);
    if (AllCanPay(charges, means)) {
      if (factors.empty()) return;
      if (const Microcredits value = ValueWon(as_bid, auctions); value > best_value) {
        best_value = value;
        best = auctions;
      }
    }
    if (i == tries || !Pace(charges, means, factors)) break;
    for (size_t k = 0; k < auctions.size(); ++k) {
      std::vector<Bid>& bids = auctions[k].auction.bids;
      for (size_t b = 0; b < bids.size(); ++b) {
        const auto factor = factors.find(bids[b].owner_id);
        if (factor == factors.end()) continue;
        bids[b].ranges = ScaleValues(as_bid[k].auction.bids[b].ranges, factor->second, kWhole);
      }
      ClearOne(auctions[k], again_work, clear);
    }
  }
  if (best_value >= 0) {
    auctions = std::move(best);
    return;
  }
  // All owners: cutting one may make a winner of another, and there is no further turn.
  for (const auto& [owner_id, most] : means) CutInOrder(auctions, owner_id, most);
  for (KindAuction& kind : auctions) ClearOne(kind, again_work, clear);
  NOM_CHECK(AllCanPay(ChargesOf(auctions), means), "a rule charged more than a bid is worth");
}

}  // namespace nom::market
