// SPDX-License-Identifier: Apache-2.0
// What it costs that tenants cannot pay for all that they would like, and what they gain by hiding
// it. No rule is truthful, efficient and within private budgets at once (Dobzinski, Lavi and Nisan
// 2012), so something is lost; this says how much.
//
// Tenants with two guests each want memory and processor time, all kinds of curves, wealth Lomax.
// First the auctions are cleared as if nobody's money ended. Then each tenant has a share of what
// it was charged, and they are cleared again as marketd does it (market/round_auctions.h: an owner
// that cannot pay is scaled, all its bids by one factor), and with bids cut in order to what is
// left, as if each were charged all that it is worth.

#ifndef NOM_BENCH_ECONOMY_BUDGET_STUDY_H_
#define NOM_BENCH_ECONOMY_BUDGET_STUDY_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"

namespace nom::economy {

struct BudgetOptions {
  uint64_t seed = 1;
  int markets = 40;  // Of each row.
  int tenants = 12;
};

// Shares are of what is reached where nobody's money ends, over all markets.
struct BudgetResult {
  double means = 0;  // What every tenant has, as a share of what it was charged then.
  double scaled_welfare = 0;
  double scaled_revenue = 0;
  double cut_welfare = 0;
  double cut_revenue = 0;
  // With scaling: tenants charged more than they have. 0 is the promise.
  int overspent = 0;
  // One tenant a market, and the best it could have said: everything worth 90, 80, ... 30 % of the
  // truth. The share of those that gain, and what they all gain, as a share of their surplus with
  // the truth.
  double liars = 0;
  double lying_gain = 0;
};

// From plenty to a quarter. Errors: those of the rules.
absl::StatusOr<std::vector<BudgetResult>> BudgetStudy(const BudgetOptions& options);

}  // namespace nom::economy

#endif  // NOM_BENCH_ECONOMY_BUDGET_STUDY_H_
