// SPDX-License-Identifier: Apache-2.0
// Guests that are admitted with a contract, or asked for by their tenants, through the engine.

#include <gmock/gmock.h>

#include "marketd/market/shortage.h"
#include "tests/unit/marketd/market/products_fixture.h"

namespace nom::market {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr auto kMemory = ResourceKind::kMemory;
constexpr auto kCpu = ResourceKind::kCpu;
constexpr Microcredits kValueMax = policies::kValueMaxMicrocredits;

// A guest that is admitted with a contract, and tenants that ask for one themselves.
class BundlesTest : public ProductsTest {
 protected:
  BundlesTest() {
    world_->config().hosts[0].quota = {.guests_max = 2, .seed_units = {{kCpu, 20}, {kMemory, 40}}};
    world_->config().hosts[0].tenant_quotas["bob"] = {};
    world_->Restart();
    EXPECT_TRUE(world_->RunUntil([&] { return host_view().connected; }, kPeriod));
  }
  AdmitGuest WithBundle(int64_t memory, int64_t rounds, Microcredits ceiling) {
    AdmitGuest call = Admission("ann", "legacy");
    call.bundle =
        Bundle{.lots = {{kMemory, memory}}, .rounds = rounds, .ceiling_microcredits = ceiling};
    return call;
  }
  AdmitGuest Wish(const std::string& name) {
    AdmitGuest call = Admission("ann", name);
    call.by_tenant = true;
    return call;
  }
  std::vector<AuditEvent> Events(const std::string& kind) {
    std::vector<AuditEvent> out;
    const auto look = world_->ledger().reader().Look(kMarketBook);
    const auto events = (*look)->ReadEvents("", {.transactions_max = 1'000});
    EXPECT_TRUE(events.ok()) << events.status();
    for (const LoggedEvent& logged : *events) {
      if (logged.event.kind == kind) out.push_back(logged.event);
    }
    return out;
  }
  std::vector<Contract> Ended(const TenantId& tenant_id = "", GuestId guest_id = 0,
                              ContractId before = 0, int limit = 100) {
    const auto look = world_->ledger().reader().Look(kMarketBook);
    const auto ended = (*look)->ReadEndedContracts(tenant_id, guest_id, before, limit);
    EXPECT_TRUE(ended.ok()) << ended.status();
    return *ended;
  }
};

TEST_F(BundlesTest, AGuestIsAdmittedWithItsBundleOrNotAtAll) {
  const AdmitGuest call = WithBundle(40, 10, 30'000);
  const uint64_t before = world_->state().last_transaction_id;
  const RoundId from = Next();
  const Reply admitted = world_->AskAsOperator(call);
  ASSERT_TRUE(admitted.status.ok()) << admitted.status;
  ASSERT_NE(admitted.contract_id, 0u);
  EXPECT_EQ(world_->AskAsOperator(call), admitted) << "a retry";
  const Contract contract = Open(admitted.contract_id);
  EXPECT_EQ(contract.guest_id, admitted.guest_id);
  EXPECT_EQ(contract.from_round_id, from);
  EXPECT_EQ(contract.renew_ceiling_microcredits, 30'000);
  EXPECT_EQ(contract.policy, "forward/1");
  const auto look = world_->ledger().reader().Look(kMarketBook);
  std::vector<std::string> kinds;
  ASSERT_TRUE((*look)
                  ->ReadTransactions(before, 1,
                                     [&](const ChainedTransaction& t) {
                                       kinds.push_back(t.kind);
                                       EXPECT_EQ(t.opened.size(), 1u);
                                       return absl::OkStatus();
                                     })
                  .ok());
  EXPECT_THAT(kinds, testing::ElementsAre("guest admitted")) << "one transaction";
  // Others may bid what they like.
  ASSERT_TRUE(Bid("bob", MemoryBid(bob_, 256, 90'000)).status.ok());
  for (RoundId round = from; round < from + 3; ++round) {
    ASSERT_TRUE(RunUntilInForce(round));
    EXPECT_EQ(Held(admitted.guest_id), 16 + 40);
  }
  ExpectGoodBooks();
}

TEST_F(BundlesTest, ABundleThatCannotBeHadLeavesNoGuestAndSaysWhy) {
  const auto refused = [&](const AdmitGuest& call, absl::StatusCode code, const char* piece) {
    const State before = world_->state();
    const Reply reply = world_->AskAsOperator(call);
    EXPECT_EQ(reply.status.code(), code) << reply.status;
    EXPECT_THAT(std::string(reply.status.message()), HasSubstr(piece));
    EXPECT_TRUE(world_->state() == before) << "nothing is left of it";
    return ShortageOf(reply.status);
  };
  // Above the ceiling: a round costs at least the reserve.
  std::optional<Shortage> shortage = refused(
      WithBundle(40, 10, 19'999), absl::StatusCode::kFailedPrecondition, "above the ceiling");
  ASSERT_TRUE(shortage);
  EXPECT_EQ(shortage->short_of, ShortOf::kCeiling);
  EXPECT_GT(shortage->asked, 19'999);
  EXPECT_EQ(shortage->free, 19'999);
  // The share is sold, until a contract ends.
  const ContractId other = Buy("bob", bob_, 100, 7);
  const RoundId end = Open(other).until_round_id;
  shortage = refused(WithBundle(29, 10, kValueMax), absl::StatusCode::kResourceExhausted,
                     "may still be sold forward");
  EXPECT_EQ(shortage, (Shortage{ShortOf::kShare, kMemory, 29, 28, end}));
  ASSERT_TRUE(RunUntilInForce(Next()));
  // The machine, with the guest's own seed.
  AdmitGuest large = WithBundle(20, 10, kValueMax);
  large.seeds[1].second = 256 - 32 - 100 - 19;
  shortage = refused(large, absl::StatusCode::kResourceExhausted, "nobody was promised");
  EXPECT_EQ(shortage, (Shortage{ShortOf::kMachine, kMemory, 20, 19, end}));
  large.seeds[1].second = 256 - 32 - 100 + 1;
  shortage = refused(large, absl::StatusCode::kResourceExhausted, "seeds: 125 units of memory");
  EXPECT_EQ(shortage, (Shortage{ShortOf::kMachine, kMemory, 125, 124, end}));
  large.seeds[1].second = 256;
  shortage = refused(large, absl::StatusCode::kResourceExhausted, "seeds");
  EXPECT_EQ(shortage->until_round_id, 0u) << "never: the others' seeds stay";
  // Not sold forward; no sense.
  AdmitGuest bad = WithBundle(1, 10, kValueMax);
  bad.bundle->lots = {{kCpu, 1}};
  refused(bad, absl::StatusCode::kFailedPrecondition, "no cpu forward");
  bad.bundle->lots = {{kMemory, 1}, {kMemory, 1}};
  refused(bad, absl::StatusCode::kInvalidArgument, "bundle.lots[1].kind: memory is there twice");
  bad.bundle->lots.clear();
  refused(bad, absl::StatusCode::kInvalidArgument, "bundle.lots: are none");
  refused(WithBundle(1, 0, 1), absl::StatusCode::kInvalidArgument, "bundle.rounds");
  refused(WithBundle(1, 101, kValueMax), absl::StatusCode::kInvalidArgument, "rounds");
  refused(WithBundle(1, 10, 0), absl::StatusCode::kInvalidArgument, "bundle.ceiling_microcredits");
  refused(WithBundle(1, 10, -1), absl::StatusCode::kInvalidArgument, "bundle.ceiling_microcredits");
  bad = WithBundle(10, 10, kValueMax);
  bad.memory_max_units = 25;
  refused(bad, absl::StatusCode::kInvalidArgument, "has room for 25");
  ASSERT_TRUE(
      world_->AskAsOperator(Deposit{NewId(), "ann", 5'000 - purse("ann").available}).status.ok());
  shortage = refused(WithBundle(10, 10, kValueMax), absl::StatusCode::kFailedPrecondition,
                     "5000 microcredits available");
  EXPECT_EQ(shortage->short_of, ShortOf::kMeans);
  EXPECT_EQ(shortage->free, 5'000);
}

TEST_F(BundlesTest, AGuestThatItsHostRefusesCostsNothing) {
  const Microcredits before = purse("ann").available;
  host().faults().create_refused = 1;  // Always.
  AdmitGuest call = WithBundle(40, 10, kValueMax);
  const Reply reply = world_->AskAsOperator(call);
  EXPECT_FALSE(reply.status.ok());
  EXPECT_EQ(purse("ann").available + 0, before);
  EXPECT_EQ(purse("ann").escrow, 0);
  EXPECT_TRUE(world_->state().contracts.all().empty());
  host().faults() = {};
  ExpectGoodBooks();
}

TEST_F(BundlesTest, ABundleWaitsForItsGuestAndCostsNothingUntilItRuns) {
  // No room before a round is over: bob holds all by an award.
  ASSERT_TRUE(Bid("bob", MemoryBid(bob_, 256, 90'000)).status.ok());
  ASSERT_TRUE(RunUntilInForce(Next()));
  const CallId waits = world_->Post(Caller{.is_operator = true}, WithBundle(40, 10, kValueMax));
  world_->Settle();
  EXPECT_FALSE(world_->AnswerTo(waits).has_value());
  ASSERT_TRUE(world_->RunUntil([&] { return world_->AnswerTo(waits).has_value(); }, 3 * kPeriod));
  const Reply reply = *world_->AnswerTo(waits);
  ASSERT_TRUE(reply.status.ok()) << reply.status;
  ASSERT_NE(reply.contract_id, 0u);
  EXPECT_TRUE(IsOpen(reply.contract_id)) << "it did not end before its guest ran";
  ASSERT_TRUE(RunUntilInForce(Next() + 1));
  EXPECT_EQ(Held(reply.guest_id), 16 + 40);
  ExpectGoodBooks();
}

TEST_F(BundlesTest, ItIsRenewedWithinItsCeilingAndSaysWhenItIsNot) {
  const Reply admitted = world_->AskAsOperator(WithBundle(40, 3, 25'000));
  ASSERT_TRUE(admitted.status.ok()) << admitted.status;
  const GuestId guest = admitted.guest_id;
  const RoundId end = Open(admitted.contract_id).until_round_id;
  ASSERT_TRUE(RunUntilInForce(end));
  EXPECT_EQ(Held(guest), 16 + 40) << "renewed at the same price";
  const std::vector<AuditEvent> renewed = Events("contract_renewed");
  ASSERT_EQ(renewed.size(), 1u);
  EXPECT_EQ(renewed[0].by, kTheMarket);
  EXPECT_EQ(renewed[0].guest_id, guest);
  EXPECT_THAT(renewed[0].detail, HasSubstr(absl::StrCat("after contract ", admitted.contract_id)));
  EXPECT_EQ(host_view().counters.contracts_renewed, 1u);
  EXPECT_EQ(host_view().counters.contracts_bought, 1u) << "the bundle";
  // The price rises: the next time it is not.
  ASSERT_TRUE(Bid("bob", MemoryBid(bob_, 256, 90'000)).status.ok());
  ASSERT_TRUE(Bid("ann", MemoryBid(ann_, 256, 80'000)).status.ok());
  ASSERT_TRUE(world_->RunUntil([&] { return Held(guest) == 16; }, 30 * kPeriod));
  const std::vector<AuditEvent> refused = Events("contract_not_renewed");
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_THAT(refused[0].detail, HasSubstr("above the ceiling of 25000"));
  EXPECT_EQ(host_view().counters.contracts_not_renewed, 1u);
  // Those that have ended are listed, the newest first, each with why.
  const std::vector<Contract> ended = Ended("ann");
  ASSERT_GE(ended.size(), 2u);
  EXPECT_EQ(ended.back().contract_id, admitted.contract_id);
  EXPECT_EQ(ended.back().ended, kEndedOver);
  EXPECT_EQ(ended.back().paid_microcredits, 3 * ChargeOf(ended.back())) << "its rounds, in full";
  EXPECT_THAT(ended[0].ended, StartsWith(kEndedNotRenewed));
  EXPECT_EQ(ended[0].lots, (std::vector<Lot>{{kMemory, 40, ChargeOf(ended[0])}}));
  EXPECT_EQ(Ended("", 0, 0, 1).size(), 1u) << "a page";
  EXPECT_EQ(Ended("", 0, ended[0].contract_id, 9).size(), ended.size() - 1) << "the next";
  EXPECT_EQ(Ended("ann", guest).size(), ended.size());
  EXPECT_THAT(Ended("ann", ann_), IsEmpty());
  EXPECT_THAT(Ended("bob"), IsEmpty()) << "awards are none";
  ExpectGoodBooks();
}

TEST_F(BundlesTest, ATenantAsksWithinItsQuotaAndIsToldWhatIsMissing) {
  const auto refused = [&](const TenantId& tenant_id, AdmitGuest call, absl::StatusCode code,
                           const char* piece) {
    const Reply reply = Ask(tenant_id, std::move(call));
    EXPECT_EQ(reply.status.code(), code) << reply.status;
    EXPECT_THAT(std::string(reply.status.message()), HasSubstr(piece));
    return ShortageOf(reply.status);
  };
  // It has a guest already, with 10 of cpu and 16 of memory.
  AdmitGuest call = Wish("own");
  call.seeds = {{kMemory, 25}};
  EXPECT_EQ(refused("ann", call, absl::StatusCode::kResourceExhausted, "24 left"),
            (Shortage{ShortOf::kQuotaSeeds, kMemory, 25, 24}));
  call.seeds = {{kMemory, 24}, {kCpu, 10}};
  const Reply admitted = Ask("ann", call);
  ASSERT_TRUE(admitted.status.ok()) << admitted.status;
  EXPECT_EQ(world_->state().guests.at(admitted.guest_id).tenant_id, "ann");
  EXPECT_EQ(Ask("ann", call), admitted) << "a retry";
  ASSERT_EQ(Events("guest_requested").size(), 1u);
  EXPECT_EQ(Events("guest_requested")[0].by, "ann");
  call = Wish("another");
  call.seeds = {{kMemory, 0}};
  EXPECT_EQ(refused("ann", call, absl::StatusCode::kResourceExhausted, "may have 2"),
            (Shortage{ShortOf::kQuotaGuests, std::nullopt, 1, 0}));
  // For itself alone, and only who has a quota; not by the operator's call.
  EXPECT_FALSE(refused("bob", Wish("own2"), absl::StatusCode::kPermissionDenied, "for itself"));
  call = Wish("own2");
  call.tenant_id = "bob";
  EXPECT_FALSE(refused("bob", call, absl::StatusCode::kPermissionDenied, "no quota"));
  call = Wish("own2");
  call.by_tenant = false;
  EXPECT_FALSE(refused("ann", call, absl::StatusCode::kPermissionDenied, "operator"));
  EXPECT_TRUE(absl::IsPermissionDenied(world_->AskAsOperator(Wish("own2")).status));
  // Once the operator has taken one away there is room again.
  ASSERT_TRUE(world_->AskAsOperator(EvictGuest{NewId(), admitted.guest_id}).status.ok());
  call = Wish("own2");
  call.seeds = {{kMemory, 1}};
  call.bundle = Bundle{.lots = {{kMemory, 20}}, .rounds = 5, .ceiling_microcredits = 20'000};
  const Reply bundled = Ask("ann", call);
  ASSERT_TRUE(bundled.status.ok()) << bundled.status;
  EXPECT_NE(bundled.contract_id, 0u);
  EXPECT_EQ(host_view().counters.guests_requested, 2u);
  EXPECT_GE(host_view().counters.guest_requests_refused, 2u);
  ExpectGoodBooks();
}

TEST_F(BundlesTest, NobodyBuysMoreMemoryThanItsGuestHasRoomFor) {
  AdmitGuest small = Admission("ann", "small");
  small.memory_max_units = 30;  // 16 of seed.
  const Reply admitted = world_->AskAsOperator(small);
  ASSERT_TRUE(admitted.status.ok());
  EXPECT_THAT(std::string(Quote("ann", admitted.guest_id, 15, 5).status.message()),
              HasSubstr("has room for 30 in all and has 16"));
  const Reply first = Quote("ann", admitted.guest_id, 10, 5);
  const Reply second = Quote("ann", admitted.guest_id, 10, 5, Next() + 2);
  ASSERT_TRUE(first.status.ok() && second.status.ok());
  ASSERT_TRUE(Take("ann", admitted.guest_id, first.offer_id).status.ok());
  EXPECT_THAT(std::string(Take("ann", admitted.guest_id, second.offer_id).status.message()),
              HasSubstr("has room for 30 in all and has 26"));
  EXPECT_TRUE(Quote("ann", admitted.guest_id, 10, 5, Next() + 6).status.ok()) << "after the first";
  const Reply later = Quote("ann", admitted.guest_id, 14, 5, Next() + 6);
  ASSERT_TRUE(Take("ann", admitted.guest_id, later.offer_id).status.ok());
  EXPECT_TRUE(Quote("ann", admitted.guest_id, 4, 5).status.ok()) << "over before that begins";
}

}  // namespace
}  // namespace nom::market
