// SPDX-License-Identifier: Apache-2.0
// The fake market's calls: leases, bids and their fences, renewals.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <set>

#include "absl/strings/str_cat.h"
#include "client/testing/fake_market_impl.h"

namespace nom::testing {

void FakeMarket::Impl::Start() {
  std::lock_guard starting(start_mutex);
  grpc::ServerBuilder builder;
  int bound = 0;
  // No SO_REUSEPORT: another test's market must not share the port by accident.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddListeningPort(absl::StrCat("127.0.0.1:", port), grpc::InsecureServerCredentials(),
                           &bound);
  builder.RegisterService(this);
  {
    std::lock_guard lock(mutex);
    stopping = false;
    closed.clear();
  }
  server = builder.BuildAndStart();
  if (server == nullptr || bound == 0) {
    std::fprintf(stderr, "nom::testing::FakeMarket: cannot listen on port %d\n", port);
    std::abort();
  }
  port = bound;
}

void FakeMarket::Impl::Stop() {
  std::lock_guard starting(start_mutex);
  if (server == nullptr) return;
  {
    std::lock_guard lock(mutex);
    stopping = true;
    changed.notify_all();
  }
  server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(5));
  server->Wait();
  server.reset();
}

grpc::Status FakeMarket::Impl::Watch(grpc::ServerContext* context, const pb::WatchRequest* request,
                                     grpc::ServerWriter<pb::WatchResponse>* writer) {
  std::unique_lock lock(mutex);
  for (const uint64_t guest_id : request->guest_ids()) {
    if (!guests.contains(guest_id)) {
      return grpc::Status(grpc::StatusCode::NOT_FOUND, "guest_ids: you have no such guest");
    }
  }
  uint64_t told = 0;
  while (!stopping && !context->IsCancelled()) {
    if (told == version) {
      // Wakes up now and then, as a cancelled call is not announced to the synchronous API.
      changed.wait_for(lock, std::chrono::milliseconds(5));
      continue;
    }
    told = version;
    pb::WatchResponse response = Snapshot();
    if (request->guest_ids_size() > 0) {
      const std::set<uint64_t> wanted(request->guest_ids().begin(), request->guest_ids().end());
      auto& all = *response.mutable_guests();
      all.erase(
          std::remove_if(all.begin(), all.end(),
                         [&](const auto& guest) { return !wanted.contains(guest.guest_id()); }),
          all.end());
    }
    lock.unlock();
    const bool written = writer->Write(response);
    lock.lock();
    if (!written) break;
  }
  return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the market is shutting down");
}

