#include "client/src/bid_book.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "client/src/bid_limits.h"

namespace nom::client {
namespace {

// Different bids for one thing in doubt at once: more are refused until the market has spoken.
constexpr size_t kAttemptsMax = 64;
constexpr size_t kKeysPerRenewalMax = 4'096;

// No renewal resolves it.
constexpr uint64_t kSequenceNever = std::numeric_limits<uint64_t>::max();
constexpr int64_t kInt64Max = std::numeric_limits<int64_t>::max();

int64_t BudgetOf(const std::optional<Bid>& bid) {
  return bid ? bid->budget_microcredits.value_or(0) : 0;
}

int64_t Add(int64_t a, int64_t b) { return a > kInt64Max - b ? kInt64Max : a + b; }

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

absl::Status StatusOf(BidChange change) {
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

BidBook::BidBook(Limits limits, std::optional<BudgetPacer> pacer)
    : limits_(std::move(limits)), pacer_(std::move(pacer)) {}

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
  for (const auto& [key, entry] : entries_) sum = Add(sum, Reserved(entry));
  return sum;
}

uint64_t BidBook::StandsRounds(const Bid& bid) const {
  return bid.rounds != 0 ? bid.rounds : limits_.lifetime_rounds;
}

absl::Status BidBook::Check(const Bid& bid) const {
  if (bid.valuation) {
    return absl::UnimplementedError(
        "valuation: a session keeps bids for single resources; a bid for several is placed with "
        "MarketService.PlaceBid or nomctl bid");
  }
  if (!ParseResource(ResourceName(bid.resource))) {
    return absl::InvalidArgumentError(
        absl::StrCat("resource: ", static_cast<int>(bid.resource), " is none"));
  }
  if (bid.budget_microcredits && *bid.budget_microcredits < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("budget_microcredits: ", *bid.budget_microcredits, " is negative"));
  }
  return bid.ranges.empty() ? absl::OkStatus() : CheckRanges(bid.ranges);
}

absl::StatusOr<Bid> BidBook::WithinLimits(Bid bid) {
  const auto ceiling = limits_.unit_price_ceilings_microcredits.find(bid.resource);
  if (ceiling != limits_.unit_price_ceilings_microcredits.end()) {
    bid.ranges = CutToUnitPrice(bid.ranges, ceiling->second);
    if (bid.ranges.empty()) {
      return absl::ResourceExhaustedError(
          absl::StrCat("ranges: a price ceiling of ", ceiling->second, " leaves nothing to bid"));
    }
  }
  // Of a session that paces, bids stand for one round unless they say otherwise.
  if (pacer_ && bid.rounds == 0) bid.rounds = 1;
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
  int64_t left = *limit;
  for (const auto& [key, entry] : entries_) {
    if (key != BidKey(bid.guest_id, bid.resource)) left -= std::min(left, Reserved(entry));
  }
  if (left <= 0 || bid.budget_microcredits.value_or(0) > left) {
    return absl::ResourceExhaustedError(absl::StrCat("budget_microcredits: of the session's ",
                                                     *limit, " a round, other bids leave ", left));
  }
  if (!bid.budget_microcredits) bid.budget_microcredits = std::min(left, HighestValue(bid.ranges));
  return bid;
}

absl::StatusOr<uint64_t> BidBook::Want(Bid bid, bool fresh) {
  if (absl::Status status = Check(bid); !status.ok()) return status;
  const BidKey key(bid.guest_id, bid.resource);
  std::optional<Bid> wish;
  if (!bid.ranges.empty()) {
    if (!fresh) return absl::FailedPreconditionError("safe mode: prices are stale");
    absl::StatusOr<Bid> limited = WithinLimits(std::move(bid));
    if (!limited.ok()) return limited.status();
    wish = *std::move(limited);
  }
  const auto known = entries_.find(key);
  if (known != entries_.end() && known->second.attempts.size() >= kAttemptsMax) {
    return absl::UnavailableError("too many bids for it are in doubt; the market does not answer");
  }
  Entry& entry = entries_[key];
  // The wish before goes: its answer is what is known of it. One on its way gets its own.
  if (entry.is_awaited && entry.in_flight == 0) {
    Reply(entry, entry.is_sent && !entry.problem.ok()
                     ? entry.problem
                     : absl::AbortedError("another bid replaced it before it was sent"));
  }
  if (entry.is_kept || (entry.is_sent && !entry.attempts.empty())) entry.before = entry.wish;
  entry.wish = std::move(wish);
  entry.wish_id = ++last_wish_id_;
  entry.to_write = entry.is_awaited = true;
  entry.is_sent = entry.is_kept = false;
  entry.refused_round_id = 0;
  entry.problem = absl::OkStatus();
  if (pacer_) {
    ever_bid_.insert(key);
    TellPacer(round_id_);
  }
  return entry.wish_id;
}

void BidBook::Reply(Entry& entry, absl::StatusOr<uint64_t> result, bool removed) {
  if (!std::exchange(entry.is_awaited, false)) return;
  answers_.push_back({entry.wish_id, std::move(result), removed});
}

void BidBook::Tell(const Entry& entry, BidKey key, BidChange change, absl::Status status) {
  Bid bid{.guest_id = key.first, .resource = key.second};
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
    const bool says_more = absl::IsDeadlineExceeded(why) && entry.is_sent && !entry.problem.ok();
    Reply(entry, says_more ? entry.problem : why);
    if (!entry.is_sent && entry.wish) {
      Revert(entry);
    } else if (entry.wish && entry.wish->rounds != 0) {
      // It may stand for its own time; it is not tried any more. What a lease before left in doubt
      // only a write can settle.
      entry.wish.reset();
      entry.to_write = IsOfLeaseBefore(entry);
    } else {
      entry.problem = why;
    }
    if (pacer_) TellPacer(round_id_);
    Forget(BidKey(key));
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
    entry.is_awaited = false;
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
    entry.to_write = entry.to_write || entry.wish.has_value() || !entry.attempts.empty() ||
                     (entry.placed && entry.placed->rounds == 0);
    // What stands under the lease before is none that the next one's renewals are told of: only a
    // write under the next one puts an end to it.
    if (entry.placed) entry.placed_sequence = kSequenceNever;
    for (Attempt& attempt : entry.attempts) attempt.last = kSequenceNever;
  }
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
  if (!entry.to_write || entry.in_flight != 0) return false;
  if (!entry.wish) return true;
  return fresh && entry.refused_round_id < round_id;
}

