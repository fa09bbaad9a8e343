// SPDX-License-Identifier: Apache-2.0
// Processor time: who may run next, until when, and what it cost.
//
// Time is cut into periods at multiples of the period's length, the same on every processor. At
// each boundary every piece is credited its share of the period. A piece may run while its balance
// is positive: first who was asleep and has something to do, then by turns. A timer that fires late
// makes a debt that the next period repays: over time a guest that wants its share gets exactly its
// share. What was missed by no fault of the guest's is carried over, at most kCarryPeriods' worth;
// what it slept through is lost at the boundary, and counted as offered.
//
// Every cycle of the processor is paid by somebody, and a switch by who caused it: by who slept,
// ended or used up its slice, until the next one runs; by the sleeper whose wake-up cut another's
// slice, from then on; by nomhv itself where the control processor interrupts or nobody runs.

#ifndef NOMHV_CORE_BUDGET_H_
#define NOMHV_CORE_BUDGET_H_

#include <atomic>
#include <cstdint>

#include "nomhv/core/processors.h"

namespace nomhv {

inline constexpr uint64_t kNoDeadline = ~uint64_t{0};

// What all processors share about the time of one virtual processor ("guest" below). Any of them.
class ProcessorAccount {
 public:
  static constexpr uint32_t kUnclaimed = ~uint32_t{0};

  // For a new guest, awake. No processor may hold a claim.
  void Reset();

  // At most one processor runs it: a claim is needed for that, and to change its state.
  [[nodiscard]] bool TryClaim(uint32_t processor);
  void Unclaim(uint32_t processor);
  [[nodiscard]] bool claimed() const { return claimed_by() != kUnclaimed; }
  [[nodiscard]] uint32_t claimed_by() const { return claimed_by_.load(std::memory_order_seq_cst); }

  // The guest gave the processor away until `wake_tsc` (0: until something else wakes it), or has
  // had something to do again since `since_tsc`, which may be past: who wakes late was not asleep
  // meanwhile. Under a claim.
  void Sleep(uint64_t now_tsc, uint64_t wake_tsc = 0);
  void Wake(uint64_t since_tsc);
  [[nodiscard]] bool asleep() const;
  // When a sleeper wants to wake; 0: awake, or at no time.
  [[nodiscard]] uint64_t wake_tsc() const;

  // Cycles since Reset: run; offered and slept through; both; asleep.
  [[nodiscard]] uint64_t used_cycles() const;
  [[nodiscard]] uint64_t slept_cycles() const { return forfeited_.load(std::memory_order_acquire); }
  [[nodiscard]] uint64_t offered_cycles() const { return used_cycles() + slept_cycles(); }
  [[nodiscard]] uint64_t asleep_cycles(uint64_t now_tsc) const;

 private:
  friend class ProcessorSchedule;

  std::atomic<uint32_t> claimed_by_{kUnclaimed};
  std::atomic<uint64_t> used_{0};
  std::atomic<uint64_t> forfeited_{0};
  std::atomic<uint64_t> asleep_total_{0};
  std::atomic<uint64_t> asleep_since_{0};  // TSC; 0 when awake.
  std::atomic<uint64_t> wake_tsc_{0};      // TSC; 0 when awake, or asleep without a deadline.
  std::atomic<int64_t> moved_{0};          // Balance on its way from one processor to another.
};

// Why a run ended, which says who pays for the switch.
enum class StopCause {
  kItself,   // It sleeps, or has ended.
  kTime,     // Its deadline.
  kRung,     // A sleeper has been rung.
  kControl,  // The control processor wanted something.
};

// One processor's schedule. Used by that processor only.
class ProcessorSchedule {
 public:
  static constexpr int64_t kCarryPeriods = 4;
  // Who pays instead of a guest.
  static constexpr uint32_t kNomhv = ~uint32_t{0};
  static constexpr uint32_t kWhoRunsNext = ~uint32_t{0} - 1;

  struct Choice {
    bool run = false;
    uint32_t vcpu = 0;
    // When to call Stop (if running) and Pick again; kNoDeadline when no timer is needed.
    uint64_t deadline_tsc = kNoDeadline;
    // When a sleeper wakes up and cuts the slice.
    uint64_t cut_tsc = kNoDeadline;
  };

  // `accounts` has kVcpus of them. `period_cycles` is a multiple of 1000, at least 200 000, the
  // same on all processors; the plan is empty.
  void Init(uint32_t processor, uint64_t period_cycles, ProcessorAccount* accounts,
            uint64_t now_tsc);

  // Takes a new plan from `now_tsc` on. Nothing may be running here. Balances stay with their
  // guests, to whatever processor they move.
  void SetPieces(const ProcessorPieces& pieces, uint64_t now_tsc);

