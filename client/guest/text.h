// SPDX-License-Identifier: Apache-2.0
// Text without a C++ library: numbers into a buffer of fixed size. What does not fit is cut off.

#ifndef CLIENT_GUEST_TEXT_H_
#define CLIENT_GUEST_TEXT_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace nom::guest {

// Appended as 0x and hexadecimal digits.
struct Hex {
  uint64_t value = 0;
};

template <size_t kBytes>
class Text {
 public:
  // Joins the pieces: text, integers, Hex.
  template <typename... Pieces>
  explicit Text(const Pieces&... pieces) {
    (Append(pieces), ...);
  }

  Text& Append(std::string_view text) {
    for (const char c : text) Put(c);
    return *this;
  }
  Text& Append(const char* text) { return Append(std::string_view(text)); }
  Text& Append(char c) {
    Put(c);
    return *this;
  }
  Text& Append(Hex number) {
    Append("0x");
    return Digits(number.value, 16);
  }
  template <std::integral T>
  requires(!std::same_as<T, char>) Text& Append(T number) {
    auto magnitude = static_cast<uint64_t>(number);
    if constexpr (std::signed_integral<T>) {
      if (number < 0) {
        Put('-');
        magnitude = 0 - magnitude;
      }
    }
    return Digits(magnitude, 10);
  }

  void clear() { size_ = 0; }
  std::string_view view() const { return {bytes_, size_}; }
  operator std::string_view() const { return view(); }  // NOLINT(google-explicit-constructor)

 private:
  void Put(char c) {
    if (size_ < kBytes) bytes_[size_++] = c;
  }
  Text& Digits(uint64_t number, uint64_t base) {
    char digits[20];
    size_t count = 0;
    do {
      digits[count++] = "0123456789abcdef"[number % base];
      number /= base;
    } while (number != 0);
    while (count > 0) Put(digits[--count]);
    return *this;
  }

  char bytes_[kBytes];
  size_t size_ = 0;
};

}  // namespace nom::guest

#endif  // CLIENT_GUEST_TEXT_H_
