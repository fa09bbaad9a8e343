// SPDX-License-Identifier: Apache-2.0
// A host whose rounds are for the least satisfied, over real gRPC: who is served, what each round
// came to, who is told, and that it is cleared again after the objective is another.

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/service/market_fixture.h"

namespace nom::testing {
namespace {

using ::testing::HasSubstr;

constexpr auto kMemory = market_pb::RESOURCE_KIND_MEMORY;
constexpr int64_t kForSale = 64 - 2 * 4;  // Less two seeds.

class ObjectiveTest : public MarketTest {
 protected:
  std::string Config() override { return ConfigFor("least_satisfied/1"); }
  std::string ConfigFor(const std::string& objective) {
    return absl::StrReplaceAll(
        SampleConfig(dir_),
        {{"    period_ms: 1000\n",
          absl::StrCat("    period_ms: 1000\n    objective: ", objective, "\n")}});
  }

  // Waits until so many rounds after the first in which both bid are settled; the settled ones.
  std::vector<market_pb::Round> SettledRounds(uint64_t from_round_id, size_t count) {
    const auto context = operator_->Context();
    const auto reader = operator_->market->Watch(context.get(), market_pb::WatchRequest());
    market_pb::WatchResponse response;
    std::vector<market_pb::Round> settled;
    ReadUntil(*reader, &response, [&](const market_pb::WatchResponse&) {
      market_pb::ListRoundsRequest request;
      request.set_page_size(100);
      market_pb::ListRoundsResponse rounds;
      if (!operator_->market->ListRounds(operator_->Context().get(), request, &rounds).ok()) {
        return false;
      }
      settled.clear();
      for (const market_pb::Round& round : rounds.rounds()) {
        if (round.phase() == market_pb::ROUND_PHASE_SETTLED && round.round_id() >= from_round_id) {
          settled.push_back(round);
        }
      }
      return settled.size() >= count;
    });
    context->TryCancel();
    return settled;
  }
  static const market_pb::ResourcePrice* MemoryOf(const market_pb::Round& round) {
    for (const market_pb::ResourcePrice& price : round.prices()) {
      if (price.kind() == kMemory) return &price;
    }
    return nullptr;
  }
};

TEST_F(ObjectiveTest, TheWeakerIsServedAndEachRoundSaysWhatItCameTo) {
  uint64_t round_id = 0;
  ASSERT_THAT(PlaceBid(*alice_, BidRequest(alices_guest_, kMemory, 64, 500, "a1")), Succeeds());
  ASSERT_THAT(PlaceBid(*bob_, BidRequest(bobs_guest_, kMemory, 64, 100, "b1"), &round_id),
              Succeeds());
  const std::vector<market_pb::Round> rounds = SettledRounds(round_id, 5);
  std::map<uint64_t, int64_t> won;
  for (const market_pb::Round& round : rounds) {
    EXPECT_EQ(round.objective(), "least_satisfied/1");
    const market_pb::ResourcePrice* const price = MemoryOf(round);
    ASSERT_NE(price, nullptr);
    ASSERT_TRUE(price->has_measures());
    const market_pb::RoundMeasures& measures = price->measures();
    EXPECT_LE(measures.welfare_microcredits(), measures.welfare_bound_microcredits());
    EXPECT_LE(measures.maximised_microcredits(), measures.welfare_microcredits());
    EXPECT_EQ(measures.maximised_microcredits(), measures.maximised_bound_microcredits());
    EXPECT_TRUE(measures.has_jain_index_ppm());
    int64_t charged = 0;
    for (const market_pb::GuestOutcome& outcome : round.outcomes()) {
      if (outcome.kind() != kMemory) continue;
      EXPECT_EQ(outcome.asked_units(), kForSale);
      EXPECT_GE(outcome.charge_microcredits(), outcome.award_units() * 10);
      EXPECT_LE(outcome.charge_microcredits(),
                outcome.award_units() * (outcome.guest_id() == alices_guest_ ? 500 : 100));
      won[outcome.guest_id()] += outcome.award_units();
      charged += outcome.charge_microcredits();
    }
    EXPECT_EQ(measures.revenue_microcredits(), charged);
  }
  EXPECT_GT(won[alices_guest_], 0);
  EXPECT_GT(won[bobs_guest_], 0) << "whom five times the price would never let in";

  // A tenant is told what is nobody's secret, and of its own asking.
  market_pb::ListRoundsResponse seen;
  ASSERT_THAT(bob_->market->ListRounds(bob_->Context().get(), {}, &seen), Succeeds());
  ASSERT_GT(seen.rounds_size(), 0);
  for (const market_pb::Round& round : seen.rounds()) {
    const market_pb::ResourcePrice* const price = MemoryOf(round);
    ASSERT_NE(price, nullptr);
    EXPECT_TRUE(price->has_measures());
    EXPECT_FALSE(price->measures().has_welfare_microcredits());
    EXPECT_FALSE(price->measures().has_welfare_bound_microcredits());
    EXPECT_FALSE(price->measures().has_maximised_microcredits());
    EXPECT_FALSE(price->measures().has_maximised_bound_microcredits());
    for (const market_pb::GuestOutcome& outcome : round.outcomes()) {
      EXPECT_EQ(outcome.guest_id(), bobs_guest_);
    }
  }
  const auto context = bob_->Context();
  const auto reader = bob_->market->Watch(context.get(), market_pb::WatchRequest());
  market_pb::WatchResponse state;
  ASSERT_TRUE(reader->Read(&state));
  EXPECT_EQ(state.state().objective(), "least_satisfied/1");
  context->TryCancel();

  // For welfare from the next start on: the rounds of before are cleared again as they were.
  ASSERT_EQ(marketd_->Terminate().code, 0);
  dir_.Write("marketd.yaml", ConfigFor("welfare/1"));
  ASSERT_TRUE(marketd_->Start().ok());
  operator_ = std::make_unique<Client>(marketd_->grpc_address());
  const std::vector<market_pb::Round> later = SettledRounds(rounds.front().round_id() + 2, 2);
  ASSERT_FALSE(later.empty());
  EXPECT_EQ(later.front().objective(), "welfare/1");
  operators_pb::AuditResponse audit;
  ASSERT_THAT(Audit(*operator_, &audit), Succeeds());
  EXPECT_TRUE(audit.balanced()) << audit.DebugString();
  EXPECT_GE(audit.rounds_replayed(), 7u);
}

TEST_F(ObjectiveTest, WhatDoesNotGoTogetherIsRefusedWithItsLine) {
  const std::string bad = dir_.Write("bad.yaml", ConfigFor("revenue/1"));
  const Exit refused = RunToEnd({NOM_MARKETD, "--check", "--config", bad});
  EXPECT_NE(refused.code, 0);
  EXPECT_THAT(refused.out,
              HasSubstr("hosts[0].objective: revenue/1 needs a resource whose reserve is by"));
  EXPECT_THAT(refused.out, HasSubstr("bad.yaml:"));
}

}  // namespace
}  // namespace nom::testing
