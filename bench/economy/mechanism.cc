// SPDX-License-Identifier: Apache-2.0
#include "bench/economy/mechanism.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <utility>

#include "policies/clearing/mpsp.h"
#include "policies/clearing/rules.h"

namespace nom::economy {
namespace {

using policies::Auction;
using policies::Bid;
using policies::Clearing;

Auction MakeAuction(const Host& host, const RuleOptions& options, std::vector<Bid> bids) {
  Auction auction;
  auction.capacity_units = host.capacity_units;
  auction.reserve_unit_price_microcredits =
      std::max(host.reserve_unit_price_microcredits, options.lowest_unit_price_microcredits);
  auction.reclaim_penalty_microcredits = options.reclaim_penalty_microcredits;
  auction.seed = host.seed;
  auction.bids = std::move(bids);
  return auction;
}

Allocation ByPlace(const Clearing& clearing, const std::vector<Bid>& bids) {
  Allocation out;
  out.units.resize(bids.size());
  out.charges.resize(bids.size());
  out.unit_price_microcredits = clearing.clearing_unit_price_microcredits;
  out.rejected_unit_price_microcredits = clearing.highest_rejected_unit_price_microcredits;
  for (size_t i = 0; i < bids.size(); ++i) {
    const auto award = std::lower_bound(
        clearing.awards.begin(), clearing.awards.end(), bids[i].guest_id,
        [](const policies::Award& a, policies::GuestId id) { return a.guest_id < id; });
    if (award == clearing.awards.end() || award->guest_id != bids[i].guest_id) continue;
    out.units[i] = award->units;
    out.charges[i] = award->charge_microcredits;
  }
  return out;
}

// mpsp's awards for valuations that are taken from each guest by `of`.
template <typename Of>
absl::StatusOr<Allocation> MostOf(const Host& host, const std::vector<Guest>& guests,
                                  const Of& of) {
  std::vector<Bid> bids;
  bids.reserve(guests.size());
  for (const Guest& guest : guests) bids.push_back({guest.id, of(guest).ranges, 0});
  const auto clearing = policies::ClearMpsp(MakeAuction(host, {}, bids));
  if (!clearing.ok()) return clearing.status();
  return ByPlace(*clearing, bids);
}

// What memory costs where there is no market: the reserve for each unit.
Allocation Rented(const Host& host, std::vector<int64_t> units) {
  Allocation out;
  out.unit_price_microcredits = host.reserve_unit_price_microcredits;
  for (int64_t u : units) out.charges.push_back(u * host.reserve_unit_price_microcredits);
  out.units = std::move(units);
  return out;
}

}  // namespace

std::vector<Bid> TruthfulBids(const std::string& rule, const std::vector<Guest>& guests,
                              const std::vector<int64_t>& held) {
  const policies::RuleInfo* info = policies::FindRule(rule);
  if (info == nullptr) {
    std::fprintf(stderr, "economy: no rule is called %s\n", rule.c_str());
    std::abort();
  }
  std::vector<Bid> bids;
  bids.reserve(guests.size());
  for (size_t i = 0; i < guests.size(); ++i) {
    bids.push_back({guests[i].id, BidRanges(guests[i].believed, info->takes_gaps), held[i]});
  }
  return bids;
}

absl::StatusOr<Allocation> ClearBids(const std::string& rule, const Host& host,
                                     const RuleOptions& options, const std::vector<Bid>& bids) {
  const auto clearing = policies::Clear(rule, MakeAuction(host, options, bids));
  if (!clearing.ok()) return clearing.status();
  return ByPlace(*clearing, bids);
}

Mechanism Rule(const std::string& rule, const RuleOptions& options, const std::string& name) {
  return {name.empty() ? rule : name, true,
          [rule, options](const Host& host, const std::vector<Guest>& guests,
                          const std::vector<int64_t>& held) {
            return ClearBids(rule, host, options, TruthfulBids(rule, guests, held));
          }};
}

Mechanism StaticSplit() {
  return {"static split", false,
          [](const Host& host, const std::vector<Guest>& guests, const std::vector<int64_t>&) {
            const auto n = static_cast<int64_t>(guests.size());
            return absl::StatusOr<Allocation>(
                Rented(host, std::vector<int64_t>(guests.size(), host.capacity_units / n)));
          }};
}

Mechanism Hinting() {
  return {"hinting", false,
          [](const Host& host, const std::vector<Guest>& guests, const std::vector<int64_t>&) {
            std::vector<int64_t> units;
            units.reserve(guests.size());
            for (const Guest& guest : guests) units.push_back(guest.used_units);
            const int64_t all = std::accumulate(units.begin(), units.end(), int64_t{0});
            if (all > 0 && all > host.capacity_units) {
              for (int64_t& u : units) u = u * host.capacity_units / all;
            }
            return absl::StatusOr<Allocation>(Rented(host, std::move(units)));
          }};
}

Mechanism MostHits() {
  return {"most hits", false,
          [](const Host& host, const std::vector<Guest>& guests,
             const std::vector<int64_t>&) -> absl::StatusOr<Allocation> {
            Host free = host;  // A reserve is in money, hits are not.
            free.reserve_unit_price_microcredits = 0;
            const auto most =
                MostOf(free, guests, [](const Guest& g) -> const Valuation& { return g.hits; });
            if (!most.ok()) return most.status();
            return Rented(host, most->units);
          }};
}

absl::StatusOr<std::vector<int64_t>> Optimum(const Host& host, const std::vector<Guest>& guests) {
  auto best = MostOf(host, guests, [](const Guest& g) -> const Valuation& { return g.now; });
  if (!best.ok()) return best.status();
  return std::move(best->units);
}

}  // namespace nom::economy
