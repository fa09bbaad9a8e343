// SPDX-License-Identifier: Apache-2.0
// What a request asks for: how alike two texts are.

#ifndef CLIENT_EXAMPLES_GUESTS_SERVICE_EDIT_DISTANCE_H_
#define CLIENT_EXAMPLES_GUESTS_SERVICE_EDIT_DISTANCE_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace nom::examples {

inline constexpr size_t kTextBytesMax = 128;

// The fewest insertions, deletions and replacements of a letter that make one text of the other
// (Levenshtein; Wagner and Fischer, 1974). `right` is at most kTextBytesMax long.
uint32_t EditDistance(std::string_view left, std::string_view right);

}  // namespace nom::examples

#endif  // CLIENT_EXAMPLES_GUESTS_SERVICE_EDIT_DISTANCE_H_
