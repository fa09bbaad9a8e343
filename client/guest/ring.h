// SPDX-License-Identifier: Apache-2.0
// Messages between two guests over a region that they share (Nomhv::Offer, Accept): no exit, and at
// most 40 instructions a side for each. One sender and one receiver a ring; what the other side
// writes is believed in nothing: an index is a number to be checked, a message is copied once, and
// memory that is gone is an answer.

#ifndef CLIENT_GUEST_RING_H_
#define CLIENT_GUEST_RING_H_

#include <bit>
#include <cstddef>
#include <cstdint>

#include "client/guest/address.h"
#include "client/guest/shared_memory.h"
#include "nomhv/abi/version.h"

namespace nom::guest {

enum class RingStatus {
  kOk,
  kWait,    // Full, or empty: again later.
  kGone,    // The region was taken away, or left.
  kBroken,  // The other side's index is nonsense: nothing more can come of this ring.
};

// What lies in shared memory: zero at the beginning, the counts run freely.
struct RingMemory {
  alignas(64) uint32_t sent;
  alignas(64) uint32_t received;
  // Then a power of two of messages, as many as there is room for.
  Message messages[];

  static constexpr uint32_t Slots(size_t bytes) {
    return bytes < 3 * sizeof(Message)
               ? 0
               : static_cast<uint32_t>(std::bit_floor(bytes / sizeof(Message) - 2));
  }
};

// One thread. The first of a fresh ring: both sides count from 0.
class RingSender {
 public:
  // `memory` has `bytes` for the ring, at least three cache lines.
  RingSender(RingMemory* memory, size_t bytes)
      : memory_(memory), slots_(RingMemory::Slots(bytes)) {}

  [[nodiscard]] RingStatus Send(const Message& message) {
    if (sent_ - received_ == slots_) {
      uint32_t received = 0;
      if (!TryLoad(&memory_->received, &received)) return RingStatus::kGone;
      if (sent_ - received > slots_) return RingStatus::kBroken;
      received_ = received;
      if (sent_ - received == slots_) return RingStatus::kWait;
    }
    if (!TryCopyLine(&memory_->messages[sent_ & (slots_ - 1)], &message) ||
        !TryStore(&memory_->sent, sent_ + 1)) {
      return RingStatus::kGone;
    }
    ++sent_;
    return RingStatus::kOk;
  }

 private:
  RingMemory* memory_;
  uint32_t slots_;
  uint32_t sent_ = 0;
  uint32_t received_ = 0;  // As last looked.
};

class RingReceiver {
 public:
  RingReceiver(RingMemory* memory, size_t bytes)
      : memory_(memory), slots_(RingMemory::Slots(bytes)) {}

  [[nodiscard]] RingStatus Receive(Message* message) {
    if (sent_ == received_) {
      uint32_t sent = 0;
      if (!TryLoad(&memory_->sent, &sent)) return RingStatus::kGone;
      if (sent - received_ > slots_) return RingStatus::kBroken;
      sent_ = sent;
      if (sent == received_) return RingStatus::kWait;
    }
    if (!TryCopyLine(message, &memory_->messages[received_ & (slots_ - 1)]) ||
        !TryStore(&memory_->received, received_ + 1)) {
      return RingStatus::kGone;
    }
    ++received_;
    return RingStatus::kOk;
  }

 private:
  RingMemory* memory_;
  uint32_t slots_;
  uint32_t sent_ = 0;  // As last looked.
  uint32_t received_ = 0;
};

// Both ways over one region: its first half carries what the offerer sends, its second half what
// comes back.
class Channel {
 public:
  enum class Side { kOfferer, kAcceptor };

  // `memory` is the region, of `frames` frames.
  Channel(void* memory, uint64_t frames, Side side)
      : sender_(Half(memory, frames, side == Side::kAcceptor), frames * NOM_FRAME_BYTES / 2),
        receiver_(Half(memory, frames, side == Side::kOfferer), frames * NOM_FRAME_BYTES / 2) {}

  [[nodiscard]] RingStatus Send(const Message& message) { return sender_.Send(message); }
  [[nodiscard]] RingStatus Receive(Message* message) { return receiver_.Receive(message); }

 private:
  static RingMemory* Half(void* memory, uint64_t frames, bool second) {
    return PointerTo<RingMemory>(AddressOf(memory) + (second ? frames * NOM_FRAME_BYTES / 2 : 0));
  }

  RingSender sender_;
  RingReceiver receiver_;
};

}  // namespace nom::guest

#endif  // CLIENT_GUEST_RING_H_
