// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/billing.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "marketd/base/money.h"
#include "marketd/market/money.h"

namespace nom::market {
namespace {

constexpr int64_t kLostAge = -1;

std::vector<Outcome>::const_iterator Position(const Round& round, GuestId guest_id,
                                              ResourceKind kind) {
  return std::lower_bound(
      round.outcomes.begin(), round.outcomes.end(), std::pair(guest_id, kind),
      [](const Outcome& o, const auto& k) { return std::pair(o.guest_id, o.kind) < k; });
}

Outcome& FindOrAddOutcome(Round& round, const Guest& guest, ResourceKind kind) {
  const auto at = Position(round, guest.guest_id, kind);
  const auto index = at - round.outcomes.cbegin();
  if (at == round.outcomes.cend() || at->guest_id != guest.guest_id || at->kind != kind) {
    // It was admitted after the decision: it pays rent in this round and holds nothing by it, so
    // that there is nothing to settle.
    round.outcomes.insert(at, Outcome{.guest_id = guest.guest_id,
                                      .kind = kind,
                                      .tenant_id = guest.tenant_id,
                                      .seed_units = guest.seed_units(kind),
                                      .settled = true});
  }
  return round.outcomes[static_cast<size_t>(index)];
}

}  // namespace

GuestMeters LostMeters(GuestId guest_id) {
  return GuestMeters{.guest_id = guest_id, .age_us = kLostAge};
}

const Outcome* FindOutcome(const Round& round, GuestId guest_id, ResourceKind kind) {
  const auto it = Position(round, guest_id, kind);
  if (it == round.outcomes.end() || it->guest_id != guest_id || it->kind != kind) return nullptr;
  return &*it;
}

bool IsToBeBilled(const Round& round, const Contract& contract) {
  // All lots of a contract are billed together, so that it is enough to look at the first.
  if (!AliveIn(contract, round.round_id) || contract.lots.empty()) return false;
  const Outcome* const outcome = FindOutcome(round, contract.guest_id, contract.lots.front().kind);
  return outcome != nullptr && !outcome->settled;
}

void EndContract(Scribe& scribe, const Contract& contract, const std::string& why) {
  Contract ended = contract;
  PostRelease(scribe, ended, /*keep=*/0);
  ended.ended = why;
  scribe.Write(UpdateContract{std::move(ended)});
}

namespace {

// The fee is set aside since the contract was bought: what else is, is not touched by it.
void PayFee(Scribe& scribe, Contract& contract, RoundId from) {
  const Microcredits fee = FeeFrom(contract, from);
  contract.fees_microcredits +=
      PostDue(scribe, contract, fee, std::max<Microcredits>(0, contract.escrow_microcredits - fee));
}

// Whether a guest ended by what its owner or its program did, not the operator or the machine.
bool EndedByItsTenant(const Guest& guest) {
  switch (guest.end_cause) {
    case EndCause::kExited:
    case EndCause::kCrashed:
    case EndCause::kStopped:
    case EndCause::kArrears:
      return true;
    case EndCause::kNone:
    case EndCause::kEvicted:
      return false;
  }
  return false;
}

}  // namespace

void BreakContract(Scribe& scribe, const Contract& contract, RoundId from, const std::string& why) {
  Contract broken = contract;
  PayFee(scribe, broken, from);
  EndContract(scribe, broken, why);
}

void EndBrokenOff(Scribe& scribe, const Contract& contract, RoundId from, const std::string& why) {
  if (EndedByItsTenant(scribe.state().guests.at(contract.guest_id))) {
    BreakContract(scribe, contract, from, why);
  } else {
    EndContract(scribe, contract, why);
  }
}

void EndContracts(Scribe& scribe, GuestId guest_id, RoundId from, const std::string& why) {
  for (const Contract* contract : scribe.state().contracts.Of(guest_id)) {
    EndBrokenOff(scribe, *contract, from, why);
  }
}

void LeaveFrom(Scribe& scribe, const Contract& contract, RoundId from, const std::string& why) {
  // It has not begun: nothing of it is left to be held or billed.
  if (from <= contract.from_round_id) {
    BreakContract(scribe, contract, from, why);
    return;
  }
  Contract left = contract;
  PayFee(scribe, left, from);
  left.left_from_round_id = from;
  left.left_because = why;
  scribe.Write(UpdateContract{std::move(left)});
}

Microcredits MissingFor(const Contract& contract, RoundId decided, const Round* in_force) {
  const bool is_owed = in_force != nullptr && IsToBeBilled(*in_force, contract);
  const Microcredits needed =
      SaturatingAdd(is_owed ? ChargeOf(contract) : 0, ToCover(contract, decided));
  return std::max<Microcredits>(0, needed - contract.escrow_microcredits);
}

bool CoverRound(Scribe& scribe, const Contract& contract, RoundId decided, const Round* in_force) {
  const Microcredits missing = MissingFor(contract, decided, in_force);
  if (missing == 0) return true;
  if (missing > scribe.state().PurseOf(contract.tenant_id).available) return false;
  Contract covered = contract;
  PostEscrow(scribe, covered, missing);
  scribe.Write(UpdateContract{std::move(covered)});
  return true;
}

void CloseOutcomes(Round& round) {
  for (Outcome& outcome : round.outcomes) outcome.settled = true;
}

namespace {

// What the guest's contracts that are alive in `round` cost for the interval; null: unknown.
Microcredits BillContractsIn(Scribe& scribe, const Guest& guest, const MeteredInterval* interval,
                             RoundId decided, Round& round) {
  const OpenContracts& open = scribe.state().contracts;
  const std::vector<const Contract*> alive = open.AliveIn(guest.guest_id, round.round_id);
  std::vector<BilledContract> billed;
  std::vector<Contract> changed;  // By rising id, as `alive` is.
  billed.reserve(alive.size());
  changed.reserve(alive.size());
  for (const Contract* contract : alive) {
    changed.push_back(*contract);
    BilledContract& bill = billed.emplace_back(BilledContract{contract});
    for (const Lot& lot : contract->lots) {
      const int64_t units = open.PassedOnUnits(contract->contract_id, lot.kind, round.round_id);
      if (units > 0) bill.passed_on_units[lot.kind] = units;
    }
  }
  // What the decided round needs was set aside when that was decided, and is not there for this
  // one.
  const auto keep = [decided, &round](const Contract& contract) {
    return decided > round.round_id && AliveIn(contract, decided)
               ? ToCover(contract, decided)
               : FeeFrom(contract, round.round_id + 1);
  };
  Microcredits forgiven = 0;
  if (interval != nullptr) {
    for (const LotBill& bill : BillContracts(billed, guest.seeds, *interval)) {
      Outcome& outcome = FindOrAddOutcome(round, guest, bill.kind);
      if (outcome.settled) continue;  // Its meters were lost meanwhile: nobody pays for that round.
      Contract& contract =
          *std::lower_bound(changed.begin(), changed.end(), bill.contract_id,
                            [](const Contract& c, ContractId id) { return c.contract_id < id; });
      const Microcredits paid = PostDue(scribe, contract, bill.due_microcredits, keep(contract));
      forgiven += bill.due_microcredits - paid;
      outcome.settled_microcredits += paid;
      contract.paid_microcredits += paid;
    }
  }
  for (Contract& contract : changed) {
    PostRelease(scribe, contract, keep(contract));
    contract.settled_through = scribe.now();
    scribe.Write(UpdateContract{std::move(contract)});
  }
  return forgiven;
}

void WriteDelivered(const MeteredInterval& interval, Outcome& outcome) {
  outcome.held = absl::Microseconds(interval.age_us);
  for (const MeteredInterval::Amount& amount : interval.amounts) {
    if (amount.kind != outcome.kind) continue;
    const int64_t age_us = std::max<int64_t>(1, interval.age_us);
    outcome.delivered_milliunits = ShareRoundedDown(amount.offered_unit_us, 1000, age_us);
    outcome.used_milliunits = ShareRoundedDown(amount.used_unit_us, 1000, age_us);
  }
}

}  // namespace

Billed BillGuest(Scribe& scribe, GuestId guest_id, const GuestMeters* reading,
                 absl::Span<const Resource> resources, Round* round, RoundId decided) {
  Billed billed;
  Guest guest = scribe.state().guests.at(guest_id);
  if (round == nullptr) return billed;
  std::optional<MeteredInterval> interval;
  // After a reading was lost, an interval is known again once there are two new readings.
  if (reading != nullptr && guest.has_run && guest.metered.age_us != kLostAge) {
    interval = Between(guest.metered, *reading);
  }
  billed.meters_lost = guest.has_run && guest.metered.age_us != kLostAge && !interval &&
                       guest.state != GuestState::kEnded;
  const MeteredInterval* const known = interval ? &*interval : nullptr;
  const bool in_force = round->phase == RoundPhase::kEffective;
  if (in_force) billed.forgiven = BillContractsIn(scribe, guest, known, decided, *round);
  for (const Resource& resource : resources) {
    const bool lived = known != nullptr && known->alive_us > 0;
    // No line for a guest that was not there.
    if (!lived && FindOutcome(*round, guest_id, resource.kind) == nullptr) continue;
    Outcome& outcome = FindOrAddOutcome(*round, guest, resource.kind);
    if (in_force && !outcome.settled) {
      if (known != nullptr) WriteDelivered(*known, outcome);
      outcome.settled = true;
    }
    if (known != nullptr) {
      PostRent(scribe, *known, resource.seed_rent_unit_price_microcredits, round->period, outcome);
    }
  }
  const GuestMeters next = reading != nullptr ? *reading : LostMeters(guest_id);
  // The machine's clock goes on for one that has ended; nothing of it counts.
  const bool stands_still =
      guest.state == GuestState::kEnded && known != nullptr && known->alive_us == 0;
  if (guest.metered != next && !stands_still) {
    guest.metered = next;
    scribe.Write(PutGuest{guest});
  }
  return billed;
}

}  // namespace nom::market
