// SPDX-License-Identifier: Apache-2.0
#include "client/src/statement.h"

#include <algorithm>
#include <limits>

namespace nom {
namespace {

int64_t Plus(int64_t a, int64_t b) {
  int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<int64_t>::max() : sum;
}

}  // namespace

int64_t Statement::charge_microcredits() const {
  int64_t sum = 0;
  for (const StatementLine& line : lines) sum = Plus(sum, line.charge_microcredits);
  return sum;
}

int64_t Statement::rent_microcredits() const {
  int64_t sum = 0;
  for (const StatementLine& line : lines) sum = Plus(sum, line.rent_microcredits);
  return sum;
}

namespace client {

void StatementMaker::Add(const Round& round) {
  // Of a round that was released all was returned: there is nothing to wait for.
  if (round.phase == RoundPhase::kReleased) return;
  if (round.phase != RoundPhase::kSettled) {
    ++sums_.open_rounds;
    return;
  }
  ++sums_.settled_rounds;
  sums_.first_round_id =
      sums_.first_round_id == 0 ? round.round_id : std::min(sums_.first_round_id, round.round_id);
  sums_.last_round_id = std::max(sums_.last_round_id, round.round_id);
  for (const Award& award : round.awards) {
    if (award.settled_microcredits == 0 && award.rent_microcredits == 0) continue;
    StatementLine& line = lines_[{award.guest_id, award.resource}];
    line.guest_id = award.guest_id;
    line.resource = award.resource;
    ++line.rounds;
    line.charge_microcredits = Plus(line.charge_microcredits, award.settled_microcredits);
    line.rent_microcredits = Plus(line.rent_microcredits, award.rent_microcredits);
  }
}

Statement StatementMaker::Make() const {
  Statement statement = sums_;
  for (const auto& [key, line] : lines_) statement.lines.push_back(line);
  return statement;
}

}  // namespace client
}  // namespace nom
