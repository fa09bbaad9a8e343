// SPDX-License-Identifier: Apache-2.0
// The latest notice for each guest and kind: what it will hold, and from when. Told by views; kept
// in memory alone, as a round that is found decided at a start is told again.
//
// Sequences rise over all notices, so that a reader can tell each once. Not thread-safe: the
// engine's thread owns it.

#ifndef MARKETD_MARKET_NOTICES_H_
#define MARKETD_MARKET_NOTICES_H_

#include <cstdint>
#include <map>
#include <utility>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "marketd/market/shared_list.h"
#include "marketd/market/view.h"

namespace nom::market {

class Notices {
 public:
  // A guest will hold `next` instead of `now`, kind by kind in the same order: of each kind that
  // changes it is given notice.
  void Tell(const Guest& guest, RoundId round_id, absl::Time effective,
            absl::Span<const Holding> now, absl::Span<const Holding> next);
  // What it was told of the round does not come: it keeps `now`.
  void Withdraw(GuestId guest_id, RoundId round_id, absl::Span<const Holding> now);
  void ForgetGuest(GuestId guest_id);

  // By rising sequence; the same list as before if nothing has changed.
  const SharedList<Notice>& list();
  size_t size() const { return notices_.size(); }

 private:
  std::map<std::pair<GuestId, ResourceKind>, Notice> notices_;
  uint64_t sequence_ = 0;
  bool changed_ = false;
  SharedList<Notice> list_;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_NOTICES_H_
