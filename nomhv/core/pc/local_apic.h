// SPDX-License-Identifier: Apache-2.0
// A PC's local APIC in x2APIC mode, as its guest sees it (Intel SDM 3A, 11.12; AMD64 APM volume 2,
// chapter 16): registers by their MSRs, what is in service, and the timer's TSC deadline. What is
// pending (IRR) is the virtual processor's News, which anybody raises; the rest is here, and
// belongs to whoever has the virtual processor's claim. There are no logical destinations but the
// cluster ids that x2APIC fixes, no level-triggered interrupts and no NMIs.

#ifndef NOMHV_CORE_PC_LOCAL_APIC_H_
#define NOMHV_CORE_PC_LOCAL_APIC_H_

#include <bit>
#include <cstdint>
#include <optional>

#include "nomhv/core/news.h"

namespace nomhv {

inline constexpr uint32_t kMsrX2ApicFirst = 0x800;
inline constexpr uint32_t kMsrX2ApicLast = 0x83f;
inline constexpr uint32_t kMsrX2ApicCommand = 0x830;
inline constexpr uint32_t kMsrX2ApicSelf = 0x83f;
inline constexpr uint32_t kMsrTscDeadline = 0x6e0;
// Vectors below are errors to an APIC.
inline constexpr uint8_t kApicVectorMin = 16;

// An interrupt command (SDM 3A, 11.12.9), as its receivers see it.
struct InterruptCommand {
  enum Kind : uint8_t { kNothing, kFixed, kInit, kStartup };
  Kind kind = kNothing;
  uint8_t vector = 0;    // kStartup: the page where it begins.
  uint32_t targets = 0;  // Processors of the guest, a bit each.
};

// What processor `self` of `count` (at most 32) says with `value` in its command register. What has
// no receiver, or is not modelled (NMI, SMI), is kNothing.
constexpr InterruptCommand DecodeInterruptCommand(uint64_t value, uint32_t self, uint32_t count) {
  const uint32_t all = count < 32 ? (1u << count) - 1 : ~0u;
  const auto destination = static_cast<uint32_t>(value >> 32);
  InterruptCommand command{.vector = static_cast<uint8_t>(value)};
  switch (value >> 18 & 3) {
    case 0:
      if (destination == ~0u) {
        command.targets = all;
      } else if ((value >> 11 & 1) == 0) {
        command.targets = destination < count ? 1u << destination : 0;
      } else if (destination >> 17 == 0) {
        // Clusters of 16; a guest has no more than two.
        command.targets = (destination & 0xffff) << (16 * (destination >> 16)) & all;
      }
      break;
    case 1:
      command.targets = 1u << self;
      break;
    case 2:
      command.targets = all;
      break;
    default:
      command.targets = all & ~(1u << self);
      break;
  }
  constexpr uint64_t kAssert = 1u << 14;
  switch (value >> 8 & 7) {
    case 0:
    case 1:  // Lowest priority: to all of them, as each has the same.
      if (command.vector >= kApicVectorMin) command.kind = InterruptCommand::kFixed;
      break;
    case 5:
      if ((value & kAssert) != 0) command.kind = InterruptCommand::kInit;
      break;
    case 6:
      command.kind = InterruptCommand::kStartup;
      break;
    default:
      break;
  }
  if (command.targets == 0) command.kind = InterruptCommand::kNothing;
  return command;
}

class LocalApic {
 public:
  explicit LocalApic(uint32_t id = 0) : id_(id) {}

  // Whether the highest pending vector may be delivered now: nothing as urgent is in service. 0,
  // which is no vector, may always: it takes back what was raised for nothing.
  [[nodiscard]] bool Admits(uint8_t vector) const {
    return vector == 0 || ((spurious_ & kEnabled) != 0 && vector >> 4 > Priority() >> 4);
  }
  // It is being delivered.
  void Begin(uint8_t vector) { in_service_[vector / 64] |= uint64_t{1} << vector % 64; }

  // When the timer is to fire; 0: at no time.
  [[nodiscard]] uint64_t deadline_tsc() const { return deadline_tsc_; }
  // Fires it if its time has come: the vector to raise, or 0.
  [[nodiscard]] uint8_t TakeTimer(uint64_t now_tsc) {
    if (deadline_tsc_ == 0 || now_tsc < deadline_tsc_) return 0;
    deadline_tsc_ = 0;
    const auto vector = static_cast<uint8_t>(vectors_[kTimer]);
    return (vectors_[kTimer] & kMasked) == 0 && vector >= kApicVectorMin ? vector : 0;
  }

