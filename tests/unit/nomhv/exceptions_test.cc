// SPDX-License-Identifier: Apache-2.0
#include "nomhv/core/exceptions.h"

#include <gtest/gtest.h>

namespace nomhv {
namespace {

enum class Class { kBenign, kContributory, kPageFault };

Class ClassOf(uint8_t vector) {
  if (vector == 14) return Class::kPageFault;
  return vector == 0 || (vector >= 10 && vector <= 13) ? Class::kContributory : Class::kBenign;
}

// The manual's table (APM volume 2, 8-4), row by row: the first exception, then the second.
TEST(Exceptions, EscalateAsTheTableSays) {
  for (uint8_t first = 0; first < 32; ++first) {
    for (uint8_t second = 0; second < 32; ++second) {
      Escalation want = Escalation::kNone;
      if (ClassOf(second) != Class::kBenign) {
        if (first == 8) want = Escalation::kShutdown;
        if (ClassOf(first) == Class::kContributory && ClassOf(second) == Class::kContributory) {
          want = Escalation::kDoubleFault;
        }
        if (ClassOf(first) == Class::kPageFault) want = Escalation::kDoubleFault;
      }
      EXPECT_EQ(Escalate(first, second), want) << int{first} << " then " << int{second};
    }
  }
  EXPECT_EQ(Escalate(std::nullopt, kVectorGeneralProtection), Escalation::kNone);
}

TEST(Exceptions, ErrorCodes) {
  for (uint8_t vector = 0; vector < 21; ++vector) {
    const bool has = vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
    EXPECT_EQ(HasErrorCode(vector), has) << int{vector};
  }
}

}  // namespace
}  // namespace nomhv