bool BidBook::AnyToWrite(bool fresh) const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const auto& entry) { return WantsWrite(entry.second, fresh, round_id_); });
}

std::optional<BidBook::Write> BidBook::NextWrite(bool fresh) {
  if (in_flight_ || fence_ == 0) return std::nullopt;
  Write write{.fence = fence_, .sequence = sequence_ + 1, .ledger_id = ledger_id_, .items = {}};
  for (auto& [key, entry] : entries_) {
    if (write.items.size() == bids_per_call_) break;
    if (!WantsWrite(entry, fresh, round_id_)) continue;
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

void BidBook::OnWritten(const Write& write, const absl::Status& status,
                        const std::vector<Placed>& placed) {
  in_flight_ = false;
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
    if (put_off) {
      Unsend(entry);
      entry.problem = status;
      if (entry.wish_id != item.wish_id) answers_.push_back({item.wish_id, status, false});
      continue;
    }
    if (unsure) {
      if (entry.wish_id == item.wish_id) {
        Problem(entry, item.key, BidChange::kUnsure, status);
      } else {
        answers_.push_back({item.wish_id, status, false});
      }
      continue;
    }
    const Placed& of = status.ok() && i < placed.size() ? placed[i] : Placed{.status = status};
    const bool of_lease_before = write.fence != fence_;
    if (of.status.ok()) {
      OnTaken(item.key, entry, item, of_lease_before ? kSequenceNever : write.sequence, of);
      if (of_lease_before) entry.to_write = true;
    } else if (of.lost_to && of_lease_before) {
      Unsend(entry);
    } else if (of.lost_to) {
      Lose(it, ChangeOf(*of.lost_to), of.status);
      continue;
    } else if (absl::IsNotFound(of.status) && !item.bid) {
      Lose(it, BidChange::kGuestGone, of.status);
      continue;
    } else {
      OnRefused(item.key, entry, item, of.status);
    }
    Forget(item.key);
  }
}

void BidBook::OnTaken(BidKey key, Entry& entry, const Item& item, uint64_t sequence,
                      const Placed& placed) {
  ++counters_.placed;
  // What was sent before can no longer come.
  entry.attempts.clear();
  entry.placed = item.bid;
  entry.placed_sequence = sequence;
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
  } else {
    answers_.push_back({item.wish_id, entry.first_round_id, placed.removed});
    // A refusal of the wish that came since leaves this one.
    entry.before = item.bid;
  }
  if (pacer_) TellPacer(entry.first_round_id);
}

// The write that was on its way was not carried out; what was sent before and not answered may
// still have been.
void BidBook::Unsend(Entry& entry) {
  Attempt& last = entry.attempts.back();
  if (last.first == last.last || last.last == kSequenceNever) {
    entry.attempts.pop_back();
  } else {
    --last.last;
  }
}

