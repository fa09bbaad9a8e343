// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/joint/charges.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <utility>

#include "policies/clearing/joint/axis.h"
#include "policies/clearing/joint/cell_scan.h"
#include "policies/clearing/owners.h"
#include "policies/mix.h"

namespace nom::policies::joint {
namespace {

constexpr int64_t kStepsAList = 3;  // Counted work: a list of a problem that is copied.

// One who pays: an owner with all of its guests, or a guest that is its own.
struct Payer {
  std::vector<size_t> bidders;           // All of its bidders that could win something.
  std::vector<size_t> winners;           // Those of them that do.
  std::vector<int64_t> surpluses;        // By winner: value less what its bundle is at reserve.
  std::vector<Microcredits> at_reserve;  // By winner.
  int64_t surplus = 0;                   // Of all winners.
  // What it pays above the reserves is between these. VCG's, where they are the same.
  int64_t least = 0;
  int64_t most = 0;
  size_t like = 0;  // Without this payer, or without that one, the same is left: see FindAlike.
  int64_t at_prices = 0;  // What the prices say that it is; not proven.

  bool is_proven() const { return least == most; }
};

class Charger {
 public:
  Charger(Context& context, const Cleared& cleared) : context_(context), cleared_(cleared) {}

  std::vector<JointAward> Run() {
    FindPayers();
    FindAlike();
    for (Payer& payer : payers_) BoundByPrices(payer);
    SpendWork();
    std::vector<JointAward> awards;
    for (const Payer& payer : payers_) AddAwards(payer, awards);
    std::sort(awards.begin(), awards.end(),
              [](const JointAward& a, const JointAward& b) { return a.guest_id < b.guest_id; });
    return awards;
  }

 private:
  const JointBid& BidOf(size_t bidder) const {
    return cleared_.auction.bids[cleared_.bids[bidder]];
  }

  // Payers with winners, in the order of their first bidders: that of TieOrder, as all bidders are.
  void FindPayers() {
    std::map<uint64_t, size_t> of_owner;
    for (size_t i = 0; i < cleared_.best.awards.size(); ++i) {
      const uint64_t owner = BidOf(i).owner_id;
      size_t at = payers_.size();
      if (owner != 0) at = of_owner.emplace(owner, at).first->second;
      if (at == payers_.size()) payers_.emplace_back();
      payers_[at].bidders.push_back(i);
      if (cleared_.best.awards[i] != Units{}) AddWinner(i, payers_[at]);
    }
    std::erase_if(payers_, [](const Payer& payer) { return payer.winners.empty(); });
  }

  void AddWinner(size_t bidder, Payer& payer) const {
    const UnitVector units = UnitsOf(bidder);
    Int128 at_reserve = 0;
    for (size_t r = 0; r < units.size(); ++r) {
      at_reserve += Int128{units[r]} * cleared_.auction.reserve_unit_prices_microcredits[r];
    }
    const auto surplus = static_cast<int64_t>(*ValueOf(BidOf(bidder), units) - at_reserve);
    payer.winners.push_back(bidder);
    payer.at_reserve.push_back(static_cast<Microcredits>(at_reserve));
    payer.surpluses.push_back(surplus);
    payer.surplus += surplus;
  }

  UnitVector UnitsOf(size_t bidder) const {
    UnitVector units = {};
    std::copy(cleared_.best.awards[bidder].begin(), cleared_.best.awards[bidder].end(),
              units.begin());
    return units;
  }

  // Where many bid the same, the same search would be made for each of them: what all others gain
  // without i depends on i's list of cells alone. (With a penalty also on what it holds, and with
  // several guests on all of theirs: those are left as they are.) `like` becomes the first payer
  // with the same list, mostly the payer itself.
  void FindAlike() {
    std::map<uint64_t, std::vector<size_t>> by_hash;
    for (size_t at = 0; at < payers_.size(); ++at) {
      Payer& payer = payers_[at];
      payer.like = at;
      if (payer.bidders.size() > 1 || HasPenalty(cleared_.auction, BidOf(payer.bidders[0])))
        continue;
      const CellList& list = *cleared_.problem.lists[payer.bidders[0]];
      context_.Spend(list.size(), 1);
      uint64_t hash = list.size();
      for (const double gain : list.gain) hash = Mix(hash ^ static_cast<uint64_t>(gain));
      std::vector<size_t>& candidates = by_hash[hash];
      const auto same = std::find_if(candidates.begin(), candidates.end(), [&](size_t other) {
        const CellList& others = *cleared_.problem.lists[payers_[other].bidders[0]];
        return others.gain == list.gain && others.units == list.units;
      });
      if (same != candidates.end()) {
        payer.like = *same;
      } else {
        candidates.push_back(at);
      }
    }
  }

  // What the bidder's bundles gain "without its owner": only the penalties that they save.
  CellList WithoutValues(size_t bidder) const {
    const JointBid& bid = BidOf(bidder);
    if (!HasPenalty(cleared_.auction, bid)) return {};
    // It was made from the values before, so that it can be made is known.
    return MakeCells(cleared_.auction, bid, Values::kAtReserve).value();
  }

  // The gain that is known to be possible without the payer: the awards, its surplus left out.
  int64_t KnownGain(const Payer& payer) const { return cleared_.best.gain - payer.surplus; }

