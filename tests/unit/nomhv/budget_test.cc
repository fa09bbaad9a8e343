// SPDX-License-Identifier: Apache-2.0
// Processors are simulated: each picks, runs until its timer fires (late, at random), stops, picks
// again; all in one order of time.

#include "nomhv/core/budget.h"

#include <gtest/gtest.h>

#include <functional>
#include <numeric>
#include <random>
#include <vector>

namespace nomhv {
namespace {

constexpr uint64_t kMicrosecond = 1000;  // A cycle is a nanosecond here.
constexpr uint64_t kPeriod = 10'000 * kMicrosecond;
constexpr uint64_t kSecond = 1'000'000 * kMicrosecond;

using Shares = std::vector<uint32_t>;

std::vector<ProcessorPieces> Plan(const Shares& shares, uint32_t processors) {
  uint32_t by_vcpu[kVcpus] = {};
  std::copy(shares.begin(), shares.end(), by_vcpu);
  std::vector<ProcessorPieces> plan(processors);
  PlanProcessors(by_vcpu, plan);
  return plan;
}

class Machine {
 public:
  Machine(const Shares& shares, uint32_t processors, uint64_t late_max, uint64_t seed)
      : late_max_(late_max), random_(seed), cpus_(processors) {
    for (uint32_t p = 0; p < processors; ++p) {
      cpus_[p].schedule.Init(p, kPeriod, accounts_, now_);
    }
    SetShares(shares);
  }

  // Stops every processor, as an IPI would, and hands out a new plan.
  void SetShares(const Shares& shares) {
    const auto plan = Plan(shares, static_cast<uint32_t>(cpus_.size()));
    for (Cpu& cpu : cpus_) {
      if (cpu.choice.run) cpu.schedule.Stop(cpu.choice, now_, StopCause::kControl);
      cpu.choice = {};
    }
    for (size_t p = 0; p < cpus_.size(); ++p) {
      cpus_[p].schedule.SetPieces(plan[p], now_);
      cpus_[p].wakes = now_;
    }
  }

  void RunUntil(uint64_t end) {
    while (true) {
      Cpu* next = &cpus_[0];
      for (Cpu& cpu : cpus_) {
        if (cpu.wakes < next->wakes) next = &cpu;
      }
      if (next->wakes >= end) break;
      now_ = next->wakes;
      if (next->choice.run) next->schedule.Stop(next->choice, now_, StopCause::kTime);
      next->choice = next->schedule.Pick(now_, [&](uint32_t vcpu) {
        const bool wants = wants_to_run(vcpu, now_);
        if (wants && accounts_[vcpu].asleep()) accounts_[vcpu].Wake(now_);
        if (!wants && !accounts_[vcpu].asleep()) accounts_[vcpu].Sleep(now_);
        return wants;
      });
      ++switches;
      if (next->choice.run) {
        ExpectAlone(*next);
        next->schedule.Run(next->choice, now_);
      } else {
        next->schedule.Pay(ProcessorSchedule::kNomhv, now_);
      }
      const uint64_t late = late_max_ == 0 ? 0 : random_() % late_max_;
      next->wakes = next->choice.deadline_tsc == kNoDeadline ? ~uint64_t{0}
                                                             : next->choice.deadline_tsc + late;
      if (next->wakes <= now_) next->wakes = now_ + 1;
    }
    now_ = end;
    // Charge what is running, so that the accounts are those of `end`.
    for (Cpu& cpu : cpus_) {
      if (!cpu.choice.run) continue;
      cpu.schedule.Stop(cpu.choice, now_, StopCause::kControl);
      cpu.choice = {};
      cpu.wakes = now_;
    }
  }

  const ProcessorAccount& account(uint32_t vcpu) const { return accounts_[vcpu]; }
  uint64_t now() const { return now_; }

  std::function<bool(uint32_t, uint64_t)> wants_to_run = [](uint32_t, uint64_t) { return true; };
  uint64_t switches = 0;

