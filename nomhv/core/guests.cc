// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/guests.h"

#include <algorithm>
#include <cstddef>

namespace nomhv {
namespace {

template <size_t N>
bool HasEnd(const char (&text)[N]) {
  return std::find(text, text + N, '\0') != text + N;
}

constexpr uint32_t kNone = ~uint32_t{0};

NomStatus CheckGrant(const Guest& guest, const NomGrant& grant, uint32_t devices) {
  if (grant.holding_count > NOM_RESOURCES_MAX || grant.frames > guest.window_frames ||
      grant.millicores > kMillicoresPerProcessor * guest.virtual_processors ||
      (grant.devices & ~devices) != 0) {
    return NOM_STATUS_BAD_PARAMETER;
  }
  if (grant.frames < guest.seed.frames || grant.millicores < guest.seed.millicores) {
    return NOM_STATUS_BELOW_SEED;
  }
  return NOM_STATUS_OK;
}

}  // namespace

Result<uint32_t> GuestTable::Admit(const NomCreate& create, uint64_t virtual_processors) {
  if (create.guest_id == 0 || create.seed_frames == 0 ||
      create.window_frames > NOM_WINDOW_FRAMES_MAX || create.seed_frames > create.window_frames ||
      virtual_processors == 0 || virtual_processors > NOM_VIRTUAL_PROCESSORS_MAX ||
      create.seed_millicores > kMillicoresPerProcessor * virtual_processors ||
      !HasEnd(create.name) || !HasEnd(create.arguments)) {
    return NOM_STATUS_BAD_PARAMETER;
  }
  if (Find(create.guest_id).ok()) return NOM_STATUS_EXISTS;
  if (count_ == kSlots) return NOM_STATUS_TABLE_FULL;
  const Amounts used = granted();
  if (create.seed_frames > capacity_.frames - used.frames ||
      create.seed_millicores > capacity_.millicores - used.millicores) {
    return NOM_STATUS_OVER_CAPACITY;
  }
  for (uint32_t slot = 0; slot < kSlots; ++slot) {
    if (guests_[slot].exists) continue;
    Guest& guest = guests_[slot];
    guest = {};
    guest.exists = true;
    guest.id = create.guest_id;
    guest.window_frames = create.window_frames;
    guest.virtual_processors = virtual_processors;
    guest.seed = {create.seed_frames, create.seed_millicores, 0};
    guest.granted = guest.seed;
    guest.next = guest.seed;
    ++count_;
    return slot;
  }
  Panic("guest table: the count of guests is wrong", __FILE__, __LINE__);
}

void GuestTable::End(uint32_t slot) {
  NOMHV_CHECK(at(slot).running(), "guest table: ended a guest that does not run");
  Guest& guest = guests_[slot];
  guest.ended = true;
  guest.seed = {};
  guest.granted = {};
  guest.next = {};
}

void GuestTable::Remove(uint32_t slot) {
  NOMHV_CHECK(at(slot).exists, "guest table: removed a guest that does not exist");
  guests_[slot] = {};
  --count_;
}

Result<uint32_t> GuestTable::Find(uint64_t id) const {
  for (uint32_t slot = 0; slot < kSlots; ++slot) {
    if (guests_[slot].exists && guests_[slot].id == id) return slot;
  }
  return NOM_STATUS_NO_SUCH_GUEST;
}

const Guest& GuestTable::at(uint32_t slot) const {
  NOMHV_CHECK(slot < kSlots, "guest table: no such slot");
  return guests_[slot];
}

Amounts GuestTable::granted() const {
  Amounts sum;
  for (const Guest& guest : guests_) {
    if (!guest.exists) continue;
    sum.frames += guest.granted.frames;
    sum.millicores += guest.granted.millicores;
    NOMHV_CHECK((sum.devices & guest.granted.devices) == 0, "guest table: two hold a device");
    sum.devices |= guest.granted.devices;
  }
  NOMHV_CHECK(sum.frames <= capacity_.frames && sum.millicores <= capacity_.millicores,
              "guest table: grants exceed the machine");
  return sum;
}

GrantVerdict PlanGrants(const GuestTable& guests, const NomGrants& grants, GrantPlan& plan) {
  plan = {};
  for (uint32_t& index : plan.grant_of_slot) index = kNone;
  if (grants.grant_count > NOM_GUESTS_MAX) return {NOM_STATUS_BAD_PARAMETER, 0};

  Amounts sum;
  for (uint32_t i = 0; i < grants.grant_count; ++i) {
    const NomGrant& grant = grants.grants[i];
    const Result<uint32_t> slot = guests.Find(grant.guest_id);
    if (!slot.ok()) return {NOM_STATUS_NO_SUCH_GUEST, grant.guest_id};
    if (guests.at(slot.value()).ended) return {NOM_STATUS_CRASHED, grant.guest_id};
    if (plan.grant_of_slot[slot.value()] != kNone)
      return {NOM_STATUS_BAD_PARAMETER, grant.guest_id};
    const NomStatus status = CheckGrant(guests.at(slot.value()), grant, guests.capacity().devices);
    if (status != NOM_STATUS_OK) return {status, grant.guest_id};
    // Bounded by window and processor above: 32 of them cannot overflow.
    sum.frames += grant.frames;
    sum.millicores += grant.millicores;
    if (sum.frames > guests.capacity().frames || sum.millicores > guests.capacity().millicores ||
        (sum.devices & grant.devices) != 0) {
      return {NOM_STATUS_OVER_CAPACITY, grant.guest_id};
    }
    plan.grant_of_slot[slot.value()] = i;
    plan.from_frames[slot.value()] = guests.at(slot.value()).granted.frames;
    sum.devices |= grant.devices;
    plan.granted[slot.value()] = {grant.frames, grant.millicores, grant.devices};
  }
  for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
    if (guests.at(slot).running() && plan.grant_of_slot[slot] == kNone) {
      return {NOM_STATUS_BAD_PARAMETER, guests.at(slot).id};
    }
  }
  return {};
}

void PrepareGrants(const GrantPlan& plan, GuestTable& guests) {
  for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
    Guest& guest = guests.at(slot);
    if (!guest.running()) continue;
    NOMHV_CHECK(plan.grant_of_slot[slot] != kNone, "grants: the plan is of another table");
    guest.next = plan.granted[slot];
  }
}

void CommitGrants(const GrantPlan& plan, GuestTable& guests) {
  PrepareGrants(plan, guests);
  for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
    guests.at(slot).granted = guests.at(slot).next;
  }
  // Checks the sum against capacity once more, as it now stands in the books.
  static_cast<void>(guests.granted());
}

}  // namespace nomhv
