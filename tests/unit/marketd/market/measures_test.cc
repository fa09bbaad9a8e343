// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/measures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "marketd/market/joint_bids.h"
#include "policies/clearing/joint/joint_vcg.h"
#include "policies/clearing/rules.h"

namespace nom::market {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

constexpr auto kMemory = ResourceKind::kMemory;

policies::Bid Flat(GuestId guest_id, policies::OwnerId owner_id, int64_t units,
                   Microcredits price) {
  return {.guest_id = guest_id, .ranges = {{0, units, 0, price}}, .owner_id = owner_id};
}

TEST(MovedUnits, CountsEachThatChangesHandsOnce) {
  EXPECT_EQ(MovedUnits({}, {}), 0);
  EXPECT_EQ(MovedUnits({{1, 5}}, {{1, 5}}), 0);
  EXPECT_EQ(MovedUnits({{1, 5}}, {{2, 5}}), 5) << "from one to the other, once";
  EXPECT_EQ(MovedUnits({}, {{1, 5}}), 5) << "out of what was not sold";
  EXPECT_EQ(MovedUnits({{1, 5}, {2, 3}}, {{1, 2}}), 6) << "back to it";
  EXPECT_EQ(MovedUnits({{1, 5}, {2, 3}}, {{1, 7}, {2, 2}, {3, 1}}), 3) << "one of 2's, two idle";
}

TEST(Measures, OfAnAuctionByKind) {
  // Ten units at 2: two owners of which the second has two guests.
  policies::Auction auction{.capacity_units = 10, .reserve_unit_price_microcredits = 2, .seed = 1};
  auction.bids = {Flat(1, 1, 8, 9), Flat(2, 2, 2, 7), Flat(3, 2, 2, 5), Flat(4, 4, 6, 1)};
  const auto clearing = policies::Clear("mpsp/1", auction);
  ASSERT_TRUE(clearing.ok()) << clearing.status();
  const RoundMeasures measures = MeasuresOf(auction, *clearing, /*learns=*/true);
  EXPECT_EQ(measures.welfare_microcredits, 8 * 9 + 2 * 7);
  EXPECT_EQ(measures.welfare_bound_microcredits, 8 * 9 + 2 * 7);
  EXPECT_EQ(measures.maximised_microcredits, measures.welfare_microcredits);
  EXPECT_EQ(measures.maximised_bound_microcredits, measures.welfare_bound_microcredits);
  // The first displaces two units at 5, the second two of nobody's, at the reserve.
  EXPECT_EQ(measures.revenue_microcredits, 2 * 5 + 6 * 2 + 2 * 2);
  // The first has all that it asked for, the second two of four; the fourth asks below the reserve,
  // which is no asking: (1 + 1/2)^2 / (2 (1 + 1/4)).
  EXPECT_EQ(measures.jain_index_ppm, 900'000);
  EXPECT_EQ(measures.best_unit_price_microcredits, 9) << "8 at 9, rather than 10 at 7";
  EXPECT_EQ(MeasuresOf(auction, *clearing, /*learns=*/false).best_unit_price_microcredits,
            std::nullopt);
  EXPECT_THAT(AskedUnits(auction),
              UnorderedElementsAre(Pair(1, 8), Pair(2, 2), Pair(3, 2), Pair(4, 0)));
}

TEST(Measures, WithWeightsWelfareAndWhatWasMaximisedAreTwo) {
  policies::Auction auction{.capacity_units = 1, .reserve_unit_price_microcredits = 2, .seed = 1};
  auction.bids = {Flat(1, 1, 1, 12), Flat(2, 2, 1, 8)};
  auction.bids[0].weight_ppm = 500'000;
  const auto clearing = policies::Clear("mpsp/1", auction);
  ASSERT_TRUE(clearing.ok()) << clearing.status();
  const RoundMeasures measures = MeasuresOf(auction, *clearing, /*learns=*/false);
  EXPECT_EQ(measures.welfare_microcredits, 8);
  EXPECT_EQ(measures.welfare_bound_microcredits, 12) << "what welfare alone could have been";
  EXPECT_EQ(measures.maximised_microcredits, 8);
  EXPECT_EQ(measures.maximised_bound_microcredits, 8);
  EXPECT_EQ(measures.revenue_microcredits, 7);
}

TEST(Measures, WelfareIsWhatAnAwardIsWorthWhateverItsWeight) {
  policies::Auction auction{.capacity_units = 1, .reserve_unit_price_microcredits = 2, .seed = 1};
  auction.bids = {Flat(1, 1, 1, 30), Flat(2, 2, 1, 8)};
  auction.bids[0].weight_ppm = 500'000;
  const auto clearing = policies::Clear("mpsp/1", auction);
  ASSERT_TRUE(clearing.ok()) << clearing.status();
  const RoundMeasures measures = MeasuresOf(auction, *clearing, /*learns=*/false);
  EXPECT_EQ(measures.welfare_microcredits, 30);
  EXPECT_EQ(measures.welfare_bound_microcredits, 30);
  // What it is worth above the reserve counts half: 2 + 28 / 2.
  EXPECT_EQ(measures.maximised_microcredits, 16);
  EXPECT_EQ(measures.maximised_bound_microcredits, 16);
}

TEST(Measures, AClearingThatNobodyCouldMakeHasNoBound) {
  policies::Auction auction{.capacity_units = 5, .reserve_unit_price_microcredits = 2, .seed = 1};
  auction.bids = {Flat(1, 1, 5, 9)};
  policies::Clearing nothing;
  nothing.method = policies::Method::kRepeatLast;
  const RoundMeasures measures = MeasuresOf(auction, nothing, /*learns=*/false);
  EXPECT_EQ(measures.welfare_microcredits, 10) << "all of it is the operator's";
  EXPECT_EQ(measures.maximised_bound_microcredits, std::nullopt);
  EXPECT_EQ(measures.welfare_bound_microcredits, 45) << "that of the relaxed auction holds";
  EXPECT_EQ(measures.jain_index_ppm, std::nullopt);
}

TEST(Measures, OfOneKindOfAnAuctionOfAll) {
  policies::JointAuction auction{.resource_count = 2,
                                 .capacity_units = {10, 4},
                                 .reserve_unit_prices_microcredits = {1, 1},
                                 .seed = 1};
  policies::JointBid bundles{.guest_id = ItemId(1, kSeveralKinds), .owner_id = 1};
  bundles.bundles = {{{2, 1}, 10}, {{6, 4}, 40}, {{9, 5}, 90}};  // The last is more than there is.
  policies::JointBid single{.guest_id = ItemId(2, kMemory), .owner_id = 2};
  single.curves.emplace();
  single.curves->curves[0] = {{0, 8, 0, 3}};
  auction.bids = {bundles, single};
  EXPECT_THAT(AskedUnits(auction, 0), UnorderedElementsAre(Pair(1, 6), Pair(2, 8)));
  EXPECT_THAT(AskedUnits(auction, 1), UnorderedElementsAre(Pair(1, 4), Pair(2, 0)));
  const std::vector<KindAward> awards = {{1, kMemory, 6, 20}, {2, kMemory, 4, 5}};
  const RoundMeasures measures = MeasuresOf(auction, 0, awards);
  EXPECT_EQ(measures.revenue_microcredits, 25);
  EXPECT_EQ(measures.jain_index_ppm, 900'000) << "all of six, and half of eight";
  EXPECT_EQ(measures.welfare_microcredits, std::nullopt) << "the certificate has it";
}

TEST(AsksOf, AddsUpTenantsAndNoMoreThanThereWas) {
  Round round{.round_id = 4};
  round.prices = {{.kind = kMemory, .supply_units = 10}};
  const auto outcome = [](GuestId guest_id, const char* tenant, int64_t asked, int64_t award) {
    Outcome out{.guest_id = guest_id, .kind = kMemory, .tenant_id = tenant, .award_units = award};
    out.asked_units = asked;
    return out;
  };
  round.outcomes = {outcome(1, "bob", 8, 3), outcome(2, "ann", 2, 2), outcome(3, "bob", 8, 4),
                    outcome(4, "cat", 0, 0)};
  EXPECT_THAT(AsksOf(round),
              ElementsAre(TenantAsk{"ann", kMemory, 2, 2}, TenantAsk{"bob", kMemory, 10, 7}));
  round.outcomes.clear();
  EXPECT_THAT(AsksOf(round), IsEmpty());
}

TEST(WeightsOf, LooksBackSoManyRoundsAndAtThisKind) {
  HostBook book;
  book.past_asks = {{5, {{"ann", kMemory, 10, 0}}},
                    {6, {{"ann", kMemory, 10, 5}, {"bob", kMemory, 10, 10}}},
                    {7, {{"bob", ResourceKind::kCpu, 10, 0}}}};
  const std::map<policies::OwnerId, TenantId> tenants = {{1, "ann"}, {2, "bob"}};
  const std::vector<policies::Bid> bids = {Flat(1, 1, 4, 9), Flat(2, 2, 4, 9)};
  Objective objective{
      .kind = ObjectiveKind::kLeastSatisfied, .look_back_rounds = 2, .steepness = 1};
  EXPECT_THAT(WeightsOf(book, objective, 8, kMemory, tenants, bids, 10, 2),
              ElementsAre(Pair(1, 1'000'000), Pair(2, 500'000)));
  objective.look_back_rounds = 3;
  EXPECT_THAT(WeightsOf(book, objective, 8, kMemory, tenants, bids, 10, 2),
              ElementsAre(Pair(1, 1'000'000), Pair(2, 250'000)))
      << "five of twenty";
  objective.look_back_rounds = 1;
  EXPECT_THAT(WeightsOf(book, objective, 8, kMemory, tenants, bids, 10, 2),
              ElementsAre(Pair(1, 1'000'000), Pair(2, 1'000'000)));
  // At a reserve above its bid bob asks for nothing now, and is no measure for ann.
  const std::vector<policies::Bid> low = {Flat(1, 1, 4, 9), Flat(2, 2, 4, 1)};
  objective.look_back_rounds = 3;
  EXPECT_THAT(WeightsOf(book, objective, 8, kMemory, tenants, low, 10, 2),
              ElementsAre(Pair(1, 1'000'000), Pair(2, 1'000'000)));
}

}  // namespace
}  // namespace nom::market