 private:
  struct Cpu {
    ProcessorSchedule schedule;
    ProcessorSchedule::Choice choice;
    uint64_t wakes = 0;
  };
  void ExpectAlone(const Cpu& self) {
    for (const Cpu& cpu : cpus_) {
      if (&cpu == &self || !cpu.choice.run) continue;
      EXPECT_NE(cpu.choice.vcpu, self.choice.vcpu) << "a guest on two processors at once";
    }
  }

  uint64_t late_max_;
  std::mt19937_64 random_;
  ProcessorAccount accounts_[kVcpus];
  std::vector<Cpu> cpus_;
  uint64_t now_ = 123'456'789;
};

// At most 1 % of the grant over one second, the promise of the design.
void ExpectExact(const Machine& machine, const Shares& shares, uint64_t span,
                 const std::vector<uint64_t>& before = {}) {
  for (uint32_t vcpu = 0; vcpu < shares.size(); ++vcpu) {
    const uint64_t used = machine.account(vcpu).used_cycles() - (before.empty() ? 0 : before[vcpu]);
    const double grant = static_cast<double>(span) * shares[vcpu] / 1000;
    EXPECT_NEAR(static_cast<double>(used), grant, grant / 100)
        << "vcpu " << vcpu << " of " << shares[vcpu] << " millicores";
  }
}

TEST(PlanProcessors, AGuestsProcessorsShareItsGrant) {
  for (uint32_t started = 1; started <= NOM_VIRTUAL_PROCESSORS_MAX; ++started) {
    for (uint64_t millicores = 0; millicores <= started * 1000; ++millicores) {
      uint64_t sum = 0;
      for (uint32_t place = 0; place < started; ++place) {
        const uint32_t share = VcpuShare(millicores, started, place);
        EXPECT_LE(share, 1000u);
        EXPECT_LE(share, millicores / started + 1);
        EXPECT_GE(share, millicores / started);
        sum += share;
      }
      ASSERT_EQ(sum, millicores) << started;
    }
  }
  EXPECT_EQ(VcpuShare(2000, 1, 0), 1000u) << "the others have not been started";
}

TEST(Processors, WholeWhenTheyFit) {
  const auto plan = Plan({400, 600, 1000, 300, 700}, 3);
  for (const auto& processor : plan) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < processor.count; ++i) {
      EXPECT_FALSE(processor.pieces[i].split);
      sum += processor.pieces[i].millicores;
    }
    EXPECT_EQ(sum, 1000u);
  }
}

TEST(Processors, SplitOnesLeaveEachTheSameRest) {
  const auto plan = Plan({600, 600, 600}, 2);
  for (const auto& processor : plan) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < processor.count; ++i) sum += processor.pieces[i].millicores;
    EXPECT_EQ(sum, 900u);
  }
}

TEST(Processors, RandomPlansAreSound) {
  std::mt19937_64 random(5);
  int splits = 0;
  for (int round = 0; round < 20000; ++round) {
    SCOPED_TRACE(round);
    const auto processors = 1 + static_cast<uint32_t>(random() % 4);
    Shares shares;
    uint32_t left = processors * (700 + static_cast<uint32_t>(random() % 301));
    while (left > 0 && shares.size() < kVcpus) {
      const uint32_t share = std::min(left, static_cast<uint32_t>(random() % 1001));
      shares.push_back(share);
      left -= share;
    }
    const auto plan = Plan(shares, processors);
    std::vector<uint32_t> placed(shares.size());
    std::vector<std::vector<std::pair<uint32_t, uint32_t>>> windows(shares.size());
    for (const auto& processor : plan) {
      uint32_t at = 0;
      for (uint32_t i = 0; i < processor.count; ++i) {
        const Piece& piece = processor.pieces[i];
        ASSERT_GT(piece.millicores, 0u);
        placed[piece.vcpu] += piece.millicores;
        windows[piece.vcpu].emplace_back(at, at + piece.millicores);
        ASSERT_EQ(piece.split, piece.millicores != shares[piece.vcpu]);
        at += piece.millicores;
      }
      ASSERT_LE(at, 1000u);
    }
    ASSERT_EQ(placed, shares);
    for (const auto& w : windows) {
      ASSERT_LE(w.size(), 2u) << "on more than two processors";
      if (w.size() < 2) continue;
      ++splits;
      ASSERT_TRUE(w[0].second <= w[1].first || w[1].second <= w[0].first) << "on both at once";
    }
  }
  EXPECT_GT(splits, 1000);
}

