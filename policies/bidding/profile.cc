// SPDX-License-Identifier: Apache-2.0
#include "policies/bidding/profile.h"

namespace nom::policies {

bool Dominates(const ProfilePoint& a, const ProfilePoint& b) {
  if (a.load_kbps != b.load_kbps || a.performance.throughput_kbps < b.performance.throughput_kbps ||
      a.performance.latency_ns > b.performance.latency_ns ||
      a.performance.jitter_ns > b.performance.jitter_ns) {
    return false;
  }
  for (int r = 0; r < kPointResourcesMax; ++r) {
    if (a.units[r] > b.units[r]) return false;
  }
  return true;
}

int DropDominated(ProfilePoint* points, int count) {
  int kept = 0;
  for (int i = 0; i < count; ++i) {
    bool dominated = false;
    for (int k = 0; k < kept && !dominated; ++k) dominated = Dominates(points[k], points[i]);
    if (dominated) continue;
    int still = 0;
    for (int k = 0; k < kept; ++k) {
      if (!Dominates(points[i], points[k])) points[still++] = points[k];
    }
    points[still] = points[i];
    kept = still + 1;
  }
  return kept;
}

Microcredits ValueOf(const Performance& performance, const Utility& utility, int64_t offered_kbps,
                     int64_t round_us) {
  Performance served = performance;
  if (served.throughput_kbps > offered_kbps) served.throughput_kbps = offered_kbps;
  return ValuePerRound(utility, served, round_us);
}

PointError AddPoint(const ProfilePoint& point, const Utility& utility, int64_t offered_kbps,
                    int64_t round_us, WorkingPointTable& table) {
  WorkingPoint worth{
      .knob = point.knob,
      .value_microcredits = ValueOf(point.performance, utility, offered_kbps, round_us)};
  for (int r = 0; r < kPointResourcesMax; ++r) worth.units[r] = point.units[r];
  return table.Add(worth);
}

PointError FillTable(const ProfilePoint* points, int count, const Utility& utility,
                     int64_t offered_kbps, int64_t round_us, WorkingPointTable& table) {
  table.Clear();
  if (count <= 0) return PointError::kOk;
  int64_t load = points[0].load_kbps;
  for (int i = 1; i < count; ++i) {
    const int64_t other = points[i].load_kbps;
    if (other >= offered_kbps ? load < offered_kbps || other < load : other > load) load = other;
  }
  for (int i = 0; i < count; ++i) {
    if (points[i].load_kbps != load) continue;
    const PointError error = AddPoint(points[i], utility, offered_kbps, round_us, table);
    if (error != PointError::kOk) return error;
  }
  return PointError::kOk;
}

}  // namespace nom::policies
