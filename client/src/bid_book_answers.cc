// SPDX-License-Identifier: Apache-2.0
// What a bid book sends, and what it makes of the market's answers.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "client/src/bid_book.h"

namespace nom::client {
namespace {

// Of all bids of one write: so that it is a small part of what a message may hold (4 MiB).
constexpr size_t kBundlesPerWriteMax = 8'192;

BidChange ChangeOf(BidBook::LeasedState state) {
  switch (state) {
    case BidBook::LeasedState::kTakenOver:
      return BidChange::kTakenOver;
    case BidBook::LeasedState::kWithdrawn:
      return BidChange::kWithdrawn;
    default:
      return BidChange::kGuestGone;
  }
}

}  // namespace

absl::Status CheckCount(size_t answered, size_t asked) {
  if (answered == asked) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("asked about ", asked, " bids, the market answered for ", answered));
}

// --- Writes. ---

void BidBook::OnLease(uint64_t fence, int bids_per_call) {
  fence_ = fence;
  bids_per_call_ = static_cast<size_t>(std::max(1, bids_per_call));
}

void BidBook::OnLeaseFailed(const absl::Status& status) {
  if (IsUnsure(status) || absl::IsResourceExhausted(status)) return;
  GiveUpUnsent(status);
}

bool BidBook::WantsWrite(const Entry& entry, bool fresh, uint64_t round_id) {
  if (!entry.to_write || entry.in_flight != 0 || entry.is_displaced) return false;
  return (fresh || !entry.wish) && entry.refused_round_id < round_id;
}

bool BidBook::AnyToWrite(bool fresh) const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const auto& entry) { return WantsWrite(entry.second, fresh, round_id_); });
}

std::optional<BidBook::Write> BidBook::NextWrite(bool fresh) {
  if (in_flight_ || fence_ == 0) return std::nullopt;
  Write write{.fence = fence_, .sequence = sequence_ + 1, .ledger_id = ledger_id_, .items = {}};
  size_t bundles = 0;
  for (auto& [key, entry] : entries_) {
    if (write.items.size() == bids_per_call_) break;
    if (!WantsWrite(entry, fresh, round_id_)) continue;
    if (entry.wish && entry.wish->valuation) bundles += entry.wish->valuation->bundles.size();
    if (!write.items.empty() && bundles > kBundlesPerWriteMax) break;
    entry.in_flight = write.sequence;
    entry.is_sent = true;
    if (!entry.attempts.empty() && entry.attempts.back().bid == entry.wish &&
        entry.attempts.back().last != kSequenceNever) {
      entry.attempts.back().last = write.sequence;
    } else {
      entry.attempts.push_back({write.sequence, write.sequence, entry.wish});
    }
    write.items.push_back({key, entry.wish, entry.wish_id});
  }
  if (write.items.empty()) return std::nullopt;
  ++sequence_;
  in_flight_ = true;
  return write;
}

void BidBook::OnWritten(const Write& write, const absl::Status& told,
                        const std::vector<Placed>& placed) {
  in_flight_ = false;
  const absl::Status status = told.ok() ? CheckCount(placed.size(), write.items.size()) : told;
  const bool unsure = !status.ok() && IsUnsure(status);
  // The market takes no more calls for now, or has another ledger than the lease is of: nothing was
  // carried out, and nobody's bid was refused.
  const bool put_off = absl::IsResourceExhausted(status) || absl::IsFailedPrecondition(status);
  // Among what may be wrong with a whole call is a fence that the market does not know.
  if (absl::IsInvalidArgument(status)) TakeOver();
  for (size_t i = 0; i < write.items.size(); ++i) {
    const Item& item = write.items[i];
    const auto it = entries_.find(item.key);
    // Lost meanwhile, and perhaps asked for anew.
    if (it == entries_.end() || it->second.in_flight != write.sequence) {
      answers_.push_back({item.wish_id, StatusOf(BidChange::kTakenOver), false});
      continue;
    }
    Entry& entry = it->second;
    entry.in_flight = 0;
    if (put_off || unsure) {
      if (put_off) Unsend(entry, write.sequence);
      OnUnanswered(item, entry, status, put_off);
      continue;
    }
    const Placed& of = status.ok() ? placed[i] : Placed{.status = status};
    const bool of_lease_before = write.fence != fence_;
    if (of.status.ok()) {
      OnTaken(item.key, entry, item, of_lease_before ? kSequenceNever : write.sequence, of);
      if (of_lease_before) entry.to_write = true;
    } else if (of.lost_to && of_lease_before) {
      Unsend(entry, write.sequence);
    } else if (of.lost_to) {
      Unsend(entry, write.sequence);
      Lose(it, ChangeOf(*of.lost_to), of.status);
      continue;
    } else if (status.ok() && absl::IsNotFound(of.status) && (!item.bid || entry.is_kept)) {
      // It went between two lists of guests. (A whole call may fail so for want of a token's file.)
      Lose(it, BidChange::kGuestGone, of.status);
      continue;
    } else {
      OnRefused(item.key, entry, item, write.sequence, of.status);
    }
    Forget(item.key);
  }
}