TEST(Processors, ImpossiblePlansPanic) {
  EXPECT_DEATH(Plan({1001}, 2), "above one processor");
  EXPECT_DEATH(Plan({600, 600}, 1), "exceed");
}

TEST(Budget, ExactOnOneProcessor) {
  const Shares shares = {500, 50, 300, 150};
  Machine machine(shares, 1, 0, 1);
  const uint64_t start = machine.now();
  machine.RunUntil(start + kSecond);
  ExpectExact(machine, shares, kSecond);
}

TEST(Budget, NeverMoreThanTheGrantOnAnEmptyMachine) {
  const Shares shares = {200};
  Machine machine(shares, 2, 50 * kMicrosecond, 1);
  machine.RunUntil(machine.now() + kSecond);
  ExpectExact(machine, shares, kSecond);
}

TEST(Budget, ExactWithLateTimersAtFullLoad) {
  for (const Shares& shares :
       {Shares{500, 500}, Shares{10, 990}, Shares{700, 700, 600}, Shares{900, 550, 550},
        Shares{667, 667, 666}, Shares{340, 330, 330, 1000}, Shares{990, 980, 30},
        Shares{800, 800, 800, 600}, Shares{750, 750, 750, 750}, Shares{20, 30, 50, 400, 500}}) {
    const uint32_t sum = std::accumulate(shares.begin(), shares.end(), 0u);
    const uint32_t processors = sum / 1000;
    for (uint64_t seed = 1; seed <= 20; ++seed) {
      SCOPED_TRACE(::testing::Message() << ::testing::PrintToString(shares) << " seed " << seed);
      Machine machine(shares, processors, 50 * kMicrosecond, seed);
      machine.RunUntil(machine.now() + kSecond);
      ExpectExact(machine, shares, kSecond);
    }
  }
}

TEST(Budget, ExactOnRandomMachines) {
  std::mt19937_64 random(17);
  for (int round = 0; round < 300; ++round) {
    const auto processors = 1 + static_cast<uint32_t>(random() % 4);
    Shares shares;
    // 980 of 1000: what a machine that keeps a little for itself sells.
    for (uint32_t left = processors * 980; left > 0 && shares.size() < kVcpus;) {
      const auto share = std::min(left, 20 + static_cast<uint32_t>(random() % 900));
      shares.push_back(share);
      left -= share;
    }
    SCOPED_TRACE(::testing::Message() << ::testing::PrintToString(shares) << " round " << round);
    Machine machine(shares, processors, 40 * kMicrosecond, random());
    machine.RunUntil(machine.now() + kSecond);
    ExpectExact(machine, shares, kSecond);
    if (::testing::Test::HasFailure()) break;
  }
}

TEST(Budget, AThirtiethOfRestMakesUpForTimersMillisecondsLate) {
  const Shares shares = {646, 646, 646};
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed);
    Machine machine(shares, 2, 2000 * kMicrosecond, seed);
    machine.RunUntil(machine.now() + kSecond);
    ExpectExact(machine, shares, kSecond);
  }
}

