// Text of the form `key=value key="value with spaces"`: the command line, and the lines of
// guests.cfg. Views into the caller's text; nothing is copied.

#ifndef NOMHV_CORE_KEY_VALUES_H_
#define NOMHV_CORE_KEY_VALUES_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace nomhv {

struct KeyValue {
  std::string_view key;
  std::string_view value;  // Without its quotes. Empty for a bare word.
};

// Walks the pairs of one line. A quote that never closes, or text right after a closing one, ends
// the walk with bad().
class KeyValueReader {
 public:
  explicit KeyValueReader(std::string_view text) : rest_(text) {}
  std::optional<KeyValue> Next();
  [[nodiscard]] bool bad() const { return bad_; }

 private:
  std::string_view rest_;
  bool bad_ = false;
};

// The value of the first `key` in `text`; nothing if it is not there.
std::optional<std::string_view> FindValue(std::string_view text, std::string_view key);

// Of a hexadecimal digit; 16 for anything else.
constexpr uint32_t DigitOf(char c) {
  if (c >= '0' && c <= '9') return static_cast<uint32_t>(c - '0');
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? static_cast<uint32_t>(lower - 'a') + 10 : 16;
}

// A whole decimal number, or hexadecimal after 0x; nothing else, and no overflow.
std::optional<uint64_t> ParseNumber(std::string_view text);

}  // namespace nomhv

#endif  // NOMHV_CORE_KEY_VALUES_H_
