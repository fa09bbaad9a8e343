// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/schedule.h"

namespace nom::market {
namespace {

absl::Duration WholeMicros(absl::Duration d) { return absl::Trunc(d, absl::Microseconds(1)); }

}  // namespace

Schedule::Schedule(const HostConfig& config, absl::Time start)
    : start_(absl::FromUnixMicros(absl::ToUnixMicros(start))),
      period_(WholeMicros(config.period)),
      grace_(WholeMicros(config.grace)),
      clearing_(WholeMicros(config.clearing)) {}

int64_t Schedule::SkipPast(absl::Time now) {
  if (close() > now) return 0;
  absl::Duration rest;
  const int64_t periods = absl::IDivDuration(now - close(), period_, &rest) + 1;
  start_ += periods * period_;
  return periods;
}

}  // namespace nom::market
