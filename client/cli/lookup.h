// From what people type to ids of the market.

#ifndef CLIENT_CLI_LOOKUP_H_
#define CLIENT_CLI_LOOKUP_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "client/cli/connection.h"

namespace nom::cli {

// A guest by its id or its name. Errors: NOT_FOUND; INVALID_ARGUMENT if several hosts have a guest
// of that name; as the market says.
absl::StatusOr<uint64_t> FindGuest(Connection& connection, const std::string& id_or_name);

// `host_id` itself, or the only host if it is empty. Operators only.
absl::StatusOr<std::string> FindHost(Connection& connection, const std::string& host_id);

}  // namespace nom::cli

#endif  // CLIENT_CLI_LOOKUP_H_
