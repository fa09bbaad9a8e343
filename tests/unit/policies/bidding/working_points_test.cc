#include "policies/bidding/working_points.h"

#include <gtest/gtest.h>

#include <vector>

namespace nom::policies {
namespace {

WorkingPoint Point(int64_t knob, int64_t cpu, int64_t memory, Microcredits value) {
  WorkingPoint p;
  p.knob = knob;
  p.units[0] = cpu;
  p.units[1] = memory;
  p.value_microcredits = value;
  return p;
}

TEST(WorkingPoints, DominatedPointsAreNotKept) {
  WorkingPointTable table;
  EXPECT_EQ(table.Add(Point(10, 10, 4, 38)), PointError::kOk);
  EXPECT_EQ(table.Add(Point(14, 10, 4, 40)), PointError::kOk);  // Beats the first.
  EXPECT_EQ(table.Add(Point(32, 12, 4, 38)), PointError::kOk);  // Needs more, earns less.
  EXPECT_EQ(table.Add(Point(33, 10, 4, 40)), PointError::kOk);  // Equal: the first stays.
  ASSERT_EQ(table.count(), 1);
  EXPECT_EQ(table.point(0).knob, 14);
  EXPECT_EQ(table.Add(Point(50, 9, 5, 40)), PointError::kOk);  // Another trade: kept.
  EXPECT_EQ(table.count(), 2);
}

TEST(WorkingPoints, TheBestPointFollowsThePrices) {
  WorkingPointTable table;
  ASSERT_EQ(table.Add(Point(1, 1, 8, 100)), PointError::kOk);  // Memory instead of processor.
  ASSERT_EQ(table.Add(Point(2, 8, 1, 100)), PointError::kOk);
  ASSERT_EQ(table.Add(Point(3, 9, 9, 150)), PointError::kOk);
  const Microcredits cheap[kPointResourcesMax] = {1, 1};
  const Microcredits dear_cpu[kPointResourcesMax] = {20, 1};
  const Microcredits dear_memory[kPointResourcesMax] = {1, 20};
  const Microcredits dear[kPointResourcesMax] = {100, 100};
  EXPECT_EQ(table.point(table.BestAt(cheap)).knob, 3);
  EXPECT_EQ(table.point(table.BestAt(dear_cpu)).knob, 1);
  EXPECT_EQ(table.point(table.BestAt(dear_memory)).knob, 2);
  EXPECT_EQ(table.BestAt(dear), -1);
}

TEST(WorkingPoints, TheCurveOfOneResourceCountsWhatTheOthersCost) {
  WorkingPointTable table;
  ASSERT_EQ(table.Add(Point(1, 2, 0, 50)), PointError::kOk);
  ASSERT_EQ(table.Add(Point(2, 2, 4, 90)), PointError::kOk);
  ASSERT_EQ(table.Add(Point(3, 6, 8, 130)), PointError::kOk);
  CurvePoint curve[kWorkingPointsMax];
  // Memory, with the processor at 5: without memory 50 - 10 is left, which memory can't claim.
  const Microcredits at_five[kPointResourcesMax] = {5, 999};
  ASSERT_EQ(table.CurveFor(1, at_five, curve), 2);
  EXPECT_EQ(curve[0].units, 4);
  EXPECT_EQ(curve[0].value_microcredits, 40);
  EXPECT_EQ(curve[1].units, 8);
  EXPECT_EQ(curve[1].value_microcredits, 60);
  // At 20 the third point is no longer worth its processor: its memory adds nothing.
  const Microcredits at_twenty[kPointResourcesMax] = {20, 0};
  ASSERT_EQ(table.CurveFor(1, at_twenty, curve), 1);
  EXPECT_EQ(curve[0].units, 4);
  EXPECT_EQ(curve[0].value_microcredits, 40);
  // At 30 nothing runs at a profit without memory, and 90 - 60 is all that memory is worth.
  const Microcredits at_thirty[kPointResourcesMax] = {30, 0};
  ASSERT_EQ(table.CurveFor(1, at_thirty, curve), 1);
  EXPECT_EQ(curve[0].value_microcredits, 30);
}

TEST(WorkingPoints, LimitsAreChecked) {
  WorkingPointTable table;
  EXPECT_EQ(table.Add(Point(1, -1, 0, 5)), PointError::kUnitsOutOfRange);
  EXPECT_EQ(table.Add(Point(1, kUnitsMax + 1, 0, 5)), PointError::kUnitsOutOfRange);
  EXPECT_EQ(table.Add(Point(1, 1, 0, -5)), PointError::kValueOutOfRange);
  EXPECT_EQ(table.Add(Point(1, 1, 0, kValueMaxMicrocredits + 1)), PointError::kValueOutOfRange);
  EXPECT_EQ(table.count(), 0);
  for (int i = 0; i < kWorkingPointsMax; ++i) {
    ASSERT_EQ(table.Add(Point(i, i + 1, kWorkingPointsMax - i, 10)), PointError::kOk);
  }
  EXPECT_EQ(table.Add(Point(99, kWorkingPointsMax + 1, 0, 10)), PointError::kFull);
  EXPECT_EQ(table.count(), kWorkingPointsMax);
  // A point that beats others still finds room.
  EXPECT_EQ(table.Add(Point(100, 1, 1, 10)), PointError::kOk);
  EXPECT_EQ(table.count(), 1);
  const Microcredits highest[kPointResourcesMax] = {kValueMaxMicrocredits, kValueMaxMicrocredits};
  EXPECT_EQ(table.BestAt(highest), -1);
}

}  // namespace
}  // namespace nom::policies
