// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/linux/check_grants.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "marketd/host/linux/limits.h"

namespace nom::market {

Amounts GrantedBy(const HostRecord& record) {
  Amounts sum;
  for (const auto& [guest_id, guest] : record.guests) {
    if (guest.phase != GuestRecord::Phase::kEnded) sum = SumOf(sum, guest.held);
  }
  return sum;
}

absl::StatusOr<const Recipe*> CheckSpec(const GuestSpec& spec, const std::vector<Recipe>& recipes,
                                        const MachineFacts& machine, const Units& units,
                                        const Amounts& capacity, const HostRecord& record) {
  const std::string what = absl::StrCat("guest ", spec.name, " from recipe ", spec.image, ": ");
  const Recipe* recipe = FindRecipe(recipes, spec.image);
  if (recipe == nullptr) {
    return absl::NotFoundError(absl::StrCat(
        what, "there is none of that name; recipes: ",
        absl::StrJoin(recipes, ", ",
                      [](std::string* out, const Recipe& r) { out->append(r.name); })));
  }
  if (!recipe->arguments && !spec.arguments.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(what, "takes no arguments; the operator allows them by arguments: true"));
  }
  if (record.guests.contains(spec.guest_id)) {
    return absl::AlreadyExistsError(absl::StrCat(what, "is there already"));
  }
  const Amounts seed = units.ToAmounts(spec.seeds);
  if (units.Sells(ResourceKind::kCpu) && seed.millicores < kCpuMillicoresMin) {
    return absl::FailedPreconditionError(
        absl::StrCat(what, "its seed of cpu is ", seed.millicores,
                     " millicores; the kernel enforces no less than ", kCpuMillicoresMin));
  }
  if (units.Sells(ResourceKind::kMemory) && seed.memory_bytes < kMemoryBytesMin) {
    return absl::FailedPreconditionError(absl::StrCat(
        what, "its seed of memory is ", seed.memory_bytes, " bytes; no program starts in that"));
  }
  if (!recipe->unit.empty() &&
      (units.Sells(ResourceKind::kDisk) || units.Sells(ResourceKind::kNetwork))) {
    return absl::FailedPreconditionError(absl::StrCat(
        what, "it adopts a unit, of which only cpu and memory are limited; this host sells more"));
  }
  if (units.Sells(ResourceKind::kDisk) && seed.disk_iops < 1) {
    return absl::FailedPreconditionError(absl::StrCat(
        what, "has no seed of disk; the kernel takes no limit of 0, and without one it had all"));
  }
  if (units.Sells(ResourceKind::kNetwork)) {
    if (recipe->network == Recipe::Network::kHost) {
      return absl::FailedPreconditionError(
          absl::StrCat(what,
                       "has the machine's own network, which is sold here; its recipe must "
                       "say network: own, or none"));
    }
    const bool own = recipe->network == Recipe::Network::kOwn;
    if (own != (seed.network_mbits > 0)) {
      return absl::FailedPreconditionError(
          own ? absl::StrCat(what, "has no seed of network, and its recipe says network: own")
              : absl::StrCat(what, "has a seed of network, and its recipe says network: none"));
    }
  } else if (recipe->network == Recipe::Network::kOwn) {
    return absl::FailedPreconditionError(
        absl::StrCat(what, "has network: own, and no network is sold here"));
  }
  if (recipe->force == Recipe::Force::kSwap && machine.swap_bytes == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(what, "has force: swap, but this machine has no swap"));
  }
  if (!Fits(SumOf(GrantedBy(record), seed), capacity)) {
    return absl::ResourceExhaustedError(absl::StrCat(what, "no room for its seed"));
  }
  return recipe;
}

absl::StatusOr<std::map<GuestId, Amounts>> CheckGrants(const GrantSet& grants, const Units& units,
                                                       const Amounts& capacity,
                                                       const HostRecord& record) {
  std::map<GuestId, const GuestGrant*> wanted;
  for (const GuestGrant& grant : grants.grants) wanted[grant.guest_id] = &grant;
  std::map<GuestId, Amounts> targets;
  Amounts sum;
  for (const auto& [guest_id, guest] : record.guests) {
    if (guest.phase != GuestRecord::Phase::kRunning) continue;
    const auto grant = wanted.find(guest_id);
    const Amounts target = grant == wanted.end() ? guest.held : units.ToAmounts(grant->second->now);
    const auto refuse = [&grants, id = guest_id](absl::string_view why) {
      return absl::FailedPreconditionError(
          absl::StrCat("apply round ", grants.round_id, ": guest ", id, ": ", why));
    };
    if (!Fits(guest.seed, target)) return refuse("would fall below its seed");
    if (guest.memory_window_bytes > 0 && target.memory_bytes > guest.memory_window_bytes &&
        target.memory_bytes > guest.held.memory_bytes) {
      return refuse("would hold more than the most that it may ever hold");
    }
    sum = SumOf(sum, target);
    if (!Fits(sum, capacity)) return refuse("would bring the sum above the capacity");
    targets[guest_id] = target;
  }
  return targets;
}

}  // namespace nom::market
