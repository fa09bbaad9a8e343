// SPDX-License-Identifier: Apache-2.0
// Where a host's round is, and what is due: collecting until close, cleared beside or at once,
// decided and waiting for its time, being put in force. Arithmetic and memory: whoever asks does
// what is due, and says that it was done.
//
// No round runs while the host is away. Not thread-safe: the engine's thread owns it.

#ifndef MARKETD_MARKET_ROUND_CLOCK_H_
#define MARKETD_MARKET_ROUND_CLOCK_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "marketd/market/config.h"
#include "marketd/market/decision.h"
#include "marketd/market/host.h"
#include "marketd/market/schedule.h"

namespace nom::market {

class RoundClock {
 public:
  enum class Due {
    kNothing,
    kDecide,   // Close has passed: Cleared beside (BeginClearing), or Decided at once.
    kSkip,     // It is too late to decide: SkipPast.
    kApply,    // Its time has come: BeginApplying.
    kRelease,  // A decided round's own period has passed: it never comes.
  };

  explicit RoundClock(const HostConfig& config) : config_(config) {}

  // Rounds begin. A round that was decided before the host, or this process, was lost keeps its
  // effective time, but the whole grace is its guests' from now on, as nobody knows whether they
  // were told, and it is never more than a period away, as another clock may have told it.
  void BeginCollecting(RoundId round_id, absl::Time now);
  void BeginDecided(RoundId round_id, absl::Time effective, absl::Time now);
  void Stop();

  Due WhatIsDue(absl::Time now) const;
  // When something is due next; InfiniteFuture if that is not a matter of time.
  absl::Time next() const;

  void BeginClearing(uint64_t clear_id, std::shared_ptr<const RoundSnapshot> snapshot);
  // The bids that were cleared, if this is the round's clearing; it is over then.
  std::shared_ptr<const RoundSnapshot> EndClearing(uint64_t clear_id);
  void Decided();
  void BeginApplying(GrantSet told);
  // What was told to be put in force.
  GrantSet EndApplying() { return std::exchange(told_, GrantSet{}); }
  // The next round collects. Returns how many were skipped, as their time has passed.
  int64_t Next(RoundId round_id, absl::Time now);
  // Gives up the clearing; by whole periods. Returns how many.
  int64_t SkipPast(absl::Time now);
  // The clock was set by so much.
  void Shift(absl::Duration by);

  // The round that collects, or is decided; still the last one when none runs. 0: none ran yet.
  RoundId round_id() const { return round_id_; }
  bool runs() const { return schedule_.has_value(); }
  bool is_clearing() const { return clearing_.has_value(); }
  bool is_decided() const { return decided_; }
  bool is_applying() const { return applying_; }
  const Schedule& schedule() const { return *schedule_; }  // Requires runs().

 private:
  struct Clearing {
    uint64_t clear_id = 0;
    std::shared_ptr<const RoundSnapshot> snapshot;
  };

  const HostConfig& config_;
  std::optional<Schedule> schedule_;
  RoundId round_id_ = 0;
  bool decided_ = false;   // round_id_ is: it waits for its effective time.
  bool applying_ = false;  // And is being put in force:
  GrantSet told_;          // this is what the host was told.
  std::optional<Clearing> clearing_;
};

}  // namespace nom::market

#endif  // MARKETD_MARKET_ROUND_CLOCK_H_
