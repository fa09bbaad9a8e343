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
  guests_.insert(guest.guest_id);
  if (guest.state == GuestState::kAdmitted) admitted_.insert(guest.guest_id);
  AddTo(names_, guest.name, 1);
  AddSeeds(guest, 1);
}

void HostIndex::Remove(const Guest& guest) {
  guests_.erase(guest.guest_id);
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

void HostIndex::Count(const Contract& contract, int64_t sign) {
  for (const Lot& lot : contract.lots) {
    std::map<RoundId, int64_t>& changes = promised_[lot.kind];
    AddTo(changes, contract.from_round_id, sign * lot.units);
    AddTo(changes, contract.until_round_id, -sign * lot.units);
    if (changes.empty()) promised_.erase(lot.kind);
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
  const auto changes = promised_.find(kind);
  if (changes == promised_.end()) return 0;
  int64_t units = 0;
  for (const auto& [round, change] : changes->second) {
    if (round > round_id) break;
    units += change;
  }
  return units;
}

int64_t HostIndex::PromisedUnitsFrom(ResourceKind kind, RoundId round_id, RoundId until) const {
  const auto changes = promised_.find(kind);
  if (changes == promised_.end()) return 0;
  int64_t units = 0;
  int64_t most = 0;
  for (const auto& [round, change] : changes->second) {
    // What is promised in the round itself is known once all changes up to it are counted.
    if (round > round_id) most = std::max(most, units);
    if (round >= until) return most;
    units += change;
  }
  return std::max(most, units);
}

}  // namespace nom::market
