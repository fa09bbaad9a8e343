// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/bid_desk.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/market/bids.h"
#include "marketd/market/joint_bids.h"
#include "marketd/market/requests.h"

namespace nom::market {
namespace {

Reply Refused(absl::Status status) { return Reply{.status = std::move(status)}; }

absl::Status NoSuchGuest(GuestId guest_id) {
  return absl::NotFoundError(absl::StrCat("guest_id: no guest ", guest_id));
}

absl::Status NotSold(ResourceKind kind, const HostId& host_id) {
  return absl::InvalidArgumentError(
      absl::StrCat("kind: ", KindName(kind), " is not sold on host ", host_id));
}

bool IsSold(const HostMarket& host, ResourceKind kind) {
  return FindResource(host.link.resources(), kind) != nullptr;
}

BidKey KeyOf(const PlaceBid& bid) { return {bid.guest_id, bid.kind}; }
BidKey KeyOf(const BidKey& key) { return key; }

template <typename Calls>
absl::Status CheckEachOnce(const Calls& calls, size_t most) {
  if (calls.size() > most) {
    return absl::InvalidArgumentError(
        absl::StrCat("bids: ", calls.size(), " are too many; at most ", most, " in one call"));
  }
  std::set<BidKey> keys;
  for (size_t i = 0; i < calls.size(); ++i) {
    if (keys.insert(KeyOf(calls[i])).second) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("bids[", i, "]: guest and kind are there twice"));
  }
  return absl::OkStatus();
}

bool Withdraws(const PlaceBid& bid) { return bid.ranges.empty() && bid.valuation == nullptr; }

// Two bids of one write have one fence: none could be told to be the later.
absl::Status CheckNoneReplaces(const std::vector<PlaceBid>& bids) {
  std::map<GuestId, bool> is_for_several;
  for (size_t i = 0; i < bids.size(); ++i) {
    if (Withdraws(bids[i])) continue;
    const bool several = bids[i].kind == kSeveralKinds;
    if (is_for_several.emplace(bids[i].guest_id, several).first->second == several) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("bids[", i, "]: a guest's bid for several kinds and one for a single kind ",
                     "replace each other; send them in two calls"));
  }
  return absl::OkStatus();
}

}  // namespace

BidDesk::BidDesk(LiveBook& book, HostMarkets& hosts, BidLeases& leases, NotesOfGuests& notes)
    : book_(book), hosts_(hosts), leases_(leases), notes_(notes) {}

absl::Status BidDesk::CheckForm(const HostMarket& host, GuestId guest_id, ResourceKind kind,
                                const std::vector<policies::Range>& ranges,
                                const Valuation* valuation,
                                std::optional<Microcredits> budget) const {
  const bool is_joint = !host.config.joint_rule.empty();
  const int64_t steps_max =
      GuestReadingSteps(ClearingWorkMax(host.config, hosts_.all().size()), host.config.guests_max);
  if ((kind == kSeveralKinds) != (valuation != nullptr) ||
      (valuation != nullptr && !ranges.empty())) {
    return absl::InvalidArgumentError(
        "valuation: a bid has either a kind and ranges, or a valuation of several kinds");
  }
  if (valuation != nullptr) {
    if (!is_joint) {
      return absl::InvalidArgumentError(
          absl::StrCat("valuation: host ", host.id(),
                       " clears each resource by itself; bid for one kind at a time"));
    }
    return CheckValuation(host.link.resources(), *valuation, budget, steps_max);
  }
  const Resource* const resource = FindResource(host.link.resources(), kind);
  if (resource == nullptr) return NotSold(kind, host.id());
  if (absl::Status s = CheckBidForm(*resource, guest_id, ranges, budget); !s.ok()) return s;
  return is_joint ? CheckSingleBid(*resource, guest_id, ranges, steps_max) : absl::OkStatus();
}

