// From the close of a round to its decision: in Handle, or beside the engine.

#include <algorithm>
#include <utility>

#include "marketd/market/billing.h"
#include "marketd/market/engine_impl.h"

namespace nom::market {
namespace {

// What the host's contracts that go on in the round will take, before anybody bids: whoever holds
// one can't spend that money twice. Nothing is promised by it; what counts is looked at again when
// the round is decided.
void LeaveForContracts(const State& state, RoundSnapshot& snapshot) {
  std::map<TenantId, policies::OwnerId> owners;
  for (const auto& [owner_id, tenant_id] : snapshot.tenants) owners[tenant_id] = owner_id;
  for (const GuestId guest_id : state.GuestsOf(snapshot.host_id)) {
    const GuestState guest = state.guests.at(guest_id).state;
    if (guest == GuestState::kEnded || guest == GuestState::kEvicting) continue;
    for (const Contract* contract : state.contracts.AliveIn(guest_id, snapshot.round_id)) {
      Microcredits& means = snapshot.means.at(owners.at(contract->tenant_id));
      if (ChargeOf(*contract) <= means) means -= ChargeOf(*contract);
    }
  }
}

}  // namespace

RoundId Engine::Impl::RoundOfNewBids(const HostRun& host) const {
  // Close is close: what comes while a round is being cleared is for the next one.
  return Book(host).last_decided_round_id + (host.clearing ? 2 : 1);
}

void Engine::Impl::Decide(HostRun& host) {
  WriteWaitingPages(host, /*all=*/true);
  const auto take_snapshot = [&] {
    return TakeSnapshot(state_, *host.config, config_.seed, hosts_.size(), host.resources,
                        SupplyOf(Shares(host), host.round_id),
                        HeldByAwards(Shares(host), host.round_id), host.round_id);
  };
  if (clearing_ == Clearing::kInHandle) {
    Scribe scribe(state_, now_, "round decided");
    ExtendContracts(host, scribe);
    const RoundSnapshot snapshot = take_snapshot();
    Conclude(host, snapshot, market::Decide(snapshot, clear_), std::move(scribe));
    return;
  }
  RoundSnapshot snapshot = take_snapshot();
  LeaveForContracts(state_, snapshot);
  host.clearing = HostRun::Clearing{next_clear_id_++,
                                    std::make_shared<const RoundSnapshot>(std::move(snapshot))};
  effects_.clearings.push_back(
      {host.config->host_id, host.clearing->clear_id, host.clearing->snapshot});
}

void Engine::Impl::On(const ClearDone& done) {
  HostRun* host = FindHost(done.host_id);
  // Of a time before the host was lost, or the round was skipped.
  if (host == nullptr || !host->clearing || host->clearing->clear_id != done.clear_id) return;
  const HostRun::Clearing clearing = *std::exchange(host->clearing, std::nullopt);
  Scribe scribe(state_, now_, "round decided");
  ExtendContracts(*host, scribe);
  const std::map<ResourceKind, int64_t> supply = SupplyOf(Shares(*host), host->round_id);
  if (StillHolds(*clearing.snapshot, done.decision, state_, supply)) {
    Conclude(*host, *clearing.snapshot, done.decision, std::move(scribe));
    return;
  }
  ++host->counters.clearings_again;
  const RoundSnapshot as_of_now = AsOfNow(*clearing.snapshot, state_, supply);
  Conclude(*host, as_of_now, market::Decide(as_of_now, clear_), std::move(scribe));
}

void Engine::Impl::Conclude(HostRun& host, const RoundSnapshot& snapshot, Decision decision,
                            Scribe&& scribe) {
  CountClearings(host, decision);
  WriteDecision(host, snapshot, std::move(decision), scribe);
  Commit(std::move(scribe));
  ++host.counters.rounds_decided;
  host.last_decided_time = now_;
  host.decided = true;
  host.applying = false;
  TellNotices(host, *Decided(host));
  SendPrepare(host);
  SendBoard(host);
}

}  // namespace nom::market
