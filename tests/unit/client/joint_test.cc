// SPDX-License-Identifier: Apache-2.0
// Working points as bundles; bids for several resources on the wire.

#include "nom/joint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "client/src/bid_limits.h"
#include "client/src/convert.h"

namespace nom {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Prices OnSale(std::initializer_list<Resource> resources) {
  Prices prices;
  for (const Resource resource : resources) {
    prices.by_resource[static_cast<size_t>(resource) - 1].offered = true;
  }
  return prices;
}

const Prices kBoth = OnSale({Resource::kCpu, Resource::kMemory});

WorkingPoint Point(int64_t cpu, int64_t memory, int64_t value) {
  return {.units = {{Resource::kCpu, cpu}, {Resource::kMemory, memory}},
          .value_microcredits = value};
}
Bundle Of(int64_t cpu, int64_t memory, int64_t value) {
  Bundle bundle{.value_microcredits = value};
  if (cpu > 0) bundle.units[Resource::kCpu] = cpu;
  if (memory > 0) bundle.units[Resource::kMemory] = memory;
  return bundle;
}

TEST(BundlesOf, AreWorthWhatTheyAddToTheSeed) {
  const std::vector<WorkingPoint> points = {Point(0, 0, 100), Point(2, 8, 500), Point(1, 8, 90),
                                            Point(0, 4, 300)};
  EXPECT_THAT(BundlesOf(points, kBoth).bundles, ElementsAre(Of(0, 4, 200), Of(2, 8, 400)));
}

TEST(BundlesOf, LeaveOutWhatIsBeatenOrNotOnSale) {
  const std::vector<WorkingPoint> points = {
      Point(2, 8, 500), Point(2, 8, 500),
      Point(2, 8, 400), Point(3, 8, 500),
      Point(2, 7, 500), {.units = {{Resource::kDisk, 1}}, .value_microcredits = 9'000}};
  EXPECT_THAT(BundlesOf(points, kBoth).bundles, ElementsAre(Of(2, 7, 500)));
  EXPECT_THAT(BundlesOf(points, Prices{}).bundles, IsEmpty());
  EXPECT_THAT(BundlesOf({}, kBoth).bundles, IsEmpty());
}

// One that asks for more than the market lets anybody ask for would cost the whole bid.
TEST(BundlesOf, LeaveOutWhatNoBidMayAskFor) {
  const std::vector<WorkingPoint> points = {Point(1, kBidUnitsMax + 1, 900),
                                            Point(kBidUnitsMax, 1, 500), Point(1, 1, 300)};
  const Valuation valuation = BundlesOf(points, kBoth);
  EXPECT_THAT(valuation.bundles, ElementsAre(Of(1, 1, 300), Of(kBidUnitsMax, 1, 500)));
  EXPECT_TRUE(client::CheckBid({.guest_id = 1, .valuation = valuation}).ok());
}

TEST(BundlesOf, StayWithinBudgetAndCeilings) {
  const std::vector<WorkingPoint> points = {Point(2, 8, 500), Point(1, 1, 300)};
  EXPECT_THAT(BundlesOf(points, kBoth, {.budget_microcredits = 350}).bundles,
              ElementsAre(Of(1, 1, 300), Of(2, 8, 350)));
  EXPECT_THAT(BundlesOf(points, kBoth, {.budget_microcredits = 0}).bundles, IsEmpty());
  BundleOptions ceilings{.ceiling_unit_prices_microcredits = {{Resource::kCpu, 20}}};
  EXPECT_THAT(BundlesOf(points, kBoth, ceilings).bundles,
              ElementsAre(Of(1, 1, 300), Of(2, 8, 500)));
  ceilings.ceiling_unit_prices_microcredits[Resource::kMemory] = 30;
  EXPECT_THAT(BundlesOf(points, kBoth, ceilings).bundles, ElementsAre(Of(1, 1, 50), Of(2, 8, 280)));
}

TEST(BundlesOf, NothingThatMattersIsLost) {
  std::mt19937 random(5);
  const auto below = [&random](int64_t n) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(n));
  };
  for (int i = 0; i < 300; ++i) {
    std::vector<WorkingPoint> points;
    for (int64_t n = below(60); n > 0; --n) points.push_back(Point(below(5), below(5), below(12)));
    const Valuation valuation = BundlesOf(points, kBoth);
    // At any prices the best of the bundles leaves what the best of the points does.
    for (int64_t cpu = 0; cpu < 5; ++cpu) {
      for (int64_t memory = 0; memory < 5; ++memory) {
        int64_t base = 0;
        int64_t of_points = 0;
        for (const WorkingPoint& point : points) {
          const int64_t cost =
              point.units.at(Resource::kCpu) * cpu + point.units.at(Resource::kMemory) * memory;
          if (point.units.at(Resource::kCpu) + point.units.at(Resource::kMemory) == 0) {
            base = std::max(base, point.value_microcredits);
          }
          of_points = std::max(of_points, point.value_microcredits - cost);
        }
        int64_t of_bundles = base;
        for (const Bundle& bundle : valuation.bundles) {
          int64_t left = base + bundle.value_microcredits;
          for (const auto& [resource, units] : bundle.units) {
            left -= units * (resource == Resource::kCpu ? cpu : memory);
          }
          of_bundles = std::max(of_bundles, left);
        }
        ASSERT_EQ(of_bundles, of_points) << i;
      }
    }
  }
}

TEST(ValuationOnTheWire, BundlesHaveTheirOwnKinds) {
  const Bid bid{.guest_id = 7,
                .budget_microcredits = 99,
                .valuation = Valuation{.bundles = {Of(2, 8, 500), Of(0, 4, 200)}}};
  const market::v1::Bid out = client::ToProto(bid);
  EXPECT_EQ(out.kind(), market::v1::RESOURCE_KIND_UNSPECIFIED);
  EXPECT_EQ(out.ranges_size(), 0);
  EXPECT_EQ(out.budget_microcredits(), 99);
  ASSERT_EQ(out.valuation().bundle_kinds_size(), 2);
  EXPECT_EQ(out.valuation().bundle_kinds(0), market::v1::RESOURCE_KIND_CPU);
  ASSERT_EQ(out.valuation().bundles_size(), 2);
  EXPECT_THAT(out.valuation().bundles(1).units(), ElementsAre(0, 4));
  EXPECT_EQ(out.valuation().bundles(1).value_microcredits(), 200);
  EXPECT_EQ(out.valuation().combination(), market::v1::COMBINATION_UNSPECIFIED);
}

TEST(ValuationOnTheWire, CurvesHaveACombination) {
  const Bid bid{.valuation = Valuation{.combination = Combination::kProduct,
                                       .curves = {{Resource::kMemory, {{1, 4, 5, 6}}}},
                                       .whole_value_microcredits = 77}};
  const market::v1::Bid out = client::ToProto(bid);
  EXPECT_EQ(out.valuation().combination(), market::v1::COMBINATION_PRODUCT);
  EXPECT_EQ(out.valuation().whole_value_microcredits(), 77);
  ASSERT_EQ(out.valuation().curves_size(), 1);
  EXPECT_EQ(out.valuation().curves(0).kind(), market::v1::RESOURCE_KIND_MEMORY);
  EXPECT_EQ(out.valuation().curves(0).ranges(0).max_units(), 4);
}

}  // namespace
}  // namespace nom
