// SPDX-License-Identifier: Apache-2.0
// Arithmetic on whole micro-credits that cannot wrap.

#ifndef MARKETD_BASE_MONEY_H_
#define MARKETD_BASE_MONEY_H_

#include <cstdint>
#include <limits>
#include <optional>

#include "absl/numeric/int128.h"

namespace nom {

// Nothing on overflow.
constexpr std::optional<int64_t> CheckedAdd(int64_t a, int64_t b) {
  int64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

constexpr std::optional<int64_t> CheckedSubtract(int64_t a, int64_t b) {
  int64_t difference = 0;
  if (__builtin_sub_overflow(a, b, &difference)) return std::nullopt;
  return difference;
}

constexpr std::optional<int64_t> CheckedMultiply(int64_t a, int64_t b) {
  int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

// Stops at the ends of the range: for comparisons, never for books.
constexpr int64_t SaturatingAdd(int64_t a, int64_t b) {
  if (const auto sum = CheckedAdd(a, b)) return *sum;
  return a < 0 ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max();
}

constexpr int64_t SaturatingMultiply(int64_t a, int64_t b) {
  if (const auto product = CheckedMultiply(a, b)) return *product;
  return (a < 0) != (b < 0) ? std::numeric_limits<int64_t>::min()
                            : std::numeric_limits<int64_t>::max();
}

// floor(amount * numerator / denominator) for amount, numerator >= 0 and denominator > 0, exact in
// 128 bits; saturates if the result does not fit.
inline int64_t ShareRoundedDown(int64_t amount, int64_t numerator, int64_t denominator) {
  const absl::int128 result = absl::int128(amount) * numerator / denominator;
  if (result > std::numeric_limits<int64_t>::max()) return std::numeric_limits<int64_t>::max();
  return static_cast<int64_t>(result);
}

}  // namespace nom

#endif  // MARKETD_BASE_MONEY_H_