TEST(Budget, SplitGuestsGetTheirShareThoughTheirPiecesCollide) {
  // Three of 646 on two processors: one is split, and timers late by up to four tenths of a period
  // make its pieces want to run at the same time. Less than a thirtieth of the time is nobody's.
  const Shares shares = {646, 646, 646};
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Machine machine(shares, 2, 4000 * kMicrosecond, seed);
    const uint64_t start = machine.now();
    machine.RunUntil(start + kSecond);
    ExpectExact(machine, shares, kSecond);
  }
}

TEST(Budget, ExactAcrossChangesOfThePlan) {
  std::mt19937_64 random(23);
  const std::vector<Shares> plans = {
      {900, 550, 550}, {550, 900, 550}, {700, 650, 650}, {100, 950, 950}, {1000, 100, 900}};
  Machine machine(plans[0], 2, 30 * kMicrosecond, 9);
  std::vector<double> granted(3);
  for (int round = 0; round < 60; ++round) {
    const Shares& shares = plans[random() % plans.size()];
    machine.SetShares(shares);
    const uint64_t span = 20'000 * kMicrosecond + random() % (60'000 * kMicrosecond);
    machine.RunUntil(machine.now() + span);
    for (size_t i = 0; i < 3; ++i) granted[i] += static_cast<double>(span) * shares[i] / 1000;
  }
  for (uint32_t vcpu = 0; vcpu < 3; ++vcpu) {
    EXPECT_NEAR(static_cast<double>(machine.account(vcpu).used_cycles()), granted[vcpu],
                granted[vcpu] / 100);
  }
}

TEST(Budget, ADebtorWithAProcessorOfItsOwnIsLetInAgain) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    // Timers so late that a guest of 50 millicores owes several periods' credit.
    Machine machine({50}, 1, 8000 * kMicrosecond, seed);
    machine.RunUntil(machine.now() + kSecond + seed * 777 * kMicrosecond);
    const std::vector<uint64_t> before = {machine.account(0).used_cycles()};
    machine.SetShares({1000});
    machine.RunUntil(machine.now() + kSecond);
    ExpectExact(machine, {1000}, kSecond, before);
  }
}

TEST(Budget, AGuestAloneOnItsProcessorGetsNoTick) {
  Machine machine({1000}, 1, 0, 1);
  machine.RunUntil(machine.now() + kSecond);
  EXPECT_LE(machine.switches, 2u);
  EXPECT_EQ(machine.account(0).used_cycles(), kSecond);
  EXPECT_EQ(machine.account(0).offered_cycles(), kSecond);
}

TEST(Budget, SleepersAreOfferedTheirShareAndSaveNothingUp) {
  const Shares shares = {300, 700};
  Machine machine(shares, 1, 20 * kMicrosecond, 4);
  const uint64_t start = machine.now();
  machine.wants_to_run = [&](uint32_t vcpu, uint64_t now) {
    return vcpu == 1 || now >= start + kSecond;
  };
  machine.RunUntil(start + kSecond);
  EXPECT_EQ(machine.account(0).used_cycles(), 0u);
  EXPECT_NEAR(static_cast<double>(machine.account(0).offered_cycles()), 0.3 * kSecond,
              0.003 * kSecond)
      << "slept through, so offered";
  EXPECT_NEAR(static_cast<double>(machine.account(1).used_cycles()), 0.7 * kSecond, 0.007 * kSecond)
      << "another's sleep is nobody's gain";
  // Awake again it gets its share and not the second that it slept.
  machine.RunUntil(start + 2 * kSecond);
  EXPECT_NEAR(static_cast<double>(machine.account(0).used_cycles()), 0.3 * kSecond,
              0.003 * kSecond);
  EXPECT_NEAR(static_cast<double>(machine.account(1).used_cycles()), 1.4 * kSecond,
              0.014 * kSecond);
}

