// SPDX-License-Identifier: Apache-2.0
#include "marketd/market/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "policies/clearing/fallback.h"
#include "tests/sim/world.h"

namespace nom::market {
namespace {

using testing::HasSubstr;

TEST(ValidateConfig, NamesWhatIsWrong) {
  const MarketConfig good{.hosts = {TestHostConfig("a", absl::Seconds(60))}};
  ASSERT_TRUE(ValidateConfig(good).ok()) << ValidateConfig(good);
  const auto said = [&good](const std::function<void(MarketConfig&)>& spoil) {
    MarketConfig config = good;
    spoil(config);
    const absl::Status status = ValidateConfig(config);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(said([](auto& c) { c.hosts.clear(); }), HasSubstr("hosts: there are none"));
  EXPECT_THAT(said([](auto& c) { c.hosts[0].host_id = "A b"; }), HasSubstr("hosts[0].host_id"));
  EXPECT_THAT(said([](auto& c) { c.hosts.push_back(c.hosts[0]); }),
              HasSubstr("hosts[1].host_id: is there twice"));
  EXPECT_THAT(said([](auto& c) { c.hosts[0].SetPeriod(absl::Milliseconds(999)); }),
              HasSubstr("hosts[0].period: 999ms is outside"));
  EXPECT_THAT(said([](auto& c) { c.hosts[0].grace = absl::Seconds(50); }),
              HasSubstr("hosts[0].grace"));
  EXPECT_THAT(said([](auto& c) { c.hosts[0].guests_max = 0; }), HasSubstr("guests_max"));
  EXPECT_THAT(said([](auto& c) { c.hosts[0].resources.clear(); }), HasSubstr("resources"));
  EXPECT_THAT(said([](auto& c) { c.hosts[0].resources[1].rule = "best/1"; }),
              HasSubstr("hosts[0].resources[1].rule: no rule is called 'best/1'"));
  EXPECT_THAT(said([](auto& c) { c.hosts[0].resources[1].kind = ResourceKind::kCpu; }),
              HasSubstr("hosts[0].resources[1].kind: is there twice"));
  EXPECT_THAT(said([](auto& c) { c.hosts[0].resources[0].unit_size = 0; }), HasSubstr("unit_size"));
  EXPECT_THAT(said([](auto& c) { c.hosts[0].resources[0].capacity_units = -1; }),
              HasSubstr("capacity_units"));
  EXPECT_THAT(said([](auto& c) { c.hosts[0].resources[0].reclaim_penalty_microcredits = -1; }),
              HasSubstr("reclaim_penalty_microcredits"));
}

TEST(ValidateConfig, NamesWhatIsWrongWithTheObjective) {
  const MarketConfig good{.hosts = {TestHostConfig("a", absl::Seconds(60))}};
  const auto said = [&good](const std::function<void(HostConfig&)>& spoil) {
    MarketConfig config = good;
    spoil(config.hosts[0]);
    return std::string(ValidateConfig(config).message());
  };
  const auto learns = [](HostConfig& host) {
    host.objective.kind = ObjectiveKind::kRevenue;
    host.resources[1].reserve_kind = policies::ReserveKind::kLearnt;
    host.resources[1].reserve_ceiling_unit_price_microcredits = 5'000;
  };
  EXPECT_EQ(said(learns), "");
  EXPECT_EQ(said([](HostConfig& h) { h.objective.kind = ObjectiveKind::kLeastSatisfied; }), "");
  EXPECT_THAT(
      said([](HostConfig& h) { h.objective.kind = ObjectiveKind::kRevenue; }),
      HasSubstr("hosts[0].objective: revenue/1 needs a resource whose reserve is by learnt"));
  EXPECT_THAT(said([&](HostConfig& h) {
                learns(h);
                h.objective.kind = ObjectiveKind::kWelfare;
              }),
              HasSubstr("a reserve by learnt/1 is for revenue/1, not for welfare/1"));
  EXPECT_THAT(said([&](HostConfig& h) {
                learns(h);
                h.resources[1].reserve_ceiling_unit_price_microcredits = 499;
              }),
              HasSubstr("ceiling"));
  EXPECT_THAT(said([&](HostConfig& h) {
                learns(h);
                h.resources[1].reserve_look_back_rounds = 7;
              }),
              HasSubstr("look_back_rounds"));
  EXPECT_THAT(said([](HostConfig& h) {
                h.objective.kind = ObjectiveKind::kLeastSatisfied;
                h.resources[0].rule = "posted_price/1";
              }),
              HasSubstr("posted_price/1 maximises nothing"));
  for (const int64_t bad : {int64_t{0}, static_cast<int64_t>(kPastAsksMax) + 1}) {
    EXPECT_THAT(said([bad](HostConfig& h) { h.objective.look_back_rounds = bad; }),
                HasSubstr("objective_look_back_rounds"));
  }
  for (const int64_t bad : {int64_t{0}, policies::kSteepnessMax + 1}) {
    EXPECT_THAT(said([bad](HostConfig& h) { h.objective.steepness = bad; }),
                HasSubstr("objective_steepness"));
  }
  EXPECT_THAT(said([](HostConfig& h) {
                h.objective.kind = ObjectiveKind::kLeastSatisfied;
                h.joint_rule = "joint_vcg/1";
                for (Resource& resource : h.resources) resource.rule = h.joint_rule;
              }),
              HasSubstr("least_satisfied/1 needs resources that are each cleared by a rule"));
}

TEST(ValidateConfig, NamesWhatIsWrongWithTiers) {
  MarketConfig good{.hosts = {TestHostConfig("a", absl::Seconds(60))}};
  good.hosts[0].tiers = {{.name = "low",
                          .floor_units = {{ResourceKind::kCpu, 1}, {ResourceKind::kMemory, 1}},
                          .floor_every_rounds = 3},
                         {.name = "high", .price_multiple_ppm = 2'000'000}};
  ASSERT_TRUE(ValidateConfig(good).ok()) << ValidateConfig(good);
  const auto said = [&good](const std::function<void(std::vector<Tier>&)>& spoil) {
    MarketConfig config = good;
    spoil(config.hosts[0].tiers);
    return std::string(ValidateConfig(config).message());
  };
  EXPECT_THAT(said([](auto& t) { t[1].name = "low"; }), HasSubstr("'low' is there twice"));
  EXPECT_THAT(said([](auto& t) { t[1].price_multiple_ppm = 1; }), HasSubstr("a lower tier"));
  EXPECT_THAT(said([](auto& t) { t[0].floor_units.erase(ResourceKind::kCpu); }),
              HasSubstr("tiers[0].floor: has no cpu"));
  EXPECT_THAT(said([](auto& t) { t[0].floor_every_rounds = 0; }),
              HasSubstr("tiers[0].floor_every_rounds: goes with a floor"));
  EXPECT_THAT(said([](auto& t) { t[1].floor_units[ResourceKind::kDisk] = 1; }),
              HasSubstr("tiers[1].floor: disk is not sold"));
  EXPECT_THAT(said([](auto& t) { t[0].floor_units[ResourceKind::kCpu] = 0; }),
              HasSubstr("cpu: 0 is outside [1, "));
  EXPECT_THAT(said([](auto& t) { t.resize(kTiersMax + 1, t[1]); }), HasSubstr("more than 16"));
}

TEST(ClearingWorkMax, IsSetOrATenthOfThePeriodSharedByTheResources) {
  HostConfig host = TestHostConfig("a", absl::Seconds(60));
  ASSERT_EQ(host.resources.size(), 2u);
  EXPECT_EQ(ClearingWorkMax(host, 1), 6 * policies::kWorkASecond / 2);
  EXPECT_EQ(ClearingWorkMax(host, 3), 6 * policies::kWorkASecond / 6) << "one thread for all hosts";
  host.clearing_work_max = 7;
  EXPECT_EQ(ClearingWorkMax(host, 3), 7);
  ASSERT_TRUE(ValidateConfig({.hosts = {host}}).ok());
  host.clearing_work_max = -1;
  EXPECT_THAT(std::string(ValidateConfig({.hosts = {host}}).message()),
              HasSubstr("hosts[0].clearing_work_max: must not be negative"));
}

TEST(IsName, TakesOnlyWhatIsSafeEverywhere) {
  EXPECT_TRUE(IsName("a-9", 3));
  for (const char* bad : {"", "a-99", "A", "a_b", "a/b", "a b", "\xc3\xa4"}) {
    EXPECT_FALSE(IsName(bad, 3)) << bad;
  }
}

}  // namespace
}  // namespace nom::market
