#include "nomhv/core/guests.h"

#include <cstddef>

namespace nomhv {
namespace {

template <size_t N>
bool HasEnd(const char (&text)[N]) {
  for (const char c : text) {
    if (c == '\0') return true;
  }
  return false;
}

}  // namespace

Result<uint32_t> GuestTable::Admit(const NomCreate& create) {
  if (create.guest_id == 0 || create.seed_frames == 0 ||
      create.window_frames > NOM_WINDOW_FRAMES_MAX || create.seed_frames > create.window_frames ||
      create.seed_millicores > kMillicoresPerProcessor || !HasEnd(create.name) ||
      !HasEnd(create.arguments)) {
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

Guest& GuestTable::at(uint32_t slot) {
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

}  // namespace nomhv
