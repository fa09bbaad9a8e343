// SPDX-License-Identifier: Apache-2.0
// The one word for how a clearing was found, in logs and on the command line.

#ifndef NOM_POLICIES_CLEARING_METHOD_NAME_H_
#define NOM_POLICIES_CLEARING_METHOD_NAME_H_

#include "policies/clearing/auction.h"

namespace nom::policies {

// "exact", "coarser", "greedy", "repeat_last", "bounded"; "unknown" for anything else.
inline const char* MethodName(Method method) {
  switch (method) {
    case Method::kExact:
      return "exact";
    case Method::kCoarser:
      return "coarser";
    case Method::kGreedy:
      return "greedy";
    case Method::kRepeatLast:
      return "repeat_last";
    case Method::kBounded:
      return "bounded";
  }
  return "unknown";
}

}  // namespace nom::policies

#endif  // NOM_POLICIES_CLEARING_METHOD_NAME_H_