absl::StatusOr<StandingBid> BidDesk::Check(const PlaceBid& call, const Caller& caller) {
  const Guest* const guest = hosts_.FindGuest(book_.state(), call.guest_id, caller);
  if (guest == nullptr) return NoSuchGuest(call.guest_id);
  HostMarket& host = *hosts_.Find(guest->host_id);
  absl::Status status = CheckForm(host, call.guest_id, call.kind, call.ranges, call.valuation.get(),
                                  call.budget_microcredits);
  if (status.ok() && guest->state != GuestState::kRunning &&
      guest->state != GuestState::kAdmitted) {
    status = absl::FailedPreconditionError(
        absl::StrCat("guest ", call.guest_id, " has ended: ", guest->exit_reason));
  }
  if (status.ok()) {
    const absl::Span<const Resource> resources = host.link.resources();
    const Purse& purse = book_.state().PurseOf(guest->tenant_id);
    status = call.valuation != nullptr
                 ? CheckValuationMeans(resources, *call.valuation, call.budget_microcredits, purse)
                 : CheckBidMeans(*FindResource(resources, call.kind), call.ranges,
                                 call.budget_microcredits, purse);
  }
  if (!status.ok()) {
    ++host.counters.bids_refused;
    return status;
  }
  const RoundId first = RoundOfNewBids(book_.state(), host);
  ++host.counters.bids_accepted;
  return StandingBid{
      .guest_id = call.guest_id,
      .kind = call.kind,
      .ranges = call.ranges,
      .valuation = call.valuation,
      .budget_microcredits = call.budget_microcredits,
      .first_round_id = first,
      .last_round_id = call.expires_after_rounds == 0 ? 0 : first + call.expires_after_rounds - 1,
      .lease_rounds = call.renewed ? call.expires_after_rounds : 0};
}

void BidDesk::DropReplaced(Scribe& scribe, const HostMarket& host, BidKey by,
                           BidFence fence) const {
  const State& state = book_.state();
  const auto [guest_id, kind] = by;
  const std::vector<BidKey> standing = state.BidsOf(guest_id);
  std::set<BidKey> replaced(standing.begin(), standing.end());
  // Where kinds are cleared one by one nobody ever bids for several.
  if (!host.config.joint_rule.empty()) {
    replaced.insert({guest_id, kSeveralKinds});
    for (const Resource& resource : host.link.resources()) {
      replaced.insert({guest_id, resource.kind});
    }
  }
  for (const BidKey& key : replaced) {
    if ((key.second == kSeveralKinds) == (kind == kSeveralKinds)) continue;
    const auto last = state.bid_fences.find(key);
    // One that a later write, or somebody else, has taken out: that stays the last word on it.
    const bool is_out = !state.bids.contains(key);
    if (is_out && last != state.bid_fences.end() && last->second >= fence) continue;
    scribe.Write(DropBid{key, fence});
  }
}

Reply BidDesk::Place(const PlaceBid& call, const Caller& caller, const Request& request) {
  absl::StatusOr<StandingBid> bid = Check(call, caller);
  if (!bid.ok()) return Refused(bid.status());
  bid->fence = leases_.NextFence();
  const Reply reply{.round_id = bid->first_round_id};
  Scribe scribe = book_.Begin("bid placed");
  const Guest& guest = book_.state().guests.at(call.guest_id);
  DropReplaced(scribe, *hosts_.Find(guest.host_id), KeyOf(call), bid->fence);
  scribe.Write(PutBid{*std::move(bid)});
  Remember(scribe, request, reply);
  book_.Commit(std::move(scribe));
  return reply;
}

Reply BidDesk::Withdraw(const WithdrawBid& call, const Caller& caller, const Request& request) {
  const Guest* const guest = hosts_.FindGuest(book_.state(), call.guest_id, caller);
  if (guest == nullptr) return Refused(NoSuchGuest(call.guest_id));
  const HostMarket& host = *hosts_.Find(guest->host_id);
  if (call.kind != kSeveralKinds && !IsSold(host, call.kind)) {
    return Refused(NotSold(call.kind, guest->host_id));
  }
  const BidKey key{call.guest_id, call.kind};
  const Reply reply{.removed = book_.state().bids.contains(key)};
  Scribe scribe = book_.Begin("bid withdrawn");
  // Also if none stands: what a lease is about to write again is withdrawn as well.
  scribe.Write(DropBid{key, leases_.NextFence()});
  Remember(scribe, request, reply);
  book_.Commit(std::move(scribe));
  return reply;
}

