// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/means_pacing.h"

#include <algorithm>

#include "marketd/base/money.h"
#include "marketd/base/status.h"

namespace nom::market {
namespace {

using policies::OwnerId;

bool AllCanPay(const OwnerMoney& charges, const OwnerMoney& means) {
  return std::all_of(charges.begin(), charges.end(), [&means](const auto& charge) {
    return charge.second <= means.at(charge.first);
  });
}

// The next factors: lower for whoever was charged more than it has; if nobody was, half of the way
// up for whoever was scaled so far that it has much left. False if nothing is to be changed.
bool Pace(const OwnerMoney& charges, const OwnerMoney& means, std::map<OwnerId, int64_t>& factors) {
  bool is_changed = false;
  const bool all_can_pay = AllCanPay(charges, means);
  for (const auto& [owner_id, most] : means) {
    const auto found = charges.find(owner_id);
    const Microcredits charge = found == charges.end() ? 0 : found->second;
    if (charge > most) {
      int64_t& factor = factors.emplace(owner_id, kWholeFactor).first->second;
      factor = std::min(factor - 1, ShareRoundedDown(factor, most, charge));
      factor = std::max<int64_t>(0, factor);
      is_changed = true;
    } else if (const auto scaled = factors.find(owner_id); all_can_pay && scaled != factors.end() &&
                                                           scaled->second < kWholeFactor &&
                                                           charge < most - most / 8) {
      const int64_t up =
          charge <= most / 2 ? kWholeFactor : ShareRoundedDown(kWholeFactor, most - charge, charge);
      scaled->second =
          std::min(kWholeFactor, scaled->second + scaled->second / 2 * up / kWholeFactor + 1);
      is_changed = true;
    }
  }
  return is_changed;
}

int Tries(int64_t work_max, int tries_max, int64_t try_work) {
  return static_cast<int>(
      std::clamp<int64_t>(work_max / 2 / try_work - 1, kMeansTriesMin, tries_max));
}

}  // namespace

int64_t LeastWork(int64_t work_max, int tries_max, int64_t try_work) {
  return std::max<int64_t>(1, work_max / 2 / (Tries(work_max, tries_max, try_work) + 1));
}

void ClearWithin(PacedAuctions& auctions, const OwnerMoney& means, int64_t work_max, int tries_max,
                 int64_t try_work) {
  // Half of the work for the first clearing, which is mostly the only one.
  const int64_t first_work = std::max<int64_t>(1, work_max - work_max / 2);
  const int tries = Tries(work_max, tries_max, try_work);
  const int64_t again_work = LeastWork(work_max, tries_max, try_work);
  auctions.Clear(first_work);

  std::map<OwnerId, int64_t> factors;
  // Of the clearings in which all can pay, the one that is worth the most is kept.
  Microcredits best_value = -1;
  for (int i = 0;; ++i) {
    const OwnerMoney charges = auctions.Charges();
    if (AllCanPay(charges, means)) {
      if (factors.empty()) return;
      if (const Microcredits value = auctions.ValueWon(); value > best_value) {
        best_value = value;
        auctions.Keep();
      }
    }
    if (i == tries || !Pace(charges, means, factors)) break;
    auctions.Scale(factors);
    auctions.Clear(again_work);
  }
  if (best_value >= 0) {
    auctions.Restore();
    return;
  }
  // All owners: cutting one may make a winner of another, and there is no further turn.
  for (const auto& [owner_id, most] : means) auctions.CutInOrder(owner_id, most);
  auctions.Clear(again_work);
  NOM_CHECK(AllCanPay(auctions.Charges(), means), "a rule charged more than a bid is worth");
}

}  // namespace nom::market
