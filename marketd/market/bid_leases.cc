// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/bid_leases.h"

#include <algorithm>
#include <string>

namespace nom::market {
namespace {

using Verdict = BidLeases::Verdict;

Verdict Refused(const char* why, std::optional<LeasedBidState> lost_to = std::nullopt) {
  return {Verdict::Kind::kRefused, absl::AbortedError(why), lost_to};
}

}  // namespace

BidLeases::BidLeases(const State& state) : state_(state) {
  // Above all that a process before this one gave out: it is given 2^40 at each start.
  last_fence_ = state.ledger.openings << 40;
  for (const auto& [key, fence] : state.bid_fences) {
    last_fence_ = std::max(last_fence_, fence.fence);
  }
  // Nobody knows when leases were last renewed: as if they had been just now.
  for (const auto& [key, bid] : state.bids) {
    if (bid.lease_rounds == 0) continue;
    const auto guest = state.guests.find(key.first);
    if (guest == state.guests.end()) continue;
    const auto book = state.hosts.find(guest->second.host_id);
    const RoundId decided = book == state.hosts.end() ? 0 : book->second.last_decided_round_id;
    renewed_through_[key] = decided + bid.lease_rounds;
  }
}

absl::Status BidLeases::Check(const std::string& ledger_id, uint64_t fence) const {
  if (!ledger_id.empty() && ledger_id != state_.ledger.id) {
    return absl::FailedPreconditionError("ledger_id: the market has another ledger now");
  }
  if (fence == 0) return absl::InvalidArgumentError("fence: missing; open a lease first");
  if (fence > last_fence_) return absl::InvalidArgumentError("fence: no lease has this one");
  return absl::OkStatus();
}

BidFence BidLeases::LastToExclude(const BidKey& key) const {
  BidFence last;
  for (const BidKey& other : state_.BidsOf(key.first)) {
    const bool exclude_each_other =
        (other.second == kSeveralKinds) != (key.second == kSeveralKinds);
    if (exclude_each_other) last = std::max(last, state_.bids.at(other).fence);
  }
  return last;
}

Verdict BidLeases::Judge(const BidKey& key, BidFence write) const {
  // Before the key's own last writer is looked at: that has the same fence since then, and says
  // less.
  const BidFence excluding = LastToExclude(key);
  if (excluding.fence > write.fence) {
    return Refused("the bid has been taken over: one that goes without it was placed since",
                   LeasedBidState::kTakenOver);
  }
  if (excluding > write) {
    return Refused(
        "a later write of the same lease, of a bid that goes without it, has overtaken it");
  }
  if (const auto last = state_.bid_fences.find(key); last != state_.bid_fences.end()) {
    const bool stands = state_.bids.contains(key);
    if (last->second.fence > write.fence) {
      return stands ? Refused("the bid has been taken over: somebody else placed it since",
                              LeasedBidState::kTakenOver)
                    : Refused("the bid was withdrawn or replaced by somebody else since",
                              LeasedBidState::kWithdrawn);
    }
    if (last->second == write) return {Verdict::Kind::kWasWritten, absl::OkStatus()};
    if (last->second > write) {
      return Refused("a later write of the same lease has overtaken it");
    }
  }
  const auto closed = closed_through_.find(key);
  if (closed != closed_through_.end() && write <= closed->second) {
    return Refused("its lease has given up waiting for it");
  }
  return {};
}

LeasedBid BidLeases::Renew(const BidKey& key, BidFence lease, RoundId next_round) {
  const auto standing = state_.bids.find(key);
  const auto last = state_.bid_fences.find(key);
  BidFence& closed = closed_through_[key];
  closed = std::max(closed, lease);
  if (last == state_.bid_fences.end() || last->second.fence < lease.fence) {
    return {.state = LeasedBidState::kNone};
  }
  if (last->second.fence > lease.fence) {
    return {.state = standing == state_.bids.end() ? LeasedBidState::kWithdrawn
                                                   : LeasedBidState::kTakenOver};
  }
  if (standing == state_.bids.end()) {
    return {.state = LeasedBidState::kNone, .sequence = last->second.sequence};
  }
  const StandingBid& bid = standing->second;
  if (bid.lease_rounds != 0) {
    RoundId& through = renewed_through_[key];
    through = std::max(through, next_round + bid.lease_rounds - 1);
  }
  return {.state = LeasedBidState::kHeld,
          .last_round_id = LastRound(bid),
          .sequence = last->second.sequence};
}

RoundId BidLeases::LastRound(const StandingBid& bid) const {
  if (bid.lease_rounds == 0) return bid.last_round_id;
  const auto renewed = renewed_through_.find({bid.guest_id, bid.kind});
  return renewed == renewed_through_.end() ? bid.last_round_id
                                           : std::max(bid.last_round_id, renewed->second);
}

void BidLeases::GiveRoundBack(const BidKey& key) {
  const auto renewed = renewed_through_.find(key);
  if (renewed != renewed_through_.end()) ++renewed->second;
}

void BidLeases::ForgetGuest(GuestId guest_id) {
  const BidKey first{guest_id, ResourceKind{0}};
  const BidKey end{guest_id + 1, ResourceKind{0}};
  renewed_through_.erase(renewed_through_.lower_bound(first), renewed_through_.lower_bound(end));
  closed_through_.erase(closed_through_.lower_bound(first), closed_through_.lower_bound(end));
}

}  // namespace nom::market