Reply BidDesk::PlaceLeased(const PlaceBids& call, const Caller& caller) {
  absl::Status status = leases_.Check(call.ledger_id, call.fence.fence);
  if (status.ok() && call.fence.sequence == 0) {
    status = absl::InvalidArgumentError("sequence: counts from 1");
  }
  if (status.ok()) status = CheckEachOnce(call.bids, kBidsPerCallMax);
  if (status.ok()) status = CheckNoneReplaces(call.bids);
  if (!status.ok()) return Refused(status);
  Reply reply;
  Scribe scribe = book_.Begin("bids placed");
  for (const PlaceBid& bid : call.bids) {
    reply.placed_bids.push_back(PlaceOne(bid, call.fence, caller, scribe));
  }
  book_.Commit(std::move(scribe));
  return reply;
}

PlacedBid BidDesk::PlaceOne(const PlaceBid& bid, BidFence fence, const Caller& caller,
                            Scribe& scribe) {
  const State& state = book_.state();
  const BidKey key = KeyOf(bid);
  const bool withdraws = Withdraws(bid);
  const Guest* const guest = hosts_.FindGuest(state, bid.guest_id, caller);
  if (guest == nullptr) return {.status = NoSuchGuest(bid.guest_id)};
  const HostMarket& host = *hosts_.Find(guest->host_id);
  const RoundId next_round = RoundOfNewBids(state, host);
  const auto standing = state.bids.find(key);
  const bool stands = standing != state.bids.end();
  const BidLeases::Verdict verdict = leases_.Judge(key, fence);
  switch (verdict.kind) {
    case BidLeases::Verdict::Kind::kRefused:
      return {.status = verdict.status, .lost_to = verdict.lost_to};
    case BidLeases::Verdict::Kind::kWasWritten:
      if (withdraws) return {.round_id = next_round};
      if (stands) return {.round_id = standing->second.first_round_id};
      return {.status = absl::AbortedError("it was placed before, and has lapsed")};
    case BidLeases::Verdict::Kind::kMayWrite:
      break;
  }
  if (withdraws) {
    scribe.Write(DropBid{key, fence});
    leases_.Forget(key);
    return {.round_id = next_round, .removed = stands};
  }
  if (bid.renewed && bid.expires_after_rounds < kLeaseRoundsMin) {
    return {.status = absl::InvalidArgumentError(
                absl::StrCat("expires_after_rounds: must be at least ", kLeaseRoundsMin,
                             " for a bid that is renewed"))};
  }
  absl::StatusOr<StandingBid> checked = Check(bid, caller);
  if (!checked.ok()) return {.status = checked.status()};
  checked->fence = fence;
  DropReplaced(scribe, host, key, fence);
  const RoundId first = checked->first_round_id;
  scribe.Write(PutBid{*std::move(checked)});
  leases_.Forget(key);
  return {.round_id = first};
}

Reply BidDesk::Renew(const RenewLease& call, const Caller& caller) {
  absl::Status status = leases_.Check(call.ledger_id, call.fence.fence);
  if (status.ok()) status = CheckEachOnce(call.bids, kBidsPerRenewalMax);
  if (!status.ok()) return Refused(status);
  Reply reply;
  for (const BidKey& key : call.bids) {
    reply.leased_bids.push_back(RenewOne(key, call.fence, caller));
  }
  return reply;
}

LeasedBid BidDesk::RenewOne(const BidKey& key, BidFence lease, const Caller& caller) {
  const State& state = book_.state();
  const Guest* const guest = hosts_.FindGuest(state, key.first, caller);
  if (guest == nullptr ||
      (guest->state != GuestState::kRunning && guest->state != GuestState::kAdmitted)) {
    return {.state = LeasedBidState::kGuestGone};
  }
  return leases_.Renew(key, lease, RoundOfNewBids(state, *hosts_.Find(guest->host_id)));
}

