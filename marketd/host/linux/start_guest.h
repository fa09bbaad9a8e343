// SPDX-License-Identifier: Apache-2.0
// The launcher's one privileged act: a process that is put into a guest's cgroup, stripped of
// everything, and becomes the recipe's program.

#ifndef MARKETD_HOST_LINUX_START_GUEST_H_
#define MARKETD_HOST_LINUX_START_GUEST_H_

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "marketd/host/linux/options.h"
#include "marketd/host/linux/traffic.h"
#include "marketd/market/types.h"

namespace nom::market {

struct GuestStart {
  GuestId guest_id = 0;
  const Recipe* recipe = nullptr;
  std::string arguments;
  int64_t network_mbits = 0;   // For recipes with a network of their own.
  Traffic* traffic = nullptr;  // Makes it; null where none is sold.
  uid_t marketd_uid = 0;       // No guest runs as the user that may write its board.
};

// Starts it and returns its process id once the program runs; the caller waits for its end. The
// program finds its board open for reading as descriptor 3 (NOM_BOARD=fd:3), NOM_GUEST_ID,
// NOM_ADDRESS if it has a network of its own, PATH, HOME and USER, and nothing else of the
// launcher's. It leads a session of its own, and can gain no privilege by executing anything.
//
// The caller has one thread. Errors: FAILED_PRECONDITION in one sentence that names the step.
absl::StatusOr<pid_t> StartGuest(const LinuxHostOptions& options, const GuestStart& start);

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_START_GUEST_H_
