// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/host_index.h"

#include <algorithm>

#include "marketd/market/state.h"

namespace nom::market {
namespace {

// Adds to a sum in a map without zeros.
template <typename Map, typename Key>
void AddTo(Map& sums, const Key& key, typename Map::mapped_type amount) {
  if (amount == 0) return;
  const auto it = sums.try_emplace(key).first;
  it->second += amount;
  if (it->second == 0) sums.erase(it);
}

}  // namespace

void HostIndex::Add(const Guest& guest) {
  const auto at = std::lower_bound(guests_.begin(), guests_.end(), guest.guest_id);
  if (at == guests_.end() || *at != guest.guest_id) guests_.insert(at, guest.guest_id);
  if (guest.state == GuestState::kAdmitted) admitted_.insert(guest.guest_id);
  AddTo(names_, guest.name, 1);
  AddSeeds(guest, 1);
}

void HostIndex::Remove(const Guest& guest) {
  const auto at = std::lower_bound(guests_.begin(), guests_.end(), guest.guest_id);
  if (at != guests_.end() && *at == guest.guest_id) guests_.erase(at);
  admitted_.erase(guest.guest_id);
  AddTo(names_, guest.name, -1);
  AddSeeds(guest, -1);
}

void HostIndex::Change(const Guest& before, const Guest& after) {
  if (before.state == after.state && before.seeds == after.seeds && before.name == after.name) {
    return;
  }
  if (after.state == GuestState::kAdmitted) {
    admitted_.insert(after.guest_id);
  } else {
    admitted_.erase(after.guest_id);
  }
  AddTo(names_, before.name, -1);
  AddTo(names_, after.name, 1);
  AddSeeds(before, -1);
  AddSeeds(after, 1);
}

void HostIndex::AddSeeds(const Guest& guest, int64_t sign) {
  for (const Holding& seed : guest.seeds) {
    AddTo(seeds_, std::pair(seed.kind, guest.state), sign * seed.seed_units);
  }
}

void UnitsByRound::Add(RoundId from, RoundId until, int64_t units) {
  if (from >= until) return;
  AddTo(changes_, from, units);
  AddTo(changes_, until, -units);
}

int64_t UnitsByRound::At(RoundId round_id) const {
  int64_t units = 0;
  for (const auto& [round, change] : changes_) {
    if (round > round_id) break;
    units += change;
  }
  return units;
}

int64_t UnitsByRound::MostWithin(RoundId from, RoundId until) const {
  if (from >= until) return 0;
  int64_t units = 0;
  int64_t most = 0;
  for (const auto& [round, change] : changes_) {
    // What there is in a round is known once all changes up to it are counted.
    if (round > from) most = std::max(most, units);
    if (round >= until) return most;
    units += change;
  }
  return std::max(most, units);
}

RoundId UnitsByRound::FirstWithin(RoundId from, RoundId rounds, int64_t units) const {
  if (units < 0) return 0;  // There is never less than nothing.
  int64_t there = 0;
  RoundId first = from;  // Of the rounds up to the change that is looked at, in which it is so.
  for (const auto& [round, change] : changes_) {
    if (round > from) {
      if (there > units) {
        first = round;
      } else if (rounds != kNoRound && round >= first && round - first >= rounds) {
        return first;
      }
    }
    there += change;
  }
  return there > units ? 0 : first;
}

namespace {

using UnitsOfKinds = std::map<ResourceKind, UnitsByRound>;

void AddSpan(UnitsOfKinds& all, ResourceKind kind, RoundId from, RoundId until, int64_t units) {
  UnitsByRound& of_kind = all[kind];
  of_kind.Add(from, until, units);
  if (of_kind.empty()) all.erase(kind);
}

int64_t MostOf(const UnitsOfKinds& all, ResourceKind kind, RoundId from, RoundId until) {
  const auto of_kind = all.find(kind);
  return of_kind == all.end() ? 0 : of_kind->second.MostWithin(from, until);
}

RoundId FirstOf(const UnitsOfKinds& all, ResourceKind kind, RoundId from, RoundId rounds,
                int64_t units) {
  const auto of_kind = all.find(kind);
  if (of_kind != all.end()) return of_kind->second.FirstWithin(from, rounds, units);
  return units < 0 ? 0 : from;
}

}  // namespace

RoundId HostIndex::FirstPromised(ResourceKind kind, RoundId from, RoundId rounds,
                                 int64_t units) const {
  return FirstOf(promised_, kind, from, rounds, units);
}

RoundId HostIndex::FirstSpokenFor(ResourceKind kind, RoundId from, RoundId rounds,
                                  int64_t units) const {
  return FirstOf(spoken_for_, kind, from, rounds, units);
}

RoundId HostIndex::FirstSoldForward(ResourceKind kind, RoundId from, RoundId rounds,
                                    int64_t units) const {
  return FirstOf(sold_forward_, kind, from, rounds, units);
}

void HostIndex::Count(const Contract& contract, RoundId from, int64_t sign) {
  const RoundId end = EndOf(contract);
  const bool may_be_renewed =
      contract.renew_ceiling_microcredits > 0 && contract.left_from_round_id == 0;
  const RoundId renewed_until =
      may_be_renewed ? end + (contract.until_round_id - contract.from_round_id) : end;
  for (const Lot& lot : contract.lots) {
    const int64_t units = sign * lot.units;
    AddSpan(promised_, lot.kind, from, end, units);
    AddSpan(spoken_for_, lot.kind, from, renewed_until, units);
    if (IsForward(contract)) AddSpan(sold_forward_, lot.kind, from, renewed_until, units);
  }
}

int64_t HostIndex::SeedUnits(ResourceKind kind) const {
  int64_t units = 0;
  for (auto it = seeds_.lower_bound({kind, GuestState{0}});
       it != seeds_.end() && it->first.first == kind; ++it) {
    if (it->first.second != GuestState::kEnded) units += it->second;
  }
  return units;
}

int64_t HostIndex::SeedUnits(ResourceKind kind, GuestState state) const {
  const auto it = seeds_.find({kind, state});
  return it == seeds_.end() ? 0 : it->second;
}

int64_t HostIndex::PromisedUnits(ResourceKind kind, RoundId round_id) const {
  const auto of_kind = promised_.find(kind);
  return of_kind == promised_.end() ? 0 : of_kind->second.At(round_id);
}

int64_t HostIndex::PromisedUnitsFrom(ResourceKind kind, RoundId round_id, RoundId until) const {
  return MostOf(promised_, kind, round_id, until);
}

int64_t HostIndex::SpokenForUnits(ResourceKind kind, RoundId round_id, RoundId until) const {
  return MostOf(spoken_for_, kind, round_id, until);
}

int64_t HostIndex::SoldForwardUnits(ResourceKind kind, RoundId round_id, RoundId until) const {
  return MostOf(sold_forward_, kind, round_id, until);
}

}  // namespace nom::market
