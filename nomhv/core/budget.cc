// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/budget.h"

#include <algorithm>

namespace nomhv {

void ProcessorAccount::Reset() {
  NOMHV_CHECK(!claimed(), "processor account: reset while its guest runs");
  used_ = 0;
  forfeited_ = 0;
  asleep_total_ = 0;
  asleep_since_ = 0;
  wake_tsc_ = 0;
  moved_ = 0;
}

bool ProcessorAccount::TryClaim(uint32_t processor) {
  uint32_t expected = kUnclaimed;
  return claimed_by_.compare_exchange_strong(expected, processor, std::memory_order_acq_rel);
}

void ProcessorAccount::Unclaim(uint32_t processor) {
  uint32_t expected = processor;
  NOMHV_CHECK(claimed_by_.compare_exchange_strong(expected, kUnclaimed, std::memory_order_acq_rel),
              "processor account: gave up a claim of another's");
}

void ProcessorAccount::Sleep(uint64_t now_tsc, uint64_t wake_tsc) {
  NOMHV_CHECK(!asleep(), "processor account: slept twice");
  wake_tsc_.store(wake_tsc, std::memory_order_relaxed);
  asleep_since_.store(std::max<uint64_t>(now_tsc, 1), std::memory_order_release);
}

void ProcessorAccount::Wake(uint64_t since_tsc) {
  const uint64_t since = asleep_since_.load(std::memory_order_relaxed);
  NOMHV_CHECK(since != 0, "processor account: woken while awake");
  // Time-stamp counters of two processors may differ by a hair.
  if (since_tsc > since) asleep_total_.fetch_add(since_tsc - since, std::memory_order_acq_rel);
  wake_tsc_.store(0, std::memory_order_relaxed);
  asleep_since_.store(0, std::memory_order_release);
}

uint64_t ProcessorAccount::wake_tsc() const { return wake_tsc_.load(std::memory_order_acquire); }

bool ProcessorAccount::asleep() const { return asleep_since_.load(std::memory_order_acquire) != 0; }

uint64_t ProcessorAccount::used_cycles() const { return used_.load(std::memory_order_acquire); }

uint64_t ProcessorAccount::asleep_cycles(uint64_t now_tsc) const {
  for (;;) {
    const uint64_t since = asleep_since_.load(std::memory_order_acquire);
    const uint64_t total = asleep_total_.load(std::memory_order_acquire);
    const uint64_t wake = wake_tsc_.load(std::memory_order_acquire);
    if (asleep_since_.load(std::memory_order_acquire) != since) continue;
    const uint64_t until = wake != 0 ? std::min(wake, now_tsc) : now_tsc;
    return since != 0 && until > since ? total + (until - since) : total;
  }
}

void ProcessorSchedule::Init(uint32_t processor, uint64_t period_cycles, ProcessorAccount* accounts,
                             uint64_t now_tsc) {
  NOMHV_CHECK(period_cycles % kMillicoresPerProcessor == 0 && period_cycles >= 200000,
              "processor schedule: bad period");
  processor_ = processor;
  period_cycles_ = period_cycles;
  accounts_ = accounts;
  boundary_tsc_ = (now_tsc / period_cycles + 1) * period_cycles;
  payer_ = kNomhv;
  payer_since_tsc_ = now_tsc;
  nomhv_cycles_ = 0;
  count_ = 0;
  whole_count_ = 0;
}

void ProcessorSchedule::Charge(uint32_t payer, uint64_t cycles) {
  if (payer == kNomhv) {
    nomhv_cycles_ += cycles;
    return;
  }
  ProcessorAccount& account = accounts_[payer];
  account.used_.fetch_add(cycles, std::memory_order_acq_rel);
  for (uint32_t i = 0; i < count_; ++i) {
    if (entries_[i].piece.vcpu != payer) continue;
    entries_[i].balance_cycles -= static_cast<int64_t>(cycles);
    return;
  }
  // Its share has moved away meanwhile: the debt goes after it.
  account.moved_.fetch_sub(static_cast<int64_t>(cycles), std::memory_order_acq_rel);
}

void ProcessorSchedule::Settle(uint64_t now_tsc) {
  if (payer_ == kWhoRunsNext || now_tsc <= payer_since_tsc_) return;
  Charge(payer_, now_tsc - payer_since_tsc_);
  payer_since_tsc_ = now_tsc;
}

void ProcessorSchedule::Pay(uint32_t payer, uint64_t now_tsc) {
  if (payer_ == kWhoRunsNext) payer_ = payer;
  Settle(now_tsc);
  payer_ = payer;
}

void ProcessorSchedule::SetPieces(const ProcessorPieces& pieces, uint64_t now_tsc) {
  // A switch that is not over is nomhv's from here on: who caused it may have no share any more.
  Pay(kNomhv, now_tsc);
  Advance(now_tsc);
  // This period's credit was given in advance: its rest is taken back, and given by the new plan.
  const auto rest = static_cast<int64_t>(boundary_tsc_ - now_tsc);
  const auto credit_for_rest = [&](const Piece& piece) {
    return rest * piece.millicores / static_cast<int64_t>(kMillicoresPerProcessor);
  };
  for (uint32_t i = 0; i < count_; ++i) {
    accounts_[entries_[i].piece.vcpu].moved_.fetch_add(
        entries_[i].balance_cycles - credit_for_rest(entries_[i].piece), std::memory_order_acq_rel);
  }
  count_ = pieces.count;
  whole_first_ = 0;
  whole_count_ = 0;
  for (uint32_t i = 0; i < count_; ++i) {
    const Piece& piece = pieces.pieces[i];
    ProcessorAccount& account = accounts_[piece.vcpu];
    entries_[i] = {
        piece, static_cast<int64_t>(period_cycles_ / kMillicoresPerProcessor * piece.millicores),
        account.moved_.exchange(0, std::memory_order_acq_rel) + credit_for_rest(piece),
        account.asleep_cycles(now_tsc), /*slept=*/false};
    if (piece.split) continue;
    if (whole_count_++ == 0) whole_first_ = i;
  }
}

ProcessorSchedule::Rank ProcessorSchedule::RankOf(const Entry& entry) const {
  if (accounts_[entry.piece.vcpu].asleep()) return Rank::kAsleep;
  return entry.slept ? Rank::kSlept : Rank::kAwake;
}

uint32_t ProcessorSchedule::InTurn(uint32_t position) const {
  if (position < whole_first_ || position >= whole_first_ + whole_count_) return position;
  return whole_first_ + (position - whole_first_ + turn_) % whole_count_;
}

uint64_t ProcessorSchedule::NextWake(uint32_t vcpu) const {
  uint64_t next = kNoDeadline;
  for (uint32_t i = 0; i < count_; ++i) {
    // Without credit it could not run if it woke: it waits for the period's end.
    if (entries_[i].balance_cycles <= 0 || entries_[i].piece.vcpu == vcpu) continue;
    const uint64_t wake = accounts_[entries_[i].piece.vcpu].wake_tsc();
    if (wake != 0) next = Earlier(next, wake);
  }
  return next;
}

void ProcessorSchedule::Advance(uint64_t now_tsc) {
  if (now_tsc < boundary_tsc_) return;
  const uint64_t periods = (now_tsc - boundary_tsc_) / period_cycles_ + 1;
  boundary_tsc_ += periods * period_cycles_;
  ++turn_;
  for (uint32_t i = 0; i < count_; ++i) {
    Entry& entry = entries_[i];
    ProcessorAccount& account = accounts_[entry.piece.vcpu];
    const uint64_t asleep = account.asleep_cycles(now_tsc);
    const auto slept = static_cast<int64_t>(asleep - entry.asleep_cycles);
    entry.asleep_cycles = asleep;
    entry.slept = slept > 0;
    // All that the guest could have had until the last boundary and did not run.
    int64_t left = entry.balance_cycles + account.moved_.exchange(0, std::memory_order_acq_rel) +
                   static_cast<int64_t>(periods - 1) * entry.credit_cycles;
    // Both may be below zero: a debt, and a sleep that ended before it was last looked at.
    const int64_t forfeited = std::max<int64_t>(0, std::min(left, slept));
    account.forfeited_.fetch_add(static_cast<uint64_t>(forfeited), std::memory_order_acq_rel);
    left -= forfeited;
    const int64_t bound = kCarryPeriods * entry.credit_cycles;
    entry.balance_cycles = std::min(left, bound) + entry.credit_cycles;
  }
}

ProcessorSchedule::Choice ProcessorSchedule::Idle() const {
  Choice choice;
  choice.deadline_tsc = NextWake(kVcpus);
  // A guest alone needs no tick, but one that came here with a debt is let in when it is repaid.
  if (count_ > 0 && (!alone() || entries_[0].balance_cycles <= 0)) {
    choice.deadline_tsc = Earlier(choice.deadline_tsc, boundary_tsc_);
  }
  return choice;
}

ProcessorSchedule::Choice ProcessorSchedule::Start(const Entry& entry, uint64_t now_tsc,
                                                   uint64_t latest_tsc) const {
  Choice choice;
  choice.run = true;
  choice.vcpu = entry.piece.vcpu;
  if (alone()) return choice;
  // A slice shorter than this is not worth its switch; the debt is repaid.
  const auto shortest = static_cast<int64_t>(period_cycles_ / 500);
  const auto slice = static_cast<uint64_t>(std::max(entry.balance_cycles, shortest));
  choice.cut_tsc = NextWake(choice.vcpu);
  choice.deadline_tsc = Earlier(Earlier(latest_tsc, choice.cut_tsc), now_tsc + slice);
  return choice;
}

void ProcessorSchedule::Run(const Choice& choice, uint64_t now_tsc) {
  NOMHV_CHECK(choice.run, "processor schedule: nothing was chosen to run");
  Pay(choice.vcpu, now_tsc);
}

void ProcessorSchedule::Stop(const Choice& choice, uint64_t now_tsc, StopCause cause) {
  NOMHV_CHECK(choice.run, "processor schedule: stopped what never ran");
  Settle(now_tsc);
  if (cause == StopCause::kControl) payer_ = kNomhv;
  if (cause == StopCause::kRung || (cause == StopCause::kTime && now_tsc >= choice.cut_tsc)) {
    payer_ = kWhoRunsNext;
  }
  accounts_[choice.vcpu].Unclaim(processor_);
}

int64_t ProcessorSchedule::balance_cycles(uint32_t vcpu) const {
  for (uint32_t i = 0; i < count_; ++i) {
    if (entries_[i].piece.vcpu == vcpu) return entries_[i].balance_cycles;
  }
  return 0;
}

bool ProcessorSchedule::alone() const {
  return count_ == 1 && entries_[0].piece.millicores == kMillicoresPerProcessor;
}

}  // namespace nomhv
