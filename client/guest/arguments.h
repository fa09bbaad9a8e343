// SPDX-License-Identifier: Apache-2.0
// A guest's arguments: words "key=value" between spaces, as admitted with the guest.

#ifndef CLIENT_GUEST_ARGUMENTS_H_
#define CLIENT_GUEST_ARGUMENTS_H_

#include <cstdint>
#include <span>
#include <string_view>

#include "client/guest/text.h"

namespace nom::guest {

// One key that a guest knows: a number in [min, max], or one of some words (then `words` is not
// empty and *value becomes the index of the word).
struct Argument {
  std::string_view key;
  int64_t* value;  // Holds the default.
  int64_t min = 0;
  int64_t max = 0;
  std::span<const std::string_view> words = {};
};

// Fills the values. Returns an empty text, or the first thing that is wrong: an unknown key, a
// repeated one, not a number, out of range. Values before the wrong one are then already set.
Text<160> ParseArguments(std::string_view line, std::span<const Argument> known);

}  // namespace nom::guest

#endif  // CLIENT_GUEST_ARGUMENTS_H_
