// SPDX-License-Identifier: Apache-2.0
// How a Linux guest's memory follows its grant on nomhv. Its kernel believes that all of its window
// is RAM; what the grant does not cover lies in pieces that are kept from the kernel, and given
// back to the machine. Pure logic: system calls and registers are behind the two interfaces.

#ifndef CLIENT_GUESTD_BALLOON_H_
#define CLIENT_GUESTD_BALLOON_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nomhv/abi/board.h"
#include "nomhv/abi/pc.h"

namespace nom::guestd {

inline constexpr uint64_t kPieceFrames = NOM_PC_DOORBELL_FRAMES;
inline constexpr uint64_t kPieceBytes = kPieceFrames * NOM_FRAME_BYTES;

// Physical memory that the kernel does not use: pieces of kPieceBytes, each in one stretch and at a
// multiple of its size. They are a stack, and outlive the process.
class Pieces {
 public:
  virtual ~Pieces() = default;
  [[nodiscard]] virtual size_t count() const = 0;
  // Takes one more from the kernel. RESOURCE_EXHAUSTED: it can spare none at the moment.
  virtual absl::Status Push() = 0;
  // Gives the newest back to the kernel.
  virtual absl::Status Pop() = 0;
  // The guest-physical address of piece `index`, below count(). Nothing of it is touched.
  virtual absl::StatusOr<uint64_t> Address(size_t index) = 0;
};

// The registers of the board function (nomhv/abi/pc.h).
class Doorbell {
 public:
  virtual ~Doorbell() = default;
  virtual NomStatus Release(uint64_t address) = 0;  // A whole piece, as Acquire.
  virtual NomStatus Acquire(uint64_t address) = 0;
  virtual uint64_t window_frames() = 0;
};

class Balloon {
 public:
  // Both outlive it.
  Balloon(Pieces& pieces, Doorbell& doorbell) : pieces_(pieces), doorbell_(doorbell) {}

  // What an earlier process had in hand when it ended is given back once more, which changes
  // nothing where it was.
  absl::Status Begin();

  enum class Step {
    kFollowed,  // Nothing to do until the board says otherwise.
    kMoved,     // A piece was moved, and another may be to be.
    kStuck,     // The kernel has no piece to spare, or the machine's grant is in between.
  };
  // Does one piece of what the board asks for. Whether the kernel's memory is to fit is looked at
  // as soon as a smaller grant is announced, and never later than a larger one is in force.
  absl::StatusOr<Step> Follow(const NomGuestBoard& board);

  // How many pieces are to be kept from the kernel.
  [[nodiscard]] size_t Wanted(const NomGuestBoard& board) const;

 private:
  absl::Status Release(size_t index);

  Pieces& pieces_;
  Doorbell& doorbell_;
};

}  // namespace nom::guestd

#endif  // CLIENT_GUESTD_BALLOON_H_
