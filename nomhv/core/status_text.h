// Statuses and reasons in words, for the log.

#ifndef NOMHV_CORE_STATUS_TEXT_H_
#define NOMHV_CORE_STATUS_TEXT_H_

#include <string_view>

#include "nomhv/abi/version.h"

namespace nomhv {

// What the tables of ABI.md say of it.
constexpr std::string_view StatusText(NomStatus status) {
  switch (status) {
#define NOM_X(name, number, meaning) \
  case NOM_STATUS_##name:            \
    return meaning;
    NOM_STATUS_LIST(NOM_X)
#undef NOM_X
  }
  return "?";
}

constexpr std::string_view ImageFaultText(NomImageFault fault) {
  switch (fault) {
#define NOM_X(name, number, meaning) \
  case NOM_IMAGE_FAULT_##name:       \
    return meaning;
    NOM_IMAGE_FAULT_LIST(NOM_X)
#undef NOM_X
  }
  return "?";
}

// Its name, as in TRIPLE_FAULT.
constexpr std::string_view ExitReasonName(NomExitReason reason) {
  switch (reason) {
#define NOM_X(name, number, meaning) \
  case NOM_EXIT_REASON_##name:       \
    return #name;
    NOM_EXIT_REASON_LIST(NOM_X)
#undef NOM_X
  }
  return "?";
}

}  // namespace nomhv

#endif  // NOMHV_CORE_STATUS_TEXT_H_
