// SPDX-License-Identifier: Apache-2.0
// Medians beside goals, as lines that a person can read.

#ifndef NOM_BENCH_POLICIES_MEASURE_H_
#define NOM_BENCH_POLICIES_MEASURE_H_

#include <cstddef>
#include <functional>
#include <string>

namespace nom::bench {

// The median processor time of this thread for one call of `work`, after one call that does not
// count. Repeats for about `seconds`, at least three and at most 2,001 times.
double MedianMs(const std::function<void()>& work, double seconds = 0.5);

// Of many calls with different inputs.
struct Spread {
  double median_ms = 0;
  double slowest_ms = 0;
  size_t count = 0;    // How many there was time for.
  size_t slowest = 0;  // Which one.
};

// The processor time of this thread for work(i), i from 0 to count - 1, each the median of three
// calls, or of one if that is long. Ends early, after at least one input, once `seconds` are gone.
Spread SpreadOf(size_t count, const std::function<void(size_t)>& work, double seconds);

// The processor time of this thread for one call.
double OnceMs(const std::function<void()>& work);

// The processor time of the programs that `work` starts and waits for.
double ChildrenMs(const std::function<void()>& work);

// Prints a heading for the lines that follow.
void PrintWork(const std::string& work);

// Each prints one line: what, the times, the goal and whether it is reached. `ours_ms` and
// `peer_ms` come from the same run.
void PrintFaster(const std::string& peer, double ours_ms, double peer_ms, double goal_times);
void PrintAtMostTimes(const std::string& peer, double ours_ms, double peer_ms, double goal_times);
void PrintWithin(const std::string& what, double ours_ms, double goal_ms);
// Nothing was asked for: for judging the others.
void PrintTime(const std::string& what, double ms);
// A goal of 0 is none.
void PrintSpread(const std::string& what, const Spread& spread, double goal_median_ms,
                 double goal_slowest_ms);

// Keeps the compiler from leaving out what makes `object`.
template <typename T>
void DoNotOptimize(const T& object) {
  asm volatile("" : : "r"(&object) : "memory");
}

}  // namespace nom::bench

#endif  // NOM_BENCH_POLICIES_MEASURE_H_
