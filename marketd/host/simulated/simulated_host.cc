// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/simulated/simulated_host.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "marketd/base/money.h"
#include "policies/clearing/rules.h"

namespace nom::market {
namespace {

constexpr char kCleanExit[] = "exit 0";

int64_t UnitsOf(const std::vector<Holding>& holdings, ResourceKind kind) {
  for (const Holding& holding : holdings) {
    if (holding.kind == kind) return holding.units();
  }
  return 0;
}

}  // namespace

SimulatedHost::SimulatedHost(SimulatedHostOptions options)
    : options_(std::move(options)), random_(Mix64(options_.seed)) {
  boot_id_ = random_.Next() | 1;
}

absl::Status SimulatedHost::MayFail() {
  if (!attached_) return absl::UnavailableError("simulated: not attached");
  if (!random_.OneIn(options_.faults.lost)) return absl::OkStatus();
  attached_ = false;
  return absl::UnavailableError("simulated: no answer");
}

absl::StatusOr<HostFacts> SimulatedHost::Attach() {
  attached_ = false;
  if (random_.OneIn(options_.faults.attach_fails)) {
    return absl::UnavailableError("simulated: not there yet");
  }
  attached_ = true;
  published_ = false;
  news_.clear();
  HostFacts facts;
  facts.detail = "simulated";
  facts.boot_id = boot_id_;
  facts.capacities = options_.capacities;
  facts.applied_round_id = applied_round_id_;
  facts.applied_meters = applied_meters_;
  facts.sums = Sums();
  for (auto& [guest_id, guest] : guests_) {
    HostGuest& out = facts.guests.emplace_back();
    out.guest_id = guest_id;
    out.name = guest.spec.name;
    out.ended = guest.ended;
    out.exit_reason = guest.exit_reason;
    out.exited = guest.exit_reason == kCleanExit;
    for (const auto& [kind, units] : guest.units) {
      const int64_t seed = UnitsOf(guest.spec.seeds, kind);
      out.holdings.push_back(
          Holding{.kind = kind, .seed_units = seed, .award_units = units - seed});
    }
  }
  return facts;
}

void SimulatedHost::SetResources(absl::Span<const Resource> resources) {
  resources_.assign(resources.begin(), resources.end());
  for (const Resource& resource : resources) {
    for (const auto& [kind, capacity] : options_.capacities) {
      if (kind == resource.kind) capacity_units_[kind] = capacity / resource.unit_size;
    }
  }
}

absl::Status SimulatedHost::CreateGuest(const GuestSpec& spec) {
  if (absl::Status s = MayFail(); !s.ok()) return s;
  if (random_.OneIn(options_.faults.create_refused)) {
    return absl::FailedPreconditionError(
        absl::StrCat("simulated: image ", spec.image, " is not one"));
  }
  if (guests_.contains(spec.guest_id)) {
    return absl::AlreadyExistsError(absl::StrCat("simulated: guest ", spec.guest_id, " exists"));
  }
  for (const Holding& seed : spec.seeds) {
    if (granted_units(seed.kind) + seed.seed_units > capacity_units(seed.kind)) {
      return absl::ResourceExhaustedError(
          absl::StrCat("simulated: no room for the seed of guest ", spec.guest_id));
    }
  }
  SimGuest& guest = guests_[spec.guest_id];
  guest.spec = spec;
  guest.meters.guest_id = spec.guest_id;
  guest.metered_at = options_.clock->Now();
  for (const Resource& resource : resources_) {
    guest.units[resource.kind] = UnitsOf(spec.seeds, resource.kind);
    guest.meters.amounts.push_back({.kind = resource.kind});
    granted_max_units_[resource.kind] =
        std::max(granted_max_units_[resource.kind], granted_units(resource.kind));
  }
  guest.worth_permille = random_.Uniform(500, 3'000);
  published_ = true;  // It bids at once.
  if (random_.OneIn(options_.faults.answer_lost)) {
    attached_ = false;
    return absl::UnavailableError("simulated: the answer was lost");
  }
  return absl::OkStatus();
}

absl::StatusOr<GuestMeters> SimulatedHost::DestroyGuest(GuestId guest_id) {
  if (absl::Status s = MayFail(); !s.ok()) return s;
  const auto it = guests_.find(guest_id);
  if (it == guests_.end()) {
    return absl::NotFoundError(absl::StrCat("simulated: no guest ", guest_id));
  }
  Meter(it->second);
  GuestMeters last = it->second.meters;
  guests_.erase(it);
  return last;
}

absl::Status SimulatedHost::Prepare(const GrantSet& grants, absl::Duration until_effective) {
  if (absl::Status s = MayFail(); !s.ok()) return s;
  for (const GuestGrant& grant : grants.grants) {
    const auto it = guests_.find(grant.guest_id);
    if (it == guests_.end()) continue;
    it->second.told_from = options_.clock->Now() + until_effective;
    for (const Holding& next : grant.next) it->second.told_units[next.kind] = next.units();
  }
  return absl::OkStatus();
}

absl::Status SimulatedHost::CheckGrants(const std::map<GuestId, const GuestGrant*>& wanted) const {
  std::map<ResourceKind, int64_t> sums;
  for (const auto& [guest_id, guest] : guests_) {
    if (guest.ended) continue;
    const auto grant = wanted.find(guest_id);
    for (const Resource& resource : resources_) {
      const ResourceKind kind = resource.kind;
      const int64_t units =
          grant == wanted.end() ? guest.units.at(kind) : UnitsOf(grant->second->now, kind);
      if (units < UnitsOf(guest.spec.seeds, kind)) {
        return absl::FailedPreconditionError(
            absl::StrCat("simulated: guest ", guest_id, " would fall below its seed"));
      }
      if (kind == ResourceKind::kMemory && guest.spec.memory_max_units > 0 &&
          units > guest.spec.memory_max_units) {
        return absl::FailedPreconditionError(
            absl::StrCat("simulated: guest ", guest_id, " has no address space for that"));
      }
      sums[kind] += units;
      if (sums[kind] > capacity_units(kind)) {
        return absl::FailedPreconditionError(
            absl::StrCat("simulated: guest ", guest_id, " would bring resource ",
                         static_cast<int>(kind), " above its capacity"));
      }
    }
  }
  return absl::OkStatus();
}

int64_t SimulatedHost::PutInForce(SimGuest& guest, const GuestGrant* grant) {
  const absl::Time now = options_.clock->Now();
  int64_t forced_units = 0;
  for (const Resource& resource : resources_) {
    const ResourceKind kind = resource.kind;
    const int64_t before = guest.units[kind];
    const int64_t after = grant == nullptr || guest.ended ? before : UnitsOf(grant->now, kind);
    if (after < before) {
      forced_units += before - after;
      // A guest gives back what it was told of in time; what is taken beyond that was announced to
      // nobody, which a test holds against the market.
      const auto told = guest.told_units.find(kind);
      const int64_t announced = told == guest.told_units.end() || now < guest.told_from
                                    ? before
                                    : std::min(before, told->second);
      unannounced_units_ += std::max<int64_t>(0, announced - after);
    }
    guest.units[kind] = after;
  }
  return forced_units;
}

absl::StatusOr<RoundReport> SimulatedHost::Apply(const GrantSet& grants) {
  if (absl::Status s = MayFail(); !s.ok()) return s;
  if (random_.OneIn(options_.faults.apply_refused)) {
    return absl::FailedPreconditionError("simulated: apply refused");
  }
  // All or nothing: the whole set is checked before anything changes.
  std::map<GuestId, const GuestGrant*> wanted;
  for (const GuestGrant& grant : grants.grants) wanted[grant.guest_id] = &grant;
  if (absl::Status s = CheckGrants(wanted); !s.ok()) return s;

  RoundReport report;
  report.round_id = grants.round_id;
  for (auto& [guest_id, guest] : guests_) {
    Meter(guest);  // Up to this instant by what it held until now.
    report.meters.push_back(guest.meters);
    const auto grant = wanted.find(guest_id);
    report.forced_units += PutInForce(guest, grant == wanted.end() ? nullptr : grant->second);
  }
  applied_round_id_ = grants.round_id;
  applied_meters_ = report.meters;
  for (const Resource& resource : resources_) {
    const ResourceKind kind = resource.kind;
    granted_max_units_[kind] = std::max(granted_max_units_[kind], granted_units(kind));
  }
  report.sums = Sums();
  if (random_.OneIn(options_.faults.answer_lost)) {
    attached_ = false;
    return absl::UnavailableError("simulated: the answer was lost");
  }
  return report;
}

absl::Status SimulatedHost::Publish(const BoardContents&) {
  if (absl::Status s = MayFail(); !s.ok()) return s;
  published_ = true;
  return absl::OkStatus();
}

std::vector<HostNews> SimulatedHost::Poll() {
  if (random_.OneIn(options_.faults.reboots)) Reboot();
  if (!attached_) {
    news_.clear();
    return {HostLost{"simulated: the machine is gone"}};
  }
  if (!guests_.empty() && random_.OneIn(options_.faults.crashes)) {
    auto it = guests_.begin();
    std::advance(it, random_.Uniform(0, static_cast<int64_t>(guests_.size()) - 1));
    EndGuest(it->first, "simulated crash");
  }
  if (published_ && options_.guests_bid) {
    published_ = false;
    for (auto& [guest_id, guest] : guests_) {
      if (guest.ended) continue;
      news_.push_back(MakeBids(guest));
      news_.push_back(GuestReport{.guest_id = guest_id,
                                  .work_done = guest.work_done,
                                  .work_unit = "unit-rounds",
                                  .activity = "simulated"});
    }
  }
  return std::exchange(news_, {});
}

int64_t SimulatedHost::granted_units(ResourceKind kind) const {
  int64_t sum = 0;
  for (const auto& [guest_id, guest] : guests_) {
    const auto units = guest.units.find(kind);
    if (!guest.ended && units != guest.units.end()) sum += units->second;
  }
  return sum;
}

int64_t SimulatedHost::capacity_units(ResourceKind kind) const {
  const auto it = capacity_units_.find(kind);
  return it == capacity_units_.end() ? 0 : it->second;
}

void SimulatedHost::AddUnmanagedGuest(GuestId guest_id, const std::vector<Holding>& seeds) {
  SimGuest& guest = guests_[guest_id];
  guest.spec.guest_id = guest_id;
  guest.spec.name = "unmanaged";
  guest.spec.seeds = seeds;
  guest.meters.guest_id = guest_id;
  guest.metered_at = options_.clock->Now();
  for (const Resource& resource : resources_) {
    guest.units[resource.kind] = UnitsOf(seeds, resource.kind);
    guest.meters.amounts.push_back({.kind = resource.kind});
  }
}

void SimulatedHost::Reboot() {
  boot_id_ = random_.Next() | 1;
  guests_.clear();
  granted_max_units_.clear();
  applied_round_id_ = 0;
  applied_meters_.clear();
  attached_ = false;
}

void SimulatedHost::EndGuest(GuestId guest_id, const std::string& reason) {
  const auto it = guests_.find(guest_id);
  if (it == guests_.end() || it->second.ended) return;
  Meter(it->second);
  it->second.ended = true;
  it->second.exit_reason = reason;
  for (auto& [kind, units] : it->second.units) units = 0;
  news_.push_back(GuestEnded{guest_id, reason, reason == kCleanExit});
}

void SimulatedHost::Meter(SimGuest& guest) {
  const absl::Time now = options_.clock->Now();
  const int64_t us = std::max<int64_t>(0, absl::ToInt64Microseconds(now - guest.metered_at));
  guest.metered_at = now;
  guest.meters.age_us += us;
  if (guest.ended) return;
  guest.meters.alive_us += us;
  for (GuestMeters::Amount& amount : guest.meters.amounts) {
    int64_t offered = SaturatingMultiply(guest.units[amount.kind], us);
    if (random_.OneIn(options_.faults.short_delivery)) offered = random_.Uniform(0, offered);
    const int64_t used = random_.Uniform(0, offered);
    amount.offered_unit_us += static_cast<uint64_t>(offered);
    amount.used_unit_us += static_cast<uint64_t>(used);
    guest.work_done += static_cast<uint64_t>(used / 1'000'000);
  }
}

std::vector<HostSum> SimulatedHost::Sums() const {
  std::vector<HostSum> sums;
  for (const Resource& resource : resources_) {
    const auto most = granted_max_units_.find(resource.kind);
    sums.push_back({.kind = resource.kind,
                    .granted_units = granted_units(resource.kind),
                    .granted_max_units = most == granted_max_units_.end() ? 0 : most->second,
                    .capacity_units = capacity_units(resource.kind)});
  }
  return sums;
}

GuestBids SimulatedHost::MakeBids(SimGuest& guest) {
  GuestBids bids{.guest_id = guest.spec.guest_id};
  // What its work is worth wanders.
  guest.worth_permille =
      std::clamp<int64_t>(guest.worth_permille + random_.Uniform(-200, 200), 300, 5'000);
  for (const Resource& resource : resources_) {
    GuestBids::Bid& bid = bids.bids.emplace_back();
    bid.kind = resource.kind;
    bid.ranges = MakeRanges(guest, resource);
    if (random_.OneIn(4)) bid.budget_microcredits = random_.Uniform(1, 100'000'000);
    if (!random_.OneIn(options_.faults.garbage_bids)) continue;
    for (policies::Range& range : bid.ranges) {
      range.min_units = static_cast<int64_t>(random_.Next());
      range.unit_price_microcredits = static_cast<int64_t>(random_.Next());
    }
    bid.budget_microcredits = static_cast<int64_t>(random_.Next());
  }
  return bids;
}

std::vector<policies::Range> SimulatedHost::MakeRanges(const SimGuest& guest,
                                                       const Resource& resource) {
  const int64_t most = std::max<int64_t>(2, capacity_units(resource.kind) / 2);
  // Clamped so that no quantity is worth more than a bid may be.
  const Microcredits price =
      std::clamp<Microcredits>(resource.reserve_unit_price_microcredits, 100,
                               policies::kValueMaxMicrocredits / policies::kUnitsMax / 10) *
      guest.worth_permille / 1000;
  const int64_t first = random_.Uniform(1, most / 2);
  const int64_t second = first + random_.Uniform(1, most / 2);
  const policies::RuleInfo* rule = policies::FindRule(resource.rule);
  if (rule != nullptr && rule->takes_gaps && random_.OneIn(2)) {
    // Works with a part of it, or with nearly all: nothing between is of use.
    return {{first, first, first * price, 0},
            {second + 1, second + 1, (second + 1) * price * 4 / 5, 0}};
  }
  return {{0, first, 0, price}, {first, second, first * price, price / 2}};
}

}  // namespace nom::market
