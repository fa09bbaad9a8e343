#include "nomhv/core/key_values.h"

namespace nomhv {
namespace {

constexpr bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// Views are cut with remove_prefix and data(): substr() may throw.
std::string_view Head(std::string_view text, size_t count) { return {text.data(), count}; }

}  // namespace

std::optional<KeyValue> KeyValueReader::Next() {
  while (!rest_.empty() && IsSpace(rest_.front())) rest_.remove_prefix(1);
  if (rest_.empty() || bad_) return std::nullopt;
  KeyValue pair;
  size_t end = 0;
  while (end < rest_.size() && !IsSpace(rest_[end]) && rest_[end] != '=') ++end;
  pair.key = Head(rest_, end);
  rest_.remove_prefix(end);
  if (rest_.empty() || rest_.front() != '=') return pair;
  rest_.remove_prefix(1);
  if (!rest_.empty() && rest_.front() == '"') {
    rest_.remove_prefix(1);
    end = 0;
    while (end < rest_.size() && rest_[end] != '"') ++end;
    if (end == rest_.size() || (end + 1 < rest_.size() && !IsSpace(rest_[end + 1]))) {
      bad_ = true;
      return std::nullopt;
    }
    pair.value = Head(rest_, end);
    rest_.remove_prefix(end + 1);
    return pair;
  }
  end = 0;
  while (end < rest_.size() && !IsSpace(rest_[end])) ++end;
  pair.value = Head(rest_, end);
  rest_.remove_prefix(end);
  return pair;
}

std::optional<std::string_view> FindValue(std::string_view text, std::string_view key) {
  KeyValueReader reader(text);
  while (const auto pair = reader.Next()) {
    if (pair->key == key) return pair->value;
  }
  return std::nullopt;
}

std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t base = 10;
  if (text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
    base = 16;
    text.remove_prefix(2);
  }
  if (text.empty()) return std::nullopt;
  uint64_t number = 0;
  for (const char c : text) {
    const uint64_t digit = DigitOf(c);
    if (digit >= base || __builtin_mul_overflow(number, base, &number) ||
        __builtin_add_overflow(number, digit, &number)) {
      return std::nullopt;
    }
  }
  return number;
}

}  // namespace nomhv