// Nobody said anything of the item itself.
void BidBook::OnUnanswered(const Item& item, Entry& entry, const absl::Status& status,
                           bool put_off) {
  if (entry.wish_id != item.wish_id) {
    answers_.push_back({item.wish_id, status, false});
  } else if (entry.is_displaced) {
    Reply(entry, status);  // It is not tried again.
    if (!entry.is_kept && entry.attempts.empty()) Revert(entry);
  } else if (put_off) {
    entry.problem = status;
    // It is as if it had waited, unless it was sent before.
    entry.is_sent = !entry.attempts.empty();
  } else {
    Problem(entry, item.key, BidChange::kUnsure, status);
  }
}

void BidBook::OnTaken(BidKey key, Entry& entry, const Item& item, uint64_t sequence,
                      const Placed& placed) {
  ++counters_.placed;
  // What was sent before can no longer come.
  entry.attempts.clear();
  entry.placed = item.bid;
  entry.placed_sequence = sequence;
  if (item.bid) Replace(key, sequence == kSequenceNever ? sequence_ : sequence);
  // Whatever the market says: a bid that counted from the past would be over at once.
  entry.first_round_id = std::max(placed.round_id, round_id_);
  entry.through_round_id = item.bid ? entry.first_round_id + StandsRounds(*item.bid) - 1 : 0;
  if (entry.wish_id == item.wish_id) {
    const bool was_in_doubt = !entry.is_awaited && !entry.problem.ok();
    Reply(entry, entry.first_round_id, placed.removed);
    entry.to_write = false;
    entry.is_kept = item.bid.has_value();
    entry.before.reset();
    entry.problem = absl::OkStatus();
    if (was_in_doubt && item.bid) Tell(entry, key, BidChange::kPlaced, absl::OkStatus());
  } else if (entry.wish == item.bid && !entry.is_awaited) {
    // The wish that came since was given up, so that this one is wished for again.
    answers_.push_back({item.wish_id, entry.first_round_id, placed.removed});
    entry.to_write = false;
    entry.is_kept = item.bid.has_value();
    entry.before.reset();
    entry.problem = absl::OkStatus();
  } else {
    answers_.push_back({item.wish_id, entry.first_round_id, placed.removed});
    // A refusal of the wish that came since leaves this one.
    entry.before = item.bid;
    // One that was taken away meanwhile.
    if (item.bid && !entry.wish) entry.to_write = true;
  }
  if (pacer_) TellPacer(entry.first_round_id);
}

// The write that was on its way was not carried out; what was sent before and not answered may
// still have been.
void BidBook::Unsend(Entry& entry, uint64_t sequence) {
  Attempt& last = entry.attempts.back();
  if (last.first == sequence) {
    entry.attempts.pop_back();
  } else if (last.last != kSequenceNever) {
    --last.last;
  }
}

