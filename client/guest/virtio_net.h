// SPDX-License-Identifier: Apache-2.0
// A driver for a network function of virtio 1 (OASIS "Virtual I/O Device" 1.1; sections are named)
// that the guest holds: whole Ethernet frames, sent and received without an exit. By polling, or by
// interrupt.

#ifndef CLIENT_GUEST_VIRTIO_NET_H_
#define CLIENT_GUEST_VIRTIO_NET_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "client/guest/device.h"

namespace nom::guest {

// One thread. What the device writes is checked: one that lies costs frames, and no memory.
class VirtioNet {
 public:
  static constexpr uint32_t kDepth = 16;
  static constexpr size_t kFrameBytesMax = 1514;  // Without its checksum.

  // A queue and its buffers; the device reads and writes them until Close or the function is gone.
  struct Ring {
    struct Descriptor {
      uint64_t address;
      uint32_t bytes;
      uint16_t flags;
      uint16_t next;
    };
    struct Used {
      uint32_t id;
      uint32_t bytes;
    };
    struct Buffer {
      std::byte header[12];  // 5.1.6: all zero, nothing is offloaded.
      std::byte frame[2036];
    };
    alignas(4096) Descriptor descriptors[kDepth];
    struct {
      uint16_t flags;
      uint16_t index;
      uint16_t ring[kDepth];
    } available;
    alignas(4) struct {
      uint16_t flags;
      uint16_t index;
      Used ring[kDepth];
    } used;
    alignas(4096) Buffer buffers[kDepth];
  };
  struct Rings {
    Ring received;
    Ring sent;
  };

  static bool Fits(const NomDevice& facts) {
    return (facts.id & 0xffff) == 0x1af4 && (facts.id >> 16 == 0x1041 || facts.id >> 16 == 0x1000);
  }

  // `rings` outlives the driver.
  VirtioNet(const Device& device, Rings* rings) : device_(device), rings_(rings) {}

  // Brings it up. With `interrupt` above 0, frames that come raise that interrupt of the function
  // (Nomhv::Route). False if it is no such function, or does not answer.
  [[nodiscard]] bool Open(uint32_t interrupt = 0);
  // It touches the rings no more.
  void Close();

  [[nodiscard]] std::span<const uint8_t, 6> address() const { return address_; }

  // Puts a frame on its way. False: it is too long, or kDepth are on their way.
  [[nodiscard]] bool Send(std::span<const std::byte> frame);
  // The next frame that has come; its bytes stay until the next Receive.
  std::optional<std::span<const std::byte>> Receive();

 private:
  struct Place {
    uint32_t bar = 0;
    uint32_t offset = 0;
    bool found = false;
  };
  struct Queue {
    Ring* ring = nullptr;
    uint16_t number = 0;
    uint16_t seen = 0;     // Of the device's index.
    uint32_t with_it = 0;  // Buffers that the device has, a bit each.
    uint64_t notify_offset = 0;
  };

  Place Find(uint8_t kind) const;
  template <typename T>
  T Common(uint32_t offset) const {
    return device_.Read<T>(common_.bar, common_.offset + offset);
  }
  template <typename T>
  void SetCommon(uint32_t offset, T value) const {
    device_.Write<T>(common_.bar, common_.offset + offset, value);
  }
  bool OpenQueue(Queue* queue, Ring* ring, uint16_t number, uint32_t interrupt);
  void Give(Queue* queue, uint16_t buffer, uint32_t bytes, bool to_write);
  // The buffer that the device is done with, if there is one, and how many bytes it wrote.
  std::optional<uint16_t> Take(Queue* queue, uint32_t* bytes);
  void Tell(const Queue& queue) const;

  Device device_;
  Rings* rings_;
  Place common_;
  Place notify_;
  uint32_t notify_step_ = 0;
  Queue received_;
  Queue sent_;
  std::optional<uint16_t> shown_;  // The buffer that the last Receive showed.
  uint8_t address_[6] = {};
};

}  // namespace nom::guest

#endif  // CLIENT_GUEST_VIRTIO_NET_H_
