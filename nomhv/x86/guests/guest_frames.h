// SPDX-License-Identifier: Apache-2.0
// Frames that come to a guest and go from it. Under its claim, or when it runs nowhere for good.

#ifndef NOMHV_X86_GUESTS_GUEST_FRAMES_H_
#define NOMHV_X86_GUESTS_GUEST_FRAMES_H_

#include <cstdint>

#include "nomhv/x86/guests/guest_machine.h"

namespace nomhv {

// Counts in the meter what the guest has held until now. Before frames are given or taken: a step
// of them takes microseconds.
void CountFrames(GuestMachine& guest);
// Changes the grant; frames move separately.
void SetGrantedFrames(GuestMachine& guest, uint64_t frames);

// Takes frames in three phases: each is unmapped at once; what processors and devices remember of
// them is forgotten once for all; only then they are scrubbed and free.
class FrameTaker {
 public:
  static constexpr uint32_t kMost = 128;

  explicit FrameTaker(GuestMachine& guest) : guest_(guest) {}
  ~FrameTaker() { Finish(); }
  FrameTaker(const FrameTaker&) = delete;
  FrameTaker& operator=(const FrameTaker&) = delete;

  // All that the guest holds in [gpa, end).
  void Take(uint64_t gpa, uint64_t end);

 private:
  void Finish();

  GuestMachine& guest_;
  uint32_t count_ = 0;
  uint64_t physical_[kMost];
};

// Maps zeroed frames at the lowest holes of [gpa, end), `most` of them; the next hole, or `end`.
uint64_t FillHoles(GuestMachine& guest, uint64_t gpa, uint64_t end, uint64_t most,
                   NestedFlags flags = {});
// The same in the whole window, and counted.
void GrowGuest(GuestMachine& guest, uint64_t most);
// Takes up to `most` frames of the window from `from_frame` on, highest first, while more than
// `frames` are held; how many were taken.
uint64_t ShrinkGuest(GuestMachine& guest, uint64_t frames, uint64_t from_frame, uint64_t most);

}  // namespace nomhv

#endif  // NOMHV_X86_GUESTS_GUEST_FRAMES_H_
