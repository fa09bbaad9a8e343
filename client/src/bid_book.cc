// SPDX-License-Identifier: Apache-2.0
#include "client/src/bid_book.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "client/src/bid_limits.h"

namespace nom::client {
namespace {

// Different bids for one thing in doubt at once: more are refused until the market has spoken.
constexpr size_t kAttemptsMax = 64;
// As many as the market takes in one renewal: one that is left out would lapse without a word.
constexpr size_t kBidsMax = 4'096;
constexpr int64_t kInt64Max = std::numeric_limits<int64_t>::max();

int64_t BudgetOf(const std::optional<Bid>& bid) {
  return bid ? bid->budget_microcredits.value_or(0) : 0;
}

int64_t Add(int64_t a, int64_t b) { return a > kInt64Max - b ? kInt64Max : a + b; }

}  // namespace

bool IsUnsure(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kAborted:
      return true;
    default:
      return false;
  }
}

bool WantsNothing(const Bid& bid) {
  return bid.valuation ? bid.valuation->bundles.empty() && bid.valuation->curves.empty()
                       : bid.ranges.empty();
}

absl::Status CheckTogether(const std::vector<Bid>& bids) {
  std::set<BidKey> keys;
  std::set<BidKey> wished;
  for (size_t i = 0; i < bids.size(); ++i) {
    const BidKey key = KeyOf(bids[i]);
    if (!keys.insert(key).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("bids[", i, "]: its guest and resource are there twice"));
    }
    if (WantsNothing(bids[i])) continue;
    wished.insert(key);
    for (auto it = wished.lower_bound({key.first, kSeveralResources});
         it != wished.end() && it->first == key.first; ++it) {
      if (!ExcludeEachOther(*it, key)) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          "bids[", i, "]: a bid for several resources of a guest and one for a single ",
          "resource replace each other"));
    }
  }
  return absl::OkStatus();
}

absl::Status BidBook::StatusOf(BidChange change) {
  switch (change) {
    case BidChange::kTakenOver:
      return absl::AbortedError("a newer session, or a person, placed another bid in its stead");
    case BidChange::kWithdrawn:
      return absl::AbortedError("somebody else withdrew the bid");
    case BidChange::kGuestGone:
      return absl::NotFoundError("the guest has ended");
    default:
      return absl::AbortedError("the market has another ledger now");
  }
}

std::optional<BudgetPacer> BidBook::MakePacer(const Limits& limits) {
  if (!limits.pacing) return std::nullopt;
  return *BudgetPacer::Create(*limits.pacing);
}

BidBook::BidBook(Limits limits) : limits_(std::move(limits)), pacer_(MakePacer(limits_)) {}

// --- Wishes. ---

int64_t BidBook::Reserved(const Entry& entry) {
  int64_t reserved =
      std::max({BudgetOf(entry.wish), BudgetOf(entry.before), BudgetOf(entry.placed)});
  for (const Attempt& attempt : entry.attempts) {
    reserved = std::max(reserved, BudgetOf(attempt.bid));
  }
  return reserved;
}

int64_t BidBook::ReservedMicrocredits() const {
  int64_t sum = 0;
  for (auto it = entries_.begin(); it != entries_.end();) {
    // Of the guest's two sides only one can stand.
    const uint64_t guest_id = it->first.first;
    int64_t several = 0;
    int64_t single = 0;
    for (; it != entries_.end() && it->first.first == guest_id; ++it) {
      int64_t& side = it->first.second == kSeveralResources ? several : single;
      side = Add(side, Reserved(it->second));
    }
    sum = Add(sum, std::max(several, single));
  }
  return sum;
}

uint64_t BidBook::StandsRounds(const Bid& bid) const {
  return bid.rounds != 0 ? bid.rounds : limits_.lifetime_rounds;
}

