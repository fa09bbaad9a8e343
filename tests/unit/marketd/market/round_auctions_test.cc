// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/round_auctions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "marketd/base/random.h"
#include "marketd/market/bids.h"
#include "policies/clearing/rules.h"

namespace nom::market {
namespace {

using policies::Bid;
using policies::OwnerId;
using policies::Range;

class RoundAuctionsTest : public testing::Test {
 protected:
  RoundAuctionsTest() {
    resources_.resize(2);
    resources_[0].kind = ResourceKind::kCpu;
    resources_[0].rule = "uniform_price/1";
    resources_[1].kind = ResourceKind::kMemory;
    resources_[1].rule = "mpsp/1";
    for (const Resource& resource : resources_) {
      KindAuction& kind = auctions_.emplace_back();
      kind.resource = &resource;
      kind.auction.capacity_units = 100;
      kind.auction.reserve_unit_price_microcredits = 500;
    }
  }
  void Add(size_t kind, GuestId guest_id, OwnerId owner_id, std::vector<Range> ranges) {
    auctions_[kind].auction.bids.push_back(
        {.guest_id = guest_id, .ranges = std::move(ranges), .owner_id = owner_id});
  }
  void Clear(const std::map<OwnerId, Microcredits>& means) {
    clearings_ = 0;
    ClearWithinMeans(auctions_, means, 1'000'000'000,
                     [this](const std::string& rule, const policies::Auction& auction,
                            int64_t work_max) -> absl::StatusOr<policies::Clearing> {
                       ++clearings_;
                       work_ += work_max;
                       return ClearByRule(rule, auction, work_max);
                     });
  }
  Microcredits Charged(OwnerId owner_id) const {
    Microcredits sum = 0;
    for (const KindAuction& kind : auctions_) {
      for (const policies::Award& award : kind.clearing.awards) {
        for (const Bid& bid : kind.auction.bids) {
          if (bid.guest_id == award.guest_id && bid.owner_id == owner_id) {
            sum += award.charge_microcredits;
          }
        }
      }
    }
    return sum;
  }
  int64_t Won(size_t kind, GuestId guest_id) const {
    for (const policies::Award& award : auctions_[kind].clearing.awards) {
      if (award.guest_id == guest_id) return award.units;
    }
    return 0;
  }

  std::vector<Resource> resources_;
  std::vector<KindAuction> auctions_;
  int clearings_ = 0;
  int64_t work_ = 0;
};

TEST_F(RoundAuctionsTest, SiblingsAndKindsDoNotStandInEachOthersWay) {
  // Worth 2,000,000 each, all that the tenant has; at the reserve both cost 20,000.
  for (const size_t kind : {0u, 1u}) {
    Add(kind, 1, 1, {{0, 40, 0, 50'000}});
    Add(kind, 2, 1, {{0, 40, 0, 50'000}});
  }
  Clear({{1, 2'000'000}});
  EXPECT_EQ(Won(0, 1), 40);
  EXPECT_EQ(Won(0, 2), 40);
  EXPECT_EQ(Won(1, 1), 40);
  EXPECT_EQ(Won(1, 2), 40);
  EXPECT_LE(Charged(1), 2'000'000);
  EXPECT_EQ(clearings_, 2) << "nobody was above its means";
}

TEST_F(RoundAuctionsTest, WhoCannotPayIsScaledAndOthersAreNot) {
  for (const size_t kind : {0u, 1u}) {
    Add(kind, 1, 1, {{0, 60, 0, 3'000}});
    Add(kind, 2, 2, {{0, 60, 0, 2'000}});
  }
  const std::vector<Range> rich = auctions_[0].auction.bids[1].ranges;
  Clear({{1, 40'000}, {2, 10'000'000}});
  EXPECT_LE(Charged(1), 40'000);
  EXPECT_EQ(auctions_[0].auction.bids[1].ranges, rich);
  EXPECT_GT(Won(0, 2), 0);
}

TEST_F(RoundAuctionsTest, AnOwnerWithNothingWinsNothingAndHarmsNobody) {
  Add(0, 1, 1, {{0, 60, 0, 3'000}});
  Add(0, 2, 2, {{0, 60, 0, 2'000}});
  Clear({{1, 0}, {2, 10'000'000}});
  EXPECT_EQ(Charged(1), 0);
  EXPECT_EQ(Won(0, 2), 60);
}

TEST_F(RoundAuctionsTest, RandomMarketsStayWithinMeansAndWork) {
  Random random(11);
  for (int i = 0; i < 300; ++i) {
    SCOPED_TRACE(i);
    std::map<OwnerId, Microcredits> means;
    for (OwnerId owner = 1; owner <= 3; ++owner) means[owner] = random.Uniform(0, 200'000);
    for (KindAuction& kind : auctions_) kind.auction.bids.clear();
    for (GuestId guest = 1; guest <= 7; ++guest) {
      const OwnerId owner = 1 + guest % 3;
      for (size_t kind = 0; kind < 2; ++kind) {
        const int64_t units = random.Uniform(1, 60);
        const int64_t price = random.Uniform(100, 9'000);
        const std::vector<Range> ranges = {{0, units, 0, price},
                                           {units, units + 9, units * price, price / 2}};
        Add(kind, guest, owner, CutToMeans(ranges, means[owner]));
      }
    }
    work_ = 0;
    Clear(means);
    for (const auto& [owner, most] : means) EXPECT_LE(Charged(owner), most);
    EXPECT_LE(clearings_, 2 * (2 + kMeansTries));
    EXPECT_LE(work_, 2 * 1'000'000'000LL);
    for (const KindAuction& kind : auctions_) {
      // What is recorded gives the same again.
      const auto again = ClearByRule(kind.resource->rule, kind.auction, kind.work_max);
      ASSERT_TRUE(again.ok()) << again.status();
      EXPECT_EQ(*again, kind.clearing);
    }
  }
}

TEST(ScaleValues, KeepsBidsValidAndConcave) {
  Random random(5);
  for (int i = 0; i < 1'000; ++i) {
    Bid bid{.guest_id = 1};
    int64_t at = 0;
    int64_t price = random.Uniform(20, 100);
    Microcredits value = 0;
    for (int64_t n = random.Uniform(1, 8); n > 0; --n) {
      const int64_t wide = random.Uniform(1, 9);
      if (price < 0 && value + wide * price < 0) break;
      bid.ranges.push_back({at, at + wide, value, price});
      at += wide;
      value += wide * price;
      price -= random.Uniform(0, 30);
    }
    ASSERT_TRUE(policies::ValidateBid(bid).ok());
    const int64_t denominator = random.Uniform(1, 1'000);
    bid.ranges = ScaleValues(bid.ranges, random.Uniform(0, denominator), denominator);
    const absl::Status takes = policies::CheckBidForRule("uniform_price/1", bid);
    EXPECT_TRUE(takes.ok()) << takes;
  }
  // Over a gap, and falling: rounding never puts a value below zero.
  const std::vector<Range> gap = {{2, 2, 7, 0}, {5, 9, 11, -2}};
  EXPECT_EQ(ScaleValues(gap, 1, 3), (std::vector<Range>{{2, 2, 2, 0}, {5, 9, 3, 0}}));
}

}  // namespace
}  // namespace nom::market
