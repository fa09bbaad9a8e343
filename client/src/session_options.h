// SPDX-License-Identifier: Apache-2.0
// What a program may ask of a session.

#ifndef CLIENT_SRC_SESSION_OPTIONS_H_
#define CLIENT_SRC_SESSION_OPTIONS_H_

#include <vector>

#include "absl/status/status.h"
#include "client/src/channel.h"
#include "nom/session.h"

namespace nom::client {

// INVALID_ARGUMENT names the option.
absl::Status CheckOptions(const SessionOptions& options);
std::vector<Endpoint> EndpointsOf(const SessionOptions& options);

}  // namespace nom::client

#endif  // CLIENT_SRC_SESSION_OPTIONS_H_
