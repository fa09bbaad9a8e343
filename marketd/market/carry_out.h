// From what the engine commands to what a host is asked: the same for the runtime's host threads
// and for simulations.

#ifndef MARKETD_MARKET_CARRY_OUT_H_
#define MARKETD_MARKET_CARRY_OUT_H_

#include "absl/time/time.h"
#include "marketd/market/effect.h"
#include "marketd/market/event.h"
#include "marketd/market/host.h"

namespace nom::market {

// Carries out one command, on the host's own thread, and says what became of it. `now` is by the
// clock that the engine is told the time of: the times in a command are turned into durations.
HostCommandDone CarryOut(Host& host, const HostCommand& command, absl::Time now);

}  // namespace nom::market

#endif  // MARKETD_MARKET_CARRY_OUT_H_
