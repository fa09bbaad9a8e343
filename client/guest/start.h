// SPDX-License-Identifier: Apache-2.0
// The one function that a guest must write, and what it is told at the start.

#ifndef CLIENT_GUEST_START_H_
#define CLIENT_GUEST_START_H_

#include <cstdint>
#include <string_view>

namespace nom::guest {

// From the start page; lives as long as the guest.
struct Start {
  uint64_t guest_id = 0;
  uint64_t tsc_hz = 0;
  uint64_t seed_frames = 0;    // [0, seed_frames) is the guest's for ever.
  uint64_t window_frames = 0;  // Frames that it may ever hold are [0, window_frames).
  // Code, data, stack and page tables: frames [image_first_frame, image_end_frame). Frame 0 is
  // unmapped, so that a null pointer faults; all others are free to use.
  uint64_t image_first_frame = 0;
  uint64_t image_end_frame = 0;
  uint64_t virtual_processors = 1;  // That it may start (x86/processors.h), this one included.
  std::string_view name;
  std::string_view arguments;
};

}  // namespace nom::guest

// Supplied by the guest, called once in ring 0 with interrupts off. What it returns ends the guest
// as the code of an EXIT call.
int GuestMain(const nom::guest::Start& start);

#endif  // CLIENT_GUEST_START_H_
