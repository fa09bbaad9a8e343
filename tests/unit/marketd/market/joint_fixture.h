// SPDX-License-Identifier: Apache-2.0
// A host that clears all kinds in one auction, for tests of its bids and of its rounds.

#ifndef TESTS_UNIT_MARKETD_MARKET_JOINT_FIXTURE_H_
#define TESTS_UNIT_MARKETD_MARKET_JOINT_FIXTURE_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "policies/clearing/joint/joint_vcg.h"
#include "tests/unit/marketd/market/market_fixture.h"

namespace nom::market {

inline constexpr size_t kCpuEntry = static_cast<size_t>(ResourceKind::kCpu) - 1;
inline constexpr size_t kMemoryEntry = static_cast<size_t>(ResourceKind::kMemory) - 1;

inline policies::Bundle CpuAndMemory(int64_t cpu, int64_t memory, Microcredits value) {
  policies::Bundle bundle{.value_microcredits = value};
  bundle.units[kCpuEntry] = cpu;
  bundle.units[kMemoryEntry] = memory;
  return bundle;
}

inline Valuation Curves(policies::Combination combination, std::vector<policies::Range> cpu,
                        std::vector<policies::Range> memory, Microcredits whole = 0) {
  Valuation valuation;
  policies::CurveFamily& family = valuation.curves.emplace();
  family.combination = combination;
  family.whole_value_microcredits = whole;
  family.curves[kCpuEntry] = std::move(cpu);
  family.curves[kMemoryEntry] = std::move(memory);
  return valuation;
}

inline HostConfig Joint(HostConfig host) {
  host.joint_rule = policies::kJointVcg;
  for (Resource& resource : host.resources) resource.rule = policies::kJointVcg;
  return host;
}

// Host "h" clears jointly, "kinds" each kind by itself; ann and bob have money.
class JointTest : public MarketTest {
 protected:
  JointTest() { OpenJoint({}); }

  void OpenJoint(JointClearFunction clear, bool beside = false) {
    World::Options options;
    options.config.hosts = {Joint(TestHostConfig("h", kPeriod)), TestHostConfig("kinds", kPeriod)};
    for (HostConfig& host : options.config.hosts) {
      host.guests_max = 4;
      options.hosts[host.host_id] = TestHostOptions(1);
      options.hosts[host.host_id].guests_bid = false;
    }
    options.clears_beside = beside;
    options.clearing_takes = absl::Seconds(2);
    if (clear) options.clear.joint = std::move(clear);
    world_ = std::make_unique<World>(std::move(options));
    world_->Settle();
    for (const char* tenant : {"ann", "bob"}) {
      EXPECT_TRUE(world_->AskAsOperator(CreateTenant{NewId(), tenant, tenant, "hash"}).status.ok());
      EXPECT_TRUE(world_->AskAsOperator(Deposit{NewId(), tenant, 1'000'000'000}).status.ok());
    }
  }

  PlaceBid ValuationBid(GuestId guest_id, Valuation valuation) {
    return {.request_id = NewId(),
            .guest_id = guest_id,
            .kind = kSeveralKinds,
            .valuation = std::make_shared<const Valuation>(std::move(valuation))};
  }
  absl::Status Refusal(GuestId guest_id, Valuation valuation) {
    return Bid("ann", ValuationBid(guest_id, std::move(valuation))).status;
  }
  Round Last() {
    const auto rounds = world_->ledger().reader().ListRounds("h", 0, 1);
    EXPECT_TRUE(rounds.ok() && rounds->size() == 1) << rounds.status();
    return rounds->front();
  }
  AuctionRecord Record(RoundId round_id) {
    const auto record = world_->ledger().reader().GetAuction("h", round_id, ResourceKind::kMemory);
    EXPECT_TRUE(record.ok()) << record.status();
    return *record;
  }
  static const Outcome& OutcomeOf(const Round& round, GuestId guest_id, ResourceKind kind) {
    return *std::find_if(round.outcomes.begin(), round.outcomes.end(), [&](const Outcome& outcome) {
      return outcome.guest_id == guest_id && outcome.kind == kind;
    });
  }
};

}  // namespace nom::market

#endif  // TESTS_UNIT_MARKETD_MARKET_JOINT_FIXTURE_H_
