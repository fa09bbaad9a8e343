// SPDX-License-Identifier: Apache-2.0
// What is read again while marketd runs: the configuration and the files that it names, on SIGHUP
// and when one of them changes.

#ifndef MARKETD_RELOAD_H_
#define MARKETD_RELOAD_H_

#include <string>
#include <vector>

#include "marketd/config/config.h"
#include "marketd/process.h"

namespace nom::marketd {

// Not thread-safe.
class Reloader {
 public:
  // `config_text` is what `process` was started with; `process` must outlive it.
  Reloader(std::string config_path, std::string config_text, const Config& config,
           Process& process);

  // Reads everything again and puts in force what can change. What cannot is named in the log and
  // waits for a restart. If anything is wrong nothing changes, and the log says what.
  void Reload(const char* why);

  // Reloads if a file is not what it was when last looked at.
  void ReloadIfChanged();

 private:
  // What tells one state of a file from another: its inode, size and time of change.
  std::vector<std::string> Marks() const;

  const std::string config_path_;
  const std::string started_text_;
  const bool started_asking_;  // For client certificates.
  std::vector<std::string> files_;
  std::vector<std::string> marks_;
  Process& process_;
};

}  // namespace nom::marketd

#endif  // MARKETD_RELOAD_H_
