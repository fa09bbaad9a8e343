// SPDX-License-Identifier: Apache-2.0
// A machine that is not there: keeps every promise of market/host.h in memory, with guests that
// bid.
//
// For trying marketd without nomhv (host kind "simulated"), and for tests, which may make it fail
// in every way that a machine can: each fault happens once in so many times, drawn from the seed,
// so that the same seed gives the same machine.

#ifndef MARKETD_HOST_SIMULATED_SIMULATED_HOST_H_
#define MARKETD_HOST_SIMULATED_SIMULATED_HOST_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "marketd/base/clock.h"
#include "marketd/base/random.h"
#include "marketd/market/host.h"

namespace nom::market {

// Each: once in so many times on average; 0 never.
struct SimulatedFaults {
  uint64_t attach_fails = 0;    // Attach: UNAVAILABLE.
  uint64_t create_refused = 0;  // CreateGuest: FAILED_PRECONDITION, not an image.
  uint64_t apply_refused = 0;   // Apply: FAILED_PRECONDITION, nothing changed.
  uint64_t lost = 0;            // A call: UNAVAILABLE; the machine goes on.
  uint64_t answer_lost = 0;     // A call is carried out, but its answer is UNAVAILABLE.
  uint64_t reboots = 0;         // Poll: the machine restarts and forgets its guests.
  uint64_t crashes = 0;         // Poll: one guest ends.
  uint64_t short_delivery =
      0;                      // A reading: a guest was offered less than its grant since the last.
  uint64_t garbage_bids = 0;  // A guest's page is nonsense.
};

struct SimulatedHostOptions {
  // In base measure: bytes of memory, millicores, ...
  std::vector<std::pair<ResourceKind, int64_t>> capacities;
  uint64_t seed = 1;
  bool guests_bid = true;  // Each guest bids anew after each Publish, and reports its work.
  SimulatedFaults faults;
  const Clock* clock = &Clock::Real();  // Outlives the host.
};

// Not thread-safe, as Host is not.
class SimulatedHost final : public Host {
 public:
  explicit SimulatedHost(SimulatedHostOptions options);

  absl::StatusOr<HostFacts> Attach() override;
  void SetResources(absl::Span<const Resource> resources) override;
  absl::Status CreateGuest(const GuestSpec& spec) override;
  absl::StatusOr<GuestMeters> DestroyGuest(GuestId guest_id) override;
  absl::Status Prepare(const GrantSet& grants, absl::Duration until_effective) override;
  absl::StatusOr<RoundReport> Apply(const GrantSet& grants) override;
  absl::Status Publish(const BoardContents& board) override;
  std::vector<HostNews> Poll() override;

  // For tests: what the machine is like inside.
  struct SimGuest {
    GuestSpec spec;
    std::map<ResourceKind, int64_t> units;  // Held now: seed plus award.
    bool ended = false;
    std::string exit_reason;
    GuestMeters meters;
    absl::Time metered_at;
    // What Prepare last said that it will hold, and from when on.
    std::map<ResourceKind, int64_t> told_units;
    absl::Time told_from;
    // What it makes of its units.
    Microcredits worth_permille = 1000;  // Of the reserve, for its first unit.
    uint64_t work_done = 0;
  };
  const std::map<GuestId, SimGuest>& guests() const { return guests_; }
  uint64_t boot_id() const { return boot_id_; }
  // Sum of grants now, and the highest ever. Never above the capacity.
  int64_t granted_units(ResourceKind kind) const;
  int64_t capacity_units(ResourceKind kind) const;
  SimulatedFaults& faults() { return options_.faults; }
  // Units that an Apply ever took from a guest without Prepare having said so, or before the time
  // that it said.
  int64_t unannounced_units() const { return unannounced_units_; }
  // As if someone else had made a guest, or the machine had restarted.
  void AddUnmanagedGuest(GuestId guest_id, const std::vector<Holding>& seeds);
  void Reboot();
  void EndGuest(GuestId guest_id, const std::string& reason);

 private:
  absl::Status MayFail();
  void Meter(SimGuest& guest);
  // Errors: FAILED_PRECONDITION names the guest for which these grants are too little or too much.
  absl::Status CheckGrants(const std::map<GuestId, const GuestGrant*>& wanted) const;
  // What is taken by force is the answer. Null: it keeps what it has.
  int64_t PutInForce(SimGuest& guest, const GuestGrant* grant);
  std::vector<HostSum> Sums() const;
  GuestBids MakeBids(SimGuest& guest);
  std::vector<policies::Range> MakeRanges(const SimGuest& guest, const Resource& resource);

  SimulatedHostOptions options_;
  Random random_;
  std::vector<Resource> resources_;
  std::map<ResourceKind, int64_t> capacity_units_;
  std::map<ResourceKind, int64_t> granted_max_units_;
  std::map<GuestId, SimGuest> guests_;
  std::vector<HostNews> news_;
  uint64_t boot_id_ = 0;
  bool attached_ = false;
  RoundId applied_round_id_ = 0;
  std::vector<GuestMeters> applied_meters_;
  int64_t unannounced_units_ = 0;
  bool published_ = false;  // Since guests last bid.
};

}  // namespace nom::market

#endif  // MARKETD_HOST_SIMULATED_SIMULATED_HOST_H_
