// SPDX-License-Identifier: Apache-2.0
// The frames that a guest holds: handing them out, taking in what a grant adds, giving back what it
// loses before nomhv takes it.

#ifndef CLIENT_GUEST_MEMORY_H_
#define CLIENT_GUEST_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "client/guest/address.h"
#include "client/guest/calls.h"
#include "nomhv/abi/board.h"

namespace nom::guest {

// Who uses the frames of a pool, and so knows which matter least.
class FrameOwner {
 public:
  // `frames` more frames of the pool must be free: frees its least wanted ones with
  // FramePool::Free. Freeing fewer is allowed; then nomhv takes some by force at the deadline.
  virtual void GiveUp(uint64_t frames) = 0;

  // The pool has copied a frame in use to another, which is in use from now on; the old one is not.
  virtual void Moved(uint64_t from_frame, uint64_t to_frame) = 0;

  // A frame in use is no longer held: nomhv took it. Its contents are gone; it must not be freed.
  virtual void Lost(uint64_t frame) = 0;

 protected:
  ~FrameOwner() = default;
};

// Not thread-safe, and not for interrupt handlers.
class FramePool {
 public:
  static constexpr uint64_t kNone = ~uint64_t{0};

  // How many words of storage two bit maps of a window need.
  static constexpr uint64_t WordsNeeded(uint64_t window_frames) {
    return 2 * ((window_frames + 63) / 64);
  }

  // Hands out frames of [1, window_frames) but [image_first_frame, image_end_frame).
  struct Options {
    uint64_t seed_frames = 0;
    uint64_t window_frames = 0;
    uint64_t image_first_frame = 0;
    uint64_t image_end_frame = 0;
    // Where frame 0 lies; 0 in a guest, whose memory is identity-mapped.
    uintptr_t base_address = 0;
  };

  // `nomhv`, `owner` and `words` outlive the pool. Storage for fewer frames than the window has
  // makes the pool use as many as it can count. Asks nomhv at once what is held.
  FramePool(Nomhv* nomhv, FrameOwner* owner, const Options& options, std::span<uint64_t> words);

  // The lowest free frame, now in use, with any contents; kNone if none is free. Lowest first,
  // because nomhv takes from the top.
  uint64_t Allocate();
  void Free(uint64_t frame);

  void* Address(uint64_t frame) const {
    return PointerTo<void>(options_.base_address + frame * NOM_FRAME_BYTES);
  }

  struct Changes {
    uint64_t gained_frames = 0;
    uint64_t released_frames = 0;  // Given back in time.
    uint64_t lost_frames = 0;      // Taken by force.
  };

  // Does what the board asks for: notices what was granted or taken, takes back granted frames that
  // are not held, and releases what a notice will take (highest frames, after moving what is in use
  // there to lower ones). Call it often: before the deadline of each notice.
  Changes Update(const NomGuestBoard& board);

  // Gives back `frames` frames for good, and leaves the grant's room for them to something else: a
  // region to be offered. False, and nothing is changed, if it cannot give up so many.
  [[nodiscard]] bool SetAside(uint64_t frames);

  // Asks nomhv again, frame run by frame run, what is held.
  Changes Resync();

  uint64_t held_frames() const { return held_count_; }  // The image's frames included.
  uint64_t free_frames() const { return free_count_; }
  uint64_t used_frames() const { return used_count_; }  // The image's frames left out.
  bool Held(uint64_t frame) const { return frame < limit_ && Bit(held_, frame); }

 private:
  static bool Bit(std::span<const uint64_t> words, uint64_t frame) {
    return (words[frame / 64] >> (frame % 64) & 1) != 0;
  }
  static void Set(std::span<uint64_t> words, uint64_t frame, bool value);

  bool Ours(uint64_t frame) const {
    return frame != 0 && (frame < options_.image_first_frame || frame >= options_.image_end_frame);
  }
  // The lowest free frame at or above the hint, below `end`; kNone if there is none.
  uint64_t LowestFree(uint64_t end);
  // What the pool should hold, as the board says.
  uint64_t TargetOf(const NomGuestBoard& board) const;
  void NoteHeld(uint64_t frame, Changes& changes);
  void NoteGone(uint64_t frame, Changes& changes);
  void Grow(uint64_t target_frames, Changes& changes);
  void Shrink(uint64_t target_frames, Changes& changes);
  // Takes [first, first + count) out of the maps and gives it back; false if nomhv refused.
  bool Release(uint64_t first, uint64_t count, Changes& changes);

  Nomhv* nomhv_;
  FrameOwner* owner_;
  Options options_;
  uint64_t limit_;            // Frames that the maps can count.
  std::span<uint64_t> held_;  // One bit a frame.
  std::span<uint64_t> used_;
  uint64_t held_count_ = 0;
  uint64_t free_count_ = 0;
  uint64_t used_count_ = 0;
  uint64_t set_aside_ = 0;
  uint64_t hint_ = 0;  // No frame below it is free.
};

}  // namespace nom::guest

#endif  // CLIENT_GUEST_MEMORY_H_
