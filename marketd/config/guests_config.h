// SPDX-License-Identifier: Apache-2.0
// What a host offers to guests that do not bid, and to tenants that ask for guests themselves.

#ifndef MARKETD_CONFIG_GUESTS_CONFIG_H_
#define MARKETD_CONFIG_GUESTS_CONFIG_H_

#include "marketd/config/yaml_reader.h"
#include "marketd/market/config.h"

namespace nom::marketd {

// Reads `tiers` of a host, if it is there. Its resources must have been read.
void ReadTiers(MapReader& host, YamlErrors* errors, market::HostConfig* market);

// Reads `guest_requests` of a host, if it is there. The same.
void ReadGuestRequests(MapReader& host, YamlErrors* errors, market::HostConfig* market);

}  // namespace nom::marketd

#endif  // MARKETD_CONFIG_GUESTS_CONFIG_H_
