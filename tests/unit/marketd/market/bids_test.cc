// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/bids.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "marketd/base/random.h"
#include "policies/clearing/rules.h"

namespace nom::market {
namespace {

using policies::Range;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Resource Cpu() {
  return {
      .kind = ResourceKind::kCpu, .rule = "uniform_price/1", .reserve_unit_price_microcredits = 10};
}

TEST(CheckBidForm, UniformPriceRefusesGapsAtTheDoor) {
  const std::vector<Range> gap = {{0, 3, 0, 20}, {6, 6, 100, 0}};
  const absl::Status refused = CheckBidForm(Cpu(), 1, gap, std::nullopt);
  EXPECT_TRUE(absl::IsInvalidArgument(refused)) << refused;
  EXPECT_THAT(refused.message(), HasSubstr("ranges[1]"));
  Resource memory = Cpu();
  memory.rule = "mpsp/1";
  EXPECT_TRUE(CheckBidForm(memory, 1, gap, std::nullopt).ok());
}

TEST(CheckBidForm, NamesTheField) {
  EXPECT_THAT(CheckBidForm(Cpu(), 1, {{0, 3, 0, 20}}, -1).message(),
              HasSubstr("budget_microcredits"));
  EXPECT_THAT(CheckBidForm(Cpu(), 1, {}, std::nullopt).message(), HasSubstr("ranges"));
  EXPECT_THAT(CheckBidForm(Cpu(), 1, {{0, -3, 0, 20}}, std::nullopt).message(),
              HasSubstr("ranges[0].max_units"));
}

TEST(CheckBidMeans, RefusesWhatCouldNeverWin) {
  const std::vector<Range> five_at_least = {{5, 9, 100, 20}};
  EXPECT_TRUE(CheckBidMeans(Cpu(), five_at_least, std::nullopt, {.available = 50}).ok());
  EXPECT_TRUE(
      CheckBidMeans(Cpu(), five_at_least, std::nullopt, {.available = 20, .escrow = 30}).ok());
  for (const auto& [budget, available] :
       {std::pair<std::optional<Microcredits>, Microcredits>{std::nullopt, 49}, {49, 1'000}}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(
        CheckBidMeans(Cpu(), five_at_least, budget, {.available = available})));
  }
  // Even where the reserve is nothing, an empty account cannot buy.
  Resource free = Cpu();
  free.reserve_unit_price_microcredits = 0;
  EXPECT_FALSE(CheckBidMeans(free, five_at_least, std::nullopt, {}).ok());
}

TEST(CutToMeans, KeepsWhatTheMoneyReaches) {
  // 7 a unit and 30 in hand: 4 units are worth 28, the fifth adds 2.
  EXPECT_THAT(CutToMeans({{0, 10, 0, 7}}, 30), ElementsAre(Range{0, 4, 0, 7}, Range{4, 5, 28, 2}));
  EXPECT_THAT(CutToMeans({{0, 10, 0, 7}}, 28), ElementsAre(Range{0, 4, 0, 7}));
  EXPECT_THAT(CutToMeans({{0, 10, 0, 7}}, 70), ElementsAre(Range{0, 10, 0, 7}));
  EXPECT_THAT(CutToMeans({{0, 10, 0, 7}}, 71), ElementsAre(Range{0, 10, 0, 7}));
  EXPECT_THAT(CutToMeans({{0, 10, 0, 7}}, 0), IsEmpty());
  // A step that is worth more than there is stays, at what there is.
  EXPECT_THAT(CutToMeans({{2, 2, 10, 0}, {8, 8, 100, 0}, {9, 20, 110, 1}}, 60),
              ElementsAre(Range{2, 2, 10, 0}, Range{8, 8, 60, 0}));
}

TEST(CutToMeans, CapsEveryValueOnRandomBids) {
  const uint64_t seed = 4;
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  Random random(seed);
  for (int i = 0; i < 2'000; ++i) {
    policies::Bid bid{.guest_id = 1};
    int64_t at = random.Uniform(0, 3);
    for (int64_t n = random.Uniform(1, 16); n > 0; --n) {
      const int64_t wide = random.OneIn(3) ? 0 : random.Uniform(1, 9);
      bid.ranges.push_back(
          {at, at + wide, at == 0 ? 0 : random.Uniform(0, 200), random.Uniform(0, 30)});
      at += wide + random.Uniform(1, 4);
    }
    ASSERT_TRUE(policies::ValidateBid(bid).ok());
    const Microcredits means = random.Uniform(1, 300);
    const policies::Bid cut{.guest_id = 1, .ranges = CutToMeans(bid.ranges, means)};
    ASSERT_TRUE(policies::ValidateBid(cut).ok()) << policies::ValidateBid(cut);
    EXPECT_LE(ValueMax(cut.ranges), means);
    bool reached = false;  // From there on the cut curve may end.
    for (int64_t q = 1; q <= at; ++q) {
      if (!policies::Allowed(bid, q)) {
        EXPECT_FALSE(policies::Allowed(cut, q));
        continue;
      }
      const Microcredits should = std::min(means, policies::ValueOf(bid, q));
      if (policies::Allowed(cut, q)) {
        EXPECT_EQ(policies::ValueOf(cut, q), should) << q;
      } else {
        // Sixteen ranges leave no room for the last, partly paid, unit.
        EXPECT_TRUE(reached || cut.ranges.size() == 16u) << q;
      }
      reached |= should == means;
    }
  }
}

TEST(CutToMeans, KeepsConcaveBidsConcave) {
  Random random(5);
  for (int i = 0; i < 1'000; ++i) {
    policies::Bid bid{.guest_id = 1};
    int64_t at = 0;
    int64_t price = random.Uniform(20, 100);
    Microcredits value = 0;
    for (int64_t n = random.Uniform(1, 8); n > 0; --n) {
      const int64_t wide = random.Uniform(1, 9);
      bid.ranges.push_back({at, at + wide, value, price});
      at += wide;
      value += wide * price;
      price -= random.Uniform(0, 2);
    }
    ASSERT_TRUE(policies::CheckBidForRule("uniform_price/1", bid).ok());
    const policies::Bid cut{.guest_id = 1,
                            .ranges = CutToMeans(CutToUnits(bid.ranges, random.Uniform(1, 40)),
                                                 random.Uniform(1, 2'000))};
    const absl::Status takes = policies::CheckBidForRule("uniform_price/1", cut);
    EXPECT_TRUE(takes.ok()) << takes;
  }
}

TEST(CutToUnits, EndsWhereTheMachineEnds) {
  EXPECT_THAT(CutToUnits({{0, 4, 0, 7}, {6, 9, 50, 1}}, 7),
              ElementsAre(Range{0, 4, 0, 7}, Range{6, 7, 50, 1}));
  EXPECT_THAT(CutToUnits({{3, 4, 9, 7}}, 2), IsEmpty());
}

State TwoGuestsOneTenant(Microcredits available) {
  State state;
  state.tenants["t"] = {.tenant_id = "t"};
  state.purses["t"] = {.available = available};
  for (const GuestId id : {1u, 2u}) {
    state.guests[id] = {
        .guest_id = id, .host_id = "h", .tenant_id = "t", .state = GuestState::kRunning};
    for (const ResourceKind kind : {ResourceKind::kCpu, ResourceKind::kMemory}) {
      state.bids[{id, kind}] = {.guest_id = id, .kind = kind, .ranges = {{0, 10, 0, 10}}};
    }
  }
  state.RebuildIndexes();
  return state;
}

TEST(BidsForRound, EachIsCutToItsOwnMeansAndNamesItsOwner) {
  Resource memory = Cpu();
  memory.kind = ResourceKind::kMemory;
  memory.rule = "mpsp/1";
  const std::vector<Resource> resources = {Cpu(), memory};
  State state = TwoGuestsOneTenant(70);
  state.bids[{2, ResourceKind::kMemory}].budget_microcredits = 30;
  const Owners owners = OwnersOf(state, "h");
  EXPECT_EQ(owners.means, (std::map<policies::OwnerId, Microcredits>{{1, 70}}));
  const auto bids = BidsForRound(state, "h", 1, resources,
                                 {{ResourceKind::kCpu, 50}, {ResourceKind::kMemory, 50}}, owners,
                                 {{{2, ResourceKind::kCpu}, 3}});
  const auto& cpu = bids.at(ResourceKind::kCpu);
  const auto& mem = bids.at(ResourceKind::kMemory);
  ASSERT_EQ(cpu.size(), 2u);
  ASSERT_EQ(mem.size(), 2u);
  EXPECT_EQ(ValueMax(cpu[0].ranges), 70);
  EXPECT_EQ(ValueMax(cpu[1].ranges), 70);
  EXPECT_EQ(ValueMax(mem[1].ranges), 30);
  EXPECT_EQ(cpu[1].held_units, 3);
  EXPECT_EQ(cpu[1].owner_id, 1u);
}

TEST(BidsForRound, LeavesOutWhoDoesNotRunAndWhatHasLapsed) {
  const std::vector<Resource> resources = {Cpu()};
  State state = TwoGuestsOneTenant(1'000);
  state.guests[1].state = GuestState::kAdmitted;
  state.bids[{2, ResourceKind::kCpu}].last_round_id = 4;
  const std::map<ResourceKind, int64_t> supply = {{ResourceKind::kCpu, 50}};
  const Owners owners = OwnersOf(state, "h");
  EXPECT_EQ(
      BidsForRound(state, "h", 4, resources, supply, owners, {}).at(ResourceKind::kCpu).size(), 1u);
  EXPECT_THAT(BidsForRound(state, "h", 5, resources, supply, owners, {}).at(ResourceKind::kCpu),
              IsEmpty());
  EXPECT_THAT(BidsForRound(state, "other", 4, resources, supply, owners, {}).at(ResourceKind::kCpu),
              IsEmpty());
}

}  // namespace
}  // namespace nom::market
