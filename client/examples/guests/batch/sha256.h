// SPDX-License-Identifier: Apache-2.0
// SHA-256 (FIPS 180-4, section 6.2), in integers alone.

#ifndef CLIENT_EXAMPLES_GUESTS_BATCH_SHA256_H_
#define CLIENT_EXAMPLES_GUESTS_BATCH_SHA256_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace nom::examples {

using Digest = std::array<uint8_t, 32>;

class Sha256 {
 public:
  // Any number of pieces, together below 2^61 bytes.
  void Add(std::span<const uint8_t> bytes);
  // The digest of all pieces; the object is then spent.
  Digest Finish();

 private:
  void Compress(const uint8_t* block);

  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  uint64_t bytes_ = 0;
  std::array<uint8_t, 64> pending_ = {};  // The first bytes_ % 64 of it are waiting.
};

}  // namespace nom::examples

#endif  // CLIENT_EXAMPLES_GUESTS_BATCH_SHA256_H_
