// SPDX-License-Identifier: Apache-2.0
// Memory that two guests share because both said so: who has offered what to whom, and who shares
// it. A region's frames are the offerer's, of its grant, and lie at a place of their own in the
// memory of both. Not thread-safe: the caller's lock. What a guest starts is done on its own
// processor, under its claim; only cutting another guest off takes the control processor.

#ifndef NOMHV_CORE_REGIONS_H_
#define NOMHV_CORE_REGIONS_H_

#include <cstdint>
#include <optional>
#include <span>

#include "nomhv/abi/guest.h"
#include "nomhv/core/result.h"

namespace nomhv {

// One guest's part in a region.
struct RegionPlace {
  uint32_t slot = 0;
  uint32_t place = 0;  // Of its NOM_REGIONS_MAX.

  [[nodiscard]] constexpr uint64_t gpa() const {
    return NOM_GPA_REGIONS + uint64_t{place} * NOM_REGION_FRAMES_MAX * NOM_FRAME_BYTES;
  }
  // The place that begins at `gpa`, if one does.
  static constexpr std::optional<RegionPlace> At(uint32_t slot, uint64_t gpa) {
    constexpr uint64_t kBytes = uint64_t{NOM_REGION_FRAMES_MAX} * NOM_FRAME_BYTES;
    if (gpa < NOM_GPA_REGIONS || (gpa - NOM_GPA_REGIONS) % kBytes != 0) return std::nullopt;
    const uint64_t place = (gpa - NOM_GPA_REGIONS) / kBytes;
    if (place >= NOM_REGIONS_MAX) return std::nullopt;
    return RegionPlace{slot, static_cast<uint32_t>(place)};
  }
  friend constexpr bool operator==(const RegionPlace&, const RegionPlace&) = default;
};

struct Region {
  enum State : uint32_t {
    kNone,
    kLaidOut,  // The offerer maps it; nobody may accept it yet.
    kOffered,
    kShared,
    kCuttingOff,  // Shared, and the offerer wants it back.
    kLeft,        // The offerer's alone again.
  };
  State state = kNone;
  uint64_t frames = 0;
  uint64_t physical[NOM_REGION_FRAMES_MAX] = {};
  uint64_t offerer_id = 0;
  uint64_t peer_id = 0;
  uint64_t tag = 0;
  RegionPlace offerer;
  RegionPlace peer;  // While it is shared.

  [[nodiscard]] bool shared() const { return state == kShared || state == kCuttingOff; }
};

class RegionTable {
 public:
  // The offerer's part is laid out at the place that the answer names; Open says of which frames it
  // is, and lets the peer in.
  // EXISTS: it has offered this peer a region under this tag. TABLE_FULL: it has no free place.
  Result<RegionPlace> Offer(uint32_t slot, uint64_t id, uint64_t peer_id, uint64_t frames,
                            uint64_t tag);
  void Open(RegionPlace offerer, std::span<const uint64_t> physical);

  // Shares what `offerer_id` offers; the answer is the peer's place. NO_SUCH_REGION; BAD_PARAMETER:
  // it is of another size; TABLE_FULL: no free place.
  Result<RegionPlace> Accept(uint32_t slot, uint64_t id, uint64_t offerer_id, uint64_t frames,
                             uint64_t tag);

  // The region at a guest's place, or null.
  [[nodiscard]] const Region* Find(RegionPlace place) const;

  // A guest gives its part up. False: it is the offerer, and its peer must be cut off before.
  [[nodiscard]] bool Leave(RegionPlace place);
  // The peer reaches the region no more.
  void CutOff(RegionPlace offerer);

  // Some region whose peer is to be cut off, or null.
  [[nodiscard]] const Region* NextToCutOff() const;

 private:
  static constexpr uint32_t kSlots = NOM_GUESTS_MAX;
  [[nodiscard]] Region* At(RegionPlace place);
  [[nodiscard]] std::optional<RegionPlace> FreePlace(uint32_t slot) const;

  // A region stands at its offerer's place, so that no guest's offers take anything from another's.
  Region regions_[kSlots][NOM_REGIONS_MAX];
  // What a guest has accepted, by its own place: the offerer's, or nothing.
  std::optional<RegionPlace> accepted_[kSlots][NOM_REGIONS_MAX];
  uint32_t to_cut_off_ = 0;
};

}  // namespace nomhv

#endif  // NOMHV_CORE_REGIONS_H_
