// SPDX-License-Identifier: Apache-2.0
// From what the engine commands to what a host is asked: the same for the runtime's host threads
// and for simulations.

#ifndef MARKETD_MARKET_CARRY_OUT_H_
#define MARKETD_MARKET_CARRY_OUT_H_

#include <functional>

#include "absl/time/time.h"
#include "marketd/market/books.h"
#include "marketd/market/effect.h"
#include "marketd/market/event.h"
#include "marketd/market/host.h"
#include "marketd/market/ledger.h"

namespace nom::market {

// The head of the book as it stands now; empty if that can't be read.
using HeadSource = std::function<ChainHead()>;
HeadSource HeadOf(Ledger& ledger, const BookId& book_id);

// Carries out one command, on the host's own thread, and says what became of it. `now` is by the
// clock that the engine is told the time of: the times in a command are turned into durations.
// Boards tell `head`; empty: none.
HostCommandDone CarryOut(Host& host, const HostCommand& command, absl::Time now,
                         const HeadSource& head);

}  // namespace nom::market

#endif  // MARKETD_MARKET_CARRY_OUT_H_
