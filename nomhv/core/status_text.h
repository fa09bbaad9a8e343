// SPDX-License-Identifier: Apache-2.0
// Statuses and reasons in words, for the log.

#ifndef NOMHV_CORE_STATUS_TEXT_H_
#define NOMHV_CORE_STATUS_TEXT_H_

#include <string_view>

#include "nomhv/abi/version.h"

namespace nomhv {

// What the tables of ABI.md say of it; of why a guest ended, the name, as in TRIPLE_FAULT.
#define NOM_X(name, number, meaning) \
  case number:                       \
    return meaning;
constexpr std::string_view StatusText(NomStatus status) {
  switch (status) { NOM_STATUS_LIST(NOM_X) }
  return "?";
}
constexpr std::string_view ImageFaultText(NomImageFault fault) {
  switch (fault) { NOM_IMAGE_FAULT_LIST(NOM_X) }
  return "?";
}
#undef NOM_X
#define NOM_X(name, number, meaning) \
  case number:                       \
    return #name;
constexpr std::string_view ExitReasonName(NomExitReason reason) {
  switch (reason) { NOM_EXIT_REASON_LIST(NOM_X) }
  return "?";
}
#undef NOM_X

}  // namespace nomhv

#endif  // NOMHV_CORE_STATUS_TEXT_H_
