// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/contracts.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "marketd/base/money.h"
#include "policies/forward/forward.h"
#include "policies/tiers/tiers.h"

namespace nom::market {

namespace {

// What another one begins with comes after it.
constexpr absl::string_view kEnds[] = {kEndedNotRenewed,   kEndedOver,         kEndedLeft,
                                       kEndedUnpaid,       kEndedGuestStopped, kEndedGuestEnded,
                                       kEndedGuestEvicted, kEndedReleased,     kEndedMachine,
                                       kEndedLost,         kEndedHostClosed};
constexpr absl::string_view kEndWords[] = {
    "not_renewed",   "over",     "left",    "unpaid", "guest_stopped", "guest_ended",
    "guest_evicted", "released", "machine", "lost",   "host_closed"};
static_assert(std::size(kEnds) == std::size(kEndWords));

}  // namespace

absl::Span<const absl::string_view> EndWords() { return kEndWords; }

absl::string_view EndWord(absl::string_view ended) {
  for (size_t i = 0; i < std::size(kEnds); ++i) {
    if (ended == kEnds[i] || absl::StartsWith(ended, absl::StrCat(kEnds[i], ": "))) {
      return kEndWords[i];
    }
  }
  return "other";
}

RoundId EndOf(const Contract& contract) {
  if (contract.left_from_round_id == 0) return contract.until_round_id;
  return std::min(contract.left_from_round_id, contract.until_round_id);
}

bool AliveIn(const Contract& contract, RoundId round_id) {
  return contract.ended.empty() && contract.from_round_id <= round_id && round_id < EndOf(contract);
}

bool IsForward(const Contract& contract) { return !contract.policy.empty() && !IsFloor(contract); }

bool IsFloor(const Contract& contract) { return contract.policy == policies::kTierBids; }

bool IsAward(const Contract& contract) { return contract.policy.empty() && contract.part_of == 0; }

Microcredits FeeFrom(const Contract& contract, RoundId round_id) {
  const RoundId from = std::max(round_id, contract.from_round_id);
  // The fee is paid once: for a contract that was left before, nothing more is due.
  if (contract.end_fee_ppm == 0 || contract.left_from_round_id != 0 ||
      from >= contract.until_round_id) {
    return 0;
  }
  return policies::EndFee({.end_fee_ppm = contract.end_fee_ppm}, ChargeOf(contract),
                          static_cast<int64_t>(contract.until_round_id - from));
}

Microcredits ToCover(const Contract& contract, RoundId round_id) {
  // A round that has begun is paid in any case, so the earliest that it can be left from is the
  // next.
  const RoundId left_from =
      round_id < contract.from_round_id ? contract.from_round_id : round_id + 1;
  return SaturatingAdd(ChargeOf(contract), FeeFrom(contract, left_from));
}

int64_t UnitsOf(const Contract& contract, ResourceKind kind) {
  for (const Lot& lot : contract.lots) {
    if (lot.kind == kind) return lot.units;
  }
  return 0;
}

Microcredits ChargeOf(const Contract& contract) {
  Microcredits sum = 0;
  for (const Lot& lot : contract.lots) sum = SaturatingAdd(sum, lot.charge_microcredits);
  return sum;
}

void OpenContracts::AddEscrow(const TenantId& tenant_id, Microcredits amount) {
  if (amount == 0) return;
  Microcredits& sum = escrows_[tenant_id];
  sum = SaturatingAdd(sum, amount);
  if (sum == 0) escrows_.erase(tenant_id);
}

OpenContracts::OpenContracts(const OpenContracts& other)
    : all_(other.all_), escrows_(other.escrows_) {
  Index();
}

OpenContracts& OpenContracts::operator=(const OpenContracts& other) {
  if (this == &other) return *this;
  *this = OpenContracts(other);
  return *this;
}

void OpenContracts::Index() {
  // By rising id, as the map has them: each list comes out in order.
  for (const auto& [contract_id, contract] : all_) {
    of_guest_[contract.guest_id].push_back(&contract);
    if (contract.part_of != 0) parts_[contract.part_of].push_back(&contract);
  }
}

namespace {

std::vector<const Contract*>::iterator PlaceIn(std::vector<const Contract*>& list, ContractId id) {
  return std::lower_bound(list.begin(), list.end(), id,
                          [](const Contract* c, ContractId i) { return c->contract_id < i; });
}

void Insert(std::vector<const Contract*>& list, const Contract* contract) {
  list.insert(PlaceIn(list, contract->contract_id), contract);
}

template <typename Lists, typename Key>
void Drop(Lists& lists, Key key, ContractId id) {
  const auto list = lists.find(key);
  if (list == lists.end()) return;
  const auto at = PlaceIn(list->second, id);
  if (at == list->second.end() || (*at)->contract_id != id) return;
  list->second.erase(at);
  if (list->second.empty()) lists.erase(list);
}

}  // namespace

void OpenContracts::Put(const Contract& contract) {
  const ContractId id = contract.contract_id;
  const auto at = all_.lower_bound(id);
  const bool is_open = at != all_.end() && at->first == id;
  // The escrow as it was goes out of the sum before the escrow as it is goes in: Put is told what a
  // contract has become, not what has changed.
  const Microcredits before = is_open ? at->second.escrow_microcredits : 0;
  if (!contract.ended.empty()) {
    AddEscrow(contract.tenant_id, -before);
    if (!is_open) return;
    Drop(of_guest_, contract.guest_id, id);
    Drop(parts_, contract.part_of, id);
    all_.erase(at);
    return;
  }
  AddEscrow(contract.tenant_id, contract.escrow_microcredits - before);
  if (is_open) {
    at->second = contract;  // Its terms, and with them its places, are as they were.
    return;
  }
  const Contract* const stored = &all_.emplace_hint(at, id, contract)->second;
  Insert(of_guest_[contract.guest_id], stored);
  if (contract.part_of != 0) Insert(parts_[contract.part_of], stored);
}

const Contract* OpenContracts::Find(ContractId contract_id) const {
  const auto it = all_.find(contract_id);
  return it == all_.end() ? nullptr : &it->second;
}

const OpenContracts::List& OpenContracts::ListOf(GuestId guest_id) const {
  static const List kNone;
  const auto list = of_guest_.find(guest_id);
  return list == of_guest_.end() ? kNone : list->second;
}

const OpenContracts::List& OpenContracts::PartsListOf(ContractId contract_id) const {
  static const List kNone;
  const auto list = parts_.find(contract_id);
  return list == parts_.end() ? kNone : list->second;
}

std::vector<const Contract*> OpenContracts::Of(GuestId guest_id) const { return ListOf(guest_id); }

std::vector<const Contract*> OpenContracts::AliveIn(GuestId guest_id, RoundId round_id) const {
  const List& all = ListOf(guest_id);
  std::vector<const Contract*> out;
  out.reserve(all.size());
  for (const Contract* contract : all) {
    if (market::AliveIn(*contract, round_id)) out.push_back(contract);
  }
  return out;
}

int64_t OpenContracts::HeldUnits(GuestId guest_id, ResourceKind kind, RoundId round_id) const {
  int64_t units = 0;
  for (const Contract* contract : ListOf(guest_id)) {
    if (!market::AliveIn(*contract, round_id)) continue;
    const int64_t all = UnitsOf(*contract, kind);
    if (all == 0) continue;
    // Each contract counts for nothing at the least: a shortfall of one must not lower what the
    // guest holds by its others.
    units += std::max<int64_t>(0, all - PassedOnUnits(contract->contract_id, kind, round_id));
  }
  return units;
}

int64_t OpenContracts::PassedOnUnits(ContractId contract_id, ResourceKind kind,
                                     RoundId round_id) const {
  int64_t units = 0;
  for (const Contract* part : PartsListOf(contract_id)) {
    if (market::AliveIn(*part, round_id)) units += UnitsOf(*part, kind);
  }
  return units;
}

int64_t OpenContracts::PromisedUnits(GuestId guest_id, ResourceKind kind, RoundId round_id) const {
  int64_t units = 0;
  for (const Contract* contract : ListOf(guest_id)) {
    // A part is in the promise of its whole already, for as long as that is open.
    if (market::AliveIn(*contract, round_id) && OfHostFrom(*contract) <= round_id) {
      units += UnitsOf(*contract, kind);
    }
  }
  return units;
}

bool OpenContracts::IsOfHost(const Contract& contract) const {
  return contract.part_of == 0 || Find(contract.part_of) == nullptr;
}

RoundId OpenContracts::OfHostFrom(const Contract& contract) const {
  const Contract* const whole = contract.part_of == 0 ? nullptr : Find(contract.part_of);
  if (whole == nullptr) return contract.from_round_id;
  return std::max(contract.from_round_id, EndOf(*whole));
}

const Owner& OpenContracts::PayeeOf(const Contract& contract) const {
  // A reference is returned, and this one has no contract to live in.
  static const Owner kTheOperator = kOperator;
  return contract.part_of != 0 && IsOfHost(contract) ? kTheOperator : contract.seller;
}

std::vector<const Contract*> OpenContracts::PartsOf(ContractId contract_id) const {
  return PartsListOf(contract_id);
}

Microcredits OpenContracts::EscrowOf(const TenantId& tenant_id) const {
  const auto it = escrows_.find(tenant_id);
  return it == escrows_.end() ? 0 : it->second;
}

absl::Status OpenContracts::CheckPart(const Contract& part) const {
  const Contract* const whole = Find(part.part_of);
  if (whole == nullptr) {
    return absl::NotFoundError(absl::StrCat("part_of: no open contract ", part.part_of));
  }
  if (part.from_round_id < whole->from_round_id || part.until_round_id > EndOf(*whole) ||
      part.from_round_id >= part.until_round_id) {
    return absl::InvalidArgumentError(absl::StrCat(
        "from_round_id, until_round_id: [", part.from_round_id, ", ", part.until_round_id,
        ") is not within [", whole->from_round_id, ", ", EndOf(*whole), ")"));
  }
  if (whole->part_of != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("part_of: contract ", whole->contract_id, " is itself part of another"));
  }
  for (const Lot& lot : part.lots) {
    // Parts begin and end at rounds: what is in others' hands changes nowhere else.
    std::set<RoundId> rounds = {part.from_round_id};
    for (const Contract* other : PartsListOf(whole->contract_id)) {
      rounds.insert(other->from_round_id);
    }
    for (const RoundId round_id : rounds) {
      if (round_id < part.from_round_id || round_id >= part.until_round_id) continue;
      const int64_t free =
          UnitsOf(*whole, lot.kind) - PassedOnUnits(whole->contract_id, lot.kind, round_id);
      if (lot.units <= free) continue;
      return absl::ResourceExhaustedError(
          absl::StrCat("lots: ", lot.units, " units of ", KindName(lot.kind), "; contract ",
                       whole->contract_id, " has ", free, " in round ", round_id));
    }
  }
  return absl::OkStatus();
}

