// SPDX-License-Identifier: Apache-2.0
// One marketd with two hosts, over real gRPC: one clears each resource by itself, the other all of
// them together.

#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/service/market_fixture.h"

namespace nom::testing {
namespace {

using ::grpc::StatusCode;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr auto kMemory = market_pb::RESOURCE_KIND_MEMORY;
constexpr auto kCpu = market_pb::RESOURCE_KIND_CPU;

class JointTest : public MarketTest {
 protected:
  std::string Config() override {
    const std::string by_kind = SampleConfig(dir_);
    const size_t hosts = by_kind.find("  - id: sim");
    const std::string joint = absl::StrReplaceAll(
        by_kind.substr(hosts), {{"id: sim", "id: joint"},
                                {"period_ms: 1000", "period_ms: 1000\n    clearing: joint_vcg/1"},
                                {"        rule: uniform_price/1\n", ""}});
    return by_kind + joint;
  }

  void SetUp() override {
    MarketTest::SetUp();
    for (auto& [tenant, guest] :
         {std::pair<const char*, uint64_t*>{"alice", &alices_joint_}, {"bob", &bobs_joint_}}) {
      operators_pb::AdmitGuestRequest request =
          AdmitRequest(tenant, absl::StrCat(tenant, "-joint"));
      request.set_host_id("joint");
      ASSERT_THAT(Admit(*operator_, request, guest), Succeeds());
    }
  }

  static void AddBundle(market_pb::Valuation* valuation, int64_t memory, int64_t cpu,
                        int64_t value) {
    if (valuation->bundle_kinds().empty()) {
      valuation->add_bundle_kinds(kMemory);
      valuation->add_bundle_kinds(kCpu);
    }
    market_pb::BidBundle* const bundle = valuation->add_bundles();
    bundle->add_units(memory);
    bundle->add_units(cpu);
    bundle->set_value_microcredits(value);
  }
  static market_pb::PlaceBidRequest Request(uint64_t guest_id, const std::string& request_id) {
    market_pb::PlaceBidRequest request;
    request.mutable_bid()->set_guest_id(guest_id);
    request.set_request_id(request_id);
    return request;
  }

  // The first settled round of the host, from `from_round_id` on, in which the guest won something.
  market_pb::Round WaitForSettled(const std::string& host_id, uint64_t guest_id,
                                  uint64_t from_round_id) {
    const auto context = operator_->Context();
    market_pb::WatchRequest watch;
    watch.set_host_id(host_id);
    const auto reader = operator_->market->Watch(context.get(), watch);
    market_pb::WatchResponse response;
    market_pb::Round found;
    ReadUntil(*reader, &response, [&](const market_pb::WatchResponse&) {
      market_pb::ListRoundsRequest request;
      request.set_host_id(host_id);
      market_pb::ListRoundsResponse rounds;
      if (!operator_->market->ListRounds(operator_->Context().get(), request, &rounds).ok()) {
        return false;
      }
      for (const market_pb::Round& round : rounds.rounds()) {
        if (round.phase() != market_pb::ROUND_PHASE_SETTLED || round.round_id() < from_round_id) {
          continue;
        }
        for (const market_pb::GuestOutcome& outcome : round.outcomes()) {
          if (outcome.guest_id() != guest_id || outcome.award_units() == 0) continue;
          found = round;
          return true;
        }
      }
      return false;
    });
    context->TryCancel();
    return found;
  }

