// SPDX-License-Identifier: Apache-2.0
// A guest's board on a Linux host: nomhv's layout (nomhv/abi/board.h) in a file that it may only
// read.
//
// Page 0 is the machine's board, page 1 the guest's own; each is seqlocked as on nomhv. A program
// maps the file and finds prices at the cost of a memory read. Where nomhv writes times in ticks of
// the TSC, a board file has nanoseconds of CLOCK_BOOTTIME, and tsc_hz is 1,000,000,000: every
// process of the machine sees that clock, and the TSC of an ordinary machine need not be steady.
// frames_held is 0: a program sees its own use in memory.current.

#ifndef MARKETD_HOST_LINUX_BOARD_FILE_H_
#define MARKETD_HOST_LINUX_BOARD_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "marketd/market/host.h"
#include "nomhv/abi/board.h"

namespace nom::market {

inline constexpr size_t kBoardFileBytes = 2 * size_t{NOM_FRAME_BYTES};
inline constexpr uint64_t kBoardFileHz = 1'000'000'000;

// Not thread-safe; readers are other processes.
class BoardFile {
 public:
  // Made if it is not there, with mode 0644; otherwise what it says is kept, so that a guest sees
  // no gap when marketd starts again. Errors: UNAVAILABLE naming the file.
  static absl::StatusOr<std::unique_ptr<BoardFile>> Open(const std::string& path, GuestId guest_id);
  ~BoardFile();
  BoardFile(const BoardFile&) = delete;
  BoardFile& operator=(const BoardFile&) = delete;

  // Prices, and the clock of the round; `now_us` by BootTimeUs().
  void WriteMachine(const BoardContents& contents, int64_t now_us);

  // What the guest holds and will hold. With `deadline_us` above 0 it is a notice.
  void WriteGuest(const GuestGrant& grant, RoundId round_id, int64_t deadline_us);

 private:
  explicit BoardFile(void* pages) : pages_(static_cast<std::byte*>(pages)) {}
  NomMachineBoard* machine() { return reinterpret_cast<NomMachineBoard*>(pages_); }
  NomGuestBoard* guest() { return reinterpret_cast<NomGuestBoard*>(pages_ + NOM_FRAME_BYTES); }

  std::byte* const pages_;  // Shared with readers, until the destructor.
};

}  // namespace nom::market

#endif  // MARKETD_HOST_LINUX_BOARD_FILE_H_
