// SPDX-License-Identifier: Apache-2.0
#include "bench/economy/budget_study.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "bench/economy/random.h"
#include "marketd/market/bids.h"
#include "marketd/market/clearing.h"
#include "marketd/market/round_auctions.h"
#include "marketd/market/types.h"
#include "policies/clearing/fallback.h"

namespace nom::economy {
namespace {

using market::KindAuction;
using market::Resource;
using policies::Bid;
using policies::Microcredits;
using policies::OwnerId;
using policies::Range;

using Means = std::map<OwnerId, Microcredits>;

constexpr int64_t kUnits = 64;  // Of each kind.
constexpr Microcredits kPlenty = policies::kValueMaxMicrocredits;

const std::vector<Resource>& Resources() {
  static const auto* const resources = new std::vector<Resource>{
      {.kind = market::ResourceKind::kCpu, .capacity_units = kUnits, .rule = "mpsp/1"},
      {.kind = market::ResourceKind::kMemory, .capacity_units = kUnits, .rule = "mpsp/1"}};
  return *resources;
}

// A falling curve, a working set that counts as a whole, or steps.
std::vector<Range> RandomRanges(Random& random, Microcredits worth) {
  const int64_t most = random.Between(4, 24);
  const Microcredits price = 1 + worth / most;
  switch (random.Between(0, 2)) {
    case 0: {
      const int64_t knee = std::max<int64_t>(1, most / 2);
      return {{1, knee, price, price}, {knee, most, knee * price, price / 3}};
    }
    case 1:
      return {{most, most, most * price, 0}};
    default: {
      const int64_t step = std::max<int64_t>(1, most / 2);
      return {{step, step, step * price, 0}, {2 * step, 2 * step, 2 * step * price * 4 / 5, 0}};
    }
  }
}

std::vector<KindAuction> RandomMarket(uint64_t seed, int tenants) {
  std::vector<KindAuction> auctions;
  for (const Resource& resource : Resources()) {
    KindAuction& kind = auctions.emplace_back();
    kind.resource = &resource;
    kind.auction.capacity_units = kUnits;
    kind.auction.reserve_unit_price_microcredits = 1'000;
    kind.auction.seed = seed;
  }
  for (int tenant = 1; tenant <= tenants; ++tenant) {
    Random random(seed, static_cast<uint64_t>(tenant));
    const Microcredits worth = 100'000 + Lomax(random, 1'000'000);
    for (int guest = 0; guest < 2; ++guest) {
      for (KindAuction& kind : auctions) {
        Bid& bid = kind.auction.bids.emplace_back();
        bid.guest_id =
            2 * static_cast<policies::GuestId>(tenant) + static_cast<policies::GuestId>(guest);
        bid.owner_id = static_cast<OwnerId>(tenant);
        bid.ranges = RandomRanges(random, worth / random.Between(1, 4));
      }
    }
  }
  return auctions;
}

struct Sums {
  std::map<OwnerId, Microcredits> values;  // What was won is truly worth.
  std::map<OwnerId, Microcredits> charges;
  double welfare = 0;  // Values, and what is not sold at the reserve.
  double revenue = 0;
};

Sums SumsOf(const std::vector<KindAuction>& truth, const std::vector<KindAuction>& cleared) {
  Sums sums;
  for (size_t k = 0; k < truth.size(); ++k) {
    int64_t left_units = kUnits;
    for (const policies::Award& award : cleared[k].clearing.awards) {
      const auto bid = std::find_if(truth[k].auction.bids.begin(), truth[k].auction.bids.end(),
                                    [&](const Bid& b) { return b.guest_id == award.guest_id; });
      const Microcredits value = policies::ValueOf(*bid, award.units);
      sums.values[bid->owner_id] += value;
      sums.charges[bid->owner_id] += award.charge_microcredits;
      sums.welfare += static_cast<double>(value);
      sums.revenue += static_cast<double>(award.charge_microcredits);
      left_units -= award.units;
    }
    sums.welfare +=
        static_cast<double>(left_units * truth[k].auction.reserve_unit_price_microcredits);
  }
  return sums;
}

Sums Scaled(const std::vector<KindAuction>& truth, std::vector<KindAuction> said,
            const Means& means) {
  market::ClearWithinMeans(said, means, policies::kWorkMaxDefault, market::ClearByRule);
  return SumsOf(truth, said);
}

// As if every bid were charged all that it is worth, in rising order of guest and kind.
Sums Cut(const std::vector<KindAuction>& truth, const Means& means) {
  std::vector<KindAuction> cut = truth;
  Means left = means;
  for (size_t b = 0; b < cut.front().auction.bids.size(); ++b) {
    for (KindAuction& kind : cut) {
      Bid& bid = kind.auction.bids[b];
      bid.ranges = market::CutToMeans(bid.ranges, left.at(bid.owner_id));
      left.at(bid.owner_id) -= market::ValueMax(bid.ranges);
    }
  }
  for (KindAuction& kind : cut) {
    kind.clearing = market::ClearOrRepeat(market::ClearByRule, kind.resource->rule, kind.auction,
                                          policies::kWorkMaxDefault, &kind.fault);
  }
  return SumsOf(truth, cut);
}

Microcredits SurplusOf(const Sums& sums, OwnerId owner_id) {
  const auto value = sums.values.find(owner_id);
  if (value == sums.values.end()) return 0;
  return value->second - sums.charges.at(owner_id);
}

}  // namespace

absl::StatusOr<std::vector<BudgetResult>> BudgetStudy(const BudgetOptions& options) {
  std::vector<BudgetResult> results;
  for (const double share : {2.0, 1.0, 0.75, 0.5, 0.25}) {
    BudgetResult result{.means = share};
    double welfare = 0;
    double revenue = 0;
    double surplus = 0;
    int asked = 0;
    for (int m = 0; m < options.markets; ++m) {
      const uint64_t seed = policies::Mix(options.seed + static_cast<uint64_t>(m));
      const std::vector<KindAuction> truth = RandomMarket(seed, options.tenants);
      Means means;
      for (int tenant = 1; tenant <= options.tenants; ++tenant) {
        means[static_cast<OwnerId>(tenant)] = kPlenty;
      }
      const Sums rich = Scaled(truth, truth, means);
      for (auto& [owner_id, money] : means) {
        const auto charge = rich.charges.find(owner_id);
        if (charge == rich.charges.end()) continue;  // It has no use for its money.
        money = static_cast<Microcredits>(share * static_cast<double>(charge->second));
      }
      const Sums scaled = Scaled(truth, truth, means);
      const Sums cut = Cut(truth, means);
      welfare += rich.welfare;
      revenue += rich.revenue;
      result.scaled_welfare += scaled.welfare;
      result.scaled_revenue += scaled.revenue;
      result.cut_welfare += cut.welfare;
      result.cut_revenue += cut.revenue;
      for (const auto& [owner_id, charge] : scaled.charges) {
        if (charge > means.at(owner_id)) ++result.overspent;
      }

      // The tenants that won something take turns to look for a better answer.
      if (rich.charges.empty()) continue;
      auto liar = rich.charges.begin();
      std::advance(liar, m % static_cast<int>(rich.charges.size()));
      const Microcredits honest = SurplusOf(scaled, liar->first);
      Microcredits best = honest;
      for (int percent = 90; percent >= 30; percent -= 10) {
        std::vector<KindAuction> said = truth;
        for (KindAuction& kind : said) {
          for (Bid& bid : kind.auction.bids) {
            if (bid.owner_id != liar->first) continue;
            bid.ranges = market::ScaleValues(bid.ranges, percent, 100);
          }
        }
        best = std::max(best, SurplusOf(Scaled(truth, said, means), liar->first));
      }
      ++asked;
      surplus += static_cast<double>(honest);
      result.lying_gain += static_cast<double>(best - honest);
      result.liars += best > honest ? 1 : 0;
    }
    result.scaled_welfare /= welfare;
    result.cut_welfare /= welfare;
    result.scaled_revenue /= revenue;
    result.cut_revenue /= revenue;
    result.liars /= std::max(1, asked);
    result.lying_gain /= std::max(1.0, surplus);
    results.push_back(result);
  }
  return results;
}

}  // namespace nom::economy
