// SPDX-License-Identifier: Apache-2.0
// "Did you mean ...?": the nearest of some words. Pure functions.

#ifndef CLIENT_CLI_SUGGEST_H_
#define CLIENT_CLI_SUGGEST_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace nom::cli {

// How many letters must be added, left out, replaced or swapped with their neighbour to turn one
// word into the other (restricted Damerau-Levenshtein distance).
int EditDistance(absl::string_view a, absl::string_view b);

// The known word that `typed` was probably meant to be; empty if none is near. Of equally near ones
// the first.
std::string Closest(absl::string_view typed, const std::vector<std::string>& known);

}  // namespace nom::cli

#endif  // CLIENT_CLI_SUGGEST_H_
