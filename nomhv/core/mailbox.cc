// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/mailbox.h"

namespace nomhv {
namespace {

// A bid page whose guest keeps writing is skipped after so many tries.
constexpr int kBidTries = 3;

template <typename T>
void Store(T& shared, T value, std::memory_order order = std::memory_order_relaxed) {
  std::atomic_ref<T>(shared).store(value, order);
}

template <typename T>
T Load(T& shared) {
  return std::atomic_ref<T>(shared).load(std::memory_order_acquire);
}

}  // namespace

void Mailbox::Open(uint64_t boot_id, uint64_t tsc_hz, const Amounts& capacity,
                   uint32_t guest_processors, const NomDeviceBoard& devices) {
  NomMailboxHeader& h = *header();
  Store(h.magic, 0u, std::memory_order_seq_cst);
  std::memset(memory_ + sizeof(h.magic), 0, NOM_MAILBOX_PAYLOAD_AT - sizeof(h.magic));
  *this = Mailbox(memory_);
  h.abi_version = NOM_ABI_VERSION;
  h.boot_id = boot_id;
  h.tsc_hz = tsc_hz;
  h.capacity_frames = capacity.frames;
  h.capacity_millicores = capacity.millicores;
  h.guest_processors = guest_processors;
  h.guests_max = NOM_GUESTS_MAX;
  std::memcpy(memory_ + NOM_MAILBOX_DEVICES_AT, &devices, sizeof(devices));
  Store(h.magic, NOM_MAILBOX_MAGIC, std::memory_order_release);
}

bool Mailbox::TakeCommand(NomCommand& command) {
  if (!HasRoom()) return false;
  const uint32_t waiting = Load(header()->command_head) - command_tail_;
  if (waiting == 0 || waiting > NOM_COMMAND_SLOTS) return false;
  command = CopyOnce<NomCommand>(
      At<NomCommand>(NOM_MAILBOX_COMMANDS_AT, command_tail_ % NOM_COMMAND_SLOTS));
  Store(header()->command_tail, ++command_tail_, std::memory_order_release);
  return true;
}

bool Mailbox::AdmitEpoch(uint64_t epoch) {
  if (epoch < epoch_) return false;
  epoch_ = epoch;
  Store(header()->epoch, epoch_);
  return true;
}

bool Mailbox::HasRoom(uint32_t spare) const {
  const uint32_t used = event_head_ - Load(header()->event_tail);
  return used <= NOM_EVENT_SLOTS && NOM_EVENT_SLOTS - used > spare;
}

bool Mailbox::Post(const NomEvent& event) {
  if (!HasRoom()) return false;
  std::memcpy(At<NomEvent>(NOM_MAILBOX_EVENTS_AT, event_head_ % NOM_EVENT_SLOTS), &event,
              sizeof(event));
  Store(header()->event_head, ++event_head_, std::memory_order_release);
  return true;
}

Result<std::span<const std::byte>> Mailbox::Payload(uint64_t offset, uint64_t bytes) const {
  if (!InBounds(offset, bytes, NOM_MAILBOX_PAYLOAD_BYTES)) return NOM_STATUS_BAD_PARAMETER;
  return std::span<const std::byte>(memory_ + NOM_MAILBOX_PAYLOAD_AT + offset, bytes);
}

void Mailbox::WriteHeartbeat(uint64_t tsc) {
  if (heartbeat_tsc_ != 0 && tsc - heartbeat_tsc_ > heartbeat_gap_tsc_) {
    heartbeat_gap_tsc_ = tsc - heartbeat_tsc_;
    Store(header()->heartbeat_gap_tsc, heartbeat_gap_tsc_);
  }
  heartbeat_tsc_ = tsc;
  Store(header()->heartbeat_tsc, tsc);
}

void Mailbox::WriteDoorbells(uint64_t taken) { Store(header()->doorbells, taken); }

void Mailbox::WriteSums(const Amounts& granted, uint64_t frames_free) {
  NomMailboxHeader& h = *header();
  if (granted.frames > granted_max_.frames) granted_max_.frames = granted.frames;
  if (granted.millicores > granted_max_.millicores) granted_max_.millicores = granted.millicores;
  Store(h.frames_granted, granted.frames);
  Store(h.frames_granted_max, granted_max_.frames);
  Store(h.millicores_granted, granted.millicores);
  Store(h.millicores_granted_max, granted_max_.millicores);
  Store(h.frames_free, frames_free);
}

void Mailbox::WriteMeter(uint32_t slot, const NomMeter& meter) {
  NOMHV_CHECK(slot < NOM_GUESTS_MAX, "mailbox: no such slot");
  SeqlockWrite(At<NomMeter>(NOM_MAILBOX_METERS_AT, slot), meter);
}

void Mailbox::WriteRound(const NomRoundMeters& round) {
  SeqlockWrite(At<NomRoundMeters>(NOM_MAILBOX_ROUND_AT, 0), round);
}

void Mailbox::CopyBids(uint32_t slot, const NomBidPage* page) {
  NOMHV_CHECK(slot < NOM_GUESTS_MAX, "mailbox: no such slot");
  const uint32_t sequence =
      std::atomic_ref<uint32_t>(const_cast<NomBidPage*>(page)->sequence).load();
  if (sequence == bid_sequence_[slot]) return;
  NomBidPage copy;
  if (!SeqlockRead(page, copy, kBidTries)) return;
  bid_sequence_[slot] = copy.sequence;
  std::byte* place = memory_ + NOM_MAILBOX_BIDS_AT + slot * NOM_FRAME_BYTES;
  SeqlockWrite(reinterpret_cast<NomBidPage*>(place), copy);
}

void Mailbox::ClearBids(uint32_t slot) {
  NOMHV_CHECK(slot < NOM_GUESTS_MAX, "mailbox: no such slot");
  bid_sequence_[slot] = 0;
  std::byte* place = memory_ + NOM_MAILBOX_BIDS_AT + slot * NOM_FRAME_BYTES;
  SeqlockWrite(reinterpret_cast<NomBidPage*>(place), NomBidPage{});
}

std::optional<uint16_t> Mailbox::doorbell_peer() const {
  const uint32_t peer = Load(header()->doorbell_peer);
  if (peer == 0 || peer > 0xffff) return std::nullopt;
  return static_cast<uint16_t>(peer);
}

}  // namespace nomhv
