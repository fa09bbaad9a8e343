// SPDX-License-Identifier: Apache-2.0
#include "bench/policies/measure.h"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <vector>

namespace nom::bench {
namespace {

constexpr size_t kRunsMin = 3;
constexpr size_t kRunsMax = 2'001;
constexpr double kLongMs = 300;

double ThreadMs() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

double ChildrenSoFarMs() {
  rusage usage{};
  getrusage(RUSAGE_CHILDREN, &usage);
  return 1e3 * static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-3 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

const char* Verdict(bool is_reached) { return is_reached ? "reached" : "NOT REACHED"; }

}  // namespace

double MedianMs(const std::function<void()>& work, double seconds) {
  work();
  std::vector<double> times;
  const double begin = ThreadMs();
  double now = begin;
  while (times.size() < kRunsMin || (times.size() < kRunsMax && now - begin < seconds * 1e3)) {
    work();
    const double after = ThreadMs();
    times.push_back(after - now);
    now = after;
  }
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

Spread SpreadOf(size_t count, const std::function<void(size_t)>& work, double seconds) {
  std::vector<double> times;
  const double begin = ThreadMs();
  while (times.size() < count && (times.empty() || ThreadMs() - begin < seconds * 1e3)) {
    const auto call = [&] { work(times.size()); };
    std::array<double, 3> thrice{};
    thrice.fill(OnceMs(call));
    if (thrice[0] < kLongMs) {
      thrice[1] = OnceMs(call);
      thrice[2] = OnceMs(call);
      std::sort(thrice.begin(), thrice.end());
    }
    times.push_back(thrice[1]);
  }
  Spread spread;
  spread.count = times.size();
  const auto slowest = std::max_element(times.begin(), times.end());
  spread.slowest = static_cast<size_t>(slowest - times.begin());
  spread.slowest_ms = *slowest;
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  spread.median_ms = *middle;
  return spread;
}

double OnceMs(const std::function<void()>& work) {
  const double begin = ThreadMs();
  work();
  return ThreadMs() - begin;
}

double ChildrenMs(const std::function<void()>& work) {
  const double begin = ChildrenSoFarMs();
  work();
  return ChildrenSoFarMs() - begin;
}

void PrintWork(const std::string& work) { std::printf("\n%s\n", work.c_str()); }

void PrintFaster(const std::string& peer, double ours_ms, double peer_ms, double goal_times) {
  const double times = peer_ms / ours_ms;
  std::printf("  %-58s %10.4g ms / %.4g ms: %.4g times faster; goal %.4g: %s\n", peer.c_str(),
              peer_ms, ours_ms, times, goal_times, Verdict(times >= goal_times));
  std::fflush(stdout);
}

void PrintAtMostTimes(const std::string& peer, double ours_ms, double peer_ms, double goal_times) {
  const double times = ours_ms / peer_ms;
  std::printf("  %-58s %10.4g ms / %.4g ms: %.3g times its time; goal at most %.3g: %s\n",
              peer.c_str(), ours_ms, peer_ms, times, goal_times, Verdict(times <= goal_times));
  std::fflush(stdout);
}

void PrintWithin(const std::string& what, double ours_ms, double goal_ms) {
  std::printf("  %-58s %10.4g ms; goal %.4g ms: %s\n", what.c_str(), ours_ms, goal_ms,
              Verdict(ours_ms <= goal_ms));
  std::fflush(stdout);
}

void PrintTime(const std::string& what, double ms) {
  std::printf("  %-58s %10.4g ms\n", what.c_str(), ms);
  std::fflush(stdout);
}

void PrintSpread(const std::string& what, const Spread& spread, double goal_median_ms,
                 double goal_slowest_ms) {
  std::printf("  %-58s %10.4g ms, slowest of %zu: %.4g ms (%zu)", what.c_str(), spread.median_ms,
              spread.count, spread.slowest_ms, spread.slowest);
  const auto print_goal = [](const char* which, double ms, double goal_ms) {
    if (goal_ms > 0) std::printf("; goal %s%.4g ms: %s", which, goal_ms, Verdict(ms <= goal_ms));
  };
  print_goal("", spread.median_ms, goal_median_ms);
  print_goal("for the slowest ", spread.slowest_ms, goal_slowest_ms);
  std::printf("\n");
  std::fflush(stdout);
}

}  // namespace nom::bench
