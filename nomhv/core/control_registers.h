// SPDX-License-Identifier: Apache-2.0
// A guest's control registers, as far as nomhv looks at or keeps them (APM volume 2, 3.1 and 7.8).

#ifndef NOMHV_CORE_CONTROL_REGISTERS_H_
#define NOMHV_CORE_CONTROL_REGISTERS_H_

#include <cstdint>
#include <optional>

namespace nomhv {

inline constexpr uint64_t kCr0Protection = 1u << 0;
inline constexpr uint64_t kCr0Paging = 1u << 31;
inline constexpr uint64_t kCr4DebugExtensions = 1u << 3;

inline constexpr uint64_t kEferSce = 1u << 0;
inline constexpr uint64_t kEferLme = 1u << 8;
inline constexpr uint64_t kEferLma = 1u << 10;
inline constexpr uint64_t kEferNxe = 1u << 11;

inline constexpr uint32_t kMsrPat = 0x277;
inline constexpr uint32_t kMsrEfer = 0xc0000080;
inline constexpr uint64_t kPatReset = 0x0007040600070406;

struct ControlRegisters {
  uint64_t cr0 = 0, cr3 = 0, cr4 = 0;
  uint64_t efer = 0;  // Without what is a back end's.
  uint64_t pat = kPatReset;
  uint64_t dr6 = 0;
  uint32_t idt_limit = 0;

  // The MSRs that a guest reads and writes through nomhv; all others are not its own.
  [[nodiscard]] constexpr std::optional<uint64_t> ReadMsr(uint32_t msr) const {
    if (msr == kMsrEfer) return efer;
    if (msr == kMsrPat) return pat;
    return std::nullopt;
  }
  // False: #GP, and nothing has changed.
  [[nodiscard]] constexpr bool WriteMsr(uint32_t msr, uint64_t value) {
    if (msr == kMsrEfer) return WriteEfer(value);
    if (msr != kMsrPat) return false;
    for (int i = 0; i < 8; ++i) {
      const uint64_t type = value >> (8 * i) & 0xff;
      if (type > 7 || type == 2 || type == 3) return false;
    }
    pat = value;
    return true;
  }

 private:
  constexpr bool WriteEfer(uint64_t value) {
    constexpr uint64_t kTheirs = kEferSce | kEferLme | kEferNxe;
    if ((value & ~(kTheirs | kEferLma)) != 0) return false;
    if ((cr0 & kCr0Paging) != 0 && ((value ^ efer) & kEferLme) != 0) return false;
    efer = (value & kTheirs) | (efer & kEferLma);
    return true;
  }
};

enum class DebugAccess { kDone, kInvalidOpcode, kGeneralProtection };

// A guest's debug registers, kept and never armed: a guest writes and reads them as on a processor
// (13.1.1), and no breakpoint of theirs ever triggers. So nothing of them is in the processor while
// a guest runs, and nothing has to be switched. Single steps and INT3 are another matter and work.
class DebugRegisters {
 public:
  static constexpr uint64_t kDr6Reset = 0xffff0ff0;
  static constexpr uint64_t kDr7Reset = 0x400;

  // `dr6` is where the processor keeps it. `extensions` is CR4.DE: without it 4 and 5 are 6 and 7.
  [[nodiscard]] DebugAccess Read(uint32_t number, bool extensions, uint64_t dr6,
                                 uint64_t& value) const {
    if (!Resolve(number, extensions)) return DebugAccess::kInvalidOpcode;
    value = number == 7 ? dr7_ : number == 6 ? dr6 : address_[number];
    return DebugAccess::kDone;
  }

  [[nodiscard]] DebugAccess Write(uint32_t number, bool extensions, uint64_t value, uint64_t& dr6) {
    if (!Resolve(number, extensions)) return DebugAccess::kInvalidOpcode;
    if (number < 4) {
      address_[number] = value;
      return DebugAccess::kDone;
    }
    if (value >> 32 != 0) return DebugAccess::kGeneralProtection;
    // Bits that are not the guest's to choose keep what they are at reset.
    if (number == 6) {
      constexpr uint64_t kTheirs = 0xe00f;
      dr6 = (value & kTheirs) | kDr6Reset;
    } else {
      constexpr uint64_t kTheirs = 0xffff2bff;
      dr7_ = (value & kTheirs) | kDr7Reset;
    }
    return DebugAccess::kDone;
  }

 private:
  static bool Resolve(uint32_t& number, bool extensions) {
    if (number > 7 || ((number == 4 || number == 5) && extensions)) return false;
    if (number == 4 || number == 5) number += 2;
    return true;
  }

  uint64_t address_[4] = {};
  uint64_t dr7_ = kDr7Reset;
};

}  // namespace nomhv

#endif  // NOMHV_CORE_CONTROL_REGISTERS_H_
