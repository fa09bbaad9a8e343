// SPDX-License-Identifier: Apache-2.0
// What becomes of bids that win nothing and of guests whose tenants do not pay: that it happens as
// it was said, and that everybody can read why, in the market, with nomctl, in the log and in
// metrics.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/net/http_get.h"
#include "tests/service/market_fixture.h"

namespace nom::testing {
namespace {

using ::grpc::StatusCode;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

constexpr auto kMemory = market_pb::RESOURCE_KIND_MEMORY;
constexpr auto kCpu = market_pb::RESOURCE_KIND_CPU;

class OutcomesTest : public MarketTest {
 protected:
  Exit Nomctl(const Client& who, std::vector<std::string> arguments) const {
    const std::string token = dir_.Write("nomctl-token", who.token + "\n");
    arguments.insert(arguments.begin(),
                     {NOM_NOMCTL, "--target", marketd_->grpc_address(), "--token-file", token});
    return RunToEnd(arguments);
  }
  market_pb::GuestInfo Get(uint64_t guest_id) const {
    market_pb::GetGuestRequest request;
    market_pb::GetGuestResponse response;
    request.set_guest_id(guest_id);
    EXPECT_THAT(operator_->market->GetGuest(operator_->Context().get(), request, &response),
                Succeeds());
    return response.guest();
  }
  // Looks at each change of the market until it is so.
  void Until(const std::function<bool()>& is_so) const {
    const auto context = operator_->Context();
    const auto reader = operator_->market->Watch(context.get(), market_pb::WatchRequest());
    market_pb::WatchResponse response;
    EXPECT_TRUE(ReadUntil(*reader, &response, [&](const market_pb::WatchResponse&) {
      return is_so();
    })) << "the market ended first";
    context->TryCancel();
  }
  void UntilTold(uint64_t guest_id, market_pb::ResourceKind kind, market_pb::AwardReason reason) {
    Until([&] {
      const market_pb::GuestInfo guest = Get(guest_id);
      for (const market_pb::GuestOutcome& outcome : guest.decided()) {
        if (outcome.kind() == kind && outcome.reason() == reason) return true;
      }
      return false;
    });
  }
};

class ReasonsTest : public OutcomesTest {
 protected:
  std::string Config() override {
    return absl::StrReplaceAll(
        SampleConfig(dir_), {{"rule: uniform_price/1\n        reserve_unit_price_microcredits: 10",
                              "rule: mpsp/1\n        reserve_unit_price_microcredits: 10"}});
  }
};

// Its bid stood before the money went: then there is nothing to refuse at the door.
TEST_F(ReasonsTest, ABidWithoutMeansSaysSo) {
  ASSERT_THAT(PlaceBid(*alice_, BidRequest(alices_guest_, kCpu, 10, 50, "b1")), Succeeds());
  // What is set aside for a round comes back, or is paid.
  int withdrawals = 0;
  Until([&] {
    market_pb::GetAccountResponse response;
    EXPECT_THAT(alice_->market->GetAccount(alice_->Context().get(), {}, &response), Succeeds());
    const market_pb::Account& account = response.account();
    if (account.available_microcredits() > 0) {
      (void)Deposit(*operator_, "alice", -account.available_microcredits(),
                    absl::StrCat("w", ++withdrawals));
      return false;
    }
    return account.escrow_microcredits() == 0;
  });
  UntilTold(alices_guest_, kCpu, market_pb::AWARD_REASON_NO_MEANS);
  const Exit bids = Nomctl(*alice_, {"bids"});
  EXPECT_EQ(bids.code, 0) << bids.out;
  EXPECT_THAT(bids.out, ContainsRegex("cache +cpu .* 0 +0 +no means to pay\n"));
}

TEST_F(ReasonsTest, ABidForMoreThanThereIsSaysSo) {
  market_pb::PlaceBidRequest large = BidRequest(alices_guest_, kMemory, 60, 50, "b1");
  large.mutable_bid()->mutable_ranges(0)->set_min_units(60);  // Of 64, and 8 are seeds.
  large.mutable_bid()->mutable_ranges(0)->set_value_at_min_microcredits(3'000);
  large.mutable_bid()->mutable_ranges(0)->set_unit_price_microcredits(0);
  ASSERT_THAT(PlaceBid(*alice_, large), Succeeds());
  UntilTold(alices_guest_, kMemory, market_pb::AWARD_REASON_LARGER_THAN_SUPPLY);
  const Exit bids = Nomctl(*alice_, {"bids"});
  EXPECT_THAT(bids.out, ContainsRegex("cache +memory .* 0 +0 +larger than the supply of 56\n"));
}

class ArrearsTest : public OutcomesTest {
 protected:
  std::string Config() override {
    return absl::StrReplaceAll(
        SampleConfig(dir_),
        {{"period_ms: 1000", "period_ms: 1000\n    arrears_grace_rounds: 2"},
         {"reserve_unit_price_microcredits: 20",
          "reserve_unit_price_microcredits: 20\n        seed_rent_unit_price_microcredits: 100"}});
  }
};

TEST_F(ArrearsTest, WhoDoesNotPayLeavesAfterItsGraceAndRevenueIsWhatWasPaid) {
  // Rent of a round is 500: enough for one.
  ASSERT_THAT(CreateTenant(*operator_, "poor", "t3", nullptr), Succeeds());
  ASSERT_THAT(Deposit(*operator_, "poor", 700, "d3"), Succeeds());
  uint64_t guest_id = 0;
  ASSERT_THAT(Admit(*operator_, AdmitRequest("poor", "squatter"), &guest_id), Succeeds());
  Until([&] { return Get(guest_id).state() == market_pb::GUEST_STATE_EVICTED; });
  const market_pb::GuestInfo guest = Get(guest_id);
  EXPECT_EQ(guest.end_cause(), market_pb::END_CAUSE_ARREARS);
  EXPECT_THAT(guest.exit_reason(), HasSubstr("rent"));
  EXPECT_EQ(Get(alices_guest_).state(), market_pb::GUEST_STATE_RUNNING) << "who pays stays";

  EXPECT_THAT(
      marketd_->Output(),
      AllOf(ContainsRegex("event=tenant_in_arrears tenant=poor microcredits=[1-9][0-9]*\n"),
            ContainsRegex(absl::StrCat("event=guest_evicted_for_arrears guest=", guest_id,
                                       " name=squatter host=sim tenant=poor cause=arrears "))));
  EXPECT_THAT(HttpGet(marketd_->metrics_address(), "/metrics"),
              HasSubstr("nom_market_guests_evicted_for_arrears_total{host=\"sim\"} 1\n"));
  const Exit events = Nomctl(*operator_, {"events", "--tenant", "poor"});
  EXPECT_THAT(events.out, ContainsRegex("guest_evicted_for_arrears +market +poor"));

  // What it owes is no revenue and is not spent.
  market_pb::GetAccountRequest ask;
  market_pb::GetAccountResponse answer;
  ask.set_tenant_id("poor");
  ASSERT_THAT(operator_->market->GetAccount(operator_->Context().get(), ask, &answer), Succeeds());
  EXPECT_EQ(answer.account().spent_microcredits(), 700);
  EXPECT_GT(answer.account().arrears_microcredits(), 0);
  // Rounds go on: two answers belong together if nothing came between them.
  operators_pb::AuditResponse audit;
  int64_t spent = 0;
  for (int i = 0; i < 100; ++i) {
    operators_pb::ListTenantsResponse tenants;
    ASSERT_THAT(operator_->operators->ListTenants(operator_->Context().get(), {}, &tenants),
                Succeeds());
    ASSERT_THAT(Audit(*operator_, &audit), Succeeds());
    spent = 0;
    for (const market_pb::Account& account : tenants.accounts()) {
      spent += account.spent_microcredits();
    }
    if (spent == audit.operator_revenue_microcredits()) break;
  }
  EXPECT_EQ(spent, audit.operator_revenue_microcredits());
  EXPECT_TRUE(audit.balanced()) << audit.ShortDebugString();

  ASSERT_EQ(marketd_->Terminate().code, 0);
  ASSERT_TRUE(marketd_->Start().ok());
  operator_ = std::make_unique<Client>(marketd_->grpc_address());
  EXPECT_EQ(Get(guest_id).end_cause(), market_pb::END_CAUSE_ARREARS) << "it is not forgotten";
}

}  // namespace
}  // namespace nom::testing
