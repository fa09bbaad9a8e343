// SPDX-License-Identifier: Apache-2.0
#include "marketd/page/static_files.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "marketd/base/status.h"

namespace nom::marketd {
namespace {

constexpr size_t kFilesMax = 64;
constexpr size_t kBytesMax = 8 << 20;

const char* TypeOf(const std::string& extension) {
  static const std::map<std::string, const char*> types = {
      {".html", "text/html; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".svg", "image/svg+xml"},
      {".txt", "text/plain; charset=utf-8"}};
  const auto found = types.find(extension);
  return found == types.end() ? nullptr : found->second;
}

}  // namespace

absl::StatusOr<StaticFiles> StaticFiles::Load(const std::string& directory) {
  namespace fs = std::filesystem;
  StaticFiles out;
  size_t bytes = 0;
  for (const std::string folder : {"", "assets"}) {
    std::error_code error;
    const fs::path path = folder.empty() ? fs::path(directory) : fs::path(directory) / folder;
    const fs::directory_iterator entries(path, error);
    if (error == std::errc::no_such_file_or_directory) {
      if (folder.empty()) return absl::NotFoundError(absl::StrCat(directory, ": is not there"));
    } else if (error) {
      return absl::FailedPreconditionError(
          absl::StrCat(path.string(), ": cannot be read: ", error.message()));
    }
    for (const fs::directory_entry& entry : entries) {
      const char* const type = TypeOf(entry.path().extension().string());
      if (type == nullptr || !entry.is_regular_file(error)) continue;
      std::ifstream file(entry.path(), std::ios::binary);
      std::string body((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
      if (!file) {
        return absl::FailedPreconditionError(
            absl::StrCat(entry.path().string(), ": cannot be read"));
      }
      bytes += body.size();
      if (bytes > kBytesMax || out.files_.size() >= kFilesMax) {
        return absl::FailedPreconditionError(
            absl::StrCat(directory, ": more than ", kFilesMax, " files or ", kBytesMax, " bytes"));
      }
      const std::string name = entry.path().filename().string();
      out.files_[folder.empty() ? absl::StrCat("/", name) : absl::StrCat("/", folder, "/", name)] =
          {.content_type = type, .body = std::move(body), .immutable = !folder.empty()};
    }
  }
  if (out.Find("/") == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(directory, ": there is no index.html"));
  }
  return out;
}

const StaticFile* StaticFiles::Find(absl::string_view path) const {
  const auto found = files_.find(path == "/" ? absl::string_view("/index.html") : path);
  return found == files_.end() ? nullptr : &found->second;
}

}  // namespace nom::marketd
