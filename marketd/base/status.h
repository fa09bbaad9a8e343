// SPDX-License-Identifier: Apache-2.0
// Two kinds of wrong. The world's errors are absl::Status, passed on by these macros; a broken
// promise of our own stops the program with a message (NOM_CHECK stays in release builds).

#ifndef MARKETD_BASE_STATUS_H_
#define MARKETD_BASE_STATUS_H_

#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace nom {

// Prints "file:line: message" to stderr and aborts.
[[noreturn]] void Die(const char* file, int line, std::string_view message);

}  // namespace nom

#define NOM_CHECK(condition, message)                          \
  do {                                                         \
    if (!(condition)) ::nom::Die(__FILE__, __LINE__, message); \
  } while (false)

#define NOM_STATUS_CONCAT_INNER(a, b) a##b
#define NOM_STATUS_CONCAT(a, b) NOM_STATUS_CONCAT_INNER(a, b)

#define NOM_RETURN_IF_ERROR(expression) \
  NOM_RETURN_IF_ERROR_INNER(NOM_STATUS_CONCAT(nom_status_, __LINE__), expression)
#define NOM_RETURN_IF_ERROR_INNER(status, expression)                      \
  do {                                                                     \
    if (::absl::Status status = (expression); !status.ok()) return status; \
  } while (false)

#define NOM_ASSIGN_OR_RETURN(declaration, expression) \
  NOM_ASSIGN_OR_RETURN_INNER(NOM_STATUS_CONCAT(nom_result_, __LINE__), declaration, expression)
#define NOM_ASSIGN_OR_RETURN_INNER(result, declaration, expression) \
  auto result = (expression);                                       \
  if (!result.ok()) return std::move(result).status();              \
  declaration = *std::move(result)

#endif  // MARKETD_BASE_STATUS_H_
