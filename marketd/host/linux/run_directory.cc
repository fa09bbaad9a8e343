// SPDX-License-Identifier: Apache-2.0
#include "marketd/host/linux/run_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "marketd/base/status.h"

namespace nom::market {
namespace {

constexpr absl::string_view kFolderPrefix = "guest-";

absl::Status MakeFolder(const std::string& path) {
  if (mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(path, ": ", std::strerror(errno)));
}

}  // namespace

std::string GuestFolder(GuestId guest_id) { return absl::StrCat(kFolderPrefix, guest_id); }

std::optional<GuestId> GuestOfFolder(absl::string_view name) {
  absl::string_view digits = name;
  GuestId guest_id = 0;
  if (!absl::ConsumePrefix(&digits, kFolderPrefix) || !absl::SimpleAtoi(digits, &guest_id) ||
      GuestFolder(guest_id) != name) {
    return std::nullopt;
  }
  return guest_id;
}

RunDirectory::~RunDirectory() {
  if (lock_ >= 0) close(lock_);
}

std::string RunDirectory::PathOf(absl::string_view name) const {
  return absl::StrCat(path_, "/", name);
}

absl::Status RunDirectory::Lock() {
  if (lock_ >= 0) return absl::OkStatus();
  NOM_RETURN_IF_ERROR(MakeFolder(path_));
  const std::string path = PathOf("lock");
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return absl::UnavailableError(absl::StrCat(path, ": ", std::strerror(errno)));
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    close(fd);
    return absl::UnavailableError(absl::StrCat(path_, ": another marketd drives this machine"));
  }
  lock_ = fd;
  return absl::OkStatus();
}

absl::Status RunDirectory::OpenGuest(GuestId guest_id) {
  const std::string folder = PathOf(GuestFolder(guest_id));
  NOM_RETURN_IF_ERROR(MakeFolder(folder));
  NOM_ASSIGN_OR_RETURN(boards_[guest_id],
                       BoardFile::Open(absl::StrCat(folder, "/board"), guest_id));
  if (prices_) boards_[guest_id]->WriteMachine(*prices_, prices_at_us_);
  return absl::OkStatus();
}

void RunDirectory::RemoveGuest(GuestId guest_id) {
  boards_.erase(guest_id);
  const std::string folder = PathOf(GuestFolder(guest_id));
  unlink(absl::StrCat(folder, "/board").c_str());
  rmdir(folder.c_str());
}

void RunDirectory::RemoveAllBut(const HostRecord& record) {
  DIR* const directory = opendir(path_.c_str());
  if (directory == nullptr) return;
  std::vector<GuestId> forgotten;
  while (const dirent* entry = readdir(directory)) {
    const std::optional<GuestId> guest_id = GuestOfFolder(entry->d_name);
    if (guest_id && !record.guests.contains(*guest_id)) forgotten.push_back(*guest_id);
  }
  closedir(directory);
  for (const GuestId guest_id : forgotten) RemoveGuest(guest_id);
}

BoardFile* RunDirectory::Board(GuestId guest_id) {
  const auto it = boards_.find(guest_id);
  return it == boards_.end() ? nullptr : it->second.get();
}

void RunDirectory::Publish(const BoardContents& contents, int64_t now_us) {
  prices_ = contents;
  prices_at_us_ = now_us;
  for (const auto& [guest_id, board] : boards_) {
    if (board != nullptr) board->WriteMachine(contents, now_us);
  }
}

}  // namespace nom::market
