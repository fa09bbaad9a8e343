// SPDX-License-Identifier: Apache-2.0
#include "bench/economy/joint_study.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "bench/economy/mechanism.h"
#include "bench/economy/random.h"
#include "policies/clearing/joint/joint_vcg.h"

namespace nom::economy {
namespace {

using policies::JointAuction;
using policies::JointBid;
using policies::UnitVector;

constexpr Microcredits kWorthScale = 1'000'000;
constexpr int64_t kWantMax = 6;

// Of more, all bundles up to what a guest wants are too many for one bid.
constexpr int kResourcesMax = 4;

struct JointGuest {
  Microcredits worth = 0;
  UnitVector wants = {};
};

struct Market {
  Need need;
  int resources;
  int64_t capacity_units;
  uint64_t seed;
  std::vector<JointGuest> guests;
};

// What the guest makes of `units`; more than it wants is left idle.
Microcredits WorthOf(const Market& market, const JointGuest& guest, const UnitVector& units) {
  Int128 least = kPpm;
  Int128 sum = 0;
  for (size_t r = 0; r < static_cast<size_t>(market.resources); ++r) {
    const int64_t level = std::min(units[r], guest.wants[r]) * kPpm / guest.wants[r];
    least = std::min<Int128>(least, level);
    sum += level;
  }
  if (market.need == Need::kWhole && least < kPpm) return 0;
  const Int128 level = market.need == Need::kIndependent ? sum / market.resources : least;
  return static_cast<Microcredits>(guest.worth * level / kPpm);
}

Market MakeMarket(const JointOptions& options, Need need, bool alike, int resources,
                  uint64_t seed) {
  Market market{need, resources, options.capacity_units, seed, {}};
  Random random(seed);
  for (int i = 0; i < options.guests; ++i) {
    JointGuest guest;
    const Microcredits drawn = Lomax(random, kWorthScale);
    guest.worth = alike ? kWorthScale * random.Between(50, 150) / 100 : drawn;
    for (size_t r = 0; r < kResourcesMax; ++r) {
      const int64_t want = random.Between(1, kWantMax);
      if (r < static_cast<size_t>(resources)) guest.wants[r] = want;
    }
    market.guests.push_back(guest);
  }
  return market;
}

Microcredits Welfare(const Market& market, const std::vector<UnitVector>& units) {
  Microcredits welfare = 0;
  for (size_t i = 0; i < units.size(); ++i) {
    welfare += WorthOf(market, market.guests[i], units[i]);
  }
  return welfare;
}

// Every bundle up to what the guest wants, with its worth.
JointBid AllBundles(const Market& market, size_t i) {
  const JointGuest& guest = market.guests[i];
  JointBid bid;
  bid.guest_id = i + 1;
  UnitVector units = {};
  while (true) {
    size_t r = 0;
    while (r < static_cast<size_t>(market.resources) && units[r] == guest.wants[r]) units[r++] = 0;
    if (r == static_cast<size_t>(market.resources)) break;
    ++units[r];
    const Microcredits value = WorthOf(market, guest, units);
    if (value > 0) bid.bundles.push_back({units, value});
  }
  return bid;
}

absl::StatusOr<Microcredits> Joint(const Market& market) {
  JointAuction auction;
  auction.resource_count = market.resources;
  auction.seed = market.seed;
  for (size_t r = 0; r < static_cast<size_t>(market.resources); ++r) {
    auction.capacity_units[r] = market.capacity_units;
  }
  for (size_t i = 0; i < market.guests.size(); ++i) auction.bids.push_back(AllBundles(market, i));
  const auto clearing = policies::ClearJointVcg(auction);
  if (!clearing.ok()) return clearing.status();
  if (clearing->welfare_microcredits != clearing->welfare_bound_microcredits) {
    return absl::InternalError("the joint auction was not solved");
  }
  return clearing->welfare_microcredits;
}

struct Separate {
  std::vector<UnitVector> units;
  std::vector<Microcredits> charges;
};

// One auction a resource, in order. `worth` says what a guest bids for `units` of resource r when
// it holds `won` of those before.
using Bidder = std::function<Microcredits(const JointGuest& guest, size_t r, int64_t units,
                                          const UnitVector& won)>;
absl::StatusOr<Separate> OneByOne(const Market& market, const Bidder& worth) {
  Separate out;
  out.units.resize(market.guests.size());
  out.charges.resize(market.guests.size());
  for (size_t r = 0; r < static_cast<size_t>(market.resources); ++r) {
    std::vector<policies::Bid> bids;
    for (size_t i = 0; i < market.guests.size(); ++i) {
      std::vector<CurvePoint> points;
      for (int64_t q = 1; q <= market.guests[i].wants[r]; ++q) {
        points.push_back({q, worth(market.guests[i], r, q, out.units[i])});
      }
      bids.push_back({i + 1, MakeValuation(points, /*steps=*/true).ranges, 0});
    }
    const auto allocation =
        ClearBids("mpsp/1", {market.capacity_units, 0, market.seed + r}, {}, bids);
    if (!allocation.ok()) return allocation.status();
    for (size_t i = 0; i < bids.size(); ++i) {
      out.units[i][r] = allocation->units[i];
      out.charges[i] += allocation->charges[i];
    }
  }
  return out;
}

// The guest's worth if it has `units` of r and whatever it wants of the others.
Microcredits Alone(const Market& market, const JointGuest& guest, size_t r, int64_t units) {
  UnitVector all = guest.wants;
  all[r] = units;
  if (market.need != Need::kIndependent) return WorthOf(market, guest, all);
  UnitVector only = {};
  only[r] = units;
  return WorthOf(market, guest, only);
}

// Bundles of one unit of everything, by mpsp.
absl::StatusOr<Microcredits> Bundles(const Market& market) {
  std::vector<policies::Bid> bids;
  for (size_t i = 0; i < market.guests.size(); ++i) {
    std::vector<CurvePoint> points;
    for (int64_t q = 1; q <= kWantMax; ++q) {
      UnitVector units = {};
      units.fill(q);
      points.push_back({q, WorthOf(market, market.guests[i], units)});
    }
    bids.push_back({i + 1, MakeValuation(points, /*steps=*/true).ranges, 0});
  }
  const auto allocation = ClearBids("mpsp/1", {market.capacity_units, 0, market.seed}, {}, bids);
  if (!allocation.ok()) return allocation.status();
  Microcredits welfare = 0;
  for (size_t i = 0; i < bids.size(); ++i) {
    UnitVector units = {};
    units.fill(allocation->units[i]);
    welfare += WorthOf(market, market.guests[i], units);
  }
  return welfare;
}

// Welfare of one market under every way to sell, added to `sums`.
struct Sums {
  Microcredits joint = 0;
  Microcredits share = 0;
  Microcredits turn = 0;
  Microcredits bundles = 0;
  int64_t payers = 0;
  int64_t losers = 0;
};

absl::Status AddMarket(const Market& market, Sums& sums) {
  const auto joint = Joint(market);
  if (!joint.ok()) return joint.status();
  // Independent uses are no share of anything: each is worth what it is.
  const int64_t parts = market.need == Need::kIndependent ? 1 : market.resources;
  const auto share =
      OneByOne(market, [&](const JointGuest& guest, size_t r, int64_t units, const UnitVector&) {
        return Alone(market, guest, r, units) / parts;
      });
  if (!share.ok()) return share.status();
  const auto hope =
      OneByOne(market, [&](const JointGuest& guest, size_t r, int64_t units, const UnitVector&) {
        return Alone(market, guest, r, units);
      });
  if (!hope.ok()) return hope.status();
  const auto turn = OneByOne(
      market,
      [&](const JointGuest& guest, size_t r, int64_t units, const UnitVector& won) -> Microcredits {
        if (market.need == Need::kIndependent) return Alone(market, guest, r, units);
        UnitVector all = guest.wants;
        for (size_t before = 0; before < r; ++before) all[before] = won[before];
        all[r] = units;
        return WorthOf(market, guest, all) / (market.resources - static_cast<int64_t>(r));
      });
  if (!turn.ok()) return turn.status();
  const auto bundles = Bundles(market);
  if (!bundles.ok()) return bundles.status();
  sums.joint += *joint;
  sums.share += Welfare(market, share->units);
  sums.turn += Welfare(market, turn->units);
  sums.bundles += *bundles;
  for (size_t i = 0; i < market.guests.size(); ++i) {
    if (hope->charges[i] == 0) continue;
    ++sums.payers;
    if (hope->charges[i] > WorthOf(market, market.guests[i], hope->units[i])) ++sums.losers;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<JointResult>> JointStudy(const JointOptions& options) {
  std::vector<JointResult> results;
  const Need needs[] = {Need::kIndependent, Need::kScarcest, Need::kWhole};
  for (int kind = 0; kind < 6; ++kind) {
    const Need need = needs[kind / 2];
    const bool alike = kind % 2 == 1;
    for (int resources = 1; resources <= kResourcesMax; ++resources) {
      Sums sums;
      for (int i = 0; i < options.auctions; ++i) {
        const Market market =
            MakeMarket(options, need, alike, resources, options.seed + static_cast<uint64_t>(i));
        if (auto s = AddMarket(market, sums); !s.ok()) return s;
      }
      const auto joint = static_cast<double>(sums.joint);
      auto part = [&](Microcredits welfare) { return static_cast<double>(welfare) / joint; };
      results.push_back(
          {need, alike, resources, joint / 1e6 / options.auctions, part(sums.share),
           part(sums.turn), part(sums.bundles),
           sums.payers == 0 ? 0
                            : static_cast<double>(sums.losers) / static_cast<double>(sums.payers)});
    }
  }
  return results;
}

}  // namespace nom::economy
