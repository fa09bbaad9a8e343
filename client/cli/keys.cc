// SPDX-License-Identifier: Apache-2.0
#include "client/cli/keys.h"

#include <optional>

#include "absl/strings/string_view.h"

namespace nom::cli {
namespace {

constexpr char kEscape = '\033';
// The longest sequence that is waited for; a longer one is none.
constexpr size_t kSequenceBytesMax = 8;

std::optional<Key> PlainKey(char c) {
  switch (c) {
    case 'q':
    case 'Q':
    case '\004':
      return Key::kQuit;
    case 'k':
      return Key::kUp;
    case 'j':
      return Key::kDown;
    case 'h':
      return Key::kLeft;
    case 'l':
      return Key::kRight;
    case 'g':
      return Key::kHome;
    case 'G':
      return Key::kEnd;
    case ' ':
      return Key::kPageDown;
    default:
      return std::nullopt;
  }
}

// By what stands between "ESC [" or "ESC O" and the end (ECMA-48 5.4, xterm's control sequences).
std::optional<Key> SequenceKey(absl::string_view parameters, char last) {
  switch (last) {
    case 'A':
      return Key::kUp;
    case 'B':
      return Key::kDown;
    case 'C':
      return Key::kRight;
    case 'D':
      return Key::kLeft;
    case 'H':
      return Key::kHome;
    case 'F':
      return Key::kEnd;
    case '~':
      if (parameters == "1" || parameters == "7") return Key::kHome;
      if (parameters == "4" || parameters == "8") return Key::kEnd;
      if (parameters == "5") return Key::kPageUp;
      if (parameters == "6") return Key::kPageDown;
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

}  // namespace

std::vector<Key> TakeKeys(std::string& bytes) {
  std::vector<Key> keys;
  size_t at = 0;
  while (at < bytes.size()) {
    if (bytes[at] != kEscape) {
      if (const std::optional<Key> key = PlainKey(bytes[at])) keys.push_back(*key);
      ++at;
      continue;
    }
    if (at + 1 == bytes.size()) break;  // The rest of it may still come.
    if (bytes[at + 1] != '[' && bytes[at + 1] != 'O') {
      ++at;  // A lone escape: the next byte is a key of its own.
      continue;
    }
    // Parameters lie below '@', what ends the sequence lies from there on.
    size_t end = at + 2;
    while (end < bytes.size() && bytes[end] >= ' ' && bytes[end] < '@') ++end;
    if (end == bytes.size() && end - at < kSequenceBytesMax) break;
    if (end < bytes.size()) {
      const absl::string_view parameters(bytes.data() + at + 2, end - at - 2);
      if (const std::optional<Key> key = SequenceKey(parameters, bytes[end])) keys.push_back(*key);
      ++end;
    }
    at = end;
  }
  bytes.erase(0, at);
  return keys;
}

}  // namespace nom::cli
