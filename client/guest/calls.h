// SPDX-License-Identifier: Apache-2.0
// The calls that nomhv answers (nomhv/abi/guest.h), each with its status and value.
//
// Everything else in the SDK is written against the class Nomhv, so that it runs in hosted tests
// against a fake; in a guest, Hypervisor() is the machine's own.

#ifndef CLIENT_GUEST_CALLS_H_
#define CLIENT_GUEST_CALLS_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "client/guest/address.h"
#include "nomhv/abi/guest.h"

namespace nom::guest {

struct [[nodiscard]] CallResult {
  NomStatus status = NOM_STATUS_OK;
  uint64_t value = 0;

  bool ok() const { return status == NOM_STATUS_OK; }
};

// The name of a status as in NOM_STATUS_LIST; "UNKNOWN" for a number that is in no list.
std::string_view StatusName(NomStatus status);

class Nomhv {
 public:
  virtual CallResult Call(uint32_t number, uint64_t first, uint64_t second, uint64_t third) = 0;
  virtual uint64_t Tsc() = 0;

  // Copies like memcpy, but answers false (having copied a part, or nothing) where a plain copy
  // would fault because nomhv has taken a frame of the window away.
  virtual bool TryCopy(void* to, const void* from, size_t bytes) = 0;

  CallResult Query(NomQuery what, uint64_t index = 0) {
    return Call(NOM_CALL_QUERY, what, index, 0);
  }

  // The value is the frames then held. All or nothing.
  CallResult Acquire(uint64_t first_frame, uint64_t count) {
    return Call(NOM_CALL_ACQUIRE, first_frame, count, 0);
  }
  CallResult Release(uint64_t first_frame, uint64_t count) {
    return Call(NOM_CALL_RELEASE, first_frame, count, 0);
  }

  // `vector` is 32..255, or 0 for no interrupt.
  CallResult Notify(uint64_t vector) { return Call(NOM_CALL_NOTIFY, vector, 0, 0); }

  // Gives the processor away; the value is a NomWake. A deadline of 0 sleeps until a notice, a ring
  // or an interrupt.
  CallResult Yield(uint64_t deadline_tsc) { return Call(NOM_CALL_YIELD, deadline_tsc, 0, 0); }

  // At most 256 bytes; they are identity-mapped, so a pointer is a guest-physical address.
  CallResult Write(std::string_view text) {
    return Call(NOM_CALL_WRITE, AddressOf(text.data()), text.size(), 0);
  }

  // Does not return on nomhv.
  void Exit(uint64_t code) { (void)Call(NOM_CALL_EXIT, code, 0, 0); }

  // Memory shared with another guest, when both name each other, the size (frames up to
  // NOM_REGION_FRAMES_MAX) and a tag of their choice; the value is its address. What is offered is
  // of the offerer's grant, and zero.
  CallResult Offer(uint64_t guest_id, uint64_t frames, uint64_t tag) {
    return Call(NOM_CALL_OFFER, guest_id, frames, tag);
  }
  CallResult Accept(uint64_t guest_id, uint64_t frames, uint64_t tag) {
    return Call(NOM_CALL_ACCEPT, guest_id, frames, tag);
  }
  // The value is a NomLeave: an offerer calls again until its peer is cut off.
  CallResult Leave(uint64_t region) { return Call(NOM_CALL_LEAVE, region, 0, 0); }
  // Wakes the other guest, and raises its vector of NOTIFY if it has one.
  CallResult Ring(uint64_t region) { return Call(NOM_CALL_RING, region, 0, 0); }

  // Another processor of the guest begins at `entry`, in the caller's state but with this stack and
  // its number in RDI: StartProcessor (x86/processors.h) does the rest.
  CallResult StartProcessor(uint64_t processor, uint64_t entry, uint64_t stack) {
    return Call(NOM_CALL_START, processor, entry, stack);
  }
  // Wakes a processor of the guest from YIELD, and raises `vector` there unless it is 0.
  CallResult Signal(uint64_t processor, uint64_t vector = 0) {
    return Call(NOM_CALL_SIGNAL, processor, vector, 0);
  }

  // An interrupt of a device that the guest holds raises `vector` on the processor that asks, until
  // it is routed elsewhere; 0: nowhere.
  CallResult Route(uint64_t device, uint64_t interrupt, uint64_t vector) {
    return Call(NOM_CALL_ROUTE, device, interrupt, vector);
  }

 protected:
  ~Nomhv() = default;
};

// The nomhv under this guest. Not there in hosted programs.
Nomhv& Hypervisor();

}  // namespace nom::guest

#endif  // CLIENT_GUEST_CALLS_H_
