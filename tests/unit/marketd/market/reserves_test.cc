// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/reserves.h"

#include <gtest/gtest.h>

#include "tests/unit/marketd/market/market_fixture.h"

namespace nom::market {
namespace {

Resource ByUtilisation() {
  return {.kind = ResourceKind::kMemory,
          .reserve_unit_price_microcredits = 100,
          .reserve_kind = policies::ReserveKind::kUtilisation,
          .reserve_ceiling_unit_price_microcredits = 1'100,
          .reserve_knee_ppm = 500'000};
}

TEST(ReserveOfRound, FollowsWhatTheLastRoundSold) {
  const policies::ReservePolicy policy = ReservePolicyOf(ByUtilisation(), 1, "h");
  EXPECT_EQ(ReserveOfRound(policy, 1, nullptr).reserve_unit_price_microcredits, 100);
  ResourcePrice last{.reserve_policy = "utilisation/1", .supply_units = 40, .sold_units = 20};
  EXPECT_EQ(ReserveOfRound(policy, 2, &last).reserve_unit_price_microcredits, 100);
  last.sold_units = 30;
  EXPECT_EQ(ReserveOfRound(policy, 3, &last).reserve_unit_price_microcredits, 600);
  last.sold_units = 40;
  EXPECT_EQ(ReserveOfRound(policy, 4, &last).reserve_unit_price_microcredits, 1'100);
}

TEST(ReserveOfRound, AWalkGoesOnWhereItWasAndNotWhereAnotherPolicyWas) {
  Resource resource = ByUtilisation();
  resource.reserve_kind = policies::ReserveKind::kAr1Band;
  const policies::ReservePolicy policy = ReservePolicyOf(resource, 1, "h");
  ResourcePrice last{.reserve_unit_price_microcredits = 700,
                     .reserve_policy = "ar1_band/1",
                     .reserve_change_microcredits = 50};
  const policies::ReserveOutput next = ReserveOfRound(policy, 9, &last);
  EXPECT_EQ(next.reserve_unit_price_microcredits, 700 + next.change_microcredits);
  EXPECT_NE(next.change_microcredits, 0);
  EXPECT_EQ(ReserveOfRound(policy, 9, &last), next);
  last.reserve_policy = "fixed/1";
  EXPECT_EQ(ReserveOfRound(policy, 9, &last).reserve_unit_price_microcredits, 100);
}

TEST(ReservePolicyOf, HostsWalkApart) {
  const uint64_t seed = ReservePolicyOf(ByUtilisation(), 1, "h").seed;
  EXPECT_NE(ReservePolicyOf(ByUtilisation(), 1, "g").seed, seed);
  EXPECT_NE(ReservePolicyOf(ByUtilisation(), 2, "h").seed, seed);
}

class ReserveInRoundsTest : public MarketTest {
 protected:
  void OpenBy(policies::ReserveKind kind, Microcredits floor) {
    World::Options options;
    options.config.hosts = {TestHostConfig("h", kPeriod)};
    for (Resource& resource : options.config.hosts[0].resources) {
      resource.reserve_unit_price_microcredits = floor;
      resource.reserve_kind = kind;
      resource.reserve_ceiling_unit_price_microcredits = 10'100;
    }
    options.hosts["h"] = TestHostOptions(1);
    options.hosts["h"].guests_bid = false;
    world_ = std::make_unique<World>(std::move(options));
    world_->Settle();
    EXPECT_TRUE(world_->AskAsOperator(CreateTenant{NewId(), "ann", "ann", "hash"}).status.ok());
    EXPECT_TRUE(world_->AskAsOperator(Deposit{NewId(), "ann", 1'000'000'000}).status.ok());
  }

  const ResourcePrice& Memory() {
    for (const ResourcePrice& price : book().prices) {
      if (price.kind == ResourceKind::kMemory) return price;
    }
    ADD_FAILURE() << "no price of memory";
    return book().prices.front();
  }
};

TEST_F(ReserveInRoundsTest, RisesWithWhatIsSoldAndIsPublishedWithItsPolicy) {
  OpenBy(policies::ReserveKind::kUtilisation, 100);
  const GuestId guest = Admit("ann", "a");
  ASSERT_TRUE(RunUntilDecided(2));
  EXPECT_EQ(Memory().reserve_unit_price_microcredits, 100);
  EXPECT_EQ(Memory().reserve_policy, "utilisation/1");
  ASSERT_TRUE(Bid("ann", MemoryBid(guest, 8, 50'000)).status.ok());
  const RoundId round = book().last_decided_round_id + 1;
  ASSERT_TRUE(RunUntilDecided(round));
  const ResourcePrice sold = Memory();
  ASSERT_GT(sold.sold_units, 0);
  EXPECT_EQ(sold.reserve_unit_price_microcredits, 100);  // Of the round before, which sold nothing.
  ASSERT_TRUE(RunUntilDecided(round + 1));
  EXPECT_EQ(Memory().reserve_unit_price_microcredits,
            100 + 10'000 * (sold.sold_units * 1'000'000 / sold.supply_units) / 1'000'000);
  EXPECT_GT(Memory().reserve_unit_price_microcredits, 100);
}

TEST_F(ReserveInRoundsTest, WithoutAReserveIdleUnitsAreFree) {
  OpenBy(policies::ReserveKind::kNone, 0);
  ASSERT_TRUE(RunUntilDecided(1));
  EXPECT_EQ(Memory().reserve_unit_price_microcredits, 0);
  EXPECT_EQ(Memory().reserve_policy, "none/1");
}

}  // namespace
}  // namespace nom::market
