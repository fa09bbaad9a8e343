// SPDX-License-Identifier: Apache-2.0
#include "client/guest/arguments.h"

#include <cstddef>
#include <optional>

namespace nom::guest {
namespace {

// Decimal digits with an optional minus; nothing on anything else or beyond 18 digits.
std::optional<int64_t> Number(std::string_view text) {
  const bool negative = !text.empty() && text.front() == '-';
  if (negative) text.remove_prefix(1);
  if (text.empty() || text.size() > 18) return std::nullopt;
  int64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return negative ? -value : value;
}

Text<160> Set(std::string_view word, const Argument& argument) {
  const std::string_view text = word.substr(argument.key.size() + 1);
  if (!argument.words.empty()) {
    for (size_t i = 0; i < argument.words.size(); ++i) {
      if (text == argument.words[i]) {
        *argument.value = static_cast<int64_t>(i);
        return Text<160>();
      }
    }
    Text<160> wrong(word, ": must be one of");
    for (const std::string_view known : argument.words) wrong.Append(" ").Append(known);
    return wrong;
  }
  const std::optional<int64_t> number = Number(text);
  if (!number.has_value()) return Text<160>(word, ": not a whole number");
  if (*number < argument.min || *number > argument.max) {
    return Text<160>(word, ": must lie in ", argument.min, "..", argument.max);
  }
  *argument.value = *number;
  return Text<160>();
}

}  // namespace

Text<160> ParseArguments(std::string_view line, std::span<const Argument> known) {
  uint64_t seen = 0;  // One bit for each known key.
  while (!line.empty()) {
    const size_t space = line.find(' ');
    const std::string_view word = line.substr(0, space);
    line.remove_prefix(space == std::string_view::npos ? line.size() : space + 1);
    if (word.empty()) continue;
    const std::string_view key = word.substr(0, word.find('='));
    if (key.size() == word.size()) return Text<160>(word, ": must be key=value");
    bool found = false;
    for (size_t i = 0; i < known.size() && i < 64; ++i) {
      if (known[i].key != key) continue;
      found = true;
      if ((seen >> i & 1) != 0) return Text<160>(key, ": said twice");
      seen |= uint64_t{1} << i;
      Text<160> wrong = Set(word, known[i]);
      if (!wrong.view().empty()) return wrong;
    }
    if (!found) {
      Text<160> wrong(key, ": unknown; known are");
      for (const Argument& argument : known) wrong.Append(" ").Append(argument.key);
      return wrong;
    }
  }
  return Text<160>();
}

}  // namespace nom::guest
