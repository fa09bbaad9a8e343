// SPDX-License-Identifier: Apache-2.0
// A market of one simulated host with a period of 10 s, whose guests bid only when a test says so.

#ifndef TESTS_UNIT_MARKETD_MARKET_MARKET_FIXTURE_H_
#define TESTS_UNIT_MARKETD_MARKET_MARKET_FIXTURE_H_

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/sim/world.h"

namespace nom::market {

class MarketTest : public testing::Test {
 protected:
  static constexpr absl::Duration kPeriod = absl::Seconds(10);

  void Open(ClearFunction clear = nullptr,
            const std::function<void(HostConfig&)>& change = nullptr) {
    World::Options options;
    options.config.hosts = {TestHostConfig("h", kPeriod)};
    options.config.hosts[0].guests_max = 4;
    if (change) change(options.config.hosts[0]);
    options.hosts["h"] = TestHostOptions(1);
    options.hosts["h"].guests_bid = false;
    options.clear = std::move(clear);
    world_ = std::make_unique<World>(std::move(options));
    world_->Settle();
    for (const char* tenant : {"ann", "bob"}) {
      EXPECT_TRUE(world_->AskAsOperator(CreateTenant{NewId(), tenant, tenant, "hash"}).status.ok());
      EXPECT_TRUE(world_->AskAsOperator(Deposit{NewId(), tenant, 1'000'000'000}).status.ok());
    }
  }

  std::string NewId() { return absl::StrCat("id-", ++ids_); }

  AdmitGuest Admission(const TenantId& tenant_id, const std::string& name) {
    return {.request_id = NewId(),
            .host_id = "h",
            .tenant_id = tenant_id,
            .name = name,
            .image = "image",
            .seeds = {{ResourceKind::kCpu, 10}, {ResourceKind::kMemory, 16}}};
  }
  GuestId Admit(const TenantId& tenant_id, const std::string& name) {
    const Reply reply = world_->AskAsOperator(Admission(tenant_id, name));
    EXPECT_TRUE(reply.status.ok()) << reply.status;
    return reply.guest_id;
  }
  PlaceBid MemoryBid(GuestId guest_id, int64_t units, Microcredits price) {
    return {.request_id = NewId(),
            .guest_id = guest_id,
            .kind = ResourceKind::kMemory,
            .ranges = {{0, units, 0, price}}};
  }
  Reply Bid(const TenantId& tenant_id, PlaceBid bid) {
    return world_->Ask(Caller{.tenant_id = tenant_id}, std::move(bid));
  }
  const HostBook& book() { return world_->state().hosts.at("h"); }
  const HostView& host_view() { return *world_->view().FindHost("h"); }
  SimulatedHost& host() { return world_->host("h"); }
  int64_t Held(GuestId guest_id, ResourceKind kind = ResourceKind::kMemory) {
    return host().guests().at(guest_id).units.at(kind);
  }
  const Purse& purse(const TenantId& tenant_id) { return world_->state().PurseOf(tenant_id); }
  bool RunUntilDecided(RoundId round_id) {
    return world_->RunUntil([&] { return book().last_decided_round_id >= round_id; }, 20 * kPeriod);
  }
  bool RunUntilInForce(RoundId round_id) {
    return world_->RunUntil([&] { return book().in_force_round_id >= round_id; }, 20 * kPeriod);
  }

  std::unique_ptr<World> world_;
  int ids_ = 0;
};

}  // namespace nom::market

#endif  // TESTS_UNIT_MARKETD_MARKET_MARKET_FIXTURE_H_
