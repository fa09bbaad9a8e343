// SPDX-License-Identifier: Apache-2.0
// Where a token goes that the market has just made: a file that nobody else reads.

#ifndef CLIENT_CLI_SECRET_FILE_H_
#define CLIENT_CLI_SECRET_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace nom::cli {

// A new file with mode 0600 from its first moment on, whatever the umask. Removed again unless
// something was written to it: made before the market is asked, so that no token is made for which
// there is no place.
class SecretFile {
 public:
  // Errors: ALREADY_EXISTS (nothing is written over), and those of the system.
  static absl::StatusOr<SecretFile> Make(const std::string& path);
  SecretFile(SecretFile&& other) noexcept;
  SecretFile& operator=(SecretFile&&) = delete;
  ~SecretFile();

  // One line, on the disk when this returns. At most once.
  absl::Status WriteLine(absl::string_view line);

 private:
  SecretFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  std::string path_;  // Empty: not to be removed.
  int fd_;
};

// FAILED_PRECONDITION if the descriptor is a file with a name that others than its owner may read:
// a token must not be printed there.
absl::Status CheckNotReadByOthers(int fd);

}  // namespace nom::cli

#endif  // CLIENT_CLI_SECRET_FILE_H_
