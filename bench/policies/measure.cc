#include "bench/policies/measure.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <vector>

namespace nom::bench {
namespace {

constexpr size_t kRunsMin = 3;
constexpr size_t kRunsMax = 2'001;

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

}  // namespace nom::bench
