// SPDX-License-Identifier: Apache-2.0
// What a guest writes to the doorbell of its board function (abi/pc.h).

#ifndef NOMHV_CORE_PC_DOORBELL_H_
#define NOMHV_CORE_PC_DOORBELL_H_

#include <cstdint>

#include "nomhv/abi/pc.h"
#include "nomhv/core/result.h"

namespace nomhv {

struct DoorbellRequest {
  uint64_t first = 0;
  uint64_t count = 0;
};

// Any value may be written. BAD_PARAMETER: more frames than one request may name. BAD_ADDRESS: one
// of them is outside the window.
inline Result<DoorbellRequest> DecodeDoorbell(uint64_t value, uint64_t window_frames) {
  const DoorbellRequest range{value / NOM_FRAME_BYTES, value % NOM_FRAME_BYTES + 1};
  if (range.count > NOM_PC_DOORBELL_FRAMES) return NOM_STATUS_BAD_PARAMETER;
  if (range.first >= window_frames || range.count > window_frames - range.first) {
    return NOM_STATUS_BAD_ADDRESS;
  }
  return range;
}

// How much of its grant a guest does not hold.
constexpr uint64_t RoomUnder(uint64_t granted_frames, uint64_t held_frames) {
  return granted_frames > held_frames ? granted_frames - held_frames : 0;
}

// A touched hole is filled with its neighbours in a stretch of so many frames: memory that is new
// to a kernel is touched from one end to the other, and each exit costs as much as a few frames.
inline constexpr uint64_t kFillFrames = 16;

}  // namespace nomhv

#endif  // NOMHV_CORE_PC_DOORBELL_H_
