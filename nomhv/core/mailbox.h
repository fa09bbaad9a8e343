// SPDX-License-Identifier: Apache-2.0
// nomhv's side of the mailbox. Everything that marketd can write is hostile: ring indices are only
// numbers, messages and payloads are copied once and then checked. One processor serves it.

#ifndef NOMHV_CORE_MAILBOX_H_
#define NOMHV_CORE_MAILBOX_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>

#include "nomhv/abi/mailbox.h"
#include "nomhv/core/guests.h"
#include "nomhv/core/result.h"
#include "nomhv/core/shared_memory.h"

namespace nomhv {

class Mailbox {
 public:
  // `memory` is the shared stretch: at least NOM_MAILBOX_BYTES, page-aligned. Outlives the mailbox.
  explicit Mailbox(std::byte* memory) : memory_(memory) {}

  // Zeroes all but the payload, writes the header and sets the magic last.
  void Open(uint64_t boot_id, uint64_t tsc_hz, const Amounts& capacity, uint32_t guest_processors,
            const NomDeviceBoard& devices = {});

  // Takes the next command, copied. False when there is none, when the event ring has no room for
  // its answer, or when marketd's index is nonsense (more commands than the ring holds).
  [[nodiscard]] bool TakeCommand(NomCommand& command);

  // Whether a command of this epoch is obeyed: one below the highest ever seen is a past leader's.
  [[nodiscard]] bool AdmitEpoch(uint64_t epoch);
  [[nodiscard]] uint64_t epoch() const { return epoch_; }

  // Whether Post would succeed, keeping `spare` slots for others.
  [[nodiscard]] bool HasRoom(uint32_t spare = 0) const;
  // False, and nothing is written, when the ring is full or marketd's index is nonsense.
  [[nodiscard]] bool Post(const NomEvent& event);

  // A command's payload as one T, copied once. BAD_PARAMETER when it lies outside the region or is
  // shorter than `least`; of a T that it does not have whole, only those bytes are written.
  template <typename T>
  requires std::is_trivially_copyable_v<T> Status ReadPayload(const NomCommand& command, T& value,
                                                              size_t least = sizeof(T))
  const {
    if (command.payload_bytes < least ||
        !InBounds(command.payload_offset, command.payload_bytes, NOM_MAILBOX_PAYLOAD_BYTES)) {
      return NOM_STATUS_BAD_PARAMETER;
    }
    const size_t bytes = command.payload_bytes < sizeof(T) ? least : sizeof(T);
    CopyOnce(&value, memory_ + NOM_MAILBOX_PAYLOAD_AT + command.payload_offset, bytes);
    return {};
  }

  // `bytes` of the payload region in place: the image of a CREATE. They may change at any time.
  // BAD_PARAMETER when they lie outside the region.
  Result<std::span<const std::byte>> Payload(uint64_t offset, uint64_t bytes) const;

  // What marketd reads at any time.
  void WriteHeartbeat(uint64_t tsc);
  void WriteDoorbells(uint64_t taken);
  void WriteSums(const Amounts& granted, uint64_t frames_free);  // Keeps the highest, too.
  void WriteMeter(uint32_t slot, const NomMeter& meter);
  void WriteRound(const NomRoundMeters& round);
  // Copies the guest's page to the slot's place if it has changed since the last time and can be
  // had whole; else the old copy stays.
  void CopyBids(uint32_t slot, const NomBidPage* page);
  // Empties the slot's place, for a new guest.
  void ClearBids(uint32_t slot);

  // Who wants a ring after events, if anybody does.
  [[nodiscard]] std::optional<uint16_t> doorbell_peer() const;

 private:
  [[nodiscard]] NomMailboxHeader* header() const {
    return reinterpret_cast<NomMailboxHeader*>(memory_);
  }
  template <typename T>
  [[nodiscard]] T* At(uint32_t offset, uint32_t index) const {
    return reinterpret_cast<T*>(memory_ + offset) + index;
  }

  std::byte* memory_;
  // Ours; what the header shows of them is for marketd and is never read back.
  uint32_t command_tail_ = 0;
  uint32_t event_head_ = 0;
  uint64_t epoch_ = 0;
  uint64_t heartbeat_tsc_ = 0;
  uint64_t heartbeat_gap_tsc_ = 0;
  Amounts granted_max_;
  uint32_t bid_sequence_[NOM_GUESTS_MAX] = {};  // Of the last copy taken.
};

}  // namespace nomhv

#endif  // NOMHV_CORE_MAILBOX_H_
