#include "nomhv/core/grants.h"

namespace nomhv {
namespace {

constexpr uint32_t kNone = ~uint32_t{0};

NomStatus CheckGrant(const Guest& guest, const NomGrant& grant, uint32_t devices) {
  if (grant.holding_count > NOM_RESOURCES_MAX || grant.frames > guest.window_frames ||
      grant.millicores > kMillicoresPerProcessor || (grant.devices & ~devices) != 0) {
    return NOM_STATUS_BAD_PARAMETER;
  }
  if (grant.frames < guest.seed.frames || grant.millicores < guest.seed.millicores) {
    return NOM_STATUS_BELOW_SEED;
  }
  return NOM_STATUS_OK;
}

void AddChanges(const GuestTable& guests, bool shrink, GrantPlan& plan) {
  for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
    const Guest& guest = guests.at(slot);
    const uint64_t from = guest.granted.frames;
    const uint64_t to = plan.granted[slot].frames;
    if (!guest.running() || from == to || (to < from) != shrink) continue;
    plan.changes[plan.change_count++] = {slot, from, to};
  }
}

}  // namespace

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
    sum.devices |= grant.devices;
    plan.granted[slot.value()] = {grant.frames, grant.millicores, grant.devices};
  }
  for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
    if (guests.at(slot).running() && plan.grant_of_slot[slot] == kNone) {
      return {NOM_STATUS_BAD_PARAMETER, guests.at(slot).id};
    }
  }

  AddChanges(guests, /*shrink=*/true, plan);
  plan.shrink_count = plan.change_count;
  AddChanges(guests, /*shrink=*/false, plan);
  return {};
}

void CommitGrants(const GrantPlan& plan, GuestTable& guests) {
  for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
    Guest& guest = guests.at(slot);
    if (!guest.running()) continue;
    NOMHV_CHECK(plan.grant_of_slot[slot] != kNone, "grants: the plan is of another table");
    guest.granted = plan.granted[slot];
    guest.next = guest.granted;
  }
  // Checks the sum against capacity once more, as it now stands in the books.
  static_cast<void>(guests.granted());
}

void PrepareGrants(const GrantPlan& plan, GuestTable& guests) {
  for (uint32_t slot = 0; slot < GuestTable::kSlots; ++slot) {
    Guest& guest = guests.at(slot);
    if (!guest.running()) continue;
    NOMHV_CHECK(plan.grant_of_slot[slot] != kNone, "grants: the plan is of another table");
    guest.next = plan.granted[slot];
  }
}

}  // namespace nomhv
