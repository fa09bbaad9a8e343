// SPDX-License-Identifier: Apache-2.0
// How a Shortage travels: in the market's error details, then beside the message of an
// absl::Status.

#ifndef CLIENT_SRC_SHORTAGE_H_
#define CLIENT_SRC_SHORTAGE_H_

#include <string>

#include "absl/status/status.h"

namespace nom::client {

// `details`: the binary error details of an answer. Those that are none, or say nothing of a
// shortage, change nothing: what is not understood is left to the words.
void AddShortage(const std::string& details, absl::Status* status);

}  // namespace nom::client

#endif  // CLIENT_SRC_SHORTAGE_H_
