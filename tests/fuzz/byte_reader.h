// SPDX-License-Identifier: Apache-2.0
// What a fuzzer's bytes are read with. Nothing here overflows, whatever the bytes: an input has to
// reach the code under test.

#ifndef NOM_TESTS_FUZZ_BYTE_READER_H_
#define NOM_TESTS_FUZZ_BYTE_READER_H_

#include <cstddef>
#include <cstdint>
#include <limits>

namespace nom::policies {

// a + b, or the limit of 64 bits on that side.
constexpr int64_t AddClamped(int64_t a, int64_t b) {
  int64_t sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return b < 0 ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max();
}

class ByteReader {
 public:
  // The bytes must outlive this.
  ByteReader(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  // 0 where no more are left.
  uint8_t Byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }
  int64_t Word() {
    uint64_t word = 0;
    for (int i = 0; i < 8; ++i) word = word << 8 | Byte();
    return static_cast<int64_t>(word);
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

}  // namespace nom::policies

#endif  // NOM_TESTS_FUZZ_BYTE_READER_H_
