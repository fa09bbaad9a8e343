// SPDX-License-Identifier: Apache-2.0
// An integer program, and a public solver for it (Debian's CBC).

#ifndef NOM_TESTS_REFEREE_CBC_PROGRAM_H_
#define NOM_TESTS_REFEREE_CBC_PROGRAM_H_

#include <cstdint>
#include <optional>
#include <sstream>
#include <string>

namespace nom::policies {

// The parts of the LP format, to be written by whoever knows the problem. The solver calculates in
// floating point: numbers must be far below 2^53.
struct CbcProgram {
  std::ostringstream costs;        // What is minimised, as terms with their signs: " + 3 x".
  std::ostringstream constraints;  // One a line.
  std::ostringstream binaries;     // Variables that are 0 or 1.
  std::ostringstream integers;     // Variables that are whole.

  // The least cost, proven. Files are made in `folder`, which ends with a slash, and removed.
  // Nothing if the solver fails, or has not finished after `seconds_max`.
  std::optional<double> Minimise(const std::string& folder, int seconds_max = 600) const;
  // The same where all costs are whole. Nothing also if the answer is not.
  std::optional<int64_t> MinimiseWhole(const std::string& folder) const;
};

// The folder for a program's files where no test gives one; ends with a slash.
std::string TemporaryFolder();

}  // namespace nom::policies

#endif  // NOM_TESTS_REFEREE_CBC_PROGRAM_H_
