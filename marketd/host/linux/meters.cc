// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/linux/meters.h"

#include <algorithm>

namespace nom::market {
namespace {

absl::uint128 Product(int64_t a, int64_t b) {
  return absl::uint128(static_cast<uint64_t>(std::max<int64_t>(0, a))) *
         static_cast<uint64_t>(std::max<int64_t>(0, b));
}

uint64_t InUnits(absl::uint128 base, int64_t unit_size) {
  return absl::Uint128Low64(base / static_cast<uint64_t>(std::max<int64_t>(1, unit_size)));
}

}  // namespace

void AddInterval(const MachineInterval& machine, const Amounts& held, const MeterReading& reading,
                 MeterSums& sums) {
  const int64_t length_us = std::max<int64_t>(0, machine.length_us);
  const uint64_t used_us = reading.cpu_usage_us > sums.cpu_usage_us
                               ? reading.cpu_usage_us - sums.cpu_usage_us
                               : uint64_t{0};
  sums.cpu_usage_us += used_us;
  sums.disk_used += Product(reading.disk_requests, 1'000'000);
  sums.disk_seen = reading.disk;
  sums.network_used += Product(reading.network_bits, 1);
  sums.network_seen = reading.network;
  if (sums.ended_us >= 0)
    return;  // Holds nothing; its last processes may still have used a little.

  const absl::uint128 promised = Product(held.millicores, length_us);
  absl::uint128 offered = promised;
  const int64_t whole_us = length_us * std::max<int64_t>(1, machine.processors);
  if (whole_us > 0) {
    const int64_t stolen_us = std::clamp<int64_t>(machine.stolen_us, 0, whole_us);
    offered =
        promised * static_cast<uint64_t>(whole_us - stolen_us) / static_cast<uint64_t>(whole_us);
  }
  const absl::uint128 used = absl::uint128(used_us) * 1000;
  sums.cpu_offered += std::max(offered, std::min(used, promised));
  sums.memory_offered += Product(held.memory_bytes, length_us);
  sums.memory_used += Product(reading.memory_bytes, length_us);
  sums.disk_offered += Product(held.disk_iops, length_us);
  sums.network_offered += Product(held.network_mbits, length_us);
}

GuestMeters ToGuestMeters(GuestId guest_id, const MeterSums& sums, int64_t now_us,
                          absl::Span<const Resource> resources) {
  GuestMeters out{.guest_id = guest_id, .age_us = std::max<int64_t>(0, now_us - sums.created_us)};
  out.alive_us = sums.ended_us < 0
                     ? out.age_us
                     : std::clamp<int64_t>(sums.ended_us - sums.created_us, 0, out.age_us);
  for (const Resource& resource : resources) {
    GuestMeters::Amount amount{.kind = resource.kind};
    if (resource.kind == ResourceKind::kCpu) {
      amount.offered_unit_us = InUnits(sums.cpu_offered, resource.unit_size);
      amount.used_unit_us = InUnits(absl::uint128(sums.cpu_usage_us) * 1000, resource.unit_size);
    } else if (resource.kind == ResourceKind::kMemory) {
      amount.offered_unit_us = InUnits(sums.memory_offered, resource.unit_size);
      amount.used_unit_us = InUnits(sums.memory_used, resource.unit_size);
    } else if (resource.kind == ResourceKind::kDisk) {
      amount.offered_unit_us = InUnits(sums.disk_offered, resource.unit_size);
      amount.used_unit_us = InUnits(sums.disk_used, resource.unit_size);
    } else if (resource.kind == ResourceKind::kNetwork) {
      amount.offered_unit_us = InUnits(sums.network_offered, resource.unit_size);
      amount.used_unit_us = InUnits(sums.network_used, resource.unit_size);
    } else {
      continue;
    }
    out.amounts.push_back(amount);
  }
  std::sort(out.amounts.begin(), out.amounts.end(),
            [](const auto& a, const auto& b) { return a.kind < b.kind; });
  return out;
}

}  // namespace nom::market
