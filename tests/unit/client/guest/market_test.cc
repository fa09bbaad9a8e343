// SPDX-License-Identifier: Apache-2.0
#include "client/guest/market.h"

#include "gtest/gtest.h"
#include "tests/unit/client/guest/fake_nomhv.h"

namespace nom::guest {
namespace {

constexpr uint64_t kPeriodUs = 1'000'000;

class MarketTest : public testing::Test {
 protected:
  uint32_t Bids() {
    uint32_t standing = 0;
    for (uint32_t i = 0; i < nomhv_.bid_page().bid_count; ++i) {
      standing += nomhv_.bid_page().bids[i].range_count > 0 ? 1 : 0;
    }
    return standing;
  }
  FakeNomhv nomhv_{1, 1};
  Clock clock_{&nomhv_, FakeNomhv::kTscHz};
  Market market_{&clock_, nomhv_.pages()};
};

TEST_F(MarketTest, RoundsBeginOnce) {
  nomhv_.BeginRound(7, kPeriodUs, 11, 22);
  market_.Look();
  EXPECT_TRUE(market_.round_began());
  EXPECT_FALSE(market_.safe_mode());
  EXPECT_EQ(market_.Price(NOM_RESOURCE_CPU), 11);
  EXPECT_EQ(market_.Price(NOM_RESOURCE_MEMORY), 22);
  EXPECT_EQ(market_.Price(NOM_RESOURCE_DISK), std::nullopt);
  market_.Look();
  EXPECT_FALSE(market_.round_began());
  nomhv_.BeginRound(8, kPeriodUs, 11, 22);
  market_.Look();
  EXPECT_TRUE(market_.round_began());
  EXPECT_EQ(market_.rounds_seen(), 2u);
}

TEST_F(MarketTest, AStaleBoardWithdrawsEverythingAndRoundsGoOnByTheClock) {
  nomhv_.BeginRound(7, kPeriodUs, 11, 22);
  market_.Look();
  ASSERT_TRUE(market_.Bid(NOM_RESOURCE_CPU, policies::FlatOffer(1, 5, 100), 0));
  EXPECT_EQ(Bids(), 1u);
  nomhv_.tsc += 4 * kPeriodUs * 1000;
  market_.Look();
  EXPECT_TRUE(market_.safe_mode());
  EXPECT_TRUE(market_.round_began());
  EXPECT_EQ(Bids(), 0u);
  EXPECT_EQ(market_.Price(NOM_RESOURCE_CPU), std::nullopt);
  EXPECT_FALSE(market_.Bid(NOM_RESOURCE_CPU, policies::FlatOffer(1, 5, 100), 0));
  EXPECT_EQ(Bids(), 0u);
  market_.Look();
  EXPECT_FALSE(market_.round_began());
  nomhv_.tsc += kPeriodUs * 1000;
  market_.Look();
  EXPECT_TRUE(market_.round_began());
  nomhv_.BeginRound(8, kPeriodUs, 11, 22);
  market_.Look();
  EXPECT_FALSE(market_.safe_mode());
  EXPECT_TRUE(market_.Bid(NOM_RESOURCE_CPU, policies::FlatOffer(1, 5, 100), 0));
}

// Whatever the board promises: who hears nothing for three periods sees nothing.
TEST_F(MarketTest, ABoardThatIsNotRenewedForThreePeriodsIsStale) {
  nomhv_.BeginRound(7, kPeriodUs, 11, 22);
  nomhv_.machine_board().valid_until_tsc = ~uint64_t{0};
  nomhv_.tsc += 3 * kPeriodUs * 1000 - 1;
  market_.Look();
  EXPECT_FALSE(market_.safe_mode());
  nomhv_.tsc += 1;
  market_.Look();
  EXPECT_TRUE(market_.safe_mode());
}

TEST_F(MarketTest, BidsArriveAsTheyWereMade) {
  nomhv_.BeginRound(7, kPeriodUs, 11, 22);
  market_.Look();
  const policies::RangeList bid = policies::FlatOffer(2, 9, 100);
  ASSERT_TRUE(market_.Bid(NOM_RESOURCE_CPU, bid, 777));
  const NomBid& written = nomhv_.bid_page().bids[0];
  EXPECT_EQ(written.kind, static_cast<uint32_t>(NOM_RESOURCE_CPU));
  EXPECT_EQ(written.budget_microcredits, 777);
  ASSERT_EQ(written.range_count, static_cast<uint32_t>(bid.count));
  EXPECT_EQ(written.ranges[0].min_units, 2);
  EXPECT_EQ(written.ranges[0].max_units, 9);
  EXPECT_EQ(written.ranges[0].value_at_min_microcredits, 200);
  EXPECT_EQ(written.ranges[0].unit_price_microcredits, 100);
  ASSERT_TRUE(market_.Bid(NOM_RESOURCE_CPU, {}, 0));
  EXPECT_EQ(Bids(), 0u);
}

TEST_F(MarketTest, NonsenseOnTheBoardsIsHeldToItsBounds) {
  nomhv_.BeginRound(7, 1, -5, 22);
  nomhv_.machine_board().prices[0].unit_size = -10;
  market_.Look();
  EXPECT_EQ(market_.round_us(), 1000u);
  EXPECT_EQ(market_.Price(NOM_RESOURCE_CPU), 0);
  EXPECT_EQ(market_.UnitSize(NOM_RESOURCE_CPU), Market::kDefaultCpuUnitMillicores);
  nomhv_.BeginRound(8, ~uint64_t{0} / 1'000'000, 1, 1);
  nomhv_.machine_board().valid_until_tsc = ~uint64_t{0};
  nomhv_.guest_board().millicores_granted = ~uint64_t{0};
  market_.Look();
  EXPECT_EQ(market_.round_us(), 3'600'000'000u);
  EXPECT_EQ(market_.Millicores(), 1000);
}

TEST_F(MarketTest, CyclesOfAUnit) {
  nomhv_.BeginRound(7, 2'000'000, 1, 1);
  market_.Look();
  // 10 millicores of 2 s at 1 GHz.
  EXPECT_EQ(market_.CyclesPerCpuUnit(), 20'000'000u);
}

}  // namespace
}  // namespace nom::guest
