// SPDX-License-Identifier: Apache-2.0
// What is known of guests beyond the book, for views alone: what they say, what they were told, and
// what the last rounds brought them. Lost at a restart.

#ifndef MARKETD_MARKET_GUEST_NOTES_H_
#define MARKETD_MARKET_GUEST_NOTES_H_

#include <map>
#include <string>
#include <vector>

#include "marketd/market/host.h"
#include "marketd/market/state.h"
#include "marketd/market/view.h"

namespace nom::market {

struct GuestNotes {
  GuestReport report;
  std::string bid_page_error;
  std::vector<Outcome> last_settled;
  RoundId last_settled_round_id = 0;
  std::vector<Decided> decided;  // In the last round decided since the start.
  RoundId decided_round_id = 0;
};
using NotesOfGuests = std::map<GuestId, GuestNotes>;

}  // namespace nom::market

#endif  // MARKETD_MARKET_GUEST_NOTES_H_
