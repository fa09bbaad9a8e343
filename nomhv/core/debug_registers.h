// A guest's debug registers, kept and never armed: a guest writes and reads them as on a processor
// (AMD64 APM volume 2, 13.1.1), and no breakpoint of theirs ever triggers. So nothing of them is in
// the processor while a guest runs, and nothing has to be switched. Single steps and INT3 are
// another matter and work.

#ifndef NOMHV_CORE_DEBUG_REGISTERS_H_
#define NOMHV_CORE_DEBUG_REGISTERS_H_

#include <cstdint>

namespace nomhv {

enum class DebugAccess { kDone, kInvalidOpcode, kGeneralProtection };

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

#endif  // NOMHV_CORE_DEBUG_REGISTERS_H_
