// SPDX-License-Identifier: Apache-2.0
#include "nomhv/x86/guests/guest_frames.h"

#include "nomhv/x86/platform/clocks.h"
#include "nomhv/x86/platform/cpu.h"

namespace nomhv {

constexpr uint64_t kFrame = NOM_FRAME_BYTES;

void CountFrames(GuestMachine& guest) { SetGrantedFrames(guest, guest.granted_frames); }

void SetGrantedFrames(GuestMachine& guest, uint64_t frames) {
  const SpinLockGuard guard(guest.meter_lock);
  guest.frame_meter.Advance(TscToUs(ReadTsc()), guest.held_frames, guest.granted_frames);
  guest.granted_frames = frames;
}

void FrameTaker::Take(uint64_t gpa, uint64_t end) {
  guest_.tables.Clear(gpa, end, [this](uint64_t physical) {
    if (count_ == kMost) Finish();
    physical_[count_++] = physical;
  });
}

void FrameTaker::Finish() {
  if (count_ == 0) return;
  ForgetTranslations(guest_);
  guest_.held_frames.fetch_sub(count_, std::memory_order_relaxed);
  FreeGuestFrames({physical_, count_});
  count_ = 0;
}

uint64_t FillHoles(GuestMachine& guest, uint64_t gpa, uint64_t end, uint64_t most,
                   NestedFlags flags) {
  uint64_t given = 0;
  gpa = guest.tables.Fill(gpa, end, most, flags, [&] {
    ++given;
    return AllocateGuestFrame();
  });
  guest.held_frames.fetch_add(given, std::memory_order_relaxed);
  return gpa;
}

void GrowGuest(GuestMachine& guest, uint64_t most) {
  CountFrames(guest);
  // If the window is full, the guest acquired ahead of its grant.
  static_cast<void>(FillHoles(guest, 0, guest.window_frames * kFrame, most));
}

uint64_t ShrinkGuest(GuestMachine& guest, uint64_t frames, uint64_t from_frame, uint64_t most) {
  CountFrames(guest);
  const uint64_t held = guest.held_frames;
  uint64_t taken = 0;
  uint64_t end = guest.window_frames * kFrame;
  FrameTaker taker(guest);
  while (taken < most && held - taken > frames) {
    const std::optional<uint64_t> last = guest.tables.LastMapped(from_frame * kFrame, end);
    if (!last.has_value()) break;  // The rest lies in regions.
    taker.Take(*last, *last + kFrame);
    end = *last;
    ++taken;
  }
  return taken;
}

}  // namespace nomhv
