// SPDX-License-Identifier: Apache-2.0
// A key-value cache that buys memory for as long as another MiB brings hits that are worth more
// than the MiB costs.

#ifndef CLIENT_EXAMPLES_GUESTS_CACHE_CACHE_H_
#define CLIENT_EXAMPLES_GUESTS_CACHE_CACHE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "client/examples/guests/cache/hit_curve.h"
#include "client/examples/guests/cache/load.h"
#include "client/examples/guests/cache/store.h"
#include "client/examples/guests/common/arrivals.h"
#include "client/examples/guests/common/lookup.h"
#include "client/examples/guests/common/work_meter.h"
#include "client/guest/calls.h"
#include "client/guest/clock.h"
#include "client/guest/console.h"
#include "client/guest/market.h"
#include "client/guest/start.h"
#include "client/guest/text.h"
#include "policies/bidding/curve.h"

namespace nom::examples {

class Cache {
 public:
  struct Settings {
    int64_t hit_value = 100;   // Micro-credits for a hit.
    int64_t keys = 8192;       // Keys that are ever asked for; one entry is one frame.
    int64_t rate = 1000;       // Requests a second, the mean over phases.
    int64_t phase_rounds = 5;  // How many rounds the load stays as it is.
    int64_t budget = 0;        // Micro-credits to spend in a round at most; 0: no limit.
    int64_t together = 0;      // 1: one bid for memory and processor time together, as bundles.
    int64_t reader = 0;        // The guest that may read from it over a ring; 0: none.
    int64_t seed = 1;          // Of the load and of the entries.
    int64_t rounds = 0;        // Ends after so many; 0: never.

    // Empty, or what is wrong.
    guest::Text<160> Parse(std::string_view arguments);
  };

  // `base_address` as in FramePool::Options; 0 in a guest. `nomhv` and the pages outlive the cache.
  Cache(guest::Nomhv* nomhv, const guest::Pages& pages, const guest::Start& start,
        const Settings& settings, uintptr_t base_address = 0);

  // One slice of work. Returns the TSC until which there is nothing to do; 0: call again at once.
  uint64_t Turn();
  uint64_t rounds_seen() const { return market_.rounds_seen(); }

  uint64_t hits() const { return hits_; }
  uint64_t misses() const { return misses_; }
  uint64_t dropped() const { return dropped_; }  // Came, but could not be served in time.
  uint64_t damaged() const { return damaged_; }  // Entries that were not what was stored.
  uint64_t lookups() const { return lookups_; }  // Answered to the reader.
  uint64_t entries() const { return store_.entries(); }
  int64_t value_microcredits() const;

  // What extra memory and extra processor time are worth for a round at the present load.
  policies::RangeList MemoryOffer(const policies::BidCaps& caps = {}) const;
  policies::RangeList CpuOffer() const;
  // What both are worth together: more memory makes hits only of requests that there is processor
  // time to serve. For machines that clear all resources in one auction. Returns how many there
  // are.
  using Bundles = std::array<NomBundle, NOM_BUNDLES_MAX>;
  size_t BundlesOffer(Bundles& bundles) const;

 private:
  // Puts the entry of a key into entry_.
  void Serve(uint64_t index);
  void ServeReader(uint64_t slice_end_tsc);
  void OnRound();
  uint64_t EntriesOfSeed() const;
  uint64_t MemoryUnitFrames() const;
  // Beyond the seed: those that there are, and could be used.
  uint64_t MemoryUnitsMax() const;
  uint64_t ExpectedRequests() const;  // In a round.
  int64_t CpuUnitsMax() const;
  // What a round is worth with so much more than the seed.
  int64_t RoundValue(uint64_t memory_units, uint64_t cpu_units) const;

  guest::Clock clock_;
  guest::Console console_;
  guest::Market market_;
  Settings settings_;
  guest::Start start_;
  Load load_;
  Arrivals arrivals_;
  WorkMeter meter_;
  Store store_;
  HitCurve curve_;
  Entry entry_ = {};  // The answer being given.
  LookupEnd reader_;
  bool set_aside_ = false;               // Room for the region.
  std::optional<guest::Message> reply_;  // Waits for room in the ring.
  uint64_t lookups_ = 0;
  uint64_t hits_ = 0;
  uint64_t misses_ = 0;
  uint64_t dropped_ = 0;
  uint64_t damaged_ = 0;
  uint64_t hits_at_round_ = 0;
  uint64_t misses_at_round_ = 0;
  uint64_t dropped_at_round_ = 0;
  // Of the round before this one.
  uint64_t round_hits_ = 0;
  uint64_t round_requests_ = 0;  // Dropped ones too.
  uint64_t round_served_ = 0;
};

}  // namespace nom::examples

#endif  // CLIENT_EXAMPLES_GUESTS_CACHE_CACHE_H_
