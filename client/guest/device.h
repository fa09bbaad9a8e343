// SPDX-License-Identifier: Apache-2.0
// PCI functions that the guest holds: found by their ids, their registers reached as memory. A
// device reads and writes the guest's memory at guest-physical addresses, which are pointers; what
// the guest does not hold it does not reach. Its interrupts come where Nomhv::Route says.

#ifndef CLIENT_GUEST_DEVICE_H_
#define CLIENT_GUEST_DEVICE_H_

#include <cstdint>
#include <optional>

#include "client/guest/address.h"
#include "client/guest/board.h"
#include "nomhv/abi/guest.h"

namespace nom::guest {

inline const NomDeviceBoard* DeviceBoardPage() {
  return PointerTo<const NomDeviceBoard>(NOM_GPA_DEVICE_BOARD);
}

class Device {
 public:
  // Number `number` of the device board.
  Device(const NomDevice* facts, uint32_t number) : facts_(facts), number_(number) {}

  const NomDevice& facts() const { return *facts_; }
  uint32_t number() const { return number_; }

  // The register at `offset` of a BAR that the device has.
  template <typename T>
  T Read(uint32_t bar, uint64_t offset) const {
    return *PointerTo<volatile T>(AddressOfBar(bar) + offset);
  }
  template <typename T>
  void Write(uint32_t bar, uint64_t offset, T value) const {
    // What the device is to see in memory is there before it is told.
    asm volatile("" ::: "memory");
    *PointerTo<volatile T>(AddressOfBar(bar) + offset) = value;
  }

 private:
  uint64_t AddressOfBar(uint32_t bar) const {
    return NOM_GPA_DEVICES + uint64_t{number_} * NOM_DEVICE_PLACE_BYTES + facts_->bar_offset[bar];
  }

  const NomDevice* facts_;
  uint32_t number_;
};

// The first device that the guest holds and for which `fits(facts)`.
template <typename Fits>
std::optional<Device> FindDevice(const NomDeviceBoard& devices, const NomGuestBoard& board,
                                 Fits&& fits) {
  for (uint32_t i = 0; i < devices.device_count && i < NOM_DEVICES_MAX; ++i) {
    if ((board.devices >> i & 1) == 0 || !fits(devices.devices[i])) continue;
    return Device(&devices.devices[i], i);
  }
  return std::nullopt;
}

}  // namespace nom::guest

#endif  // CLIENT_GUEST_DEVICE_H_