TEST(Budget, HalfASleeperIsOfferedTheRest) {
  const Shares shares = {500, 500};
  Machine machine(shares, 1, 0, 4);
  const uint64_t start = machine.now();
  // Slot 0 wants to run in the first 2 ms of every 10 only; its share is 5.
  machine.wants_to_run = [&](uint32_t vcpu, uint64_t now) {
    return vcpu == 1 || now % kPeriod < 2000 * kMicrosecond;
  };
  machine.RunUntil(start + kSecond);
  const double offered = static_cast<double>(machine.account(0).offered_cycles());
  EXPECT_LE(offered, 0.505 * kSecond);
  EXPECT_GE(offered, 0.495 * kSecond);
}

TEST(Budget, WhatWasMissedInvoluntarilyIsNotOffered) {
  // Nobody serves the processor for a second: the guest was awake all the time.
  ProcessorAccount accounts[kVcpus];
  ProcessorSchedule schedule;
  schedule.Init(0, kPeriod, accounts, 0);
  schedule.SetPieces(Plan({500, 400}, 1)[0], 0);
  static_cast<void>(schedule.Pick(kSecond, [](uint32_t) { return false; }));
  EXPECT_EQ(accounts[0].offered_cycles(), 0u);
  EXPECT_EQ(schedule.balance_cycles(0),
            static_cast<int64_t>(kPeriod / 2) * (ProcessorSchedule::kCarryPeriods + 1))
      << "carried over, but not without bound";
}

// One processor; a switch costs cycles. The attacker sleeps again as soon as it runs, and wakes up
// while the switch away from it is under way.
TEST(Budget, WhoCausesASwitchPaysForIt) {
  constexpr uint64_t kSwitch = 2 * kMicrosecond;
  for (const uint64_t nap : {kSwitch / 2, kSwitch * 2, kSwitch * 20}) {
    for (const bool victim_first : {false, true}) {
      SCOPED_TRACE(::testing::Message() << "nap " << nap << " victim first " << victim_first);
      const uint32_t victim = victim_first ? 0 : 1;
      const uint32_t attacker = 1 - victim;
      ProcessorAccount accounts[kVcpus];
      ProcessorSchedule schedule;
      uint64_t now = 0;
      schedule.Init(0, kPeriod, accounts, now);
      schedule.SetPieces(Plan({485, 485}, 1)[0], now);
      while (now < kSecond) {
        const auto choice = schedule.Pick(now, [&](uint32_t vcpu) {
          ProcessorAccount& account = accounts[vcpu];
          if (!account.asleep()) return true;
          if (now < account.wake_tsc()) return false;
          account.Wake(account.wake_tsc());
          return true;
        });
        if (!choice.run) {
          schedule.Pay(ProcessorSchedule::kNomhv, now);
          now = std::max(now + 1, choice.deadline_tsc);
          schedule.Pay(ProcessorSchedule::kWhoRunsNext, now);
          continue;
        }
        now += kSwitch;
        schedule.Run(choice, now);
        if (choice.vcpu == attacker) {
          now += kMicrosecond / 10;
          accounts[attacker].Sleep(now, now + nap);
          schedule.Stop(choice, now, StopCause::kItself);
        } else {
          now = std::max(now, choice.deadline_tsc);
          schedule.Stop(choice, now, StopCause::kTime);
        }
      }
      schedule.Pay(ProcessorSchedule::kNomhv, now);
      EXPECT_NEAR(static_cast<double>(accounts[victim].used_cycles()), 0.485 * kSecond,
                  0.00485 * kSecond);
      // The attacker has paid as long as it could; what is left is idling, not switching.
      EXPECT_LE(accounts[attacker].used_cycles(), uint64_t{490} * kSecond / 1000);
      EXPECT_EQ(accounts[0].used_cycles() + accounts[1].used_cycles() + schedule.nomhv_cycles(),
                now)
          << "every cycle is somebody's";
    }
  }
}