absl::StatusOr<Bid> BidBook::WithinLimits(Bid bid) {
  absl::StatusOr<Bid> cut = CutToCeilings(std::move(bid), limits_.unit_price_ceilings_microcredits);
  if (!cut.ok()) return cut.status();
  bid = *std::move(cut);
  // Of a session that paces, bids stand for one round unless they say otherwise.
  if (pacer_ && bid.rounds == 0) bid.rounds = 1;
  // What stands for longer the pacer would not count to its end.
  if (pacer_ && bid.rounds > static_cast<uint32_t>(limits_.pacing->bid_lifetime_rounds)) {
    return absl::InvalidArgumentError(absl::StrCat("rounds: ", bid.rounds,
                                                   " is more than pacing.bid_lifetime_rounds, ",
                                                   limits_.pacing->bid_lifetime_rounds));
  }
  std::optional<int64_t> limit = limits_.budget_per_round_microcredits;
  if (pacer_) {
    uint64_t stands = bid.rounds;
    for (const auto& [key, entry] : entries_) {
      if (entry.wish) stands = std::max(stands, StandsRounds(*entry.wish));
    }
    const int64_t cap = pacer_->Cap(round_id_, static_cast<int>(std::min<uint64_t>(stands, 1'000)));
    limit = std::min(limit.value_or(kInt64Max), cap);
  }
  if (!limit) return bid;
  return WithinBudget(std::move(bid), *limit);
}

absl::StatusOr<Bid> BidBook::WithinBudget(Bid bid, int64_t limit) const {
  // All but what it replaces: its own, and those that it excludes.
  const BidKey of = KeyOf(bid);
  int64_t left = limit;
  for (auto it = entries_.begin(); it != entries_.end();) {
    const uint64_t guest_id = it->first.first;
    int64_t several = 0;
    int64_t single = 0;
    for (; it != entries_.end() && it->first.first == guest_id; ++it) {
      if (it->first == of) continue;
      int64_t& side = it->first.second == kSeveralResources ? several : single;
      side = Add(side, Reserved(it->second));
    }
    int64_t beside = std::max(several, single);
    if (guest_id == of.first) {
      beside = of.second == kSeveralResources ? several : single;
    }
    left -= std::min(left, beside);
  }
  if (left <= 0 || bid.budget_microcredits.value_or(0) > left) {
    return absl::ResourceExhaustedError(absl::StrCat("budget_microcredits: of the session's ",
                                                     limit, " a round, other bids leave ", left));
  }
  if (!bid.budget_microcredits) bid.budget_microcredits = std::min(left, HighestValue(bid));
  return bid;
}

absl::StatusOr<uint64_t> BidBook::Want(Bid bid, bool fresh) {
  if (absl::Status status = CheckBid(bid); !status.ok()) return status;
  const BidKey key = KeyOf(bid);
  std::optional<Bid> wish;
  if (!WantsNothing(bid)) {
    if (!fresh) return absl::FailedPreconditionError("safe mode: prices are stale");
    absl::StatusOr<Bid> limited = WithinLimits(std::move(bid));
    if (!limited.ok()) return limited.status();
    wish = *std::move(limited);
  }
  const auto known = entries_.find(key);
  if (known == entries_.end() && entries_.size() >= kBidsMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("a session keeps at most ", kBidsMax, " bids; open another for more"));
  }
  if (known != entries_.end() && known->second.attempts.size() >= kAttemptsMax) {
    return absl::UnavailableError("too many bids for it are in doubt; the market does not answer");
  }
  if (wish) Displace(key);
  Entry& entry = entries_[key];
  const bool ends_its_side = !wish && entry.wish && !entry.is_displaced;
  // The wish before goes: its answer is what is known of it. One on its way gets its own.
  if (entry.is_awaited && entry.in_flight == 0) {
    Reply(entry, entry.is_sent && !entry.problem.ok()
                     ? entry.problem
                     : absl::AbortedError("another bid replaced it before it was sent"));
  }
  if (entry.is_displaced) {
    entry.before.reset();  // The other side may have replaced it.
  } else if (entry.is_kept || (entry.is_sent && !entry.attempts.empty())) {
    entry.before = entry.wish;
  }
  entry.wish = std::move(wish);
  entry.wish_id = ++last_wish_id_;
  entry.to_write = entry.is_awaited = true;
  entry.is_sent = entry.is_kept = entry.is_displaced = false;
  entry.refused_round_id = 0;
  entry.problem = absl::OkStatus();
  const uint64_t wish_id = entry.wish_id;
  if (ends_its_side && !AnyWished(key.first, key.second == kSeveralResources)) DropDisplaced(key);
  if (pacer_) {
    ever_bid_.insert(key);
    TellPacer(round_id_);
  }
  return wish_id;
}

void BidBook::Reply(Entry& entry, absl::StatusOr<uint64_t> result, bool removed) {
  if (!std::exchange(entry.is_awaited, false)) return;
  answers_.push_back({entry.wish_id, std::move(result), removed});
}

void BidBook::Tell(const Entry& entry, BidKey key, BidChange change, absl::Status status) {
  Bid bid{.guest_id = key.first};
  if (key.second == kSeveralResources) {
    bid.valuation.emplace();
  } else {
    bid.resource = key.second;
  }
  if (entry.wish) {
    bid = *entry.wish;
  } else if (entry.placed) {
    bid = *entry.placed;
  }
  events_.push_back({std::move(bid), change, std::move(status)});
}

// Told unless it is no news, or whoever waits for the answer learns it.
void BidBook::Problem(Entry& entry, BidKey key, BidChange change, const absl::Status& status) {
  const bool is_news = entry.problem.code() != status.code();
  entry.problem = status;
  if (is_news && !entry.is_awaited) Tell(entry, key, change, status);
}

// To the wish before, as if this one had not been asked for.
void BidBook::Revert(Entry& entry) {
  entry.wish = std::exchange(entry.before, std::nullopt);
  entry.wish_id = ++last_wish_id_;
  entry.is_kept = entry.is_sent = entry.wish.has_value();
  entry.to_write = entry.placed != entry.wish || !entry.attempts.empty() ||
                   (entry.wish && entry.placed_sequence == kSequenceNever);
  // What was placed for rounds of its own stays, though nobody wishes for it anew.
  if (!entry.wish && entry.placed && entry.placed->rounds != 0 && entry.attempts.empty()) {
    entry.to_write = false;
  }
  if (!entry.wish) entry.is_displaced = false;
  if (entry.is_displaced) entry.to_write = false;
}

// Not wished for any more, and withdrawn if it may stand.
void BidBook::Drop(Entry& entry) {
  if (entry.in_flight == 0) Reply(entry, absl::AbortedError("another bid has replaced it"));
  entry.is_awaited = false;
  entry.wish_id = ++last_wish_id_;
  entry.wish.reset();
  entry.before.reset();
  entry.is_kept = entry.is_sent = entry.is_displaced = false;
  entry.to_write = entry.placed.has_value() || !entry.attempts.empty();
}

void BidBook::Forget(BidKey key) {
  const auto it = entries_.find(key);
  if (it == entries_.end()) return;
  const Entry& entry = it->second;
  if (!entry.wish && !entry.to_write && !entry.placed && entry.attempts.empty() &&
      entry.in_flight == 0) {
    entries_.erase(it);
  }
}

void BidBook::GiveUp(uint64_t wish_id, const absl::Status& why) {
  for (auto& [key, entry] : entries_) {
    if (entry.wish_id != wish_id || !entry.is_awaited) continue;
    // What stood in the way says more than that time is over.
    const bool says_more = absl::IsDeadlineExceeded(why) && !entry.problem.ok();
    Reply(entry, says_more ? entry.problem : why);
    if (!entry.is_sent && entry.wish) {
      Revert(entry);
    } else if (entry.is_displaced) {
      // It is not tried in any case.
    } else if (entry.wish && entry.wish->rounds != 0) {
      // It may stand for its own time; it is not tried any more. What a lease before left in doubt
      // only a write can settle.
      entry.wish.reset();
      entry.to_write = IsOfLeaseBefore(entry);
      if (!AnyWished(key.first, key.second == kSeveralResources)) DropDisplaced(key);
    } else {
      entry.problem = why;
    }
    if (pacer_) TellPacer(round_id_);
    const BidKey of = key;
    Restore(of.first);
    Forget(of);
    return;
  }
}

void BidBook::GiveUpUnsent(const absl::Status& why) {
  std::vector<std::pair<uint64_t, absl::Status>> wishes;
  for (const auto& [key, entry] : entries_) {
    if (!entry.is_awaited || !entry.wish || entry.in_flight != 0) continue;
    wishes.emplace_back(entry.wish_id, entry.is_sent && !entry.problem.ok() ? entry.problem : why);
  }
  for (const auto& [wish_id, status] : wishes) GiveUp(wish_id, status);
}

void BidBook::WithdrawAll() {
  for (auto& [key, entry] : entries_) {
    if (entry.is_awaited && entry.in_flight == 0) {
      Reply(entry, absl::CancelledError("the session is being closed"));
    }
    entry.wish.reset();
    entry.before.reset();
    entry.wish_id = ++last_wish_id_;
    entry.is_awaited = entry.is_displaced = false;
    entry.to_write = true;
  }
}

// Something was written under a lease before the present one, and may stand.
bool BidBook::IsOfLeaseBefore(const Entry& entry) {
  return (entry.placed && entry.placed_sequence == kSequenceNever) ||
         std::any_of(entry.attempts.begin(), entry.attempts.end(),
                     [](const Attempt& attempt) { return attempt.last == kSequenceNever; });
}

void BidBook::TakeOver() {
  fence_ = 0;
  for (auto& [key, entry] : entries_) {
    // In doubt and not wished for any more: withdrawn, so that it is known.
    entry.to_write = !entry.is_displaced &&
                     (entry.to_write || entry.wish.has_value() || !entry.attempts.empty() ||
                      (entry.placed && entry.placed->rounds == 0));
    // What stands under the lease before is none that the next one's renewals are told of: only a
    // write under the next one puts an end to it.
    if (entry.placed) entry.placed_sequence = kSequenceNever;
    for (Attempt& attempt : entry.attempts) attempt.last = kSequenceNever;
  }
}

// --- The market. ---

void BidBook::OnRound(uint64_t first_round_id) {
  round_id_ = first_round_id;
  for (auto it = entries_.begin(); it != entries_.end();) {
    Entry& entry = it->second;
    // Bids with rounds of their own are over by themselves.
    if (entry.placed && entry.placed->rounds != 0 && round_id_ > entry.through_round_id) {
      if (entry.wish == entry.placed && !entry.to_write) {
        entry.wish.reset();
        entry.is_displaced = false;
      }
      entry.placed.reset();
    }
    const BidKey key = (it++)->first;
    Forget(key);
  }
}

void BidBook::OnGuests(const std::set<uint64_t>& guest_ids,
                       const std::map<BidKey, uint64_t>& fences) {
  for (auto it = entries_.begin(); it != entries_.end();) {
    const uint64_t guest_id = it->first.first;
    if (seen_guest_ids_.contains(guest_id) && !guest_ids.contains(guest_id)) {
      it = Lose(it, BidChange::kGuestGone, StatusOf(BidChange::kGuestGone));
      continue;
    }
    const auto fence = fences.find(it->first);
    if (fence_ != 0 && fence != fences.end() && fence->second > fence_) {
      it = Lose(it, BidChange::kTakenOver, StatusOf(BidChange::kTakenOver));
      continue;
    }
    const bool is_excluded =
        std::any_of(fences.lower_bound({guest_id, kSeveralResources}),
                    fences.upper_bound({guest_id, kAllResources.back()}), [&](const auto& other) {
                      return ExcludeEachOther(other.first, it->first) && other.second > fence_;
                    });
    if (fence_ != 0 && is_excluded) {
      Resign(it->first, it->second);
      Restore(guest_id);
    }
    ++it;
  }
  seen_guest_ids_ = guest_ids;
}

void BidBook::OnLedger(const std::string& ledger_id) {
  if (ledger_id == ledger_id_) return;
  if (!ledger_id_.empty()) {
    for (auto it = entries_.begin(); it != entries_.end();) {
      it = Lose(it, BidChange::kOtherLedger, StatusOf(BidChange::kOtherLedger));
    }
    fence_ = 0;
    seen_guest_ids_.clear();
    ever_bid_.clear();
    pacer_ = MakePacer(limits_);
  }
  ledger_id_ = ledger_id;
}

void BidBook::OnRoundsUndone(uint64_t round_id) {
  // A round to come may have the number of one in which it was refused.
  for (auto& [key, entry] : entries_) entry.refused_round_id = 0;
  if (!pacer_) return;
  pacer_ = MakePacer(limits_);
  // What was charged in the period before the round that is begun again, nobody has told.
  pacer_->Told(round_id, limits_.pacing->period_budget_microcredits);
}

void BidBook::OnDecided(const Round& round) {
  if (!pacer_) return;
  int64_t charge = 0;
  for (const Award& award : round.awards) {
    if (ever_bid_.contains({award.guest_id, award.resource}) ||
        ever_bid_.contains({award.guest_id, kSeveralResources})) {
      charge = Add(charge, award.charge_microcredits);
    }
  }
  pacer_->Told(round.round_id, charge);
}

// What all bids together may cost from this round on. While anything is in doubt, what stood before
// may stand as well.
void BidBook::TellPacer(uint64_t round_id) {
  uint64_t stands = 1;
  bool sure = true;
  for (const auto& [key, entry] : entries_) {
    for (const std::optional<Bid>* bid : {&entry.wish, &entry.placed}) {
      if (*bid) stands = std::max(stands, StandsRounds(**bid));
    }
    sure = sure && !entry.to_write && !entry.is_displaced && entry.attempts.empty();
  }
  const int rounds = static_cast<int>(std::min<uint64_t>(stands, 1'000));
  if (sure) {
    pacer_->Placed(round_id, ReservedMicrocredits(), rounds);
  } else {
    pacer_->Unsure(round_id, ReservedMicrocredits(), rounds);
  }
}

std::vector<StandingBid> BidBook::standing_bids() const {
  std::vector<StandingBid> bids;
  for (const auto& [key, entry] : entries_) {
    if (!entry.wish || entry.is_displaced) continue;
    const bool stands = entry.placed == entry.wish;
    bids.push_back({.bid = *entry.wish,
                    .confirmed = stands && !entry.to_write && entry.attempts.empty(),
                    .first_round_id = stands ? entry.first_round_id : 0,
                    .confirmed_through_round_id = stands ? entry.through_round_id : 0,
                    .problem = std::string(entry.problem.message())});
  }
  return bids;
}

bool BidBook::Settled() const {
  return std::none_of(entries_.begin(), entries_.end(), [](const auto& entry) {
    return entry.second.to_write || entry.second.in_flight != 0 || !entry.second.attempts.empty();
  });
}

}  // namespace nom::client
