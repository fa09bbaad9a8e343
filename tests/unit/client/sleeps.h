// SPDX-License-Identifier: Apache-2.0
// Whether a thread of this process waits for something.

#ifndef TESTS_UNIT_CLIENT_SLEEPS_H_
#define TESTS_UNIT_CLIENT_SLEEPS_H_

#include <sys/types.h>

#include <fstream>
#include <string>

namespace nom {

// The thread is asleep, as the kernel says.
inline bool Sleeps(pid_t thread) {
  std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/stat");
  std::string stat;
  std::getline(file, stat);
  const size_t name_ends = stat.rfind(") ");
  return name_ends != std::string::npos && stat[name_ends + 2] == 'S';
}

}  // namespace nom

#endif  // TESTS_UNIT_CLIENT_SLEEPS_H_