void BidBook::OnRefused(BidKey key, Entry& entry, const Item& item, uint64_t sequence,
                        const absl::Status& status) {
  ++counters_.refused;
  Unsend(entry, sequence);
  if (entry.wish_id != item.wish_id) {
    answers_.push_back({item.wish_id, status, false});
    return;
  }
  const bool may_stand =
      std::any_of(entry.attempts.begin(), entry.attempts.end(),
                  [&](const Attempt& attempt) { return attempt.bid == entry.wish; });
  if (entry.is_kept || may_stand || !entry.wish) {
    entry.refused_round_id = round_id_;
    Problem(entry, key, BidChange::kRefused, status);
    Reply(entry, status);
    return;
  }
  Reply(entry, status);
  Revert(entry);
  Restore(key.first);
  if (pacer_) TellPacer(round_id_);
}

BidBook::Entries::iterator BidBook::Lose(Entries::iterator it, BidChange change,
                                         const absl::Status& status) {
  Entry& entry = it->second;
  if (entry.wish || (entry.placed && !entry.to_write)) {  // Not: is being withdrawn anyway.
    ++counters_.lost;
    if (!entry.is_awaited) Tell(entry, it->first, change, status);
  }
  // Nothing of a guest that is gone stands, which is all that a withdrawal is for.
  if (!entry.wish && change == BidChange::kGuestGone) {
    Reply(entry, round_id_);
  } else {
    Reply(entry, status);
  }
  const uint64_t guest_id = it->first.first;
  const bool may_come = (change == BidChange::kTakenOver || change == BidChange::kWithdrawn) &&
                        !entry.attempts.empty();
  if (may_come) {
    // What was sent and is not answered yet: no one waits for it, but a renewal has to close it.
    entry.placed.reset();
    Drop(entry);
    entry.to_write = IsOfLeaseBefore(entry);
    entry.refused_round_id = round_id_;
    ++it;
  } else {
    it = entries_.erase(it);
  }
  Restore(guest_id);
  return it;
}

// --- Renewals. ---

bool BidBook::AnyInDoubt() const {
  return std::any_of(entries_.begin(), entries_.end(), [](const auto& entry) {
    return entry.second.in_flight == 0 &&
           std::any_of(entry.second.attempts.begin(), entry.second.attempts.end(),
                       [](const Attempt& attempt) { return attempt.last != kSequenceNever; });
  });
}

bool BidBook::AnyToRenew() const {
  return fence_ != 0 && std::any_of(entries_.begin(), entries_.end(), [](const auto& entry) {
           return entry.second.placed || !entry.second.attempts.empty();
         });
}

std::optional<BidBook::Renewal> BidBook::NextRenewal() {
  if (fence_ == 0) return std::nullopt;
  Renewal renewal{.fence = fence_,
                  .sequence = in_flight_ ? sequence_ - 1 : sequence_,
                  .ledger_id = ledger_id_,
                  .keys = {}};
  for (const auto& [key, entry] : entries_) {
    if (entry.placed || !entry.attempts.empty()) renewal.keys.push_back(key);
  }
  if (renewal.keys.empty()) return std::nullopt;
  return renewal;
}

void BidBook::OnRenewed(const Renewal& renewal, const std::vector<Leased>& leased) {
  if (!CheckCount(leased.size(), renewal.keys.size()).ok()) return;
  if (renewal.fence != fence_) return;  // Of a lease before.
  for (size_t i = 0; i < renewal.keys.size(); ++i) {
    const auto it = entries_.find(renewal.keys[i]);
    if (it == entries_.end()) continue;
    switch (leased[i].state) {
      case LeasedState::kHeld:
      case LeasedState::kNone:
        Resolve(it->first, it->second, renewal.sequence, leased[i]);
        Forget(renewal.keys[i]);
        break;
      default:
        // Nothing that this lease has sent will be taken any more.
        it->second.attempts.clear();
        Lose(it, ChangeOf(leased[i].state), StatusOf(ChangeOf(leased[i].state)));
    }
  }
}

