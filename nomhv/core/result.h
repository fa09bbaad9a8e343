// SPDX-License-Identifier: Apache-2.0
// What a fallible function of nomhv answers: a NomStatus, or a value beside it. Both must be looked
// at. A status is for what guests and marketd did wrong; nomhv's own wrongs are assert.h's.

#ifndef NOMHV_CORE_RESULT_H_
#define NOMHV_CORE_RESULT_H_

#include "nomhv/abi/version.h"
#include "nomhv/core/assert.h"

namespace nomhv {

class [[nodiscard]] Status {
 public:
  constexpr Status() = default;
  constexpr Status(NomStatus code) : code_(code) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] constexpr bool ok() const { return code_ == NOM_STATUS_OK; }
  [[nodiscard]] constexpr NomStatus code() const { return code_; }

 private:
  NomStatus code_ = NOM_STATUS_OK;
};

// T must be trivially constructible and cheap to copy: there is no allocation and no unwinding.
template <typename T>
class [[nodiscard]] Result {
 public:
  constexpr Result(T value) : value_(value) {}  // NOLINT(google-explicit-constructor)
  // `code` is not OK: an OK without a value is a broken promise.
  constexpr Result(NomStatus code) : code_(code) {  // NOLINT(google-explicit-constructor)
    NOMHV_CHECK(code != NOM_STATUS_OK, "an OK result needs a value");
  }

  [[nodiscard]] constexpr bool ok() const { return code_ == NOM_STATUS_OK; }
  [[nodiscard]] constexpr NomStatus code() const { return code_; }
  [[nodiscard]] constexpr const T& value() const {
    NOMHV_CHECK(ok(), "value of a failed result");
    return value_;
  }

 private:
  T value_{};
  NomStatus code_ = NOM_STATUS_OK;
};

}  // namespace nomhv

#endif  // NOMHV_CORE_RESULT_H_
