// SPDX-License-Identifier: Apache-2.0
#include "marketd/services/token.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"

namespace nom::marketd {

std::string NewToken() {
  std::array<unsigned char, 32> bytes;
  NOM_CHECK(RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1,
            "the system has no randomness for a token");
  return absl::StrCat("nomt_", absl::BytesToHexString(absl::string_view(
                                   reinterpret_cast<const char*>(bytes.data()), bytes.size())));
}

std::string HashToken(absl::string_view token) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  NOM_CHECK(
      EVP_Digest(token.data(), token.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1,
      "SHA-256 is not to be had");
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), size));
}

}  // namespace nom::marketd