// The market has said what stands of all writes up to `through_sequence`.
void BidBook::Resolve(BidKey key, Entry& entry, uint64_t through_sequence, const Leased& leased) {
  const bool had_placed = entry.placed.has_value();
  TakeWhatStands(key, entry, through_sequence, leased);
  if (entry.in_flight != 0) return;  // What is on its way will tell the rest.
  if (entry.is_displaced) return;    // Ones that exclude it will.
  entry.wish ? SettleWish(key, entry) : SettleWithdrawal(entry, had_placed);
}

void BidBook::TakeWhatStands(BidKey key, Entry& entry, uint64_t through_sequence,
                             const Leased& leased) {
  const bool held = leased.state == LeasedState::kHeld;
  const bool of_lease_before = entry.placed_sequence == kSequenceNever;
  // Of the attempts, the one that the market names has come through.
  const std::optional<Attempt> stands =
      held ? AttemptThatStands(entry, through_sequence, leased.sequence) : std::nullopt;
  // All others up to there never will: the renewal has closed them.
  std::erase_if(entry.attempts, [&](const Attempt& attempt) {
    // This lease has written it, so that nothing of one before can stand.
    const bool is_over = attempt.last == kSequenceNever && leased.sequence != 0;
    return is_over || attempt.last <= through_sequence;
  });
  if (stands && (of_lease_before || leased.sequence > entry.placed_sequence)) {
    entry.placed = stands->bid;
    entry.placed_sequence = leased.sequence;
    entry.first_round_id = round_id_;
    if (entry.placed) Replace(key, leased.sequence);
  }
  if (held && entry.placed && entry.placed_sequence == leased.sequence) {
    entry.through_round_id = leased.last_round_id;
  }
  // Nothing stands, and what is known to have stood was written before the market looked. (What was
  // written under a lease before is gone only once this one has written.)
  const bool is_gone =
      entry.placed_sequence <= through_sequence || (of_lease_before && leased.sequence != 0);
  if (!held && is_gone) entry.placed.reset();
}

// The one of the attempts that was sent as `sequence`, which is what stands.
std::optional<BidBook::Attempt> BidBook::AttemptThatStands(const Entry& entry,
                                                           uint64_t through_sequence,
                                                           uint64_t sequence) {
  // What was asked before another bid replaced it all says nothing any more. (Asked since, it means
  // that a write came late, and stands.)
  if (sequence <= entry.replaced_sequence && through_sequence < entry.replaced_sequence) {
    return std::nullopt;
  }
  std::optional<Attempt> stands;
  for (const Attempt& attempt : entry.attempts) {
    if (attempt.first <= sequence && sequence <= attempt.last) stands = attempt;
  }
  return stands;
}

// It is known what stands, and nothing is wished for: a withdrawal whose answer was lost, or a bid
// that was left at that.
void BidBook::SettleWithdrawal(Entry& entry, bool had_placed) {
  if (!entry.attempts.empty()) return;
  if (!entry.placed) {
    Reply(entry, round_id_, had_placed);
    entry.to_write = false;
  } else if (entry.placed->rounds == 0) {
    // One with rounds of its own was to take its place, and did not come.
    entry.to_write = true;
  }
}

// It is known what stands, and something is wished for.
void BidBook::SettleWish(BidKey key, Entry& entry) {
  if (entry.placed == entry.wish && entry.placed_sequence != kSequenceNever) {
    if (!std::exchange(entry.to_write, false)) return;
    entry.is_kept = true;
    entry.before.reset();
    const bool was_awaited = entry.is_awaited;
    Reply(entry, entry.first_round_id);
    if (!was_awaited && !std::exchange(entry.problem, absl::OkStatus()).ok()) {
      Tell(entry, key, BidChange::kPlaced, absl::OkStatus());
    }
    if (pacer_) TellPacer(entry.first_round_id);
    return;
  }
  if (entry.to_write || entry.placed) return;  // It is being tried.
  // It stood and does no longer.
  if (entry.wish->rounds != 0) {
    entry.wish.reset();
    return;
  }
  entry.to_write = true;
  Problem(entry, key, BidChange::kLapsed,
          absl::UnavailableError("the market heard nothing of the session for too long"));
}

}  // namespace nom::client
