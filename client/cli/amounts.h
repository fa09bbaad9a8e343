// SPDX-License-Identifier: Apache-2.0
// Amounts of several resources as people type them, in units of a host.

#ifndef CLIENT_CLI_AMOUNTS_H_
#define CLIENT_CLI_AMOUNTS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli/connection.h"
#include "nom/market/v1/contracts.pb.h"

namespace nom::cli {

// What a unit of each resource is.
using UnitSizes = std::map<market::v1::ResourceKind, int64_t>;

// On the host of that id, or the only one if it is empty; on the host of a guest of the caller's.
absl::StatusOr<UnitSizes> UnitSizesOfHost(Connection& connection, const std::string& host_id);
absl::StatusOr<UnitSizes> UnitSizesOfGuest(Connection& connection, uint64_t guest_id);

// "memory=10MiB,cpu=500m", or counts of units as "memory=10,cpu=50", in units. `sizes` is asked
// only where an amount needs it. Usage errors quote what is wrong, also what is no whole number of
// units.
absl::Status ReadQuantities(const std::string& text,
                            const std::function<absl::StatusOr<UnitSizes>()>& sizes,
                            google::protobuf::RepeatedPtrField<market::v1::Quantity>* quantities);

// "memory=8,cpu=50", in units.
std::string QuantitiesText(
    const google::protobuf::RepeatedPtrField<market::v1::Quantity>& quantities);

}  // namespace nom::cli

#endif  // CLIENT_CLI_AMOUNTS_H_
