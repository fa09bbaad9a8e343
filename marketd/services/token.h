// SPDX-License-Identifier: Apache-2.0
// Bearer tokens: made from the system's randomness, kept as SHA-256 only.

#ifndef MARKETD_SERVICES_TOKEN_H_
#define MARKETD_SERVICES_TOKEN_H_

#include <string>

#include "absl/strings/string_view.h"

namespace nom::marketd {

// "nomt_" and 256 random bits in hexadecimal.
std::string NewToken();

// SHA-256 in lower-case hexadecimal. Tokens are random and long, so a plain hash is enough.
std::string HashToken(absl::string_view token);

}  // namespace nom::marketd

#endif  // MARKETD_SERVICES_TOKEN_H_
