// SPDX-License-Identifier: Apache-2.0
// From what people type to ids of the market.

#ifndef CLIENT_CLI_LOOKUP_H_
#define CLIENT_CLI_LOOKUP_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "client/cli/connection.h"

namespace nom::cli {

// How a guest is named on the command line.
inline constexpr char kGuestHelp[] = "The guest: its name, or id:NUMBER";

// A guest by its name, or by its id as "id:7". A name is never read as an id: a guest may be called
// 1, and a colon stands in no name. Errors: NOT_FOUND; INVALID_ARGUMENT if several guests that the
// caller sees have the name (tells their ids) or if what follows "id:" is not a number; as the
// market says.
absl::StatusOr<uint64_t> FindGuest(Connection& connection, const std::string& name_or_id);

// `host_id` itself, or the only host if it is empty. Operators only.
absl::StatusOr<std::string> FindHost(Connection& connection, const std::string& host_id);

}  // namespace nom::cli

#endif  // CLIENT_CLI_LOOKUP_H_