// A ring ends the slice of who runs; from then on the sleeper that was rung pays, nobody else.
TEST(Budget, WhoIsRungPaysForTheSwitch) {
  ProcessorAccount accounts[kVcpus];
  ProcessorSchedule schedule;
  schedule.Init(0, kPeriod, accounts, 0);
  schedule.SetPieces(Plan({400, 400}, 1)[0], 0);
  constexpr uint64_t kBegin = kPeriod;
  constexpr uint64_t kRing = kBegin + 100 * kMicrosecond;
  constexpr uint64_t kEnd = kRing + 50 * kMicrosecond;
  accounts[1].Sleep(kBegin);
  bool rung = false;
  const auto runnable = [&](uint32_t vcpu) {
    if (vcpu == 0 || !accounts[1].asleep()) return true;
    if (rung) accounts[1].Wake(kRing);
    return rung;
  };
  auto choice = schedule.Pick(kBegin, runnable);
  ASSERT_TRUE(choice.run);
  ASSERT_EQ(choice.vcpu, 0u);
  schedule.Run(choice, kBegin);
  rung = true;
  schedule.Stop(choice, kRing, StopCause::kRung);
  EXPECT_EQ(schedule.payer(), ProcessorSchedule::kWhoRunsNext);
  choice = schedule.Pick(kRing + 3 * kMicrosecond, runnable);
  ASSERT_TRUE(choice.run);
  ASSERT_EQ(choice.vcpu, 1u) << "who slept goes first";
  schedule.Run(choice, kRing + 5 * kMicrosecond);
  schedule.Stop(choice, kEnd, StopCause::kItself);
  EXPECT_EQ(accounts[0].used_cycles(), kRing - kBegin);
  EXPECT_EQ(accounts[1].used_cycles(), kEnd - kRing);
}

TEST(Budget, EqualsComeFirstByTurns) {
  ProcessorAccount accounts[kVcpus];
  ProcessorSchedule schedule;
  schedule.Init(0, kPeriod, accounts, 0);
  schedule.SetPieces(Plan({300, 300, 300}, 1)[0], 0);
  std::vector<int> first(3);
  for (uint64_t period = 1; period <= 30; ++period) {
    const uint64_t now = period * kPeriod;
    const auto choice = schedule.Pick(now, [](uint32_t) { return true; });
    ASSERT_TRUE(choice.run);
    ++first[choice.vcpu];
    schedule.Run(choice, now);
    schedule.Stop(choice, now + kMicrosecond, StopCause::kControl);
  }
  EXPECT_EQ(first, (std::vector<int>{10, 10, 10}));
}

TEST(Budget, AWakeUpThatComesLateIsNoSleep) {
  ProcessorAccount account;
  account.Sleep(1000, 5000);
  EXPECT_EQ(account.asleep_cycles(3000), 2000u);
  EXPECT_EQ(account.asleep_cycles(9000), 4000u) << "nobody has woken it yet";
  account.Wake(account.wake_tsc());
  EXPECT_EQ(account.asleep_cycles(9000), 4000u);
  EXPECT_EQ(account.wake_tsc(), 0u);
}

TEST(Budget, AWakeUpCutsTheSliceOfWhoRuns) {
  ProcessorAccount accounts[kVcpus];
  ProcessorSchedule schedule;
  schedule.Init(0, kPeriod, accounts, 0);
  schedule.SetPieces(Plan({400, 400}, 1)[0], 0);
  const uint64_t wake = 500 * kMicrosecond;
  accounts[0].Sleep(10, wake);
  const auto choice = schedule.Pick(20, [](uint32_t vcpu) { return vcpu == 1; });
  ASSERT_TRUE(choice.run);
  EXPECT_EQ(choice.deadline_tsc, wake);
}

TEST(Budget, ClaimsAreExclusive) {
  ProcessorAccount account;
  EXPECT_TRUE(account.TryClaim(0));
  EXPECT_FALSE(account.TryClaim(1));
  EXPECT_DEATH(account.Unclaim(1), "another's");
  account.Unclaim(0);
  EXPECT_TRUE(account.TryClaim(1));
  EXPECT_DEATH(account.Reset(), "while its guest runs");
}

}  // namespace
}  // namespace nomhv
