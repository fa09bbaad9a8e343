// SPDX-License-Identifier: Apache-2.0
#include "nom/events.h"

#include "absl/strings/string_view.h"

namespace nom {

absl::string_view BidChangeName(BidChange change) {
  switch (change) {
    case BidChange::kPlaced:
      return "placed";
    case BidChange::kRefused:
      return "refused";
    case BidChange::kUnsure:
      return "unsure";
    case BidChange::kLapsed:
      return "lapsed";
    case BidChange::kTakenOver:
      return "taken over";
    case BidChange::kWithdrawn:
      return "withdrawn";
    case BidChange::kGuestGone:
      return "guest gone";
    case BidChange::kOtherLedger:
      return "other ledger";
  }
  return "unknown";
}

absl::string_view SessionChangeName(SessionChange change) {
  switch (change) {
    case SessionChange::kConnected:
      return "connected";
    case SessionChange::kLost:
      return "lost";
    case SessionChange::kPaced:
      return "paced";
    case SessionChange::kRoundsMissed:
      return "rounds missed";
    case SessionChange::kOtherLedger:
      return "other ledger";
    case SessionChange::kCallbackThrew:
      return "callback threw";
    case SessionChange::kEventsDropped:
      return "events dropped";
  }
  return "unknown";
}

std::vector<NamedCounter> NamedCounters(const SessionCounters& counters) {
  // By name, so that one which is added does not compile without its line here.
  const auto& [streams, responses, rounds_told, rounds_missed, write_calls, write_calls_failed,
               bids_placed, bids_refused, bids_lost, renewals, renewals_failed, times_paced,
               times_stale, callbacks, callbacks_threw, events_dropped, events_waiting,
               budget_reserved_microcredits, market_clock_ahead, prices_from_board] = counters;
  std::vector<NamedCounter> all;
  const auto add = [&](absl::string_view name, auto value, absl::string_view help,
                       bool only_rises = true) {
    all.push_back({name, help, only_rises, static_cast<double>(value)});
  };
  add("streams", streams, "Streams from the market that were opened.");
  add("responses", responses, "Messages received on them.");
  add("rounds_told", rounds_told, "Decided rounds that were told.");
  add("rounds_missed", rounds_missed, "Decided rounds that were never told.");
  add("write_calls", write_calls, "Calls that carried bids or withdrawals.");
  add("write_calls_failed", write_calls_failed,
      "Of these, without an answer or refused as a whole.");
  add("bids_placed", bids_placed, "Bids and withdrawals that the market took.");
  add("bids_refused", bids_refused, "Bids that the market refused.");
  add("bids_lost", bids_lost, "Bids that the session no longer keeps.");
  add("renewals", renewals, "Renewals of bids that were answered.");
  add("renewals_failed", renewals_failed, "Renewals of bids that were not.");
  add("times_paced", times_paced, "Calls that waited for the market's rate limit.");
  add("times_stale", times_stale, "Times that safe mode came on.");
  add("callbacks", callbacks, "Callbacks that were run.");
  add("callbacks_threw", callbacks_threw, "Callbacks that ended by an exception.");
  add("events_dropped", events_dropped, "Events dropped, as callbacks were too slow.");
  add("events_waiting", events_waiting, "Events that wait for the callback that runs.", false);
  add("budget_reserved_microcredits", budget_reserved_microcredits,
      "What all bids may be charged in a round.", false);
  add("market_clock_ahead_seconds", absl::ToDoubleSeconds(market_clock_ahead),
      "The market's clock ahead of this machine's.", false);
  add("prices_from_board", prices_from_board, "Whether a guest's own board has its prices.", false);
  return all;
}

}  // namespace nom
