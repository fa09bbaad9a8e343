// SPDX-License-Identifier: Apache-2.0
// Jobs with a size, a value and a deadline, and what processor time is worth to get them done.
//
// Pure: time is the round, and progress is what the guest reports. Not thread-safe.

#ifndef CLIENT_EXAMPLES_JOB_QUEUE_H_
#define CLIENT_EXAMPLES_JOB_QUEUE_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "nom/adviser.h"

namespace nom::examples {

struct Job {
  int64_t work_left = 0;  // In the guest's own unit of work.
  int64_t value_microcredits = 0;
  uint64_t deadline_round_id = 0;  // Worth nothing if not done when this round begins.
};

class JobQueue {
 public:
  void Add(const Job& job) {
    jobs_.push_back(job);
    std::stable_sort(jobs_.begin(), jobs_.end(), [](const Job& a, const Job& b) {
      return a.deadline_round_id < b.deadline_round_id;
    });
  }

  // The guest has done so much more by the time that `round_id` begins: earliest deadline first.
  void Advance(int64_t work, uint64_t round_id) {
    for (Job& job : jobs_) {
      const int64_t done = std::min(work, job.work_left);
      job.work_left -= done;
      work -= done;
    }
    std::erase_if(jobs_, [&](const Job& job) {
      if (job.work_left == 0) {
        ++done_;
        earned_microcredits_ += job.value_microcredits;
        return true;
      }
      if (job.deadline_round_id > round_id) return false;
      ++missed_;
      return true;
    });
  }

  // What units of processor beyond `seed_units` are worth in the round after `round_id`, if one
  // unit does `work_per_unit_round` a round. A job is worth its value, spread over the rounds that
  // are left, to any quantity that keeps it and all that is due before it on time. Jobs that would
  // need more than `units_max` are given up; jobs that the seed can do are worth nothing more.
  std::vector<ValuePoint> Valuation(uint64_t round_id, int64_t seed_units, int64_t units_max,
                                    double work_per_unit_round) const {
    std::vector<ValuePoint> points;
    double work = 0;
    int64_t value = 0;
    for (const Job& job : jobs_) {
      const auto rounds_left =
          static_cast<double>(job.deadline_round_id - std::min(job.deadline_round_id, round_id));
      if (rounds_left < 1) continue;
      const double units =
          (work + static_cast<double>(job.work_left)) / (work_per_unit_round * rounds_left);
      if (units > static_cast<double>(seed_units + units_max)) continue;
      work += static_cast<double>(job.work_left);
      // Rounded up: a fraction of a unit too little is a deadline missed.
      const auto whole = static_cast<int64_t>(units);
      const int64_t extra = whole + (static_cast<double>(whole) < units ? 1 : 0) - seed_units;
      if (extra <= 0) continue;
      value += static_cast<int64_t>(static_cast<double>(job.value_microcredits) / rounds_left);
      if (!points.empty() && points.back().units >= extra) {
        points.back().value_microcredits = value;
      } else {
        points.push_back({.units = extra, .value_microcredits = value});
      }
    }
    return points;
  }

  size_t size() const { return jobs_.size(); }
  int64_t done() const { return done_; }
  int64_t missed() const { return missed_; }
  int64_t earned_microcredits() const { return earned_microcredits_; }

 private:
  std::vector<Job> jobs_;  // By rising deadline.
  int64_t done_ = 0;
  int64_t missed_ = 0;
  int64_t earned_microcredits_ = 0;
};

}  // namespace nom::examples

#endif  // CLIENT_EXAMPLES_JOB_QUEUE_H_
