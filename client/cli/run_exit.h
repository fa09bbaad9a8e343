// SPDX-License-Identifier: Apache-2.0
// What nomctl run takes and ends with. Pure functions.

#ifndef CLIENT_CLI_RUN_EXIT_H_
#define CLIENT_CLI_RUN_EXIT_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "nom/types.h"

namespace nom::cli {

// "memory=256MiB", "cpu=200m", or a count of units as "memory=8". A quantity must be whole units of
// the host: `unit_sizes` are of what it sells. Errors: INVALID_ARGUMENT that quotes what is wrong.
absl::StatusOr<std::pair<Resource, int64_t>> ParseSeed(
    const std::string& text, const std::map<Resource, int64_t>& unit_sizes);

// As a shell has it: N of "exit N", 128 + N of "signal N (...)"; 1 of anything else.
int ExitCodeOf(const std::string& exit_reason);

}  // namespace nom::cli

#endif  // CLIENT_CLI_RUN_EXIT_H_
