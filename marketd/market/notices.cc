// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/notices.h"

#include <algorithm>
#include <memory>
#include <vector>

namespace nom::market {

void Notices::Tell(const Guest& guest, RoundId round_id, absl::Time effective,
                   absl::Span<const Holding> now, absl::Span<const Holding> next) {
  for (size_t i = 0; i < now.size(); ++i) {
    if (now[i] == next[i]) continue;
    changed_ = true;
    // This replaces an earlier notice for the kind: only the latest says what a guest has to do,
    // and so there are never more notices than kinds.
    notices_[{guest.guest_id, now[i].kind}] =
        Notice{.sequence = ++sequence_,
               .guest_id = guest.guest_id,
               .host_id = guest.host_id,
               .round_id = round_id,
               .kind = now[i].kind,
               .units_now = now[i].units(),
               .units_next = next[i].units(),
               .effective_time = effective,
               .charge_microcredits = next[i].charge_microcredits};
  }
}

void Notices::Withdraw(GuestId guest_id, RoundId round_id, absl::Span<const Holding> now) {
  for (const Holding& holding : now) {
    const auto it = notices_.find({guest_id, holding.kind});
    // What was told of a later round still comes.
    if (it == notices_.end() || it->second.round_id != round_id) continue;
    Notice& notice = it->second;
    changed_ = true;
    notice.sequence = ++sequence_;
    notice.units_now = holding.units();
    notice.units_next = holding.units();
    notice.charge_microcredits = holding.charge_microcredits;
    notice.withdrawn = true;
  }
}

void Notices::ForgetGuest(GuestId guest_id) {
  const auto first = notices_.lower_bound({guest_id, ResourceKind{0}});
  const auto end = notices_.lower_bound({guest_id + 1, ResourceKind{0}});
  changed_ = changed_ || first != end;
  notices_.erase(first, end);
}

const SharedList<Notice>& Notices::list() {
  // The same list, so that a view can be compared with the one before by its pointers.
  if (!std::exchange(changed_, false)) return list_;
  std::vector<std::shared_ptr<const Notice>> notices;
  notices.reserve(notices_.size());
  for (const auto& [key, notice] : notices_) {
    notices.push_back(std::make_shared<const Notice>(notice));
  }
  std::sort(notices.begin(), notices.end(),
            [](const auto& a, const auto& b) { return a->sequence < b->sequence; });
  list_ = SharedList<Notice>(std::move(notices));
  return list_;
}

}  // namespace nom::market
