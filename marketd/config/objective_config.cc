// SPDX-License-Identifier: Apache-2.0
#include "marketd/config/objective_config.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "marketd/market/state.h"

namespace nom::marketd {
namespace {

// In the order of market::ObjectiveKind.
const std::vector<std::string>& ObjectiveNames() {
  static const auto* const names = new std::vector<std::string>([] {
    std::vector<std::string> all;
    for (const market::ObjectiveKind kind :
         {market::ObjectiveKind::kWelfare, market::ObjectiveKind::kRevenue,
          market::ObjectiveKind::kLeastSatisfied}) {
      all.emplace_back(market::ObjectiveName(kind));
    }
    return all;
  }());
  return *names;
}

}  // namespace

void ReadObjective(MapReader& reader, market::HostConfig* host) {
  market::Objective& objective = host->objective;
  size_t kind = 0;
  if (reader.OneOf("objective", Need::kOptional, ObjectiveNames(), &kind)) {
    objective.kind = static_cast<market::ObjectiveKind>(kind);
  }
  const bool has_rounds =
      reader.Int("objective_look_back_rounds", Need::kOptional, 1,
                 static_cast<int64_t>(market::kPastAsksMax), &objective.look_back_rounds);
  const bool has_steepness = reader.Int("objective_steepness", Need::kOptional, 1,
                                        policies::kSteepnessMax, &objective.steepness);
  if (objective.kind != market::ObjectiveKind::kLeastSatisfied) {
    for (const auto& [key, is_there] : {std::pair{"objective_look_back_rounds", has_rounds},
                                        std::pair{"objective_steepness", has_steepness}}) {
      if (is_there) reader.Complain(key, "only for objective least_satisfied/1");
    }
  }
  if (const std::string wrong = market::WrongObjective(*host); !wrong.empty()) {
    reader.Complain("objective", wrong);
  }
}

}  // namespace nom::marketd
