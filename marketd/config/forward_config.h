// SPDX-License-Identifier: Apache-2.0
// What of a resource is sold forward, and at which premiums.

#ifndef MARKETD_CONFIG_FORWARD_CONFIG_H_
#define MARKETD_CONFIG_FORWARD_CONFIG_H_

#include <optional>

#include "marketd/config/yaml_reader.h"
#include "marketd/market/types.h"

namespace nom::marketd {

// Reads `forward` of a resource, if it is there.
void ReadForward(MapReader& resource, YamlErrors* errors,
                 std::optional<market::ForwardSale>* forward);

}  // namespace nom::marketd

#endif  // MARKETD_CONFIG_FORWARD_CONFIG_H_
