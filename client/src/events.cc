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

}  // namespace nom
