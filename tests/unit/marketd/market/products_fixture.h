// SPDX-License-Identifier: Apache-2.0
// A market of one host that sells memory forward, with a guest of each of two tenants.

#ifndef TESTS_UNIT_MARKETD_MARKET_PRODUCTS_FIXTURE_H_
#define TESTS_UNIT_MARKETD_MARKET_PRODUCTS_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "marketd/market/audit.h"
#include "marketd/market/products.h"
#include "tests/unit/marketd/market/market_fixture.h"

namespace nom::market {

class ProductsTest : public MarketTest {
 protected:
  ProductsTest() {
    Open(nullptr, [](HostConfig& host) {
      ForwardSale forward{.share_ppm = 500'000, .look_back_rounds = 20};
      forward.policy.rounds_max = 100;
      host.resources[1].forward = forward;
    });
    ann_ = Admit("ann", "one");
    bob_ = Admit("bob", "two");
    EXPECT_TRUE(RunUntilInForce(1));
  }

  Reply Ask(const TenantId& tenant_id, Call call) {
    return world_->Ask(Caller{.tenant_id = tenant_id}, std::move(call));
  }
  Reply Quote(const TenantId& tenant_id, GuestId guest_id, int64_t units, int64_t rounds,
              RoundId from = 0) {
    return Ask(tenant_id,
               GetQuote{NewId(), guest_id, {{ResourceKind::kMemory, units}}, from, rounds});
  }
  Reply Take(const TenantId& tenant_id, GuestId guest_id, OfferId offer_id,
             Microcredits ceiling = 0) {
    return Ask(tenant_id, TakeOffer{NewId(), offer_id, guest_id, ceiling});
  }
  ContractId Buy(const TenantId& tenant_id, GuestId guest_id, int64_t units, int64_t rounds,
                 RoundId from = 0, Microcredits ceiling = 0) {
    const Reply quote = Quote(tenant_id, guest_id, units, rounds, from);
    EXPECT_TRUE(quote.status.ok()) << quote.status;
    const Reply taken = Take(tenant_id, guest_id, quote.offer_id, ceiling);
    EXPECT_TRUE(taken.status.ok()) << taken.status;
    return taken.contract_id;
  }
  Reply Sublet(const TenantId& tenant_id, ContractId contract_id, int64_t units,
               Microcredits charge, int64_t rounds, GuestId to = 0) {
    return Ask(tenant_id, OfferSublet{.request_id = NewId(),
                                      .contract_id = contract_id,
                                      .lots = {{ResourceKind::kMemory, units, charge}},
                                      .to_guest_id = to,
                                      .rounds = rounds});
  }
  const Contract& Open(ContractId contract_id) {
    const Contract* const contract = world_->state().contracts.Find(contract_id);
    EXPECT_NE(contract, nullptr) << contract_id;
    static const Contract kNone;
    return contract == nullptr ? kNone : *contract;
  }
  using MarketTest::Open;
  bool IsOpen(ContractId contract_id) {
    return world_->state().contracts.Find(contract_id) != nullptr;
  }
  RoundId Next() { return book().last_decided_round_id + 1; }
  void ExpectGoodBooks() {
    EXPECT_EQ(CheckBooks(world_->state()), "");
    const auto audit = Audit(world_->ledger().reader(), ClearByRule);
    ASSERT_TRUE(audit.ok()) << audit.status();
    EXPECT_THAT(audit->findings, testing::IsEmpty());
    const State before = world_->state();
    world_->Restart();
    EXPECT_TRUE(world_->state() == before) << "the ledger says another thing than the engine";
  }

  GuestId ann_ = 0;
  GuestId bob_ = 0;
};

}  // namespace nom::market

#endif  // TESTS_UNIT_MARKETD_MARKET_PRODUCTS_FIXTURE_H_
