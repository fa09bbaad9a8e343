// SPDX-License-Identifier: Apache-2.0
// Columns of a row, by name and in order: written, read back, or only named.
//
// A noun says once which columns it has (nouns.h), to any of the three visitors below. Ids, bit
// patterns, times (Unix microseconds), enumerations and truth values are whole numbers in a column;
// the rest is text.

#ifndef MARKETD_LEDGER_ROWS_COLUMNS_H_
#define MARKETD_LEDGER_ROWS_COLUMNS_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "marketd/market/state.h"

namespace nom::market {

// Nothing, a whole number or text, which is that of the value being written.
using ColumnValue = std::variant<std::monostate, int64_t, absl::string_view>;

struct Column {
  const char* name = "";
  ColumnValue value;
};

// A row that a database gives back; columns count from 0, in the order in which they were asked
// for.
class StoredRow {
 public:
  virtual ~StoredRow() = default;
  virtual int64_t Int(int column) const = 0;
  virtual std::string Text(int column) const = 0;
  virtual bool IsNull(int column) const = 0;
};

// Which numbers of an enumeration are ever written, and what is added to them in a column.
template <typename Enum>
struct StoredEnum;
template <int64_t kLow, int64_t kHigh, int64_t kAdded = 0>
struct StoredRange {
  static constexpr int64_t kMin = kLow;
  static constexpr int64_t kMax = kHigh;
  static constexpr int64_t kOffset = kAdded;
};
template <>
struct StoredEnum<ResourceKind> : StoredRange<1, kKindsCount> {};
template <>
struct StoredEnum<AccountKind> : StoredRange<1, kAccountKindsCount> {};
template <>
struct StoredEnum<GuestState> : StoredRange<1, 5> {};
template <>
struct StoredEnum<EndCause> : StoredRange<0, 5> {};
template <>
struct StoredEnum<TokenScope> : StoredRange<1, 2> {};
template <>
struct StoredEnum<AwardReason> : StoredRange<0, 8> {};
template <>
struct StoredEnum<RoundPhase> : StoredRange<2, 5> {};  // No round that collects is written.
template <>
struct StoredEnum<absl::StatusCode> : StoredRange<0, 16> {};
template <>
struct StoredEnum<policies::Method>
    : StoredRange<1, static_cast<int64_t>(policies::Method::kBounded) + 1, 1> {};
template <>
struct StoredEnum<policies::BoundBy> : StoredRange<1, 2, 1> {};

// A kind, or kSeveralKinds.
template <typename Kind>
struct AnyKind {
  Kind& kind;
};
template <typename Kind>
AnyKind(Kind&) -> AnyKind<Kind>;

// Values to columns. What is written must outlive the writer's use: text is not copied.
class ColumnWriter {
 public:
  template <typename T>
  void operator()(const char* name, const T& value) {
    if constexpr (std::is_convertible_v<T, absl::string_view>) {
      columns_.push_back({name, absl::string_view(value)});
    } else if constexpr (std::is_same_v<T, absl::Time>) {
      columns_.push_back({name, absl::ToUnixMicros(value)});
    } else if constexpr (std::is_same_v<T, absl::Duration>) {
      columns_.push_back({name, absl::ToInt64Microseconds(value)});
    } else if constexpr (std::is_same_v<T, std::optional<Microcredits>>) {
      columns_.push_back({name, value ? ColumnValue(*value) : ColumnValue()});
    } else if constexpr (std::is_enum_v<T>) {
      columns_.push_back({name, static_cast<int64_t>(value) + StoredEnum<T>::kOffset});
    } else {
      static_assert(std::is_integral_v<T>);
      columns_.push_back({name, static_cast<int64_t>(value)});
    }
  }
  template <typename Kind>
  void operator()(const char* name, AnyKind<Kind> any) {
    columns_.push_back({name, static_cast<int64_t>(any.kind)});
  }

  void Clear() { columns_.clear(); }
  const std::vector<Column>& columns() const { return columns_; }

 private:
  std::vector<Column> columns_;
};

// Columns to values. A number that no ledger would have written is DATA_LOSS, not trusted.
class ColumnReader {
 public:
  explicit ColumnReader(const StoredRow& row) : row_(row) {}

  template <typename T>
  void operator()(const char* name, T& value) {
    const int column = next_++;
    if constexpr (std::is_same_v<T, std::string>) {
      value = row_.Text(column);
    } else if constexpr (std::is_same_v<T, absl::Time>) {
      value = absl::FromUnixMicros(row_.Int(column));
    } else if constexpr (std::is_same_v<T, absl::Duration>) {
      value = absl::Microseconds(row_.Int(column));
    } else if constexpr (std::is_same_v<T, std::optional<Microcredits>>) {
      value = row_.IsNull(column) ? std::nullopt : std::optional(row_.Int(column));
    } else if constexpr (std::is_same_v<T, bool>) {
      value = InRange(name, row_.Int(column), 0, 1) != 0;
    } else if constexpr (std::is_enum_v<T>) {
      using Stored = StoredEnum<T>;
      const int64_t number = InRange(name, row_.Int(column), Stored::kMin, Stored::kMax);
      value = static_cast<T>(number - Stored::kOffset);
    } else if constexpr (sizeof(T) < sizeof(int64_t)) {
      value = static_cast<T>(InRange(name, row_.Int(column), std::numeric_limits<T>::min(),
                                     std::numeric_limits<T>::max()));
    } else {
      static_assert(std::is_integral_v<T>);
      value = static_cast<T>(row_.Int(column));
    }
  }
  template <typename Kind>
  void operator()(const char* name, AnyKind<Kind> any) {
    any.kind = static_cast<Kind>(InRange(name, row_.Int(next_++), 0, kKindsCount));
  }

  // The first number that was not in its range.
  const absl::Status& status() const { return status_; }

 private:
  int64_t InRange(const char* name, int64_t value, int64_t low, int64_t high) {
    if (value >= low && value <= high) return value;
    if (status_.ok()) {
      status_ = absl::DataLossError(
          absl::StrCat(name, ": ", value, " is outside [", low, ", ", high, "]"));
    }
    return low;
  }

  const StoredRow& row_;
  int next_ = 0;
  absl::Status status_;
};

// The columns' names alone, as a SELECT wants them.
class ColumnNames {
 public:
  template <typename T>
  void operator()(const char* name, const T&) {
    absl::StrAppend(&names_, names_.empty() ? "" : ", ", name);
  }
  const std::string& names() const { return names_; }

 private:
  std::string names_;
};

}  // namespace nom::market

#endif  // MARKETD_LEDGER_ROWS_COLUMNS_H_