  // Chooses what runs next and claims it. `runnable(vcpu)` says whether the guest wants to run; it
  // is called under the claim and may Wake() a sleeper.
  template <typename Runnable>
  Choice Pick(uint64_t now_tsc, Runnable&& runnable) {
    Settle(now_tsc);
    Advance(now_tsc);
    Choice choice = Idle();
    bool blocked = false;
    // Who is asleep, and whose time may have come, goes first; then who slept in the last period,
    // and needs longer than its share to use it; then the rest. That takes nothing from anybody:
    // all shares fit in a period.
    for (const Rank rank : {Rank::kAsleep, Rank::kSlept, Rank::kAwake}) {
      for (uint32_t i = 0; i < count_; ++i) {
        const Entry& entry = entries_[InTurn(i)];
        if (entry.balance_cycles <= 0 || RankOf(entry) != rank) continue;
        ProcessorAccount& account = accounts_[entry.piece.vcpu];
        if (!account.TryClaim(processor_)) {
          if (rank == Rank::kAsleep) continue;
          // Its other piece has not quite ended: come back for it soon, it goes before the others.
          choice.deadline_tsc = Earlier(choice.deadline_tsc, now_tsc + period_cycles_ / 200);
          blocked = true;
          continue;
        }
        if (runnable(entry.piece.vcpu)) return Start(entry, now_tsc, choice.deadline_tsc);
        account.Unclaim(processor_);
      }
    }
    if (!blocked) return choice;
    // Idling while a split guest's other piece is late would lose time for good. Somebody who is
    // here alone goes ahead, by a period's credit at most, and repays it when the split one comes.
    for (uint32_t i = 0; i < count_; ++i) {
      const Entry& entry = entries_[InTurn(i)];
      if (entry.piece.split || entry.balance_cycles > 0 ||
          entry.balance_cycles <= -entry.credit_cycles) {
        continue;
      }
      ProcessorAccount& account = accounts_[entry.piece.vcpu];
      if (!account.TryClaim(processor_)) continue;
      if (runnable(entry.piece.vcpu)) return Start(entry, now_tsc, choice.deadline_tsc);
      account.Unclaim(processor_);
    }
    return choice;
  }

  // What Pick chose runs from now on, and pays.
  void Run(const Choice& choice, uint64_t now_tsc);

  // Ends it: it ran until `now_tsc`. Says who pays from then on, and gives up the claim.
  void Stop(const Choice& choice, uint64_t now_tsc, StopCause cause);

  // From `now_tsc` on time is paid by a guest of this processor, kNomhv or kWhoRunsNext.
  void Pay(uint32_t payer, uint64_t now_tsc);

  // Charges what has passed until `now_tsc` to who pays.
  void Settle(uint64_t now_tsc);

  // Who pays, and from when on it has not been charged yet.
  [[nodiscard]] uint32_t payer() const { return payer_; }
  [[nodiscard]] uint64_t payer_since_tsc() const { return payer_since_tsc_; }
  // Cycles that nobody paid for.
  [[nodiscard]] uint64_t nomhv_cycles() const { return nomhv_cycles_; }

  // What is left to `vcpu` here; for tests and logs.
  [[nodiscard]] int64_t balance_cycles(uint32_t vcpu) const;

 private:
  struct Entry {
    Piece piece;
    int64_t credit_cycles = 0;  // A period's.
    int64_t balance_cycles = 0;
    uint64_t asleep_cycles = 0;  // The account's, at the last boundary.
    bool slept = false;          // In the period before that.
  };
  enum class Rank { kAsleep, kSlept, kAwake };

  static uint64_t Earlier(uint64_t a, uint64_t b) { return a < b ? a : b; }
  void Advance(uint64_t now_tsc);
  void Charge(uint32_t payer, uint64_t cycles);
  [[nodiscard]] Rank RankOf(const Entry& entry) const;
  [[nodiscard]] uint32_t InTurn(uint32_t position) const;
  // The earliest wake-up of those who could run then, but of `vcpu`.
  [[nodiscard]] uint64_t NextWake(uint32_t vcpu) const;
  [[nodiscard]] Choice Idle() const;
  [[nodiscard]] Choice Start(const Entry& entry, uint64_t now_tsc, uint64_t latest_tsc) const;
  [[nodiscard]] bool alone() const;

  uint32_t processor_ = 0;
  uint64_t period_cycles_ = 0;
  ProcessorAccount* accounts_ = nullptr;
  uint64_t boundary_tsc_ = 0;  // The next one.
  uint32_t payer_ = kNomhv;
  uint64_t payer_since_tsc_ = 0;
  uint64_t nomhv_cycles_ = 0;
  uint32_t count_ = 0;
  Entry entries_[kVcpus];
  // Those that are here alone stand together; who of them comes first changes with each period.
  uint32_t whole_first_ = 0;
  uint32_t whole_count_ = 0;
  uint32_t turn_ = 0;
};

}  // namespace nomhv

#endif  // NOMHV_CORE_BUDGET_H_
