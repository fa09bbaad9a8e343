// The part of a host's configuration that only kind linux has.

#ifndef MARKETD_CONFIG_LINUX_HOST_CONFIG_H_
#define MARKETD_CONFIG_LINUX_HOST_CONFIG_H_

#include "marketd/config/yaml_reader.h"
#include "marketd/host/linux/options.h"

namespace nom::marketd {

// Reads cgroup_root, run_directory, launcher_socket, what is never sold, and the recipes.
void ReadLinuxHost(MapReader& reader, YamlErrors* errors, market::LinuxHostOptions* options);

// Complains about each of these keys that is there: the host is of another kind.
void RefuseLinuxHost(MapReader& reader);

}  // namespace nom::marketd

#endif  // MARKETD_CONFIG_LINUX_HOST_CONFIG_H_
