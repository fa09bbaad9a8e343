// SPDX-License-Identifier: Apache-2.0
// What is looked up about one host: its guests, their seeds, and what contracts promise of its own
// units, in every round. Kept as guests and contracts come and go, so that a lookup costs what it
// finds, not who is there.

#ifndef MARKETD_MARKET_HOST_INDEX_H_
#define MARKETD_MARKET_HOST_INDEX_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "marketd/market/contracts.h"
#include "marketd/market/types.h"

namespace nom::market {

struct Guest;
enum class GuestState : uint8_t;

// Units that are taken for spans of rounds, added up round by round.
class UnitsByRound {
 public:
  // Nothing for a span that is empty. A negative amount takes back what was added.
  void Add(RoundId from, RoundId until, int64_t units);
  int64_t At(RoundId round_id) const;
  // The most in any round from `from` on, before `until`; 0 if that is none.
  int64_t MostWithin(RoundId from, RoundId until) const;
  // The first round from `from` on that begins `rounds` rounds (kNoRound: all later ones) in which
  // there are no more than `units`. 0: there is none.
  RoundId FirstWithin(RoundId from, RoundId rounds, int64_t units) const;
  bool empty() const { return changes_.empty(); }
  friend bool operator==(const UnitsByRound&, const UnitsByRound&) = default;

 private:
  std::map<RoundId, int64_t>
      changes_;  // Added in that round, compared to the one before. No zeros.
};

class HostIndex {
 public:
  void Add(const Guest& guest);
  void Remove(const Guest& guest);  // As it was added.
  // The same guest, as it was and as it is. guests() stays as it is, also for who goes through it.
  void Change(const Guest& before, const Guest& after);
  // The contract's units come out of the host's own from `from` on until its end; what of it was
  // sold forward is counted as well, and what it may be renewed for.
  void Promise(const Contract& contract, RoundId from) { Count(contract, from, 1); }
  void Release(const Contract& contract, RoundId from) { Count(contract, from, -1); }

  bool empty() const { return guests_.empty() && spoken_for_.empty(); }
  // By rising id.
  const std::vector<GuestId>& guests() const { return guests_; }
  const std::set<GuestId>& admitted() const { return admitted_; }  // Those in that state.
  bool HasName(const std::string& name) const { return names_.contains(name); }

  // Of all guests that have not ended, whose seeds others may have; and of those in one state.
  int64_t SeedUnits(ResourceKind kind) const;
  int64_t SeedUnits(ResourceKind kind, GuestState state) const;
  int64_t PromisedUnits(ResourceKind kind, RoundId round_id) const;
  // The most in any round from that one on, before `until`.
  int64_t PromisedUnitsFrom(ResourceKind kind, RoundId round_id, RoundId until = kNoRound) const;
  // The same and, for those who buy what is not promised yet, what contracts may be renewed for:
  // their holders are asked first.
  int64_t SpokenForUnits(ResourceKind kind, RoundId round_id, RoundId until) const;
  // Of these, what was or may be sold forward.
  int64_t SoldForwardUnits(ResourceKind kind, RoundId round_id, RoundId until) const;
  // The first round from `from` on with so many rounds (kNoRound: and all later ones) in which no
  // more than `units` are promised, spoken for, or sold forward; 0: none.
  RoundId FirstPromised(ResourceKind kind, RoundId from, RoundId rounds, int64_t units) const;
  RoundId FirstSpokenFor(ResourceKind kind, RoundId from, RoundId rounds, int64_t units) const;
  RoundId FirstSoldForward(ResourceKind kind, RoundId from, RoundId rounds, int64_t units) const;

  friend bool operator==(const HostIndex&, const HostIndex&) = default;

 private:
  void AddSeeds(const Guest& guest, int64_t sign);
  void Count(const Contract& contract, RoundId from, int64_t sign);

  std::vector<GuestId> guests_;  // Gone through several times a round; one comes or goes seldom.
  std::set<GuestId> admitted_;
  std::map<std::string, int> names_;
  std::map<std::pair<ResourceKind, GuestState>, int64_t> seeds_;  // No zeros.
  // A kind without any is not there.
  std::map<ResourceKind, UnitsByRound> promised_;
  std::map<ResourceKind, UnitsByRound> spoken_for_;
  std::map<ResourceKind, UnitsByRound> sold_forward_;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_HOST_INDEX_H_
