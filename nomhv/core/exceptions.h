// SPDX-License-Identifier: Apache-2.0
// Exceptions by their vectors, and what becomes of one that comes while another is being delivered
// (AMD64 APM volume 2, 8.2 and table 8-4).

#ifndef NOMHV_CORE_EXCEPTIONS_H_
#define NOMHV_CORE_EXCEPTIONS_H_

#include <cstdint>
#include <optional>

namespace nomhv {

inline constexpr uint8_t kVectorDivideError = 0;
inline constexpr uint8_t kVectorDebug = 1;
inline constexpr uint8_t kVectorNmi = 2;
inline constexpr uint8_t kVectorInvalidOpcode = 6;
inline constexpr uint8_t kVectorDoubleFault = 8;
inline constexpr uint8_t kVectorInvalidTss = 10;
inline constexpr uint8_t kVectorGeneralProtection = 13;
inline constexpr uint8_t kVectorPageFault = 14;
inline constexpr uint8_t kVectorAlignmentCheck = 17;
inline constexpr uint8_t kVectorMachineCheck = 18;

// Whether the processor pushes an error code with it (table 8-1).
constexpr bool HasErrorCode(uint8_t vector) {
  return vector == kVectorDoubleFault ||
         (vector >= kVectorInvalidTss && vector <= kVectorPageFault) ||
         vector == kVectorAlignmentCheck;
}

enum class Escalation { kNone, kDoubleFault, kShutdown };

// What `vector` is when it comes while `delivering` is being delivered. Without the rule a guest
// whose tables cannot be reached would fault without end.
constexpr Escalation Escalate(std::optional<uint8_t> delivering, uint8_t vector) {
  constexpr auto contributory = [](uint8_t v) {
    return v == kVectorDivideError || (v >= kVectorInvalidTss && v <= kVectorGeneralProtection);
  };
  if (!delivering.has_value()) return Escalation::kNone;
  const bool grave = contributory(vector) || vector == kVectorPageFault;
  if (*delivering == kVectorDoubleFault) return grave ? Escalation::kShutdown : Escalation::kNone;
  const bool both = (contributory(*delivering) && contributory(vector)) ||
                    (*delivering == kVectorPageFault && grave);
  return both ? Escalation::kDoubleFault : Escalation::kNone;
}

}  // namespace nomhv

#endif  // NOMHV_CORE_EXCEPTIONS_H_
