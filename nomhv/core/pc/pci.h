// SPDX-License-Identifier: Apache-2.0
// What a PC's guest sees of PCI: a bus with a host bridge, a board function whose BAR 0 shows the
// market's boards, and the functions that the guest holds. Nothing that it reads or writes here
// reaches a function: configuration space is answered from what was found at boot (NomDevice), and
// of what is written, command bits and the control and messages of MSI-X are remembered (PCI Local
// Bus 3.0, 6.1, 6.2, 6.8.2). BARs lie where nomhv maps them, and cannot be moved.

#ifndef NOMHV_CORE_PC_PCI_H_
#define NOMHV_CORE_PC_PCI_H_

#include <cstdint>
#include <optional>

#include "nomhv/abi/guest.h"

namespace nomhv {

inline constexpr uint16_t kPciAddressPort = 0xcf8;
inline constexpr uint16_t kPciDataPort = 0xcfc;
// Of bus 0; the functions that may be held follow, by their numbers.
inline constexpr uint32_t kPciBridgeSlot = 0;
inline constexpr uint32_t kPciBoardSlot = 1;
inline constexpr uint32_t kPciFirstDeviceSlot = 2;
// The board function: made up by nomhv, not given out by anybody. BAR 0 is the machine board, then
// the guest board; read-only. BAR 1 is its doorbell.
inline constexpr uint32_t kPciBoardId = 0x0001'4e4d;
inline constexpr uint32_t kPciBoardBytes = 2 * NOM_FRAME_BYTES;

// A message that a function's interrupt is to send, where it may.
struct PciMessage {
  uint32_t processor = 0;
  uint8_t vector = 0;

  friend constexpr bool operator==(const PciMessage&, const PciMessage&) = default;
};

// One function of the guest's view.
class PciView {
 public:
  static constexpr uint32_t kInterrupts = NOM_DEVICE_INTERRUPTS_MAX;

  // What stays the same: a device of the board's, whose registers lie from `place` on, and of whose
  // interrupts `interrupts` can be routed. `device` outlives the view.
  void Show(const NomDevice& device, uint64_t place, uint32_t interrupts);
  void ShowBridge();
  void ShowBoard();
  // There is no function: all is forgotten.
  void Hide() { *this = {}; }
  [[nodiscard]] bool shown() const { return shown_; }

  // The aligned word at `offset`, below 256, of configuration space. Write: of the bytes in `mask`.
  [[nodiscard]] uint32_t Read(uint32_t offset) const;
  void Write(uint32_t offset, uint32_t value, uint32_t mask);

  // The table of messages: the aligned word at `offset` of the page where it begins. What lies
  // beyond the entries that can be routed reads as 0, and keeps nothing.
  [[nodiscard]] uint32_t ReadTable(uint32_t offset) const;
  void WriteTable(uint32_t offset, uint32_t value);
  // Where in `place` that page lies; nothing if there is none.
  [[nodiscard]] std::optional<uint64_t> table_offset() const { return table_offset_; }

  // What the interrupt sends as things stand: nothing if it is masked, or would reach no processor
  // of `count`.
  [[nodiscard]] std::optional<PciMessage> Message(uint32_t interrupt, uint32_t count) const;

 private:
  [[nodiscard]] uint32_t Fixed(uint32_t offset) const;
  [[nodiscard]] uint8_t FixedByte(uint32_t offset) const;
  void FindCapabilities();

  bool shown_ = false;
  const NomDevice* device_ = nullptr;  // Null: id_ and class_ say what it is.
  uint32_t id_ = 0;
  uint32_t class_ = 0;
  uint32_t bar_[6] = {};
  uint32_t bar_bytes_[6] = {};  // 0: there is none.
  uint8_t sizing_ = 0;          // A bit for each whose size is asked for.
  uint32_t command_ = 0;
  // Capabilities that are shown, in their order: vendor's own, and MSI-X.
  static constexpr uint32_t kCapabilities = 16;
  uint8_t capabilities_[kCapabilities] = {};
  uint32_t capability_count_ = 0;
  uint8_t msix_ = 0;  // Where its capability lies; 0: it has none.
  uint32_t msix_control_ = 0;
  uint32_t interrupts_ = 0;
  std::optional<uint64_t> table_offset_;
  uint32_t table_[kInterrupts][4] = {};
};

}  // namespace nomhv

#endif  // NOMHV_CORE_PC_PCI_H_