std::vector<LotBill> BillContracts(absl::Span<const BilledContract> contracts,
                                   const std::vector<Holding>& seeds,
                                   const MeteredInterval& interval) {
  std::map<ResourceKind, int64_t> left_unit_us;  // Offered, and in no lot yet.
  for (const MeteredInterval::Amount& amount : interval.amounts) {
    left_unit_us[amount.kind] = amount.offered_unit_us;
  }
  // The seed comes first: it is owed at all times, so a machine that falls short falls short of
  // what was bought beyond it.
  for (const Holding& seed : seeds) {
    left_unit_us[seed.kind] -= SaturatingMultiply(seed.seed_units, interval.alive_us);
  }
  std::vector<LotBill> bills;
  for (const BilledContract& billed : contracts) {
    const Contract& contract = *billed.contract;
    for (const Lot& lot : contract.lots) {
      const auto passed = billed.passed_on_units.find(lot.kind);
      const int64_t passed_on =
          passed == billed.passed_on_units.end() ? 0 : std::min(passed->second, lot.units);
      const int64_t most_unit_us = SaturatingMultiply(lot.units - passed_on, interval.alive_us);
      int64_t& left = left_unit_us[lot.kind];
      const int64_t got_unit_us = std::clamp<int64_t>(left, 0, most_unit_us);
      left -= got_unit_us;
      // By age, not by life: whoever has it may have used it when this guest did not run.
      const int64_t paid_unit_us =
          SaturatingAdd(got_unit_us, SaturatingMultiply(passed_on, interval.age_us));
      bills.push_back({contract.contract_id, lot.kind,
                       ShareRoundedDown(lot.charge_microcredits, paid_unit_us,
                                        SaturatingMultiply(lot.units, absl::ToInt64Microseconds(
                                                                          contract.period)))});
    }
  }
  return bills;
}

}  // namespace nom::market
