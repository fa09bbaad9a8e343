// SPDX-License-Identifier: Apache-2.0
// The part of a host's configuration that only kind nomhv has.

#ifndef MARKETD_CONFIG_NOMHV_HOST_CONFIG_H_
#define MARKETD_CONFIG_NOMHV_HOST_CONFIG_H_

#include "marketd/config/yaml_reader.h"
#include "marketd/host/nomhv/options.h"

namespace nom::marketd {

// Reads mailbox, image_directory, doorbell_socket and pcs.
void ReadNomhvHost(MapReader& reader, YamlErrors* errors, market::NomhvHostOptions* options);

// Complains about each of these keys that is there: the host is of another kind.
void RefuseNomhvHost(MapReader& reader);

}  // namespace nom::marketd

#endif  // MARKETD_CONFIG_NOMHV_HOST_CONFIG_H_
