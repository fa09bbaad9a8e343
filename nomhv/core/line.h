// SPDX-License-Identifier: Apache-2.0
// One line of log, built from text and numbers without varargs: a format string that lies about its
// arguments cannot be written.
//
//   Line<> line;
//   line.Add("cpu ", cpu, ": wild access at ", Hex{address});
//   serial.Write(line.text());

#ifndef NOMHV_CORE_LINE_H_
#define NOMHV_CORE_LINE_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace nomhv {

struct Hex {
  uint64_t value = 0;
};

// What a stranger wrote: shown with everything but printable ASCII as '?', so that it can forge no
// line and no terminal sequence.
struct Quoted {
  std::string_view text;
};

// The same for a name that stands in quotation marks: it cannot end them.
struct QuotedName {
  std::string_view text;
};

// What does not fit in N bytes is cut, and the line ends in "...".
template <size_t N = 256>
class Line {
  static_assert(N > 3);

 public:
  template <typename... Parts>
  Line& Add(const Parts&... parts) {
    (AddPart(parts), ...);
    return *this;
  }

  [[nodiscard]] std::string_view text() const { return {text_, size_}; }
  void Clear() {
    size_ = 0;
    cut_ = false;
  }

 private:
  void AddPart(char c) {
    if (size_ < N) {
      text_[size_++] = c;
    } else if (!cut_) {
      cut_ = true;
      for (size_t i = N - 3; i < N; ++i) text_[i] = '.';
    }
  }
  void AddPart(std::string_view text) {
    for (const char c : text) AddPart(c);
  }
  void AddPart(const char* text) { AddPart(std::string_view(text)); }
  void AddPart(bool value) { AddPart(std::string_view(value ? "true" : "false")); }
  void AddPart(Quoted quoted) {
    for (const char c : quoted.text) AddPart(c >= ' ' && c <= '~' ? c : '?');
  }
  void AddPart(QuotedName name) {
    AddPart('"');
    for (const char c : name.text) AddPart(c >= ' ' && c <= '~' && c != '"' ? c : '?');
    AddPart('"');
  }
  void AddPart(Hex hex) {
    AddPart(std::string_view("0x"));
    AddDigits(hex.value, 16);
  }
  template <std::unsigned_integral T>
  requires(!std::same_as<T, bool> && !std::same_as<T, char>) void AddPart(T value) {
    AddDigits(value, 10);
  }
  template <std::signed_integral T>
  requires(!std::same_as<T, char>) void AddPart(T value) {
    const int64_t wide{value};
    if (wide < 0) AddPart('-');
    // Negating as unsigned is right for the lowest number, too.
    AddDigits(wide < 0 ? -static_cast<uint64_t>(wide) : static_cast<uint64_t>(wide), 10);
  }

  void AddDigits(uint64_t value, uint64_t base) {
    char digits[20];
    size_t count = 0;
    do {
      digits[count++] = "0123456789abcdef"[value % base];
      value /= base;
    } while (value != 0);
    while (count > 0) AddPart(digits[--count]);
  }

  char text_[N];
  size_t size_ = 0;
  bool cut_ = false;
};

}  // namespace nomhv

#endif  // NOMHV_CORE_LINE_H_
