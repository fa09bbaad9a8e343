// SPDX-License-Identifier: Apache-2.0
#include "client/guest/virtio_net.h"

#include <atomic>
#include <cstring>

namespace nom::guest {
namespace {

// 4.1.4: where structures lie, told by vendor capabilities.
constexpr uint8_t kVendorCapability = 0x09;
constexpr uint8_t kCommonConfiguration = 1;
constexpr uint8_t kNotifications = 2;
constexpr uint8_t kDeviceConfiguration = 4;
constexpr uint32_t kNotifyStepAt = 16;

// 4.1.4.3.
constexpr uint32_t kDeviceFeatureSelect = 0x00;
constexpr uint32_t kDeviceFeature = 0x04;
constexpr uint32_t kDriverFeatureSelect = 0x08;
constexpr uint32_t kDriverFeature = 0x0c;
constexpr uint32_t kConfigInterrupt = 0x10;
constexpr uint32_t kStatus = 0x14;
constexpr uint32_t kQueueSelect = 0x16;
constexpr uint32_t kQueueSize = 0x18;
constexpr uint32_t kQueueInterrupt = 0x1a;
constexpr uint32_t kQueueEnable = 0x1c;
constexpr uint32_t kQueueNotifyOffset = 0x1e;
constexpr uint32_t kQueueDescriptors = 0x20;
constexpr uint32_t kQueueAvailable = 0x28;
constexpr uint32_t kQueueUsed = 0x30;
constexpr uint16_t kNoInterrupt = 0xffff;

// 2.1.
constexpr uint8_t kAcknowledge = 1;
constexpr uint8_t kDriver = 2;
constexpr uint8_t kDriverOk = 4;
constexpr uint8_t kFeaturesOk = 8;

// Features: the address of the function (5.1.3); version 1, and that addresses are the IOMMU's (6).
constexpr uint32_t kAddress = 1u << 5;
constexpr uint32_t kVersion1 = 1u << 0;
constexpr uint32_t kAccessPlatform = 1u << 1;

constexpr uint16_t kDeviceWrites = 2;          // Of a descriptor (2.6.5).
constexpr uint16_t kAvailableNoInterrupt = 1;  // 2.6.6
constexpr uint32_t kTries = 1'000'000;

}  // namespace

VirtioNet::Place VirtioNet::Find(uint8_t kind) const {
  const uint8_t* const config = device_.facts().config;
  uint8_t at = config[0x34] & 0xfc;
  for (int i = 0; i < 48 && at >= 0x40 && at <= 0xf0; ++i) {
    if (config[at] == kVendorCapability && config[at + 3] == kind) {
      Place place{.bar = config[at + 4], .found = config[at + 4] < 6};
      std::memcpy(&place.offset, config + at + 8, sizeof(place.offset));
      place.found = place.found && device_.facts().bar_offset[place.bar] != ~uint32_t{0} &&
                    place.offset < device_.facts().bar_bytes[place.bar];
      return place;
    }
    at = config[at + 1] & 0xfc;
  }
  return {};
}

bool VirtioNet::OpenQueue(Queue* queue, Ring* ring, uint16_t number, uint32_t interrupt) {
  *ring = {};
  *queue = {.ring = ring, .number = number};
  SetCommon<uint16_t>(kQueueSelect, number);
  if (Common<uint16_t>(kQueueSize) < kDepth) return false;
  SetCommon<uint16_t>(kQueueSize, kDepth);
  const auto wanted = interrupt != 0 ? static_cast<uint16_t>(interrupt) : kNoInterrupt;
  SetCommon<uint16_t>(kQueueInterrupt, wanted);
  if (Common<uint16_t>(kQueueInterrupt) != wanted) return false;
  if (interrupt == 0) ring->available.flags = kAvailableNoInterrupt;
  queue->notify_offset = uint64_t{Common<uint16_t>(kQueueNotifyOffset)} * notify_step_;
  // Halves: 64-bit registers may be accessed so only (4.1.3.1).
  const auto set = [&](uint32_t at, const void* where) {
    const uint64_t address = AddressOf(where);
    SetCommon<uint32_t>(at, static_cast<uint32_t>(address));
    SetCommon<uint32_t>(at + 4, static_cast<uint32_t>(address >> 32));
  };
  set(kQueueDescriptors, ring->descriptors);
  set(kQueueAvailable, &ring->available);
  set(kQueueUsed, &ring->used);
  SetCommon<uint16_t>(kQueueEnable, 1);
  return true;
}

bool VirtioNet::Open(uint32_t interrupt) {
  common_ = Find(kCommonConfiguration);
  notify_ = Find(kNotifications);
  const Place own = Find(kDeviceConfiguration);
  if (!common_.found || !notify_.found || !own.found) return false;
  const uint8_t* const config = device_.facts().config;
  for (uint8_t at = config[0x34] & 0xfc; at >= 0x40 && at <= 0xe8; at = config[at + 1] & 0xfc) {
    if (config[at] == kVendorCapability && config[at + 3] == kNotifications) {
      std::memcpy(&notify_step_, config + at + kNotifyStepAt, sizeof(notify_step_));
      break;
    }
  }
  Close();
  SetCommon<uint8_t>(kStatus, kAcknowledge);
  SetCommon<uint8_t>(kStatus, kAcknowledge | kDriver);
  SetCommon<uint32_t>(kDeviceFeatureSelect, 0);
  const bool has_address = (Common<uint32_t>(kDeviceFeature) & kAddress) != 0;
  SetCommon<uint32_t>(kDeviceFeatureSelect, 1);
  const auto high = Common<uint32_t>(kDeviceFeature);
  if (!has_address || (high & kVersion1) == 0) return false;
  SetCommon<uint32_t>(kDriverFeatureSelect, 0);
  SetCommon<uint32_t>(kDriverFeature, kAddress);
  SetCommon<uint32_t>(kDriverFeatureSelect, 1);
  SetCommon<uint32_t>(kDriverFeature, high & (kVersion1 | kAccessPlatform));
  constexpr uint8_t kAgreed = kAcknowledge | kDriver | kFeaturesOk;
  SetCommon<uint8_t>(kStatus, kAgreed);
  if ((Common<uint8_t>(kStatus) & kFeaturesOk) == 0) return false;
  SetCommon<uint16_t>(kConfigInterrupt, kNoInterrupt);
  if (!OpenQueue(&received_, &rings_->received, 0, interrupt)) return false;
  if (!OpenQueue(&sent_, &rings_->sent, 1, 0)) return false;
  for (uint32_t i = 0; i < 6; ++i) address_[i] = device_.Read<uint8_t>(own.bar, own.offset + i);
  SetCommon<uint8_t>(kStatus, kAgreed | kDriverOk);
  for (uint16_t i = 0; i < kDepth; ++i) Give(&received_, i, sizeof(Ring::Buffer), true);
  Tell(received_);
  return true;
}

void VirtioNet::Close() {
  SetCommon<uint8_t>(kStatus, 0);
  // It is reset when it says so (4.1.4.3.2).
  for (uint32_t i = 0; i < kTries && Common<uint8_t>(kStatus) != 0; ++i) {
  }
}

void VirtioNet::Give(Queue* queue, uint16_t buffer, uint32_t bytes, bool to_write) {
  Ring& ring = *queue->ring;
  ring.descriptors[buffer] = {.address = AddressOf(&ring.buffers[buffer]),
                              .bytes = bytes,
                              .flags = to_write ? kDeviceWrites : uint16_t{0},
                              .next = 0};
  ring.available.ring[ring.available.index % kDepth] = buffer;
  std::atomic_ref<uint16_t>(ring.available.index)
      .store(static_cast<uint16_t>(ring.available.index + 1), std::memory_order_release);
  queue->with_it |= 1u << buffer;
}

std::optional<uint16_t> VirtioNet::Take(Queue* queue, uint32_t* bytes) {
  Ring& ring = *queue->ring;
  for (;;) {
    if (std::atomic_ref<uint16_t>(ring.used.index).load(std::memory_order_acquire) == queue->seen) {
      return std::nullopt;
    }
    const volatile Ring::Used& used = ring.used.ring[queue->seen++ % kDepth];
    const uint32_t id = used.id;
    *bytes = used.bytes;
    // What it does not have it cannot give back.
    if (id >= kDepth || (queue->with_it >> id & 1) == 0) continue;
    queue->with_it &= ~(1u << id);
    return static_cast<uint16_t>(id);
  }
}

void VirtioNet::Tell(const Queue& queue) const {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  device_.Write<uint16_t>(notify_.bar, notify_.offset + queue.notify_offset, queue.number);
}

bool VirtioNet::Send(std::span<const std::byte> frame) {
  uint32_t bytes = 0;
  while (Take(&sent_, &bytes).has_value()) {
  }
  constexpr uint32_t kAll = (1u << kDepth) - 1;
  if (frame.size() > kFrameBytesMax || sent_.with_it == kAll) return false;
  const auto buffer = static_cast<uint16_t>(__builtin_ctz(~sent_.with_it));
  Ring::Buffer& to = sent_.ring->buffers[buffer];
  std::memcpy(to.frame, frame.data(), frame.size());
  Give(&sent_, buffer, static_cast<uint32_t>(sizeof(to.header) + frame.size()), false);
  Tell(sent_);
  return true;
}

std::optional<std::span<const std::byte>> VirtioNet::Receive() {
  if (shown_.has_value()) {
    Give(&received_, *shown_, sizeof(Ring::Buffer), true);
    Tell(received_);
    shown_.reset();
  }
  uint32_t bytes = 0;
  const std::optional<uint16_t> buffer = Take(&received_, &bytes);
  if (!buffer.has_value()) return std::nullopt;
  shown_ = buffer;
  const Ring::Buffer& from = received_.ring->buffers[*buffer];
  const size_t size = bytes < sizeof(from.header) ? 0
                      : bytes > sizeof(from)      ? sizeof(from.frame)
                                                  : bytes - sizeof(from.header);
  return std::span<const std::byte>(from.frame, size);
}

}  // namespace nom::guest
