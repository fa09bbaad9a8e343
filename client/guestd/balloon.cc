// SPDX-License-Identifier: Apache-2.0
#include "client/guestd/balloon.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace nom::guestd {

absl::Status Balloon::Begin() {
  for (size_t i = 0; i < pieces_.count(); ++i) {
    if (absl::Status released = Release(i); !released.ok()) return released;
  }
  return absl::OkStatus();
}

absl::Status Balloon::Release(size_t index) {
  const absl::StatusOr<uint64_t> address = pieces_.Address(index);
  if (!address.ok()) return address.status();
  const NomStatus status = doorbell_.Release(*address);
  if (status == NOM_STATUS_OK) return absl::OkStatus();
  return absl::InternalError(
      absl::StrFormat("nomhv does not take 0x%x back: status %d", *address, status));
}

size_t Balloon::Wanted(const NomGuestBoard& board) const {
  uint64_t frames = board.frames_granted;
  // 0 before the market has said anything.
  if (board.frames_next != 0) frames = std::min(frames, board.frames_next);
  const uint64_t window = doorbell_.window_frames();
  const uint64_t beyond = window > frames ? window - frames : 0;
  return (beyond + kPieceFrames - 1) / kPieceFrames;
}

absl::StatusOr<Balloon::Step> Balloon::Follow(const NomGuestBoard& board) {
  const size_t wanted = Wanted(board);
  const size_t have = pieces_.count();
  if (have == wanted) return Step::kFollowed;
  if (have < wanted) {
    const absl::Status pushed = pieces_.Push();
    if (absl::IsResourceExhausted(pushed)) return Step::kStuck;
    if (!pushed.ok()) return pushed;
    if (absl::Status released = Release(have); !released.ok()) {
      // It is the kernel's again: as it was.
      static_cast<void>(pieces_.Pop());
      return released;
    }
    return Step::kMoved;
  }
  const absl::StatusOr<uint64_t> address = pieces_.Address(have - 1);
  if (!address.ok()) return address.status();
  // Frames first: a device that the kernel lends the memory to could not fetch them.
  const NomStatus status = doorbell_.Acquire(*address);
  if (status == NOM_STATUS_OVER_GRANT) return Step::kStuck;
  if (status != NOM_STATUS_OK) {
    return absl::InternalError(
        absl::StrFormat("nomhv does not give 0x%x: status %d", *address, status));
  }
  if (absl::Status popped = pieces_.Pop(); !popped.ok()) return popped;
  return Step::kMoved;
}

}  // namespace nom::guestd
