// SPDX-License-Identifier: Apache-2.0
#include "nom/types.h"

#include "absl/strings/string_view.h"

namespace nom {

absl::string_view AwardReasonText(AwardReason reason) {
  switch (reason) {
    case AwardReason::kUnknown:
      return "not known";
    case AwardReason::kServed:
      return "all that it asked for";
    case AwardReason::kPartlyServed:
      return "less than it asked for: others offered more for the rest";
    case AwardReason::kOutbid:
      return "outbid";
    case AwardReason::kBelowReserve:
      return "below the reserve";
    case AwardReason::kNoMeans:
      return "its budget and the account could pay for nothing";
    case AwardReason::kNoBid:
      return "no bid";
    case AwardReason::kNotRunning:
      return "the guest does not run";
    case AwardReason::kLargerThanSupply:
      return "larger than the supply";
  }
  return "not known";
}

int64_t Round::charge_microcredits() const {
  int64_t sum = 0;
  for (const Award& award : awards) {
    if (__builtin_add_overflow(sum, award.charge_microcredits, &sum)) return INT64_MAX;
  }
  return sum;
}

int64_t Round::award_units(Resource resource, uint64_t guest_id) const {
  int64_t sum = 0;
  for (const Award& award : awards) {
    if (award.resource != resource || (guest_id != 0 && award.guest_id != guest_id)) continue;
    if (__builtin_add_overflow(sum, award.award_units, &sum)) return INT64_MAX;
  }
  return sum;
}

absl::string_view ResourceName(Resource resource) {
  switch (resource) {
    case Resource::kCpu:
      return "cpu";
    case Resource::kMemory:
      return "memory";
    case Resource::kCache:
      return "cache";
    case Resource::kNetwork:
      return "network";
    case Resource::kDisk:
      return "disk";
    case Resource::kDevice:
      return "device";
  }
  return "unknown";
}

std::optional<Resource> ParseResource(absl::string_view name) {
  for (Resource resource : kAllResources) {
    if (ResourceName(resource) == name) return resource;
  }
  return std::nullopt;
}

}  // namespace nom
