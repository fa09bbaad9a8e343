// SPDX-License-Identifier: Apache-2.0
// Checks guest images and says how to load them. An image is a stranger's: every byte of it may
// lie, and may change while it is read, so each header is copied once and the plan is all that
// loading looks at. Format: ELF-64 (System V gABI), PVH note (Xen, docs/misc/pvh.pandoc).

#ifndef NOMHV_CORE_IMAGE_H_
#define NOMHV_CORE_IMAGE_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "nomhv/abi/version.h"

namespace nomhv {

inline constexpr uint32_t kImageSegmentsMax = 16;

struct ImageSegment {
  uint64_t gpa = 0;           // Guest-physical (p_paddr); any alignment.
  uint64_t memory_bytes = 0;  // Not 0. What lies beyond file_bytes is zero.
  uint64_t file_offset = 0;   // [file_offset, + file_bytes) lies in the image.
  uint64_t file_bytes = 0;    // At most memory_bytes.
};

struct LoadPlan {
  uint32_t entry_gpa = 0;  // In an executable segment.
  uint32_t segment_count = 0;
  ImageSegment segments[kImageSegmentsMax];
};

// Checks `image` for a guest that owns guest-physical [0, seed_frames) and fills `plan`. On any
// fault but NOM_IMAGE_FAULT_NONE the plan means nothing. Touches no byte outside `image`.
[[nodiscard]] NomImageFault PlanImage(std::span<const std::byte> image, uint64_t seed_frames,
                                      LoadPlan& plan);

}  // namespace nomhv

#endif  // NOMHV_CORE_IMAGE_H_
