// SPDX-License-Identifier: Apache-2.0
#include "tests/referee/cbc_program.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace nom::policies {

std::optional<double> CbcProgram::Minimise(const std::string& folder, int seconds_max) const {
  const std::string base = folder + "nom_cbc_" + std::to_string(getpid());
  {
    // A variable without a cost: the format wants at least one term and one constraint.
    std::ofstream file(base + ".lp");
    file << "Minimize\nobj: 0 nothing\n"
         << costs.str() << "Subject To\nnothing >= 0\n"
         << constraints.str() << "Binaries\n"
         << binaries.str() << "Generals\n"
         << integers.str() << "End\n";
  }
  const std::string command = "timeout " + std::to_string(seconds_max) + " cbc " + base +
                              ".lp ratioGap 0 allowableGap 0 solve solution " + base + ".txt > " +
                              base + ".log";
  const bool is_run = std::system(command.c_str()) == 0;
  std::ifstream solution(base + ".txt");
  std::string line;
  std::getline(solution, line);
  for (const char* suffix : {".lp", ".txt", ".log"}) std::remove((base + suffix).c_str());
  double cost = 0;
  if (!is_run || std::sscanf(line.c_str(), "Optimal - objective value %lf", &cost) != 1) {
    return std::nullopt;
  }
  return cost;
}

std::optional<int64_t> CbcProgram::MinimiseWhole(const std::string& folder) const {
  const std::optional<double> cost = Minimise(folder);
  if (!cost.has_value()) return std::nullopt;
  const double rounded = std::round(*cost);
  if (std::abs(*cost - rounded) > 0.01) return std::nullopt;
  return static_cast<int64_t>(rounded);
}

std::string TemporaryFolder() {
  const char* const folder = std::getenv("TMPDIR");
  return std::string(folder == nullptr ? "/tmp" : folder) + "/";
}

}  // namespace nom::policies
