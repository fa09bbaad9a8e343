// SPDX-License-Identifier: Apache-2.0
// Whether callers are answered, asked as a caller: through the front door, to the health service.

#ifndef MARKETD_SERVER_SELF_CALL_H_
#define MARKETD_SERVER_SELF_CALL_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "marketd/server/front_door.h"

namespace nom::marketd {

// Makes one connection and one call. OK if health says SERVING in time.
// Errors: UNAVAILABLE or DEADLINE_EXCEEDED say what did not work.
absl::Status CallSelf(FrontDoor& front_door, absl::Duration timeout);

}  // namespace nom::marketd

#endif  // MARKETD_SERVER_SELF_CALL_H_
