// SPDX-License-Identifier: Apache-2.0
// Messages as JSON, as nomctl's --json shows them: see proto/json/json.h.

#ifndef CLIENT_CLI_JSON_H_
#define CLIENT_CLI_JSON_H_

#include "proto/json/json.h"

namespace nom::cli {

using ::nom::JsonText;
using ::nom::ToJson;

}  // namespace nom::cli

#endif  // CLIENT_CLI_JSON_H_
