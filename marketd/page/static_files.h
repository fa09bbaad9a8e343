// SPDX-License-Identifier: Apache-2.0
// The page's own files, read once: what a browser asks for is looked up by its whole name, so that
// no request ever becomes a path.

#ifndef MARKETD_PAGE_STATIC_FILES_H_
#define MARKETD_PAGE_STATIC_FILES_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace nom::marketd {

struct StaticFile {
  std::string content_type;
  std::string body;
  bool immutable = false;  // Its name changes with its content: browsers may keep it for ever.
};

class StaticFiles {
 public:
  // The regular files of `directory` and of its folder `assets` (whose names carry a hash), if
  // their type is one that a page is made of; at most 64 of together 8 MiB. Errors: NOT_FOUND if
  // there is no such directory; FAILED_PRECONDITION if it or one of its files can't be read, there
  // is no index.html, or there is too much.
  static absl::StatusOr<StaticFiles> Load(const std::string& directory);

  // Null if there is none. "/" is index.html.
  const StaticFile* Find(absl::string_view path) const;

 private:
  std::map<std::string, StaticFile, std::less<>> files_;  // By path: "/assets/app-3F2A.js".
};

}  // namespace nom::marketd

#endif  // MARKETD_PAGE_STATIC_FILES_H_
