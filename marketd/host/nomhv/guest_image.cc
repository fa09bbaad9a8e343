// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/nomhv/guest_image.h"

#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace nom::market {

absl::StatusOr<std::string> ReadGuestImage(const std::string& directory, const std::string& name,
                                           size_t bytes_max) {
  bool plain = !name.empty() && name.size() <= 255 && name[0] != '.';
  for (const char c : name) {
    plain = plain && (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' ||
                      c == '-');
  }
  if (!plain) {
    return absl::InvalidArgumentError(
        "image: must be a file name of letters, digits, '.', '_' and '-', not beginning with '.'");
  }
  const std::filesystem::path path = std::filesystem::path(directory) / name;
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    return absl::NotFoundError(absl::StrCat("image ", name, ": not in ", directory));
  }
  if (!std::filesystem::is_regular_file(status)) {
    return absl::FailedPreconditionError(absl::StrCat("image ", name, ": not a regular file"));
  }
  std::ifstream file(path, std::ios::binary);
  std::string bytes(bytes_max + 1, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  const auto got = static_cast<size_t>(file.gcount());
  if (file.bad() || (!file.eof() && file.fail()) || (got == 0 && !file.eof())) {
    return absl::FailedPreconditionError(absl::StrCat("image ", name, ": cannot be read"));
  }
  if (got > bytes_max) {
    return absl::ResourceExhaustedError(
        absl::StrCat("image ", name, ": larger than the ", bytes_max, " bytes that fit"));
  }
  bytes.resize(got);
  return bytes;
}

}  // namespace nom::market
