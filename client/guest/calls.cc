// SPDX-License-Identifier: Apache-2.0
#include "client/guest/calls.h"

namespace nom::guest {

std::string_view StatusName(NomStatus status) {
  switch (status) {
#define NOM_X(name, number, meaning) \
  case NOM_STATUS_##name:            \
    return #name;
    NOM_STATUS_LIST(NOM_X)
#undef NOM_X
  }
  return "UNKNOWN";
}

}  // namespace nom::guest
