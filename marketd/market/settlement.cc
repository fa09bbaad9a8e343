// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/settlement.h"

#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/base/money.h"
#include "marketd/base/status.h"
#include "marketd/market/money.h"
#include "marketd/market/shares.h"

namespace nom::market {
namespace {

RoundId DecidedIdOf(const HostBook& book) {
  const Round* const decided = RoundDecided(book);
  return decided == nullptr ? 0 : decided->round_id;
}

Uncharged BillAll(Scribe& scribe, const HostId& host_id, absl::Span<const Resource> resources,
                  const std::vector<GuestMeters>& meters, RoundId decided, Round& billed) {
  const State& state = scribe.state();
  std::map<GuestId, const GuestMeters*> readings;
  for (const GuestMeters& reading : meters) readings[reading.guest_id] = &reading;
  Uncharged uncharged;
  for (const GuestId guest_id : state.GuestsOf(host_id)) {
    // It has no meters yet, and none were lost.
    if (state.guests.at(guest_id).state == GuestState::kAdmitted) continue;
    const auto reading = readings.find(guest_id);
    uncharged.Add(BillGuest(scribe, guest_id, reading == readings.end() ? nullptr : reading->second,
                            resources, &billed, decided));
  }
  return uncharged;
}

void EndPastContracts(Scribe& scribe, const HostId& host_id, RoundId next) {
  const State& state = scribe.state();
  for (const GuestId guest_id : state.GuestsOf(host_id)) {
    const bool runs = state.guests.at(guest_id).state == GuestState::kRunning;
    for (const Contract* contract : state.contracts.Of(guest_id)) {
      // Its last round was the one before, for which it has just been billed.
      if (EndOf(*contract) <= next) {
        EndContract(scribe, *contract,
                    contract->left_because.empty() ? kEndedOver : contract->left_because);
      } else if (contract->from_round_id <= next && !runs) {
        EndBrokenOff(scribe, *contract, next, kEndedGuestStopped);
      }
    }
  }
}

// One more round was settled: notes whose tenants owe rent.
void CountArrears(Scribe& scribe, const HostId& host_id) {
  const State& state = scribe.state();
  for (const GuestId guest_id : state.GuestsOf(host_id)) {
    Guest guest = state.guests.at(guest_id);
    if (guest.state != GuestState::kRunning) continue;  // The others owe nothing more.
    const bool owes = state.PurseOf(guest.tenant_id).arrears < 0;
    const uint32_t rounds = owes ? guest.arrears_rounds + 1 : 0;
    // This is so for nearly all guests in nearly all rounds: nothing is written for them.
    if (rounds == guest.arrears_rounds) continue;
    guest.arrears_rounds = rounds;
    scribe.Write(PutGuest{guest});
  }
}

void PutInForce(Scribe& scribe, Round next) {
  const State& state = scribe.state();
  next.phase = RoundPhase::kEffective;
  next.applied_time = scribe.now();
  for (Outcome& outcome : next.outcomes) {
    const auto guest = state.guests.find(outcome.guest_id);
    if (guest == state.guests.end() || guest->second.state != GuestState::kRunning) {
      outcome.settled = true;  // It ended during grace: this never took effect.
    }
  }
  const HostId host_id = next.host_id;
  const RoundId round_id = next.round_id;
  CountArrears(scribe, host_id);
  scribe.Write(UpdateRound{std::move(next)});
  scribe.Write(PutHost{host_id, BookOf(state, host_id).boot_id, round_id});
}

// Ends those of its contracts that would end with this round in any case.
void EndAwards(Scribe& scribe, GuestId guest_id, RoundId round_id, const std::string& why) {
  for (const Contract* contract : scribe.state().contracts.AliveIn(guest_id, round_id)) {
    if (EndOf(*contract) == round_id + 1) EndContract(scribe, *contract, why);
  }
}

// A decided round that does not come: its contracts end, those of other rounds too stay.
void UncoverRound(Scribe& scribe, const Contract& contract, const Round* in_force, RoundId round_id,
                  const std::string& why) {
  const bool holds = in_force != nullptr && AliveIn(contract, in_force->round_id);
  if (!holds && EndOf(contract) <= round_id + 1) {
    EndContract(scribe, contract, absl::StrCat(kEndedReleased, ": ", why));
    return;
  }
  // One that was sold forward and has not begun keeps what it needs to begin.
  // It may be alive in the round in force, which is still to be billed.
  const bool is_owed = holds ? IsToBeBilled(*in_force, contract) : IsForward(contract);
  Contract standing = contract;
  PostRelease(scribe, standing,
              SaturatingAdd(is_owed ? ChargeOf(contract) : 0, FeeFrom(contract, round_id + 1)));
  scribe.Write(UpdateContract{std::move(standing)});
}

}  // namespace

void Uncharged::Add(const Billed& billed) {
  if (billed.meters_lost) ++meters_lost;
  forgiven = SaturatingAdd(forgiven, billed.forgiven);
}

void Uncharged::Add(const Uncharged& more) {
  meters_lost += more.meters_lost;
  forgiven = SaturatingAdd(forgiven, more.forgiven);
}

void CoverContracts(Scribe& scribe, const HostId& host_id, RoundId round_id) {
  const State& state = scribe.state();
  for (const GuestId guest_id : state.GuestsOf(host_id)) {
    const GuestState guest = state.guests.at(guest_id).state;
    if (guest == GuestState::kEnded || guest == GuestState::kEvicting) continue;
    for (const Contract* contract : state.contracts.AliveIn(guest_id, round_id)) {
      const Round* const in_force = RoundInForce(BookOf(state, host_id));
      if (CoverRound(scribe, *contract, round_id, in_force)) continue;
      LeaveFrom(scribe, *contract, round_id, kEndedUnpaid);
    }
  }
}

void OpenAward(Scribe& scribe, Contract contract) {
  PostEscrow(scribe, contract, ChargeOf(contract));
  scribe.Write(OpenContract{std::move(contract)});
}

TookEffect SettleAndPutInForce(Scribe& scribe, const HostId& host_id,
                               absl::Span<const Resource> resources,
                               const std::vector<GuestMeters>& meters) {
  const HostBook& book = BookOf(scribe.state(), host_id);
  NOM_CHECK(RoundDecided(book) != nullptr, "a round took effect that nobody decided");
  Round next = *RoundDecided(book);
  std::optional<Round> past;
  if (const Round* in_force = RoundInForce(book)) past = *in_force;
  TookEffect took;
  // Where none is in force, as before the first, the rent until now goes into the next one's
  // outcomes.
  took.uncharged = BillAll(scribe, host_id, resources, meters, next.round_id, past ? *past : next);
  if (past) {
    CloseOutcomes(*past);
    past->phase = RoundPhase::kSettled;
    took.settled = past->outcomes;
    took.settled_round_id = past->round_id;
    scribe.Write(UpdateRound{*std::move(past)});
  }
  // After the bills: what has ended is billed no more.
  EndPastContracts(scribe, host_id, next.round_id);
  PutInForce(scribe, std::move(next));
  return took;
}

void ReleaseRound(Scribe& scribe, const Round& decided, const std::string& why) {
  const State& state = scribe.state();
  Round round = decided;
  for (const GuestId guest_id : state.GuestsOf(round.host_id)) {
    for (const Contract* contract : state.contracts.AliveIn(guest_id, round.round_id)) {
      UncoverRound(scribe, *contract, RoundInForce(BookOf(state, round.host_id)), round.round_id,
                   why);
    }
  }
  CloseOutcomes(round);
  round.phase = RoundPhase::kReleased;
  round.reason = why;
  scribe.Write(UpdateRound{std::move(round)});
}

Uncharged BillGone(Scribe& scribe, GuestId guest_id, const GuestMeters* reading,
                   absl::Span<const Resource> resources, const std::string& why) {
  const HostBook& book = BookOf(scribe.state(), scribe.state().guests.at(guest_id).host_id);
  std::map<RoundId, Round> open = book.open_rounds;
  Uncharged uncharged;
  if (!open.empty()) {  // The older is the one in force, if there is one.
    Round& billed = open.begin()->second;
    uncharged.Add(BillGuest(scribe, guest_id, reading, resources, &billed, DecidedIdOf(book)));
  }
  // The round in force is paid by now, so the fee is for those after it.
  EndContracts(scribe, guest_id, book.in_force_round_id + 1, why);
  for (auto& [round_id, round] : open) {
    // Also in a round that is decided and will take effect without the guest.
    for (Outcome& outcome : round.outcomes) {
      if (outcome.guest_id == guest_id) outcome.settled = true;
    }
    scribe.Write(UpdateRound{round});
  }
  return uncharged;
}

Uncharged BillLost(Scribe& scribe, GuestId guest_id, absl::Span<const Resource> resources) {
  const Guest& guest = scribe.state().guests.at(guest_id);
  const HostBook& book = BookOf(scribe.state(), guest.host_id);
  Uncharged uncharged;
  const Round* const in_force = RoundInForce(book);
  // Where the machine has restarted, it was billed as that was noted.
  if (in_force == nullptr || guest.metered == LostMeters(guest_id)) return uncharged;
  Round round = *in_force;
  uncharged.Add(BillGuest(scribe, guest_id, nullptr, resources, &round, DecidedIdOf(book)));
  EndAwards(scribe, guest_id, round.round_id, kEndedLost);
  scribe.Write(UpdateRound{std::move(round)});
  return uncharged;
}

Uncharged BillRestart(Scribe& scribe, const HostId& host_id, absl::Span<const Resource> resources) {
  const HostBook& book = BookOf(scribe.state(), host_id);
  Uncharged uncharged;
  const Round* const in_force = RoundInForce(book);
  if (in_force == nullptr) return uncharged;
  Round round = *in_force;
  for (const GuestId guest_id : scribe.state().GuestsOf(host_id)) {
    uncharged.Add(BillGuest(scribe, guest_id, nullptr, resources, &round, DecidedIdOf(book)));
    EndAwards(scribe, guest_id, round.round_id, kEndedMachine);
  }
  CloseOutcomes(round);
  round.reason = kEndedMachine;
  scribe.Write(UpdateRound{std::move(round)});
  return uncharged;
}

void CloseHost(Scribe& scribe, const HostId& host_id, const std::string& why) {
  const HostBook book = BookOf(scribe.state(), host_id);  // A copy: it changes below.
  for (const GuestId guest_id : scribe.state().GuestsOf(host_id)) {
    for (const Contract* contract : scribe.state().contracts.Of(guest_id)) {
      EndContract(scribe, *contract, why);
    }
  }
  // No machine is there to say what was delivered: the doubt is in the tenants' favour.
  for (auto [round_id, round] : book.open_rounds) {
    CloseOutcomes(round);
    const bool decided = round.phase == RoundPhase::kGrace;
    round.phase = decided ? RoundPhase::kReleased : RoundPhase::kSettled;
    round.reason = why;
    scribe.Write(UpdateRound{std::move(round)});
  }
  scribe.Write(PutHost{host_id, book.boot_id, 0});
}

std::vector<GuestId> GuestsInArrears(const State& state, const HostId& host_id, uint32_t grace) {
  std::vector<GuestId> out;
  if (grace == 0) return out;
  for (const GuestId guest_id : state.GuestsOf(host_id)) {
    const Guest& guest = state.guests.at(guest_id);
    if (guest.state == GuestState::kRunning && guest.arrears_rounds > grace) {
      out.push_back(guest_id);
    }
  }
  return out;
}

}  // namespace nom::market