absl::Status BidDesk::CheckPage(const HostMarket& host, const GuestBids& page) const {
  if (!page.error.empty()) return absl::InvalidArgumentError(page.error);
  std::set<ResourceKind> kinds;
  const bool is_several = std::any_of(page.bids.begin(), page.bids.end(),
                                      [](const auto& bid) { return bid.valuation != nullptr; });
  for (size_t i = 0; i < page.bids.size(); ++i) {
    const GuestBids::Bid& bid = page.bids[i];
    absl::Status status;
    if (bid.kind != kSeveralKinds && !IsSold(host, bid.kind)) {
      status = absl::InvalidArgumentError("kind: is not sold on this host");
    } else if (!kinds.insert(bid.kind).second) {
      status = absl::InvalidArgumentError("kind: is there twice");
    } else if (bid.budget_microcredits < 0) {
      status = absl::InvalidArgumentError("budget_microcredits: is negative");
    } else if (!bid.ranges.empty() || bid.valuation != nullptr) {
      status =
          CheckForm(host, page.guest_id, bid.kind, bid.ranges, bid.valuation.get(), std::nullopt);
    }
    if (status.ok() && bid.kind != kSeveralKinds && !bid.ranges.empty() && is_several) {
      status =
          absl::InvalidArgumentError("kind: does not go together with a bid for several kinds");
    }
    if (!status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("bids[", i, "].", status.message()));
    }
  }
  return absl::OkStatus();
}

void BidDesk::OnPage(HostMarket& host, const GuestBids& page) {
  const State& state = book_.state();
  const auto it = state.guests.find(page.guest_id);
  if (it == state.guests.end() || it->second.host_id != host.id() ||
      it->second.state != GuestState::kRunning) {
    return;
  }
  GuestNotes& notes = notes_[page.guest_id];
  book_.changes().TouchGuest(page.guest_id);
  if (absl::Status status = CheckPage(host, page); !status.ok()) {
    // The whole page: half of a page is not what the guest meant.
    ++host.counters.bid_pages_refused;
    notes.bid_page_error = std::string(status.message());
    return;
  }
  notes.bid_page_error.clear();
  host.pages.Put(page);
  WritePages(host, /*at_close=*/false);
}

void BidDesk::WritePages(HostMarket& host, bool at_close) {
  while (const std::optional<GuestBids> page = host.pages.Take(book_.now(), at_close)) {
    const auto guest = book_.state().guests.find(page->guest_id);
    if (guest == book_.state().guests.end() || guest->second.state != GuestState::kRunning) {
      continue;
    }
    WritePage(host, *page);
  }
}

void BidDesk::WritePage(HostMarket& host, const GuestBids& page) {
  const State& state = book_.state();
  Scribe scribe = book_.Begin("bid page");
  for (const GuestBids::Bid& from : page.bids) {
    const BidKey key{page.guest_id, from.kind};
    const auto standing = state.bids.find(key);
    if (from.ranges.empty() && from.valuation == nullptr) {
      if (standing != state.bids.end()) scribe.Write(DropBid{key, leases_.NextFence()});
      continue;
    }
    StandingBid bid{.guest_id = page.guest_id,
                    .kind = from.kind,
                    .ranges = from.ranges,
                    .valuation = from.valuation};
    if (from.budget_microcredits != 0) bid.budget_microcredits = from.budget_microcredits;
    if (standing != state.bids.end()) {
      // The same bid again, whoever first made it: nothing to write.
      bid.first_round_id = standing->second.first_round_id;
      bid.fence = standing->second.fence;
      if (standing->second == bid) continue;
    }
    bid.fence = leases_.NextFence();
    bid.first_round_id = RoundOfNewBids(state, host);
    DropReplaced(scribe, host, key, bid.fence);
    scribe.Write(PutBid{std::move(bid)});
    ++host.counters.bids_accepted;
  }
  book_.Commit(std::move(scribe));
}

}  // namespace nom::market
