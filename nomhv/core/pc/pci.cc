// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/pc/pci.h"

#include <algorithm>
#include <cstring>

#include "nomhv/abi/pc.h"

namespace nomhv {
namespace {

constexpr uint32_t kCommand = 0x04;
constexpr uint32_t kBar0 = 0x10;
constexpr uint32_t kBarsEnd = 0x28;
constexpr uint32_t kRom = 0x30;
constexpr uint32_t kCapabilitiesPointer = 0x34;
constexpr uint32_t kInterruptLine = 0x3c;
constexpr uint32_t kHeaderBytes = 0x40;
constexpr uint32_t kHasCapabilities = 1u << 20;
constexpr uint32_t kCommandBits = 0x0547;  // IO, memory, master, parity, SERR, no INTx.
constexpr uint32_t kNoBar = ~uint32_t{0};

constexpr uint8_t kVendorCapability = 0x09;
constexpr uint8_t kMsixCapability = 0x11;
constexpr uint32_t kMsixEnable = 1u << 31;
constexpr uint32_t kMsixMaskAll = 1u << 30;
constexpr uint32_t kMessageMasked = 1;
constexpr uint32_t kMessageBytes = 16;

}  // namespace

void PciView::Show(const NomDevice& device, uint64_t place, uint32_t interrupts) {
  Hide();
  shown_ = true;
  device_ = &device;
  for (uint32_t i = 0; i < 6; ++i) {
    if (device.bar_offset[i] == kNoBar || device.bar_bytes[i] == 0) continue;
    bar_[i] = static_cast<uint32_t>(place + device.bar_offset[i]);
    bar_bytes_[i] = device.bar_bytes[i];
  }
  interrupts_ = std::min(interrupts, kInterrupts);
  for (auto& message : table_) message[3] = kMessageMasked;
  FindCapabilities();
}

void PciView::ShowBridge() {
  Hide();
  shown_ = true;
  id_ = 0x0008'1b36;  // QEMU's host bridge: drivers do nothing about it.
  class_ = 0x06000000;
}

void PciView::ShowBoard() {
  Hide();
  shown_ = true;
  id_ = kPciBoardId;
  class_ = 0x08800000;  // A system peripheral.
  bar_[0] = NOM_GPA_MACHINE_BOARD;
  bar_bytes_[0] = kPciBoardBytes;
  bar_[1] = NOM_GPA_PC_DOORBELL;
  bar_bytes_[1] = NOM_PC_DOORBELL_BYTES;
}

void PciView::FindCapabilities() {
  if ((Fixed(kCommand) & kHasCapabilities) == 0) return;
  uint32_t at = FixedByte(kCapabilitiesPointer) & 0xfcu;
  // A list that is a ring ends where it was.
  for (int i = 0; i < 48 && at >= kHeaderBytes && capability_count_ < kCapabilities; ++i) {
    uint8_t* const shown_end = capabilities_ + capability_count_;
    if (std::find(capabilities_, shown_end, at) != shown_end) return;
    const uint8_t id = FixedByte(at);
    const bool msix = id == kMsixCapability && interrupts_ > 0 && msix_ == 0;
    if (msix) {
      const uint32_t bar = Fixed(at + 4) & 7;
      const uint32_t offset = Fixed(at + 4) & ~7u;
      if (bar >= 6 || bar_bytes_[bar] <= offset) return;
      msix_ = static_cast<uint8_t>(at);
      table_offset_ = device_->bar_offset[bar] + uint64_t{offset & ~(NOM_FRAME_BYTES - 1)};
    }
    if (msix || id == kVendorCapability) {
      capabilities_[capability_count_++] = static_cast<uint8_t>(at);
    }
    at = FixedByte(at + 1) & 0xfcu;
  }
}

uint8_t PciView::FixedByte(uint32_t offset) const {
  return offset < sizeof(device_->config) ? device_->config[offset] : uint8_t{0};
}

uint32_t PciView::Fixed(uint32_t offset) const {
  uint32_t word = 0;
  if (device_ != nullptr && offset + 4 <= sizeof(device_->config)) {
    std::memcpy(&word, device_->config + offset, sizeof(word));
  }
  return word;
}

uint32_t PciView::Read(uint32_t offset) const {
  if (!shown_) return ~0u;
  if (offset >= kBar0 && offset < kBarsEnd) {
    const uint32_t bar = (offset - kBar0) / 4;
    if (bar_bytes_[bar] == 0) return 0;
    return (sizing_ >> bar & 1) != 0 ? ~(bar_bytes_[bar] - 1) : bar_[bar];
  }
  switch (offset) {
    case 0x00:
      return device_ != nullptr ? device_->id : id_;
    case kCommand:
      return command_ | (capability_count_ > 0 ? kHasCapabilities : 0);
    case 0x08:
      return device_ != nullptr ? Fixed(offset) : class_;
    case 0x0c:  // A header of type 0, one function.
    case kRom:
    case kInterruptLine:
      return 0;
    case kCapabilitiesPointer:
      return capabilities_[0];
    default:
      break;
  }
  if (offset < kHeaderBytes) return Fixed(offset);
  // Of the rest, what capabilities are shown: each ends where the next in the function's own space
  // begins, and those that are not shown are passed over.
  for (uint32_t i = 0; i < capability_count_; ++i) {
    if (capabilities_[i] != offset) continue;
    const uint32_t next = i + 1 < capability_count_ ? capabilities_[i + 1] : 0;
    uint32_t word = (Fixed(offset) & 0xffff00ff) | next << 8;
    if (offset == msix_) {
      word = (word & 0xffff) | (interrupts_ - 1) << 16 | msix_control_;
    }
    return word;
  }
  return Fixed(offset);
}

void PciView::Write(uint32_t offset, uint32_t value, uint32_t mask) {
  if (!shown_) return;
  if (offset == kCommand) {
    command_ = ((command_ & ~mask) | (value & mask)) & kCommandBits;
  } else if (offset >= kBar0 && offset < kBarsEnd) {
    const auto bit = static_cast<uint8_t>(1u << (offset - kBar0) / 4);
    const bool all = (value & mask) == ~0u;
    sizing_ = static_cast<uint8_t>(all ? sizing_ | bit : sizing_ & ~bit);
  } else if (msix_ != 0 && offset == msix_) {
    msix_control_ = ((msix_control_ & ~mask) | (value & mask)) & (kMsixEnable | kMsixMaskAll);
  }
}

uint32_t PciView::ReadTable(uint32_t offset) const {
  const uint32_t entry = offset / kMessageBytes;
  return entry < interrupts_ ? table_[entry][offset % kMessageBytes / 4] : 0;
}

void PciView::WriteTable(uint32_t offset, uint32_t value) {
  const uint32_t entry = offset / kMessageBytes;
  if (entry >= interrupts_) return;
  const uint32_t word = offset % kMessageBytes / 4;
  table_[entry][word] = word == 3 ? value & kMessageMasked : value;
}

std::optional<PciMessage> PciView::Message(uint32_t interrupt, uint32_t count) const {
  if (interrupt >= interrupts_ || (msix_control_ & (kMsixEnable | kMsixMaskAll)) != kMsixEnable) {
    return std::nullopt;
  }
  const uint32_t(&entry)[4] = table_[interrupt];
  // 0xFEE, the destination, and delivery to this one alone (SDM 3A, 10.11).
  constexpr uint32_t kAddress = 0xfee00000;
  const uint32_t processor = entry[0] >> 12 & 0xff;
  const auto vector = static_cast<uint8_t>(entry[2]);
  const bool fixed = (entry[2] >> 8 & 7) <= 1;
  if ((entry[3] & kMessageMasked) != 0 || entry[1] != 0 || (entry[0] & 0xfff00000) != kAddress ||
      !fixed || vector < 32 || processor >= count) {
    return std::nullopt;
  }
  return PciMessage{processor, vector};
}

}  // namespace nomhv
