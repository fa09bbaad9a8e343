// SPDX-License-Identifier: Apache-2.0
// Bids for several resources, and for single ones: of one guest they replace each other, as a
// whole.

#include <algorithm>

#include "client/src/bid_book.h"

namespace nom::client {

template <typename Each>
void BidBook::ForEachThatExcludes(BidKey key, const Each& each) {
  for (auto it = entries_.lower_bound({key.first, kSeveralResources});
       it != entries_.end() && it->first.first == key.first; ++it) {
    if (ExcludeEachOther(it->first, key)) each(it->second);
  }
}

bool BidBook::AnyWished(uint64_t guest_id, bool several) const {
  for (auto it = entries_.lower_bound({guest_id, kSeveralResources});
       it != entries_.end() && it->first.first == guest_id; ++it) {
    const bool is_of_side = (it->first.second == kSeveralResources) == several;
    if (is_of_side && it->second.wish && !it->second.is_displaced) return true;
  }
  return false;
}

// Something of that side was sent, since it was last replaced, and has not been answered.
bool BidBook::AnyMayStand(uint64_t guest_id, bool several) const {
  for (auto it = entries_.lower_bound({guest_id, kSeveralResources});
       it != entries_.end() && it->first.first == guest_id; ++it) {
    const Entry& entry = it->second;
    if ((it->first.second == kSeveralResources) != several) continue;
    if (std::any_of(entry.attempts.begin(), entry.attempts.end(), [&](const Attempt& attempt) {
          return attempt.bid && attempt.last > entry.replaced_sequence;
        })) {
      return true;
    }
  }
  return false;
}

// `key` is about to be wished for, and with it its side.
void BidBook::Displace(BidKey key) {
  bool may_stand = false;
  ForEachThatExcludes(key, [&](Entry& other) {
    if (!other.wish)
      other.before.reset();  // Withdrawn: it is not come back to by way of this side.
    if (!other.wish || other.is_displaced) return;
    if (other.is_awaited && other.in_flight == 0) {
      Reply(other, other.is_sent && !other.problem.ok()
                       ? other.problem
                       : absl::AbortedError("another bid replaced it before it was sent"));
    }
    if (!other.is_kept && other.attempts.empty()) Revert(other);
    if (!other.wish) return;
    may_stand = other.is_displaced = true;
    other.to_write = false;
  });
  // What the other side had displaced is back if that was never sent. Otherwise it may be gone, and
  // who now bids for this side anew has not asked for it.
  for (auto it = entries_.lower_bound({key.first, kSeveralResources});
       it != entries_.end() && it->first.first == key.first; ++it) {
    if (ExcludeEachOther(it->first, key)) continue;
    Entry& entry = it->second;
    if (may_stand && !entry.wish) entry.before.reset();
    if (entry.is_displaced) may_stand ? Drop(entry) : BringBack(entry);
  }
}

void BidBook::BringBack(Entry& entry) {
  entry.is_displaced = false;
  entry.to_write = entry.placed != entry.wish || !entry.attempts.empty() ||
                   entry.placed_sequence == kSequenceNever;
}

// All that `key` excludes and that was displaced is given up.
void BidBook::DropDisplaced(BidKey key) {
  ForEachThatExcludes(key, [this](Entry& other) {
    if (other.is_displaced) Drop(other);
  });
}

// Of a side that was displaced by bids which are all refused or gone, what stood still does.
void BidBook::Restore(uint64_t guest_id) {
  for (const bool several : {true, false}) {
    if (AnyWished(guest_id, !several)) continue;
    // Unless one of them may yet be taken, or have been.
    const bool may_stand = AnyMayStand(guest_id, !several);
    for (auto it = entries_.lower_bound({guest_id, kSeveralResources});
         it != entries_.end() && it->first.first == guest_id; ++it) {
      const bool is_of_side = (it->first.second == kSeveralResources) == several;
      if (!is_of_side || !it->second.is_displaced) continue;
      may_stand ? Drop(it->second) : BringBack(it->second);
    }
  }
}

// The market has taken `key`, and with that let go of what it excludes.
void BidBook::Replace(BidKey key, uint64_t sequence) {
  ForEachThatExcludes(key, [&](Entry& other) {
    other.placed.reset();
    other.replaced_sequence = std::max(other.replaced_sequence, sequence);
    if (!other.is_displaced) {
      // Newer than what was taken; what it would go back to if it were refused is not.
      other.before.reset();
      other.to_write = other.to_write || other.wish.has_value();
      return;
    }
    Drop(other);
    // What is in doubt a renewal closes, unless it was written under a lease before.
    other.to_write = IsOfLeaseBefore(other);
  });
}

// A newer session's bid stands that excludes this one. What was sent before and comes late may
// still be taken once that is gone, so that the entry stays until it is known to be withdrawn.
void BidBook::Resign(BidKey key, Entry& entry) {
  if (!entry.wish) return;
  ++counters_.lost;
  const absl::Status status = StatusOf(BidChange::kTakenOver);
  if (!entry.is_awaited && !entry.is_displaced) Tell(entry, key, BidChange::kTakenOver, status);
  Reply(entry, status);
  Drop(entry);
}

}  // namespace nom::client