  // Nothing: #GP.
  [[nodiscard]] std::optional<uint64_t> Read(uint32_t msr, const News& pending) const {
    if (msr == kMsrTscDeadline) return deadline_tsc_;
    if (msr >= kMsrInService && msr < kMsrInService + 8) {
      return in_service_[(msr - kMsrInService) / 2] >> (msr % 2 * 32) & 0xffffffff;
    }
    if (msr >= kMsrTrigger && msr < kMsrTrigger + 8) return 0;
    if (msr >= kMsrPending && msr < kMsrPending + 8) return pending.PendingWord(msr - kMsrPending);
    if (const std::optional<uint32_t> lvt = LocalVector(msr); lvt.has_value())
      return vectors_[*lvt];
    switch (msr) {
      case kMsrId:
        return id_;
      case 0x803:
        return 0x14 | uint64_t{kLocalVectors - 1} << 16;
      case kMsrTaskPriority:
        return task_priority_;
      case 0x80a:
        return Priority();
      case 0x80d:
        return uint64_t{id_ >> 4} << 16 | 1u << (id_ & 15);
      case kMsrSpurious:
        return spurious_;
      case kMsrX2ApicCommand:
        return command_;
      case kMsrError:
      case kMsrInitialCount:
      case 0x839:
        return 0;
      case kMsrDivide:
        return divide_;
      default:
        return std::nullopt;
    }
  }

  // False: #GP, and nothing has changed. What the command registers and the deadline ask for is the
  // caller's to do.
  [[nodiscard]] bool Write(uint32_t msr, uint64_t value) {
    if (msr == kMsrTscDeadline) {
      deadline_tsc_ = (vectors_[kTimer] & kModes) == kModeDeadline ? value : 0;
      return true;
    }
    if (msr == kMsrX2ApicCommand) {
      command_ = value;
      return true;
    }
    if (value >> 32 != 0) return false;
    const auto word = static_cast<uint32_t>(value);
    if (const std::optional<uint32_t> lvt = LocalVector(msr); lvt.has_value()) {
      constexpr uint32_t kTheirs = 0x000717ff & ~(1u << 12);
      vectors_[*lvt] = word & kTheirs;
      // Another mode disarms it (SDM 3A, 11.5.4.1).
      if (*lvt == kTimer && (word & kModes) != kModeDeadline) deadline_tsc_ = 0;
      return true;
    }
    switch (msr) {
      case kMsrTaskPriority:
        if (word > 0xff) return false;
        task_priority_ = word;
        return true;
      case kMsrEndOfInterrupt:
        if (word != 0) return false;
        End();
        return true;
      case kMsrSpurious:
        spurious_ = word & 0x1ff;
        return true;
      case kMsrError:
        return word == 0;
      case kMsrInitialCount:  // There is no counting timer.
        return true;
      case kMsrDivide:
        divide_ = word & 0xb;
        return true;
      case kMsrX2ApicSelf:
        return word <= 0xff;
      default:
        return false;
    }
  }

 private:
  static constexpr uint32_t kMsrId = 0x802;
  static constexpr uint32_t kMsrTaskPriority = 0x808;
  static constexpr uint32_t kMsrEndOfInterrupt = 0x80b;
  static constexpr uint32_t kMsrSpurious = 0x80f;
  static constexpr uint32_t kMsrInService = 0x810;
  static constexpr uint32_t kMsrTrigger = 0x818;
  static constexpr uint32_t kMsrPending = 0x820;
  static constexpr uint32_t kMsrError = 0x828;
  static constexpr uint32_t kMsrCorrected = 0x82f;  // The first of two stretches of LVT.
  static constexpr uint32_t kMsrTimer = 0x832;
  static constexpr uint32_t kMsrInitialCount = 0x838;
  static constexpr uint32_t kMsrDivide = 0x83e;

  static constexpr uint32_t kEnabled = 1u << 8;  // Spurious vector register.
  static constexpr uint32_t kMasked = 1u << 16;
  static constexpr uint32_t kModes = 3u << 17;
  static constexpr uint32_t kModeDeadline = 2u << 17;

  // Timer, thermal, performance, LINT0, LINT1, error, corrected machine checks.
  static constexpr uint32_t kLocalVectors = 7;
  static constexpr uint32_t kTimer = 0;
  static constexpr std::optional<uint32_t> LocalVector(uint32_t msr) {
    if (msr == kMsrCorrected) return kLocalVectors - 1;
    if (msr < kMsrTimer || msr >= kMsrTimer + kLocalVectors - 1) return std::nullopt;
    return msr - kMsrTimer;
  }

  [[nodiscard]] uint32_t InService() const {
    for (uint32_t i = 4; i-- > 0;) {
      if (in_service_[i] == 0) continue;
      return i * 64 + 63 - static_cast<uint32_t>(std::countl_zero(in_service_[i]));
    }
    return 0;
  }
  [[nodiscard]] uint32_t Priority() const {
    const uint32_t serving = InService() & 0xf0;
    return task_priority_ >> 4 >= serving >> 4 ? task_priority_ : serving;
  }
  void End() {
    const uint32_t vector = InService();
    in_service_[vector / 64] &= ~(uint64_t{1} << vector % 64);
  }

  uint32_t id_;
  uint32_t task_priority_ = 0;
  uint32_t spurious_ = 0xff;
  uint32_t divide_ = 0;
  uint64_t command_ = 0;
  uint64_t deadline_tsc_ = 0;
  uint32_t vectors_[kLocalVectors] = {kMasked, kMasked, kMasked, kMasked,
                                      kMasked, kMasked, kMasked};
  uint64_t in_service_[4] = {};
};

}  // namespace nomhv

#endif  // NOMHV_CORE_PC_LOCAL_APIC_H_
