// SPDX-License-Identifier: Apache-2.0
#include "tests/referee/mip_program.h"

#include <cstdlib>
#include <sstream>

namespace nom::policies {
namespace {

std::string Term(int64_t factor, const std::string& variable) {
  return (factor < 0 ? " - " : " + ") + std::to_string(std::abs(factor)) + " " + variable;
}

}  // namespace

void MipProgram::Add(const Auction& auction, GuestId without) {
  const std::string block = "b" + std::to_string(blocks_++) + "_";
  const Microcredits reserve = auction.reserve_unit_price_microcredits;
  constant_ += reserve * auction.capacity_units;
  std::ostringstream sold;
  for (const Bid& bid : auction.bids) {
    const std::string guest = block + std::to_string(bid.guest_id) + "_";
    std::ostringstream one;
    std::ostringstream kept;
    for (size_t r = 0; r < bid.ranges.size(); ++r) {
      const Range& range = bid.ranges[r];
      const std::string z = guest + "z" + std::to_string(r);
      const std::string q = guest + "q" + std::to_string(r);
      const Microcredits price =
          range.min_units == range.max_units ? 0 : range.unit_price_microcredits;
      const Microcredits at_zero = range.value_at_min_microcredits - range.min_units * price;
      // Worth the reserve: at_zero * z + (price - reserve) * q >= 0.
      program_.constraints << Term(at_zero, z) << Term(price - reserve, q) << " >= 0\n";
      program_.constraints << q << Term(-range.max_units, z) << " <= 0\n";
      program_.constraints << q << Term(-range.min_units, z) << " >= 0\n";
      if (bid.guest_id != without) {
        program_.costs << Term(-at_zero, z) << Term(reserve - price, q) << "\n";
      }
      program_.binaries << " " << z << "\n";
      program_.integers << " " << q << "\n";
      one << " + " << z;
      kept << " + " << q;
      sold << " + " << q;
    }
    if (!bid.ranges.empty()) program_.constraints << one.str() << " <= 1\n";
    if (auction.reclaim_penalty_microcredits > 0 && bid.held_units > 0) {
      const std::string t = guest + "t";
      program_.costs << Term(auction.reclaim_penalty_microcredits, t) << "\n";
      program_.constraints << t << kept.str() << " >= " << bid.held_units << "\n";
    }
  }
  if (!sold.str().empty()) {
    program_.constraints << sold.str() << " <= " << auction.capacity_units << "\n";
  }
}

std::optional<int64_t> MipProgram::Solve(const std::string& folder) const {
  const std::optional<int64_t> cost = program_.MinimiseWhole(folder);
  if (!cost.has_value()) return std::nullopt;
  return constant_ - *cost;
}

}  // namespace nom::policies