void BidBook::OnRefused(BidKey key, Entry& entry, const Item& item, const absl::Status& status) {
  ++counters_.refused;
  Unsend(entry);
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
  if (pacer_) TellPacer(round_id_);
}

BidBook::Entries::iterator BidBook::Lose(Entries::iterator it, BidChange change,
                                         const absl::Status& status) {
  Entry& entry = it->second;
  if (entry.wish || entry.placed) {
    ++counters_.lost;
    if (!entry.is_awaited) Tell(entry, it->first, change, status);
  }
  // Nothing of a guest that is gone stands, which is all that a withdrawal is for.
  if (!entry.wish && change == BidChange::kGuestGone) {
    Reply(entry, round_id_);
  } else {
    Reply(entry, status);
  }
  return entries_.erase(it);
}

// --- Renewals. ---

bool BidBook::AnyInDoubt() const {
  return std::any_of(entries_.begin(), entries_.end(), [](const auto& entry) {
    return !entry.second.attempts.empty() && entry.second.in_flight == 0;
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
    if (renewal.keys.size() == kKeysPerRenewalMax) break;
    if (entry.placed || !entry.attempts.empty()) renewal.keys.push_back(key);
  }
  if (renewal.keys.empty()) return std::nullopt;
  return renewal;
}

void BidBook::OnRenewed(const Renewal& renewal, const std::vector<Leased>& leased) {
  if (renewal.fence != fence_) return;  // Of a lease before.
  for (size_t i = 0; i < renewal.keys.size() && i < leased.size(); ++i) {
    const auto it = entries_.find(renewal.keys[i]);
    if (it == entries_.end()) continue;
    switch (leased[i].state) {
      case LeasedState::kHeld:
      case LeasedState::kNone:
        Resolve(it->first, it->second, renewal.sequence, leased[i]);
        Forget(renewal.keys[i]);
        break;
      default:
        Lose(it, ChangeOf(leased[i].state), StatusOf(ChangeOf(leased[i].state)));
    }
  }
}

// The market has said what stands of all writes up to `through_sequence`.
void BidBook::Resolve(BidKey key, Entry& entry, uint64_t through_sequence, const Leased& leased) {
  const bool held = leased.state == LeasedState::kHeld;
  std::optional<Attempt> stands;
  for (const Attempt& attempt : entry.attempts) {
    if (held && attempt.first <= leased.sequence && leased.sequence <= attempt.last) {
      stands = attempt;
    }
  }
  std::erase_if(entry.attempts, [&](const Attempt& attempt) {
    // This lease has written it, so that nothing of one before can stand.
    const bool is_over = attempt.last == kSequenceNever && leased.sequence != 0;
    return is_over || attempt.last <= through_sequence;
  });
  const bool had_placed = entry.placed.has_value();
  const bool of_lease_before = entry.placed_sequence == kSequenceNever;
  if (stands && (of_lease_before || leased.sequence > entry.placed_sequence)) {
    entry.placed = stands->bid;
    entry.placed_sequence = leased.sequence;
    entry.first_round_id = round_id_;
  }
  if (held && entry.placed && entry.placed_sequence == leased.sequence) {
    entry.through_round_id = leased.last_round_id;
  }
  if (!held &&
      (entry.placed_sequence <= through_sequence || (of_lease_before && leased.sequence != 0))) {
    entry.placed.reset();
  }
  if (entry.in_flight != 0) return;  // What is on its way will tell the rest.

  if (!entry.wish) {
    // A withdrawal whose answer was lost, or a bid that was left at that.
    if (!entry.placed && entry.attempts.empty()) {
      Reply(entry, round_id_, had_placed);
      entry.to_write = false;
    } else if (entry.attempts.empty() && entry.placed && entry.placed->rounds == 0) {
      // One with rounds of its own was to take its place, and did not come.
      entry.to_write = true;
    }
    return;
  }
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

// --- The market. ---

void BidBook::OnRound(uint64_t first_round_id) {
  round_id_ = first_round_id;
  for (auto it = entries_.begin(); it != entries_.end();) {
    Entry& entry = it->second;
    // Bids with rounds of their own are over by themselves.
    if (entry.placed && entry.placed->rounds != 0 && round_id_ > entry.through_round_id) {
      if (entry.wish == entry.placed && !entry.to_write) entry.wish.reset();
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
  }
  ledger_id_ = ledger_id;
}

void BidBook::OnDecided(const Round& round) {
  if (!pacer_) return;
  int64_t charge = 0;
  for (const Award& award : round.awards) {
    if (ever_bid_.contains({award.guest_id, award.resource})) {
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
    sure = sure && !entry.to_write && entry.attempts.empty();
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
    if (!entry.wish) continue;
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
