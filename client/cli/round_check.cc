// SPDX-License-Identifier: Apache-2.0
#include "client/cli/round_check.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/names.h"
#include "client/cli/table.h"

namespace nom::cli {
namespace {

// Wide enough for any product of two 64-bit numbers.
__extension__ using Wide = __int128;

Wide Magnitude(Wide value) { return value < 0 ? -value : value; }

int64_t Narrow(Wide value) {
  return static_cast<int64_t>(std::min(value, Wide{std::numeric_limits<int64_t>::max()}));
}

}  // namespace

std::string FormatMilliunits(int64_t milliunits) {
  const Wide size = Magnitude(Wide{milliunits});
  return absl::StrFormat("%s%d.%03d", milliunits < 0 ? "-" : "", static_cast<uint64_t>(size / 1000),
                         static_cast<int>(size % 1000));
}

RoundReport CheckRound(const market::v1::Round& round, const std::map<uint64_t, GuestLife>& lives,
                       const std::vector<market::v1::ResourceInfo>& resources) {
  RoundReport report;
  const std::string in_round = absl::StrCat("round ", round.round_id(), ": ");
  std::map<uint64_t, bool> has_outcome;
  for (const market::v1::GuestOutcome& outcome : round.outcomes()) {
    has_outcome[outcome.guest_id()] = true;
    const bool is_cpu = outcome.kind() == market::v1::RESOURCE_KIND_CPU;
    if (!is_cpu && outcome.kind() != market::v1::RESOURCE_KIND_MEMORY) continue;
    const auto life = lives.find(outcome.guest_id());
    const std::string what =
        absl::StrCat(in_round,
                     life == lives.end() ? absl::StrCat("guest ", outcome.guest_id())
                                         : absl::StrCat("guest ", Printable(life->second.name)),
                     " ", KindName(outcome.kind()));
    const auto skip = [&](absl::string_view why) {
      report.not_compared.push_back(absl::StrCat(what, ": not compared, ", why));
    };
    if (!outcome.settled()) {
      skip("it was not settled");
      continue;
    }
    if (life == lives.end()) {
      skip("it was never seen running");
      continue;
    }
    if (life->second.ended) {
      skip(absl::StrCat("it ended (", Printable(life->second.end_reason), ")"));
      continue;
    }
    if (round.round_id() < life->second.first_round_id) {
      skip("it may not have run for all of the round");
      continue;
    }
    const auto info = std::find_if(resources.begin(), resources.end(),
                                   [&](const auto& each) { return each.kind() == outcome.kind(); });
    if (info == resources.end()) {
      skip("the host does not sell it");
      continue;
    }
    const Wide decided = (Wide{outcome.seed_units()} + Wide{outcome.award_units()} +
                          Wide{outcome.contracted_units()}) *
                         1000;  // Milliunits.
    const Wide difference = Magnitude(Wide{outcome.delivered_milliunits()} - decided);
    ++report.compared;
    bool agrees = false;
    if (is_cpu) {
      // A thousandth of a unit is unit_size microcores.
      const Wide microcores = difference * Wide{info->unit_size()};
      report.cpu_worst_microcores = std::max(report.cpu_worst_microcores, Narrow(microcores));
      agrees = microcores <= Wide{kCpuToleranceMillicores} * 1000;
    } else {
      report.memory_worst_milliunits = std::max(report.memory_worst_milliunits, Narrow(difference));
      agrees = difference <= Wide{kMemoryToleranceMilliunits};
    }
    if (!agrees) {
      report.violations.push_back(absl::StrCat(
          what, ": decided ", FormatMilliunits(Narrow(decided)), " units, measured ",
          FormatMilliunits(outcome.delivered_milliunits()), " (more than ",
          is_cpu ? absl::StrCat(kCpuToleranceMillicores, " millicores")
                 : absl::StrCat(FormatMilliunits(kMemoryToleranceMilliunits), " units"),
          " apart)"));
    }
  }
  for (const auto& [guest_id, life] : lives) {
    if (life.ended || has_outcome[guest_id] || round.round_id() < life.first_round_id) continue;
    report.not_compared.push_back(absl::StrCat(in_round, "guest ", Printable(life.name),
                                               ": not compared, the round says nothing of it"));
  }
  return report;
}

std::vector<std::string> CheckHost(const operators::v1::Host& host) {
  std::vector<std::string> violations;
  for (const operators::v1::HostUse& use : host.uses()) {
    if (use.granted_max_units() <= use.capacity_units()) continue;
    violations.push_back(absl::StrCat("host ", Printable(host.host_id()), ": ",
                                      KindName(use.kind()), ": ", use.granted_max_units(),
                                      " units were granted at once, of ", use.capacity_units()));
  }
  return violations;
}

std::vector<std::string> CheckAudit(const operators::v1::AuditResponse& audit) {
  std::vector<std::string> violations;
  for (const std::string& finding : audit.findings()) {
    violations.push_back(absl::StrCat("audit: ", Printable(finding)));
  }
  if (!audit.balanced() && violations.empty()) {
    violations.emplace_back("audit: the books do not balance");
  }
  return violations;
}

}  // namespace nom::cli
