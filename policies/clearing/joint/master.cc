// SPDX-License-Identifier: Apache-2.0
#include "policies/clearing/joint/master.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace nom::policies::joint {
namespace {

constexpr double kTolerance = 1e-11;
constexpr int kPivotsMax = 200;  // Against cycling: a proposal need not be the best one.

constexpr bool IsSlack(size_t variable) { return variable > ~size_t{kJointResourcesMax}; }

}  // namespace

Master::Master(int resource_count, const UnitVector& capacity_units, double gain_scale)
    : rows_(static_cast<size_t>(resource_count) + 1), gain_scale_(gain_scale) {
  for (size_t row = 1; row < rows_; ++row) {
    scale_[row] = static_cast<double>(std::max<int64_t>(1, capacity_units[row - 1]));
    basis_[row] = ~(row - 1);
  }
  basis_[0] = 0;
  columns_.push_back({});
  Invert();
}

void Master::Add(double gain, const UnitVector& units) {
  Row column = {gain / gain_scale_};
  for (size_t row = 1; row < rows_; ++row) {
    column[row] = static_cast<double>(units[row - 1]) / scale_[row];
  }
  columns_.push_back(column);
}

Master::Row Master::ColumnOf(size_t variable) const {
  Row column = {};
  if (IsSlack(variable)) {
    column[~variable + 1] = 1;
  } else {
    column = columns_[variable];
    column[0] = 1;
  }
  return column;
}

double Master::GainOf(size_t variable) const {
  return IsSlack(variable) ? 0 : columns_[variable][0];
}

bool Master::Invert() {
  std::array<Row, kRowsMax> matrix = {};
  std::array<Row, kRowsMax> inverse = {};
  for (size_t i = 0; i < rows_; ++i) {
    const Row column = ColumnOf(basis_[i]);
    for (size_t row = 0; row < rows_; ++row) matrix[row][i] = column[row];
    inverse[i][i] = 1;
  }
  for (size_t i = 0; i < rows_; ++i) {
    size_t pivot = i;
    for (size_t row = i + 1; row < rows_; ++row) {
      if (std::fabs(matrix[row][i]) > std::fabs(matrix[pivot][i])) pivot = row;
    }
    if (std::fabs(matrix[pivot][i]) < kTolerance) return false;
    std::swap(matrix[i], matrix[pivot]);
    std::swap(inverse[i], inverse[pivot]);
    const double factor = 1 / matrix[i][i];
    for (size_t k = 0; k < rows_; ++k) {
      matrix[i][k] *= factor;
      inverse[i][k] *= factor;
    }
    for (size_t row = 0; row < rows_; ++row) {
      const double times = matrix[row][i];
      if (row == i || times == 0) continue;
      for (size_t k = 0; k < rows_; ++k) {
        matrix[row][k] -= times * matrix[i][k];
        inverse[row][k] -= times * inverse[i][k];
      }
    }
  }
  inverse_ = inverse;
  duals_ = {};
  values_ = {};
  for (size_t i = 0; i < rows_; ++i) {
    for (size_t k = 0; k < rows_; ++k) {
      duals_[k] += GainOf(basis_[i]) * inverse_[i][k];
      values_[i] += inverse_[i][k];  // Every right-hand side is 1, so scaled.
    }
  }
  return true;
}

int Master::Solve() {
  int pivots = 0;
  for (; pivots < kPivotsMax; ++pivots) {
    size_t entering = 0;
    double best = kTolerance;
    for (size_t k = 0; k < columns_.size(); ++k) {
      double reduced = columns_[k][0] - duals_[0];
      for (size_t row = 1; row < rows_; ++row) reduced -= duals_[row] * columns_[k][row];
      if (reduced > best) {
        best = reduced;
        entering = k;
      }
    }
    for (size_t row = 1; row < rows_; ++row) {
      if (-duals_[row] > best) {
        best = -duals_[row];
        entering = ~(row - 1);
      }
    }
    if (best <= kTolerance) return pivots;
    const Row column = ColumnOf(entering);
    size_t leaving = rows_;
    double least = 0;
    for (size_t i = 0; i < rows_; ++i) {
      double step = 0;
      for (size_t k = 0; k < rows_; ++k) step += inverse_[i][k] * column[k];
      if (step <= kTolerance) continue;
      const double ratio = std::max(0.0, values_[i]) / step;
      if (leaving == rows_ || ratio < least) {
        least = ratio;
        leaving = i;
      }
    }
    if (leaving == rows_) return pivots;
    const size_t before = std::exchange(basis_[leaving], entering);
    if (!Invert()) {
      basis_[leaving] = before;
      return pivots;
    }
  }
  return pivots;
}

double Master::gain() const {
  double sum = 0;
  for (size_t row = 0; row < rows_; ++row) sum += duals_[row];
  return sum * gain_scale_;
}

Prices Master::prices() const {
  Prices prices = {};
  for (size_t row = 1; row < rows_; ++row) {
    prices[row - 1] = std::max(0.0, duals_[row]) * gain_scale_ / scale_[row];
  }
  return prices;
}

std::vector<double> Master::Parts() const {
  std::vector<double> parts(columns_.size(), 0);
  for (size_t i = 0; i < rows_; ++i) {
    if (!IsSlack(basis_[i])) parts[basis_[i]] = std::max(0.0, values_[i]);
  }
  return parts;
}

}  // namespace nom::policies::joint
