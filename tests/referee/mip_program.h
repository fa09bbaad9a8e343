// SPDX-License-Identifier: Apache-2.0
// Auctions as one integer program for a public solver (Debian's CBC): the referee of the tests, and
// a peer of the benches.

#ifndef NOM_TESTS_REFEREE_MIP_PROGRAM_H_
#define NOM_TESTS_REFEREE_MIP_PROGRAM_H_

#include <cstdint>
#include <optional>
#include <string>

#include "policies/clearing/auction.h"
#include "tests/referee/cbc_program.h"

namespace nom::policies {

class MipProgram {
 public:
  // Adds W of the auction to what is maximised. `without`: the bid whose quantities are worth
  // exactly the reserve, or 0 for nobody.
  void Add(const Auction& auction, GuestId without);

  // The largest sum of W. Files are made in `folder`, which ends with a slash, and removed. Nothing
  // if the solver fails or has no whole optimum.
  std::optional<int64_t> Solve(const std::string& folder) const;

 private:
  int blocks_ = 0;
  int64_t constant_ = 0;
  CbcProgram program_;
};

}  // namespace nom::policies

#endif  // NOM_TESTS_REFEREE_MIP_PROGRAM_H_
