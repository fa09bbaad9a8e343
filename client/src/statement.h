// SPDX-License-Identifier: Apache-2.0
// Rounds added up to a statement.

#ifndef CLIENT_SRC_STATEMENT_H_
#define CLIENT_SRC_STATEMENT_H_

#include <cstdint>
#include <map>
#include <utility>

#include "nom/types.h"

namespace nom::client {

class StatementMaker {
 public:
  // In any order, each once.
  void Add(const Round& round);
  Statement Make() const;

 private:
  Statement sums_;
  std::map<std::pair<uint64_t, Resource>, StatementLine> lines_;
};

}  // namespace nom::client

#endif  // CLIENT_SRC_STATEMENT_H_
