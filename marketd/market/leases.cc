// Whose a bid is. A lease is one program's right to keep bids: it has a fence, and of two fences
// that write to the same bid the higher wins for good. What is durable is the fence and sequence of
// each bid's last writer; that a lease still lives is known in memory alone, so that a bid which
// stands costs no transaction a round.

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/market/engine_impl.h"

namespace nom::market {
namespace {

absl::Status CheckLedger(const std::string& ledger_id, const State& state) {
  if (ledger_id.empty() || ledger_id == state.ledger.id) return absl::OkStatus();
  return absl::FailedPreconditionError("ledger_id: the market has another ledger now");
}

absl::Status CheckFence(uint64_t fence, uint64_t last_fence) {
  if (fence == 0) return absl::InvalidArgumentError("fence: missing; open a lease first");
  if (fence > last_fence) return absl::InvalidArgumentError("fence: no lease has this one");
  return absl::OkStatus();
}

template <typename Calls>
absl::Status CheckEachOnce(const Calls& calls, size_t most) {
  if (calls.size() > most) {
    return absl::InvalidArgumentError(
        absl::StrCat("bids: ", calls.size(), " are too many; at most ", most, " in one call"));
  }
  std::set<BidKey> keys;
  for (size_t i = 0; i < calls.size(); ++i) {
    BidKey key;
    if constexpr (requires { calls[i].guest_id; }) {
      key = {calls[i].guest_id, calls[i].kind};
    } else {
      key = calls[i];
    }
    if (keys.insert(key).second) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("bids[", i, "]: guest and kind are there twice"));
  }
  return absl::OkStatus();
}

}  // namespace

BidFence Engine::Impl::LastToExclude(const BidKey& key) const {
  BidFence last;
  for (const BidKey& other : state_.BidsOf(key.first)) {
    const bool exclude_each_other =
        (other.second == kSeveralKinds) != (key.second == kSeveralKinds);
    if (exclude_each_other) last = std::max(last, state_.bids.at(other).fence);
  }
  return last;
}

Reply Engine::Impl::DoOpenLease() { return Reply{.fence = ++last_fence_}; }

Reply Engine::Impl::DoPlaceBids(const PlaceBids& call, const Caller& caller) {
  absl::Status status = CheckLedger(call.ledger_id, state_);
  if (status.ok()) status = CheckFence(call.fence.fence, last_fence_);
  if (status.ok() && call.fence.sequence == 0) {
    status = absl::InvalidArgumentError("sequence: counts from 1");
  }
  if (status.ok()) status = CheckEachOnce(call.bids, kBidsPerCallMax);
  if (!status.ok()) return Reply{.status = status};
  Reply reply;
  Scribe scribe(state_, now_, "bids placed");
  for (const PlaceBid& bid : call.bids) {
    reply.placed_bids.push_back(PlaceOne(bid, call.fence, caller, scribe));
  }
  Commit(std::move(scribe));
  return reply;
}

