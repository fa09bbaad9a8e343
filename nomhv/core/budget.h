// Processor time: who may run next, until when, and what it cost.
//
// Time is cut into periods at multiples of the period's length, the same on every processor. At
// each boundary every piece is credited its share of the period; what runs is charged from switch
// to switch, so every cycle is somebody's. A piece may run while its balance is positive, in the
// plan's order. A timer that fires late makes a debt that the next period repays: over time a guest
// that wants its share gets exactly its share. What was missed by no fault of the guest's is
// carried over, at most kCarryPeriods' worth; what it slept through is lost at the boundary, and
// counted as offered.

#ifndef NOMHV_CORE_BUDGET_H_
#define NOMHV_CORE_BUDGET_H_

#include <atomic>
#include <cstdint>

#include "nomhv/core/processors.h"

namespace nomhv {

inline constexpr uint64_t kNoDeadline = ~uint64_t{0};

// What all processors share about the time of the guest in one slot. Any processor.
class ProcessorAccount {
 public:
  // For a new guest, awake. No processor may hold a claim.
  void Reset();

  // At most one processor runs a guest: a claim is needed to run it, and to change its state.
  [[nodiscard]] bool TryClaim(uint32_t processor);
  void Unclaim(uint32_t processor);
  [[nodiscard]] bool claimed() const;

  // The guest gave the processor away, or has something to do again. Under a claim.
  void Sleep(uint64_t now_tsc);
  void Wake(uint64_t now_tsc);
  [[nodiscard]] bool asleep() const;

  // Cycles since Reset: run; run or offered and slept through; asleep.
  [[nodiscard]] uint64_t used_cycles() const;
  [[nodiscard]] uint64_t offered_cycles() const;
  [[nodiscard]] uint64_t asleep_cycles(uint64_t now_tsc) const;

 private:
  friend class ProcessorSchedule;
  static constexpr uint32_t kUnclaimed = ~uint32_t{0};

  std::atomic<uint32_t> claimed_by_{kUnclaimed};
  std::atomic<uint64_t> used_{0};
  std::atomic<uint64_t> forfeited_{0};
  std::atomic<uint64_t> asleep_total_{0};
  std::atomic<uint64_t> asleep_since_{0};  // TSC; 0 when awake.
  std::atomic<int64_t> moved_{0};          // Balance on its way from one processor to another.
};

// One processor's schedule. Used by that processor only.
class ProcessorSchedule {
 public:
  static constexpr int64_t kCarryPeriods = 4;

  struct Choice {
    bool run = false;
    uint32_t slot = 0;
    uint64_t began_tsc = 0;
    // When to call Stop (if running) and Pick again; kNoDeadline when no timer is needed.
    uint64_t deadline_tsc = kNoDeadline;
  };

  // `accounts` has one for each slot. `period_cycles` is a multiple of 1000, at least 200 000, the
  // same on all processors; the plan is empty.
  void Init(uint32_t processor, uint64_t period_cycles, ProcessorAccount* accounts,
            uint64_t now_tsc);

  // Takes a new plan from `now_tsc` on. Nothing may be running here. Balances stay with their
  // guests, to whatever processor they move.
  void SetPieces(const ProcessorPieces& pieces, uint64_t now_tsc);

  // Chooses what runs next and claims it. `runnable(slot)` says whether the guest wants to run; it
  // is called under the claim and may Wake() a sleeper.
  template <typename Runnable>
  Choice Pick(uint64_t now_tsc, Runnable&& runnable) {
    Advance(now_tsc);
    Choice choice = Idle(now_tsc);
    bool blocked = false;
    for (uint32_t i = 0; i < count_; ++i) {
      Entry& entry = entries_[i];
      if (entry.balance_cycles <= 0) continue;
      ProcessorAccount& account = accounts_[entry.piece.slot];
      if (!account.TryClaim(processor_)) {
        // Its other piece has not quite ended: come back for it soon, it goes before the others.
        choice.deadline_tsc = Earlier(choice.deadline_tsc, now_tsc + period_cycles_ / 200);
        blocked = true;
        continue;
      }
      if (runnable(entry.piece.slot)) return Start(entry, now_tsc, choice.deadline_tsc);
      account.Unclaim(processor_);
    }
    if (!blocked) return choice;
    // Idling while a split guest's other piece is late would lose time for good. Somebody who is
    // here alone goes ahead instead, by a period's credit at most, and repays it when the split
    // one comes.
    for (uint32_t i = 0; i < count_; ++i) {
      const Entry& entry = entries_[i];
      if (entry.piece.split || entry.balance_cycles > 0 ||
          entry.balance_cycles <= -entry.credit_cycles) {
        continue;
      }
      ProcessorAccount& account = accounts_[entry.piece.slot];
      if (!account.TryClaim(processor_)) continue;
      if (runnable(entry.piece.slot)) return Start(entry, now_tsc, choice.deadline_tsc);
      account.Unclaim(processor_);
    }
    return choice;
  }

  // Ends what Pick started, which ran until `now_tsc`: charges it and gives up the claim.
  void Stop(const Choice& choice, uint64_t now_tsc);

  // What is left to the guest of `slot` here; for tests and logs.
  [[nodiscard]] int64_t balance_cycles(uint32_t slot) const;

 private:
  struct Entry {
    Piece piece;
    int64_t credit_cycles = 0;  // A period's.
    int64_t balance_cycles = 0;
    uint64_t asleep_cycles = 0;  // The account's, at the last boundary.
  };

  static uint64_t Earlier(uint64_t a, uint64_t b) { return a < b ? a : b; }
  void Advance(uint64_t now_tsc);
  [[nodiscard]] Choice Idle(uint64_t now_tsc) const;
  [[nodiscard]] Choice Start(const Entry& entry, uint64_t now_tsc, uint64_t latest_tsc) const;
  [[nodiscard]] bool alone() const;

  uint32_t processor_ = 0;
  uint64_t period_cycles_ = 0;
  ProcessorAccount* accounts_ = nullptr;
  uint64_t boundary_tsc_ = 0;  // The next one.
  uint32_t count_ = 0;
  Entry entries_[GuestTable::kSlots];
};

}  // namespace nomhv

#endif  // NOMHV_CORE_BUDGET_H_
