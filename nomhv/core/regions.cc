// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/regions.h"

#include <algorithm>

namespace nomhv {

std::optional<RegionPlace> RegionTable::FreePlace(uint32_t slot) const {
  for (uint32_t place = 0; place < NOM_REGIONS_MAX; ++place) {
    if (Find({slot, place}) == nullptr) return RegionPlace{slot, place};
  }
  return std::nullopt;
}

Region* RegionTable::At(RegionPlace place) { return const_cast<Region*>(Find(place)); }

const Region* RegionTable::Find(RegionPlace place) const {
  NOMHV_CHECK(place.slot < kSlots && place.place < NOM_REGIONS_MAX, "regions: no such place");
  const std::optional<RegionPlace>& accepted = accepted_[place.slot][place.place];
  if (accepted.has_value()) return &regions_[accepted->slot][accepted->place];
  const Region& own = regions_[place.slot][place.place];
  return own.state == Region::kNone ? nullptr : &own;
}

Result<RegionPlace> RegionTable::Offer(uint32_t slot, uint64_t id, uint64_t peer_id,
                                       uint64_t frames, uint64_t tag) {
  for (const Region& region : regions_[slot]) {
    if (region.state != Region::kNone && region.peer_id == peer_id && region.tag == tag) {
      return NOM_STATUS_EXISTS;
    }
  }
  const std::optional<RegionPlace> place = FreePlace(slot);
  if (!place.has_value()) return NOM_STATUS_TABLE_FULL;
  Region& region = regions_[slot][place->place];
  region.state = Region::kLaidOut;
  region.frames = frames;
  region.offerer_id = id;
  region.peer_id = peer_id;
  region.tag = tag;
  region.offerer = *place;
  return *place;
}

void RegionTable::Open(RegionPlace offerer, std::span<const uint64_t> physical) {
  Region* const region = At(offerer);
  NOMHV_CHECK(
      region != nullptr && region->state == Region::kLaidOut && region->frames == physical.size(),
      "regions: opened what is not laid out");
  std::copy(physical.begin(), physical.end(), region->physical);
  region->state = Region::kOffered;
}

Result<RegionPlace> RegionTable::Accept(uint32_t slot, uint64_t id, uint64_t offerer_id,
                                        uint64_t frames, uint64_t tag) {
  for (auto& regions : regions_) {
    for (Region& region : regions) {
      if (region.state != Region::kOffered || region.offerer_id != offerer_id ||
          region.peer_id != id || region.tag != tag) {
        continue;
      }
      if (region.frames != frames) return NOM_STATUS_BAD_PARAMETER;
      const std::optional<RegionPlace> place = FreePlace(slot);
      if (!place.has_value()) return NOM_STATUS_TABLE_FULL;
      region.state = Region::kShared;
      region.peer = *place;
      accepted_[slot][place->place] = region.offerer;
      return *place;
    }
  }
  return NOM_STATUS_NO_SUCH_REGION;
}

bool RegionTable::Leave(RegionPlace place) {
  Region* const region = At(place);
  NOMHV_CHECK(region != nullptr, "regions: left a place that has none");
  if (!(region->offerer == place)) {
    CutOff(region->offerer);
    return true;
  }
  if (region->shared()) {
    if (region->state == Region::kShared) ++to_cut_off_;
    region->state = Region::kCuttingOff;
    return false;
  }
  *region = {};
  return true;
}

void RegionTable::CutOff(RegionPlace offerer) {
  Region* const region = At(offerer);
  NOMHV_CHECK(region != nullptr && region->shared(), "regions: nobody to cut off");
  if (region->state == Region::kCuttingOff) --to_cut_off_;
  accepted_[region->peer.slot][region->peer.place].reset();
  region->state = Region::kLeft;
}

const Region* RegionTable::NextToCutOff() const {
  if (to_cut_off_ == 0) return nullptr;
  for (const auto& regions : regions_) {
    for (const Region& region : regions) {
      if (region.state == Region::kCuttingOff) return &region;
    }
  }
  Panic("regions: the count of those to cut off is wrong", __FILE__, __LINE__);
}

}  // namespace nomhv
