// SPDX-License-Identifier: Apache-2.0
// The part of a host's configuration that only kind linux has.

#ifndef MARKETD_CONFIG_LINUX_HOST_CONFIG_H_
#define MARKETD_CONFIG_LINUX_HOST_CONFIG_H_

#include "absl/types/span.h"
#include "marketd/config/yaml_reader.h"
#include "marketd/host/linux/options.h"
#include "marketd/market/types.h"

namespace nom::marketd {

// Reads cgroup_root, run_directory, launcher_socket, what is never sold, the disk and the
// network, and the recipes.
void ReadLinuxHost(MapReader& reader, YamlErrors* errors, market::LinuxHostOptions* options);

// Complains about a kind that is sold and has no device to sell it from.
void CheckLinuxResources(MapReader& reader, const market::LinuxHostOptions& options,
                         absl::Span<const market::Resource> resources);

// Complains about each of these keys that is there: the host is of another kind.
void RefuseLinuxHost(MapReader& reader);

}  // namespace nom::marketd

#endif  // MARKETD_CONFIG_LINUX_HOST_CONFIG_H_
