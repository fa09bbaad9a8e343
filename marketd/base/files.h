// SPDX-License-Identifier: Apache-2.0
// Small files that people write: configuration, tokens, keys, certificates.

#ifndef MARKETD_BASE_FILES_H_
#define MARKETD_BASE_FILES_H_

#include <sys/types.h>

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"

namespace nom::marketd {

struct SmallFile {
  std::string text;
  mode_t mode = 0;  // Of the very file that was read, whatever has its name by now.
};

// All of a regular file of at most `bytes_max` bytes. Never waits: a pipe or a device, of which a
// read may never come back, is refused. Errors name the file: NOT_FOUND (it can't be opened, with
// the system's reason), INVALID_ARGUMENT (no file, or too large), DATA_LOSS (reading failed).
absl::StatusOr<SmallFile> ReadSmallFile(const std::string& file_name, size_t bytes_max);

}  // namespace nom::marketd

#endif  // MARKETD_BASE_FILES_H_
