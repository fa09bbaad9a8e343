// SPDX-License-Identifier: Apache-2.0
// The folder in which a Linux host keeps what the kernel does not: one lock, one state file, and a
// folder a guest with its board. On a file system that a boot empties.

#ifndef MARKETD_HOST_LINUX_RUN_DIRECTORY_H_
#define MARKETD_HOST_LINUX_RUN_DIRECTORY_H_

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "marketd/host/linux/board_file.h"
#include "marketd/host/linux/state_file.h"
#include "marketd/market/host.h"
#include "marketd/market/types.h"

namespace nom::market {

// The name of a guest's cgroup and of its folder.
std::string GuestFolder(GuestId guest_id);
// The guest of such a name; nothing for any other.
std::optional<GuestId> GuestOfFolder(absl::string_view name);

// Not thread-safe. Errors of every call: UNAVAILABLE naming the file.
class RunDirectory {
 public:
  explicit RunDirectory(std::string path) : path_(std::move(path)) {}
  ~RunDirectory();
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  // Makes the folder and holds it until the destructor: one marketd drives a machine.
  absl::Status Lock();
  std::string StatePath() const { return PathOf("state"); }

  // Makes a guest's folder and opens its board, or opens what is there; shows it the last prices.
  absl::Status OpenGuest(GuestId guest_id);
  void RemoveGuest(GuestId guest_id);
  // Removes the folders of guests that are not in the record.
  void RemoveAllBut(const HostRecord& record);

  // Null if the guest has none.
  BoardFile* Board(GuestId guest_id);
  // Shows prices to all guests, and to those that come.
  void Publish(const BoardContents& contents, int64_t now_us);

 private:
  std::string PathOf(absl::string_view name) const;

  const std::string path_;
  int lock_ = -1;
  std::map<GuestId, std::unique_ptr<BoardFile>> boards_;
  std::optional<BoardContents> prices_;
  int64_t prices_at_us_ = 0;
};

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_RUN_DIRECTORY_H_