  uint64_t alices_joint_ = 0;
  uint64_t bobs_joint_ = 0;
};

TEST_F(JointTest, BundlesWinOnOneHostAndKindsOnTheOther) {
  // 56 of memory and 90 of cpu are for sale on each host.
  market_pb::PlaceBidRequest alices = Request(alices_joint_, "a1");
  AddBundle(alices.mutable_bid()->mutable_valuation(), 40, 60, 90'000);
  AddBundle(alices.mutable_bid()->mutable_valuation(), 10, 20, 30'000);
  market_pb::PlaceBidRequest bobs = Request(bobs_joint_, "b1");
  AddBundle(bobs.mutable_bid()->mutable_valuation(), 46, 70, 80'000);
  uint64_t round_id = 0;
  ASSERT_THAT(PlaceBid(*alice_, alices, &round_id), Succeeds());
  ASSERT_THAT(PlaceBid(*bob_, bobs, &round_id), Succeeds());
  ASSERT_THAT(PlaceBid(*alice_, BidRequest(alices_guest_, kMemory, 20, 50, "a2")), Succeeds());
  // A retry gets the same answer.
  uint64_t again = 0;
  ASSERT_THAT(PlaceBid(*bob_, bobs, &again), Succeeds());
  EXPECT_EQ(again, round_id);

  const market_pb::Round round = WaitForSettled("joint", bobs_joint_, round_id);
  ASSERT_GE(round.round_id(), round_id);
  ASSERT_TRUE(round.has_certificate());
  EXPECT_EQ(round.certificate().method(), market_pb::CLEARING_METHOD_EXACT);
  EXPECT_TRUE(round.certificate().charges_are_exact());
  EXPECT_EQ(round.certificate().welfare_microcredits(),
            round.certificate().welfare_bound_microcredits());
  // Both want more than half: 30,000 and 80,000 fit together, and are worth more than 90,000.
  int64_t charge = 0;
  for (const market_pb::GuestOutcome& outcome : round.outcomes()) {
    const bool is_memory = outcome.kind() == kMemory;
    const int64_t units =
        outcome.guest_id() == alices_joint_ ? (is_memory ? 10 : 20) : (is_memory ? 46 : 70);
    EXPECT_EQ(outcome.award_units(), units);
    const int64_t reserve = is_memory ? 10 : 20;
    EXPECT_GE(outcome.charge_microcredits(), units * reserve);
    if (outcome.guest_id() == bobs_joint_) charge += outcome.charge_microcredits();
  }
  // Without bob, alice would have 90,000 instead of 30,000, and nothing is left to the operator but
  // the reserves of what she does not take: bob pays what his presence costs.
  EXPECT_EQ(charge, 90'000 - 30'000 + (16 * 10 + 30 * 20));
  for (const market_pb::ResourcePrice& price : round.prices()) {
    EXPECT_EQ(price.policy(), "joint_vcg/1");
    EXPECT_EQ(price.sold_units(), price.kind() == kMemory ? 56 : 90);
  }

  const market_pb::Round by_kind = WaitForSettled("sim", alices_guest_, 1);
  EXPECT_GT(by_kind.round_id(), 0u);
  EXPECT_FALSE(by_kind.has_certificate());

  // A tenant sees its bid as it gave it.
  market_pb::GetGuestRequest get;
  get.set_guest_id(alices_joint_);
  market_pb::GetGuestResponse guest;
  ASSERT_THAT(alice_->market->GetGuest(alice_->Context().get(), get, &guest), Succeeds());
  ASSERT_THAT(guest.guest().bids(), SizeIs(1));
  EXPECT_EQ(guest.guest().bids(0).kind(), market_pb::RESOURCE_KIND_UNSPECIFIED);
  EXPECT_THAT(guest.guest().bids(0).valuation().bundles(), SizeIs(2));
  EXPECT_EQ(guest.guest().bids(0).valuation().bundle_kinds(0), kCpu) << "by rising kind";

  // One record, whichever resource is asked for; and the audit clears it again.
  operators_pb::GetRoundRecordRequest request;
  request.set_host_id("joint");
  request.set_round_id(round.round_id());
  std::string text;
  for (const auto kind : {kMemory, kCpu}) {
    request.set_kind(kind);
    operators_pb::GetRoundRecordResponse record;
    ASSERT_THAT(operator_->operators->GetRoundRecord(operator_->Context().get(), request, &record),
                Succeeds());
    EXPECT_EQ(record.policy(), "joint_vcg/1");
    EXPECT_THAT(record.auction(), HasSubstr("resource_count: 2"));
    EXPECT_TRUE(text.empty() || record.auction() == text);
    text = record.auction();
  }
  operators_pb::AuditResponse audit;
  ASSERT_THAT(Audit(*operator_, &audit), Succeeds());
  EXPECT_TRUE(audit.balanced()) << audit.findings(0);

  market_pb::WithdrawBidRequest withdraw;
  withdraw.set_guest_id(alices_joint_);
  withdraw.set_request_id("w1");
  market_pb::WithdrawBidResponse withdrawn;
  ASSERT_THAT(alice_->market->WithdrawBid(alice_->Context().get(), withdraw, &withdrawn),
              Succeeds());
  EXPECT_TRUE(withdrawn.removed());
}

TEST_F(JointTest, BidsThatAreWrongAreRefusedByField) {
  const auto refusal = [&](const market_pb::PlaceBidRequest& request, const char* piece) {
    EXPECT_THAT(PlaceBid(*alice_, request), Fails(StatusCode::INVALID_ARGUMENT, piece));
  };
  market_pb::PlaceBidRequest request = Request(alices_joint_, "x");
  market_pb::Valuation* const valuation = request.mutable_bid()->mutable_valuation();
  refusal(request, "valuation: there is nothing in it");
  AddBundle(valuation, 1, 1, 100);
  valuation->mutable_bundles(0)->add_units(1);
  refusal(request, "bid.valuation.bundles[0].units: 3 for 2 bundle_kinds");
  valuation->mutable_bundles(0)->mutable_units()->RemoveLast();
  valuation->mutable_bundles(0)->set_units(0, -1);
  refusal(request, "valuation.bundles[0].units[memory]: -1");
  valuation->mutable_bundles(0)->set_units(0, std::numeric_limits<int64_t>::max());
  refusal(request, "valuation.bundles[0].units[memory]");
  valuation->mutable_bundles(0)->set_units(0, 1);
  valuation->add_bundle_kinds(kMemory);
  refusal(request, "bid.valuation.bundle_kinds[2]: memory is there twice");
  valuation->set_bundle_kinds(2, static_cast<market_pb::ResourceKind>(77));
  refusal(request, "bid.valuation.bundle_kinds[2]: 77 is no kind");
  valuation->mutable_bundle_kinds()->RemoveLast();
  valuation->set_combination(static_cast<market_pb::Combination>(9));
  refusal(request, "bid.valuation.combination: 9");
  valuation->set_combination(market_pb::COMBINATION_MIN);
  market_pb::BidCurve* const curve = valuation->add_curves();
  curve->set_kind(kCpu);
  refusal(request, "bid.valuation.curves[0].ranges: there are none");
  curve->add_ranges()->set_max_units(4);
  refusal(request, "do not go together");
  valuation->clear_bundles();
  *valuation->add_curves() = *curve;
  refusal(request, "bid.valuation.curves[1].kind: a second curve for cpu");
  valuation->mutable_curves(1)->set_kind(market_pb::RESOURCE_KIND_DISK);
  refusal(request, "valuation.curves[disk]: is not sold on this host");
  request.mutable_bid()->set_kind(kCpu);
  refusal(request, "bid.valuation: does not go together with bid.kind");

  market_pb::PlaceBidRequest elsewhere = Request(alices_guest_, "y");
  AddBundle(elsewhere.mutable_bid()->mutable_valuation(), 1, 1, 100);
  refusal(elsewhere, "clears each resource by itself");

  market_pb::PlaceBidRequest many = Request(alices_joint_, "z");
  for (int64_t i = 1; i <= 4'097; ++i) {
    AddBundle(many.mutable_bid()->mutable_valuation(), i, 1, 100 * i);
  }
  refusal(many, "bid.valuation.bundles: 4097 are more than 4096");
  many.mutable_bid()->mutable_valuation()->mutable_bundles()->RemoveLast();
  refusal(many, "valuation: reading it takes");
  operators_pb::AuditResponse audit;
  ASSERT_THAT(Audit(*operator_, &audit), Succeeds());
  EXPECT_TRUE(audit.balanced());
}

}  // namespace
}  // namespace nom::testing
