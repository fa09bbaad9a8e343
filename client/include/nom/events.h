// SPDX-License-Identifier: Apache-2.0
// What a session tells of its bids and of itself. Plain values.

#ifndef NOM_EVENTS_H_
#define NOM_EVENTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "nom/types.h"

namespace nom {

// Why stale() is true, or that it is not any more.
struct Staleness {
  bool stale = true;
  std::string reason;  // For people.
};

enum class BidChange : uint8_t {
  kPlaced,   // The market has taken a bid that was in doubt, had lapsed or had been refused.
  kRefused,  // The market refuses a bid that the session keeps; it goes on trying, each round.
  kUnsure,   // Nobody answered: it may stand or not. The session goes on trying.
  kLapsed,   // It stood and does no longer, as the market heard nothing of the session for too
             // long. It is placed again when prices are fresh.
  // From here on: the session no longer keeps the bid.
  kTakenOver,    // A newer session, or a person, placed another in its stead.
  kWithdrawn,    // Somebody else withdrew it.
  kGuestGone,    // Its guest has ended.
  kOtherLedger,  // The market now has another ledger, in which these ids mean something else.
};
absl::string_view BidChangeName(BidChange change);

// Something happened to a bid without the program having asked for it. What Bid() and Withdraw()
// return is not told again.
struct BidEvent {
  Bid bid;
  BidChange change = BidChange::kPlaced;
  absl::Status status;  // Why; OK for kPlaced.
};

enum class SessionChange : uint8_t {
  kConnected,     // The stream is up.
  kLost,          // It was up or being opened; tried again, at the next endpoint if there are more.
  kPaced,         // Bids wait: the market takes no more calls for now.
  kRoundsMissed,  // OnRound leaves out some rounds; `status` says which.
  kOtherLedger,   // See BidChange::kOtherLedger. All bids are forgotten.
  kCallbackThrew,  // A callback ended by an exception, which was swallowed.
  kEventsDropped,  // Callbacks were too slow: the oldest events were dropped.
};
absl::string_view SessionChangeName(SessionChange change);

struct SessionEvent {
  SessionChange change = SessionChange::kConnected;
  absl::Status status;   // What went wrong; OK if nothing did.
  std::string endpoint;  // Of kConnected and kLost.
};

// Counted since the session began, for a program's own metrics: all but the last four only rise.
struct SessionCounters {
  uint64_t streams = 0;             // Opened.
  uint64_t responses = 0;           // Received on them.
  uint64_t rounds_told = 0;         // By OnRound, whether or not it was set.
  uint64_t rounds_missed = 0;       // Decided, but never told.
  uint64_t write_calls = 0;         // Calls that carried bids or withdrawals.
  uint64_t write_calls_failed = 0;  // Without an answer, or refused as a whole.
  uint64_t bids_placed = 0;         // Taken by the market, withdrawals included.
  uint64_t bids_refused = 0;
  uint64_t bids_lost = 0;  // See BidChange: those that the session no longer keeps.
  uint64_t renewals = 0;   // Calls that were answered.
  uint64_t renewals_failed = 0;
  uint64_t times_paced = 0;  // A call had to wait for the market's rate limit.
  uint64_t times_stale = 0;  // Safe mode came on.
  uint64_t callbacks = 0;    // Run.
  uint64_t callbacks_threw = 0;
  uint64_t events_dropped = 0;
  uint64_t events_waiting = 0;               // Now, for the callback that runs.
  int64_t budget_reserved_microcredits = 0;  // Now: what all bids may be charged in a round.
  absl::Duration market_clock_ahead;         // Now: of this machine's clock.
  uint64_t prices_from_board = 0;            // Now: 1 if a board of this market has fresh ones.
};

// One of them, for whatever a program exports its metrics with.
struct NamedCounter {
  absl::string_view
      name;  // As it is called above, and with its unit: "market_clock_ahead_seconds".
  absl::string_view help;  // One line.
  bool only_rises = true;  // Else it is a gauge.
  double value = 0;
};
// All of them, also those that later versions add, in the order above. The texts live for ever.
//
//   for (const nom::NamedCounter& c : nom::NamedCounters(session->counters())) {
//     out << "# TYPE myprogram_nom_" << c.name << (c.only_rises ? " counter" : " gauge") << '\n'
//         << "myprogram_nom_" << c.name << ' ' << c.value << '\n';
//   }
std::vector<NamedCounter> NamedCounters(const SessionCounters& counters);

}  // namespace nom

#endif  // NOM_EVENTS_H_
