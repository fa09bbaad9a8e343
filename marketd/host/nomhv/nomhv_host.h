// SPDX-License-Identifier: Apache-2.0
// A machine that runs nomhv, commanded through its mailbox.
//
// Turns the market's units into frames and millicores and back, bid pages into bids, and nomhv's
// meters into what each guest was offered and used. Decides nothing.

#ifndef MARKETD_HOST_NOMHV_NOMHV_HOST_H_
#define MARKETD_HOST_NOMHV_NOMHV_HOST_H_

#include <memory>

#include "marketd/host/nomhv/options.h"
#include "marketd/market/host.h"

namespace nom::market {

// Listens on the doorbell at once, so that the machine can be started after it. A doorbell that
// cannot be had is told by every Attach() until it can (FAILED_PRECONDITION).
std::unique_ptr<Host> NewNomhvHost(NomhvHostOptions options);

}  // namespace nom::market

#endif  // MARKETD_HOST_NOMHV_NOMHV_HOST_H_
