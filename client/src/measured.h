// SPDX-License-Identifier: Apache-2.0
// From the SDK's utilities and measurements, which are floating point, to those of
// policies/bidding, which are whole numbers. Errors: INVALID_ARGUMENT that names the field, after
// `where` ("points[3].").

#ifndef CLIENT_SRC_MEASURED_H_
#define CLIENT_SRC_MEASURED_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "nom/utility.h"
#include "policies/bidding/utility.h"

namespace nom::client {

absl::StatusOr<policies::Utility> ToWhole(const Utility& utility);
absl::StatusOr<policies::Performance> ToWhole(const Performance& performance,
                                              absl::string_view where);
Performance FromWhole(const policies::Performance& performance);

// Mbit/s to kbit/s, as in Performance::throughput_mbps.
absl::StatusOr<int64_t> ToKbps(double mbps, absl::string_view field);
absl::StatusOr<int64_t> ToNs(double us, absl::string_view field);
absl::StatusOr<int64_t> ToRoundUs(absl::Duration round);

}  // namespace nom::client

#endif  // CLIENT_SRC_MEASURED_H_
