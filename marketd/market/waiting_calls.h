// SPDX-License-Identifier: Apache-2.0
// Callers whose answer comes later: when a guest runs, or is gone. Several may wait for one guest,
// as a retry waits with whoever asked first.

#ifndef MARKETD_MARKET_WAITING_CALLS_H_
#define MARKETD_MARKET_WAITING_CALLS_H_

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "marketd/market/event.h"
#include "marketd/market/live_book.h"
#include "marketd/market/state.h"

namespace nom::market {

class WaitingCalls {
 public:
  explicit WaitingCalls(LiveBook& book) : book_(book) {}

  void Wait(GuestId guest_id, CallId call_id) { waiting_[guest_id].push_back(call_id); }
  // All that wait for the guest, once what was committed before is durable.
  void Answer(GuestId guest_id, const Reply& reply) {
    const auto of_guest = waiting_.find(guest_id);
    if (of_guest == waiting_.end()) return;
    const std::vector<CallId> call_ids = std::move(of_guest->second);
    waiting_.erase(of_guest);
    for (const CallId call_id : call_ids) book_.Answer(call_id, reply);
  }

  // The StartGuest that is being done: what is remembered of it is its answer then, should the
  // guest not start.
  void Starts(GuestId guest_id, RequestKey request) { starts_[guest_id] = std::move(request); }
  std::optional<RequestKey> EndStart(GuestId guest_id) {
    const auto start = starts_.find(guest_id);
    if (start == starts_.end()) return std::nullopt;
    RequestKey request = std::move(start->second);
    starts_.erase(start);
    return request;
  }

  void ForgetGuest(GuestId guest_id) {
    waiting_.erase(guest_id);
    starts_.erase(guest_id);
  }

 private:
  LiveBook& book_;
  std::map<GuestId, std::vector<CallId>> waiting_;
  std::map<GuestId, RequestKey> starts_;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_WAITING_CALLS_H_