grpc::Status FakeMarket::Impl::OpenLease(grpc::ServerContext* /*context*/,
                                         const pb::OpenLeaseRequest* /*request*/,
                                         pb::OpenLeaseResponse* response) {
  std::lock_guard lock(mutex);
  if (limited) return TooMany();
  response->set_fence(++last_fence);
  response->set_ledger_id(ledger_id);
  response->set_calls_per_second(100'000);
  response->set_calls_burst(100'000);
  response->set_bids_per_call(256);
  return grpc::Status::OK;
}

grpc::Status FakeMarket::Impl::PlaceBids(grpc::ServerContext* /*context*/,
                                         const pb::PlaceBidsRequest* request,
                                         pb::PlaceBidsResponse* response) {
  Announce();
  std::lock_guard lock(mutex);
  ++writes;
  if (limited) return TooMany();
  if (request->ledger_id() != ledger_id) return OtherLedger();
  const grpc::Status lost(grpc::StatusCode::UNAVAILABLE, "the line broke");
  if (lose_calls > 0) {
    --lose_calls;
    return lost;
  }
  const bool refuse = refuse_bids > 0;
  if (refuse) --refuse_bids;
  for (const pb::Bid& bid : request->bids()) {
    Place(bid, {request->fence(), request->sequence()}, refuse, *response->add_bids());
  }
  Changed();
  if (lose_answers > 0) {
    --lose_answers;
    return lost;
  }
  return grpc::Status::OK;
}

bool FakeMarket::Impl::Exclude(const Key& a, const Key& b) {
  return a.first == b.first &&
         (a.second == pb::RESOURCE_KIND_UNSPECIFIED) != (b.second == pb::RESOURCE_KIND_UNSPECIFIED);
}

void FakeMarket::Impl::Place(const pb::Bid& bid, Fence fence, bool refuse, pb::PlacedBid& placed) {
  const Key key(bid.guest_id(), bid.kind());
  const auto say = [&](absl::StatusCode code, const std::string& message) {
    placed.set_code(static_cast<int32_t>(code));
    placed.set_message(message);
  };
  placed.set_round_id(round);
  if (!guests.contains(key.first)) {
    return say(absl::StatusCode::kNotFound, "guest_id: no such guest");
  }
  if (const auto& tier = guests[key.first].tier;
      tier && (bid.ranges_size() > 0 || bid.has_valuation())) {
    return say(absl::StatusCode::kFailedPrecondition,
               absl::StrCat("guest_id: has tier ", tier->tier()));
  }
  const bool stood = standing_bids.contains(key);
  Fence excluding;
  for (const auto& [other, standing] : standing_bids) {
    if (Exclude(other, key)) excluding = std::max(excluding, fences[other]);
  }
  if (excluding.fence > fence.fence) placed.set_lost_to(pb::LEASED_BID_STATE_TAKEN_OVER);
  if (excluding > fence) {
    return say(absl::StatusCode::kAborted, "one that goes without it was placed since");
  }
  Fence& last = fences[key];
  if (last.fence > fence.fence) {
    placed.set_lost_to(stood ? pb::LEASED_BID_STATE_TAKEN_OVER : pb::LEASED_BID_STATE_WITHDRAWN);
    return say(absl::StatusCode::kAborted,
               stood ? "the bid has been taken over" : "the bid was withdrawn by somebody else");
  }
  if (last >= fence || fence <= closed[key]) {
    return say(absl::StatusCode::kAborted, "a later write has overtaken it");
  }
  const bool withdraws = bid.ranges_size() == 0 && !bid.has_valuation();
  if (refuse && !withdraws) return say(refusal.code(), std::string(refusal.message()));
  if (bid.has_valuation() && !joint) {
    return say(absl::StatusCode::kInvalidArgument,
               "valuation: host fake clears each resource by itself; bid for one kind at a time");
  }
  if (bid.valuation().curves_size() > 3 && bid.valuation().combination() != pb::COMBINATION_SUM) {
    return say(absl::StatusCode::kUnimplemented, "valuation.curves: more than three");
  }
  last = fence;
  standing_bids.erase(key);
  placed.set_removed(stood);
  if (withdraws) return;
  for (int kind = pb::RESOURCE_KIND_UNSPECIFIED; joint && kind < pb::ResourceKind_ARRAYSIZE;
       ++kind) {
    const Key other(key.first, static_cast<pb::ResourceKind>(kind));
    if (!Exclude(other, key)) continue;
    const bool other_stood = standing_bids.erase(other) != 0;
    // What never stood, too: a write that is still on its way does not come to stand later.
    if (other_stood || fences[other] < fence) fences[other] = fence;
  }
  Standing& standing = standing_bids[key];
  standing.bid = bid;
  standing.bid.set_lease_fence(fence.fence);
  if (bid.expires_after_rounds() != 0) {
    standing.last_round_id = round + bid.expires_after_rounds() - 1;
  }
}

grpc::Status FakeMarket::Impl::RenewLease(grpc::ServerContext* /*context*/,
                                          const pb::RenewLeaseRequest* request,
                                          pb::RenewLeaseResponse* response) {
  Announce();
  std::lock_guard lock(mutex);
  if (limited) return TooMany();
  if (request->ledger_id() != ledger_id) return OtherLedger();
  ++renewals;
  for (const pb::BidKey& asked : request->bids()) {
    const Key key(asked.guest_id(), asked.kind());
    pb::LeasedBid& leased = *response->add_bids();
    if (!guests.contains(key.first)) {
      leased.set_state(pb::LEASED_BID_STATE_GUEST_GONE);
      continue;
    }
    closed[key] = std::max(closed[key], Fence{request->fence(), request->sequence()});
    const Fence last = fences[key];
    const auto bid = standing_bids.find(key);
    if (last.fence > request->fence()) {
      leased.set_state(bid == standing_bids.end() ? pb::LEASED_BID_STATE_WITHDRAWN
                                                  : pb::LEASED_BID_STATE_TAKEN_OVER);
      continue;
    }
    leased.set_state(pb::LEASED_BID_STATE_NONE);
    if (last.fence < request->fence()) continue;
    leased.set_sequence(last.sequence);
    if (bid == standing_bids.end()) continue;
    leased.set_state(pb::LEASED_BID_STATE_HELD);
    Standing& standing = bid->second;
    if (standing.bid.renewed()) {
      standing.last_round_id =
          std::max(standing.last_round_id, round + standing.bid.expires_after_rounds() - 1);
    }
    leased.set_last_round_id(standing.last_round_id);
  }
  return grpc::Status::OK;
}

grpc::Status FakeMarket::Impl::ListRounds(grpc::ServerContext* /*context*/,
                                          const pb::ListRoundsRequest* request,
                                          pb::ListRoundsResponse* response) {
  std::lock_guard lock(mutex);
  const uint64_t before = request->before_round_id() == 0 ? round : request->before_round_id();
  const int most = request->page_size() == 0 ? 20 : request->page_size();
  for (auto it = records.lower_bound(before); it != records.begin();) {
    --it;
    if (response->rounds_size() == most) {
      response->set_next_before_round_id(it->first + 1);
      break;
    }
    *response->add_rounds() = it->second;
  }
  return grpc::Status::OK;
}

void FakeMarket::Impl::Announce() {
  std::function<void()> call;
  {
    std::lock_guard lock(mutex);
    call = on_call;
  }
  if (call) call();
}

grpc::Status FakeMarket::Impl::TooMany() {
  return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "too many bids a second");
}

grpc::Status FakeMarket::Impl::OtherLedger() {
  return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "the market has another ledger now");
}

}  // namespace nom::testing