PlacedBid Engine::Impl::PlaceOne(const PlaceBid& bid, BidFence fence, const Caller& caller,
                                 Scribe& scribe) {
  const BidKey key{bid.guest_id, bid.kind};
  const bool withdraws = bid.ranges.empty() && bid.valuation == nullptr;
  const Guest* const guest = FindGuest(bid.guest_id, caller);
  if (guest == nullptr) {
    return {.status = absl::NotFoundError(absl::StrCat("guest_id: no guest ", bid.guest_id))};
  }
  const auto standing = state_.bids.find(key);
  const bool stands = standing != state_.bids.end();
  const BidFence excluding = LastToExclude(key);
  if (excluding.fence > fence.fence) {
    return {.status = absl::AbortedError(
                "the bid has been taken over: one that goes without it was placed since"),
            .lost_to = LeasedBidState::kTakenOver};
  }
  if (excluding > fence) {
    return {
        .status = absl::AbortedError(
            "a later write of the same lease, of a bid that goes without it, has overtaken it")};
  }
  if (const auto last = state_.bid_fences.find(key); last != state_.bid_fences.end()) {
    if (last->second.fence > fence.fence) {
      return {.status = absl::AbortedError(
                  stands ? "the bid has been taken over: somebody else placed it since"
                         : "the bid was withdrawn by somebody else since"),
              .lost_to = stands ? LeasedBidState::kTakenOver : LeasedBidState::kWithdrawn};
    }
    if (last->second.fence == fence.fence && last->second.sequence >= fence.sequence) {
      if (last->second.sequence > fence.sequence) {
        return {.status = absl::AbortedError("a later write of the same lease has overtaken it")};
      }
      // Again, as its answer was lost.
      if (withdraws) return {.round_id = RoundOfNewBids(*FindHost(guest->host_id))};
      if (stands) return {.round_id = standing->second.first_round_id};
      return {.status = absl::AbortedError("it was placed before, and has lapsed")};
    }
  }
  if (const auto closed = closed_through_.find(key);
      closed != closed_through_.end() && fence <= closed->second) {
    return {.status = absl::AbortedError("its lease has given up waiting for it")};
  }
  if (withdraws) {
    scribe.Write(DropBid{key, fence});
    renewed_through_.erase(key);
    return {.round_id = RoundOfNewBids(*FindHost(guest->host_id)), .removed = stands};
  }
  if (bid.renewed && bid.expires_after_rounds < kLeaseRoundsMin) {
    return {.status = absl::InvalidArgumentError(
                absl::StrCat("expires_after_rounds: must be at least ", kLeaseRoundsMin,
                             " for a bid that is renewed"))};
  }
  absl::StatusOr<StandingBid> checked = CheckBid(bid, caller);
  if (!checked.ok()) return {.status = checked.status()};
  checked->fence = fence;
  const RoundId first = checked->first_round_id;
  DropReplaced(scribe, bid.guest_id, bid.kind, fence);
  scribe.Write(PutBid{*std::move(checked)});
  renewed_through_.erase(key);
  return {.round_id = first};
}

Reply Engine::Impl::DoRenewLease(const RenewLease& call, const Caller& caller) {
  absl::Status status = CheckLedger(call.ledger_id, state_);
  if (status.ok()) status = CheckFence(call.fence.fence, last_fence_);
  if (status.ok()) status = CheckEachOnce(call.bids, kBidsPerRenewalMax);
  if (!status.ok()) return Reply{.status = status};
  Reply reply;
  for (const BidKey& key : call.bids) {
    reply.leased_bids.push_back(RenewOne(key, call.fence, caller));
  }
  return reply;
}

LeasedBid Engine::Impl::RenewOne(const BidKey& key, BidFence lease, const Caller& caller) {
  const uint64_t fence = lease.fence;
  const Guest* const guest = FindGuest(key.first, caller);
  if (guest == nullptr ||
      (guest->state != GuestState::kRunning && guest->state != GuestState::kAdmitted)) {
    return {.state = LeasedBidState::kGuestGone};
  }
  const auto standing = state_.bids.find(key);
  const auto last = state_.bid_fences.find(key);
  BidFence& closed = closed_through_[key];
  closed = std::max(closed, lease);
  if (last == state_.bid_fences.end() || last->second.fence < fence) {
    return {.state = LeasedBidState::kNone};
  }
  if (last->second.fence > fence) {
    return {.state = standing == state_.bids.end() ? LeasedBidState::kWithdrawn
                                                   : LeasedBidState::kTakenOver};
  }
  if (standing == state_.bids.end()) {
    return {.state = LeasedBidState::kNone, .sequence = last->second.sequence};
  }
  const StandingBid& bid = standing->second;
  if (bid.lease_rounds != 0) {
    const RoundId next = RoundOfNewBids(*FindHost(guest->host_id));
    RoundId& through = renewed_through_[key];
    through = std::max(through, next + bid.lease_rounds - 1);
  }
  return {.state = LeasedBidState::kHeld,
          .last_round_id = LastRound(bid),
          .sequence = last->second.sequence};
}

RoundId Engine::Impl::LastRound(const StandingBid& bid) const {
  if (bid.lease_rounds == 0) return bid.last_round_id;
  const auto renewed = renewed_through_.find({bid.guest_id, bid.kind});
  return renewed == renewed_through_.end() ? bid.last_round_id
                                           : std::max(bid.last_round_id, renewed->second);
}

void Engine::Impl::PresumeLeasesRenewed() {
  for (const auto& [key, bid] : state_.bids) {
    if (bid.lease_rounds == 0) continue;
    const auto guest = state_.guests.find(key.first);
    if (guest == state_.guests.end()) continue;
    const auto book = state_.hosts.find(guest->second.host_id);
    const RoundId decided = book == state_.hosts.end() ? 0 : book->second.last_decided_round_id;
    renewed_through_[key] = decided + bid.lease_rounds;
  }
}

}  // namespace nom::market