  // At the prices of the whole auction the payer's bidders leave `best` each. If they leave less
  // without their values, so much lower is the bound on what all gain, and no search was needed.
  // At those prices the auction balances, nearly, so the difference is also about what the charge
  // is: without penalties, units times prices.
  void BoundByPrices(Payer& payer) const {
    const Prices& prices = cleared_.prices.prices();
    CellScan scan(context_, prices);
    Int128 bound_steps = cleared_.prices.bound_steps();
    double at_prices = 0;
    for (const size_t i : payer.bidders) {
      const CellList without = WithoutValues(i);
      context_.Spend(1, without.steps);
      double left = 0;  // Not winning.
      scan.Best(without, left);
      bound_steps -= context_.ToSteps(cleared_.prices.best()[i] + context_.rounding);
      bound_steps += context_.ToSteps(left + context_.rounding);
      at_prices += left;
      const UnitVector units = UnitsOf(i);
      const JointBid& bid = BidOf(i);
      for (size_t r = 0; r < units.size(); ++r) {
        const int64_t kept = std::min(units[r], bid.held_units[r]);
        at_prices += prices[r] * static_cast<double>(units[r]);
        at_prices -= static_cast<double>(kept) *
                     static_cast<double>(cleared_.auction.reclaim_penalties_microcredits[r]);
      }
    }
    // Less value can't raise what is best, so `surplus` is a bound too.
    payer.most = std::min(payer.surplus, context_.FromSteps(bound_steps) - KnownGain(payer));
    payer.at_prices =
        static_cast<int64_t>(std::clamp(at_prices, 0.0, static_cast<double>(payer.surplus)));
  }

  void SpendWork() {
    int64_t share_before = 0;
    for (;;) {
      auto open = std::count_if(payers_.begin(), payers_.end(),
                                [](const Payer& payer) { return !payer.is_proven(); });
      if (open == 0 || context_.work_left / open < std::max<int64_t>(1, 2 * share_before)) return;
      share_before = context_.work_left / open;
      for (Payer& payer : payers_) {
        if (payer.is_proven()) continue;
        if (TakeFromAlike(payer)) {
          --open;
          continue;
        }
        // The search sees its share alone; what it leaves goes to those that come after it.
        const int64_t share = std::max<int64_t>(1, context_.work_left / std::max<int64_t>(1, open));
        --open;
        const int64_t kept = std::exchange(context_.work_left, share) - share;
        Search(payer);
        context_.work_left += kept;
      }
    }
  }

  // True if the charge follows from that of a payer with the same cells.
  bool TakeFromAlike(Payer& payer) const {
    const Payer& other = payers_[payer.like];
    if (&other == &payer || !other.is_proven()) return false;
    const int64_t gain = KnownGain(other) + other.least;
    // Outside of its own interval only where the awards are not the best ones.
    payer.least = std::clamp(gain - KnownGain(payer), payer.least, payer.most);
    payer.most = payer.least;
    return true;
  }

  // W without the payer, from the prices and allocations of the whole auction.
  void Search(Payer& payer) {
    Problem without = cleared_.problem;
    context_.Spend(without.lists.size(), kStepsAList);
    for (const size_t i : payer.bidders) {
      without.lists[i] = std::make_shared<const CellList>(WithoutValues(i));
    }
    const int64_t known = KnownGain(payer);
    const ProblemPrices prices(context_, without, cleared_.problem, cleared_.prices, payer.bidders,
                               known);
    const Maximum without_payer =
        Maximise(context_, without, prices, known, /*with_choices=*/false);
    payer.least = std::max(payer.least, std::min(without_payer.gain - known, payer.most));
    payer.most = std::max(payer.least, std::min(payer.most, without_payer.gain_bound - known));
  }

  void AddAwards(const Payer& payer, std::vector<JointAward>& awards) const {
    const int64_t excess = std::clamp(payer.at_prices, payer.least, payer.most);
    const std::vector<int64_t> shares = SplitExcess(excess, payer.surpluses);
    for (size_t k = 0; k < payer.winners.size(); ++k) {
      JointAward& award = awards.emplace_back();
      award.guest_id = BidOf(payer.winners[k]).guest_id;
      award.units = UnitsOf(payer.winners[k]);
      award.charge_microcredits = payer.at_reserve[k] + shares[k];
      award.charge_least_microcredits = award.charge_microcredits;
      award.charge_bound_microcredits = award.charge_microcredits;
      if (payer.is_proven()) continue;
      // Any division of an amount in the interval gives at least the part rounded down of its lower
      // end, and at most the part rounded up of its upper one.
      const Int128 surplus = std::max<int64_t>(1, payer.surplus);
      const Int128 least = Int128{payer.least} * payer.surpluses[k];
      const Int128 most = Int128{payer.most} * payer.surpluses[k];
      award.charge_least_microcredits =
          payer.at_reserve[k] + static_cast<Microcredits>(least / surplus);
      award.charge_bound_microcredits =
          payer.at_reserve[k] + static_cast<Microcredits>((most + surplus - 1) / surplus);
    }
  }

  Context& context_;
  const Cleared& cleared_;
  std::vector<Payer> payers_;
};

}  // namespace

std::vector<JointAward> ChargeWinners(Context& context, const Cleared& cleared) {
  return Charger(context, cleared).Run();
}

}  // namespace nom::policies::joint
