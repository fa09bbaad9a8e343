// SPDX-License-Identifier: Apache-2.0
// Runs a program of ours to its end, for tests.

#ifndef TESTS_UNIT_CLIENT_PROCESS_H_
#define TESTS_UNIT_CLIENT_PROCESS_H_

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

namespace nom::client_test {

struct Ended {
  int exit_code = -1;  // -1: by a signal.
  std::string out;     // Standard output, whole.
  std::string err;     // Standard error, whole.
};

// A child with its output in files, and an environment of `environment` and, but for what
// sanitizers are told, nothing else.
class Process {
 public:
  Process(const std::vector<std::string>& command,
          const std::map<std::string, std::string>& environment);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void Signal(int signal) const;
  // What it has written to standard output so far.
  std::string out() const;
  Ended Wait();

 private:
  pid_t pid_ = -1;
  int out_ = -1;
  int err_ = -1;
};

}  // namespace nom::client_test

#endif  // TESTS_UNIT_CLIENT_PROCESS_H_
