// SPDX-License-Identifier: Apache-2.0
// The keys of a host that say what its rounds are for.

#ifndef MARKETD_CONFIG_OBJECTIVE_CONFIG_H_
#define MARKETD_CONFIG_OBJECTIVE_CONFIG_H_

#include "marketd/config/yaml_reader.h"
#include "marketd/market/config.h"

namespace nom::marketd {

// After the host's resources, which it must go with.
void ReadObjective(MapReader& reader, market::HostConfig* host);

}  // namespace nom::marketd

#endif  // MARKETD_CONFIG_OBJECTIVE_CONFIG_H_
