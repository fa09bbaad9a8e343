// SPDX-License-Identifier: Apache-2.0
// The linear program that proposes prices. Inside policies/clearing/joint only.
//
// Columns are whole allocations, each with its gain V and the units d that it needs (which may be
// more than there are). The best mixture of them that fits,
//
//   max sum_k mu_k V_k,   sum_k mu_k = 1,   sum_k mu_k d_kr <= capacity_r,   mu >= 0,
//
// has as its dual the prices at which the model made of these columns balances (Dantzig and Wolfe
// 1960; seen from the prices' side, Kelley's cutting planes). With one row a resource it is tiny: a
// simplex on a basis of at most 7 columns, in floating point. Whatever it answers is only a
// proposal; bounds are formed elsewhere, from whole numbers.

#ifndef NOM_POLICIES_CLEARING_JOINT_MASTER_H_
#define NOM_POLICIES_CLEARING_JOINT_MASTER_H_

#include <array>
#include <cstddef>
#include <vector>

#include "policies/clearing/joint/joint_auction.h"

namespace nom::policies::joint {

using Prices = std::array<double, kJointResourcesMax>;  // Micro-credits a unit, above the reserve.

class Master {
 public:
  // Capacities below 1 count as 1. `gain_scale` > 0: about what an allocation gains.
  Master(int resource_count, const UnitVector& capacity_units, double gain_scale);

  // Columns are numbered from 1 in the order in which they come; 0 is the empty allocation.
  void Add(double gain, const UnitVector& units);
  size_t column_count() const { return columns_.size(); }

  // Finds the best mixture, from the last one on. How many changes of the basis that took.
  int Solve();

  // Of the last Solve(): the mixture's gain, the prices, and each column's part (most are 0).
  double gain() const;
  Prices prices() const;
  std::vector<double> Parts() const;

 private:
  static constexpr size_t kRowsMax = kJointResourcesMax + 1;
  using Row = std::array<double, kRowsMax>;

  // By number: columns, then one slack a resource.
  Row ColumnOf(size_t variable) const;
  double GainOf(size_t variable) const;
  // Makes inverse_ and duals_ of basis_; false if it has none worth the name.
  bool Invert();

  size_t rows_;
  Row scale_ = {};  // Of units, by row from 1 on.
  double gain_scale_;
  std::vector<Row> columns_;  // [0] is the scaled gain; row 0 of the program is all ones.
  std::array<size_t, kRowsMax> basis_ = {};  // Slacks as ~resource.
  std::array<Row, kRowsMax> inverse_ = {};
  Row duals_ = {};
  Row values_ = {};  // Of the basic variables.
};

}  // namespace nom::policies::joint

#endif  // NOM_POLICIES_CLEARING_JOINT_MASTER_H_
